"""A save that is broken off, or has no room, loses no checkpoint."""

import builtins
import errno
import json
import os
import pathlib
import re
import resource
import subprocess
import sys

import pytest

from gpt3_keras.training import files
from gpt3_keras.training.checkpoints import CheckpointStore
from tests.training.numbered import number_of
from tests.training.numbered import save
from tests.training.numbered import scratch_names

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", keep=2)


class Crash(BaseException):
    """The process ends here."""


CALLS = [
    (os, "rename"),
    (os, "replace"),
    (os, "fsync"),
    (os, "mkdir"),
    (os, "rmdir"),
    (os, "unlink"),
    (os, "posix_fallocate"),
    (builtins, "open"),
]


def break_calls(monkeypatch, breaks):
    """Calls that change files first ask `breaks` with their number."""
    count = 0

    def breaking(name, function):
        def call(*args, **kwargs):
            nonlocal count
            if name != "open" or "w" in args[1:2]:
                count += 1
                breaks(count)
            return None if name == "fsync" else function(*args, **kwargs)

        return call

    for module, name in CALLS:
        function = getattr(module, name)
        monkeypatch.setattr(module, name, breaking(name, function))
    return lambda: count


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def crash():
    raise Crash


BREAKS = {
    "crash": (Crash, lambda n: lambda i: i >= n and crash()),
    "full once": (OSError, lambda n: lambda i: i == n and full_disk()),
    "full": (OSError, lambda n: lambda i: i >= n and full_disk()),
}


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("step", [2, 3], ids=["same step", "next step"])
def test_a_break_at_any_call_loses_nothing(tmp_path, monkeypatch, step, kind):
    expected, make = BREAKS[kind]
    before = {1: 1, 2: 2}
    after = {2: 22} if step == 2 else {3: 33}
    outcomes = set()
    for n in range(1, 1000):
        store = CheckpointStore(tmp_path / str(n), keep=1)
        save(store, 1, is_best=True)
        save(store, 2)
        with monkeypatch.context() as context:
            num_calls = break_calls(context, make(n))
            try:
                save(store, step, is_best=True, number=11 * step)
            except expected as error:
                if expected is OSError:
                    check_message(str(error), store, before)
        found = {x: number_of(store, x) for x in store.steps()}
        # The old ones are there or the new one is: no step is half of either.
        assert found.items() <= {*before.items(), *after.items()}, n
        assert set(before.items()) <= found.items() or after.items() <= (
            found.items()
        ), n
        assert store.best() in found, n
        outcomes.add(tuple(found.items()))
        store.clean()
        assert scratch_names(store) == [], n
        assert {x: number_of(store, x) for x in store.steps()} == found, n
        save(store, 4, is_best=True)
        assert store.steps() == [4]
        if num_calls() < n:  # Nothing broke: there are no more calls.
            break
    assert n > 40
    assert outcomes >= {tuple(before.items()), tuple(after.items())}


def check_message(message, store, before):
    """Which checkpoint is usable is said, and true."""
    assert "No space left on device" in message
    match = re.search(r"Cannot save .*; the checkpoint of step (\d+)", message)
    if match is None:
        match = re.search(r"(\d+) is saved and usable, but best", message)
    number_of(store, int(match[1]))
    assert str(store.folder) in message


def test_a_process_that_is_killed_loses_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.training.killed_writer"]
    result = subprocess.run(
        [*command, str(tmp_path / "checkpoints"), "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    # Steps were saved, and some kills came in the middle of that.
    assert found["last"] > 20
    assert found["left"][".new"] > 5


def test_what_is_no_failure_to_write_passes(store, monkeypatch):
    monkeypatch.setattr(files, "seal", lambda folder: [][0])
    with pytest.raises(IndexError):
        save(store, 1)
    assert list(store.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(store):
    store.folder.write_text("a file")
    message = (
        f"Cannot save the checkpoint {store.folder / '00000001'}: File "
        "exists; no earlier one is left."
    )
    with pytest.raises(OSError, match=re.escape(message)):
        save(store, 1)


@pytest.mark.parametrize("num_bytes", [0, 10, 90, 200, 300, 600, 900])
def test_files_that_may_not_grow_are_named(store, num_bytes):
    """The limit of `ulimit -f` is a disk that is full, to a process."""
    save(store, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        with pytest.raises(OSError, match="Cannot save the checkp") as caught:
            save(store, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == (
        f"Cannot save the checkpoint {store.folder / '00000002'}: File too "
        "large; the checkpoint of step 1 stays usable."
    )
    assert caught.value.errno == errno.EFBIG
    assert number_of(store, 1) == 1
    assert scratch_names(store) == []
    save(store, 2)
    assert number_of(store, 2) == 2


@pytest.mark.parametrize(
    ("error", "number", "reason"),
    [
        (OSError(28, "x"), 28, "No space left on device"),
        (OSError("a\nb"), None, "a"),
        (OSError(), None, "OSError"),
        (
            RuntimeError("flush\n, errno = 28, er"),
            28,
            "No space left on device",
        ),
        (RuntimeError("no such kernel"), None, None),
        (KeyboardInterrupt(), None, None),
    ],
)
def test_what_a_failure_to_write_says(error, number, reason):
    assert files.write_failure(error) == (number, reason)
