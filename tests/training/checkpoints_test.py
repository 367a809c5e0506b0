"""A checkpoint is whole or absent, and one that was whole stays so."""

import json
import os
import re

import pytest

from gpt3_keras.training.checkpoints import CheckpointStore
from tests.training.fakes import FakeModel
from tests.training.numbered import number_of
from tests.training.numbered import save
from tests.training.numbered import scratch_names


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", keep=2)


def test_a_store_that_was_not_written_is_empty(store):
    assert store.steps() == []
    assert store.latest() is None
    assert store.best() is None
    assert not store.folder.exists()


def test_the_last_ones_and_the_best_are_kept(store):
    for step in (100, 200, 300, 400, 500):
        path = save(store, step, is_best=step == 200)
        assert path == store.folder / f"{step:08d}"
    assert store.steps() == [200, 400, 500]
    assert (store.latest(), store.best()) == (500, 200)
    assert [number_of(store, step) for step in store.steps()] == store.steps()
    save(store, 600, is_best=True)
    assert store.steps() == [500, 600]
    assert json.loads((store.folder / "best.json").read_text())["step"] == 600
    assert scratch_names(store) == []


def test_a_checkpoint_is_marked_the_best_later(store):
    for step in (1, 2, 3):
        save(store, step, is_best=step == 1)
    assert store.steps() == [1, 2, 3]
    store.mark_best(2)
    assert store.best() == 2
    assert store.steps() == [2, 3]  # The best one before is an old one now.


def test_what_was_saved_last_is_kept_though_later_steps_are_there(store):
    for step in (100, 200, 300):
        save(store, step)
    save(store, 50)
    assert store.steps() == [50, 200, 300]


def test_the_same_step_is_replaced(store):
    save(store, 1, number=10, is_best=True)
    save(store, 1, number=11)
    assert store.steps() == [1]
    assert number_of(store, 1) == 11
    assert store.best() == 1
    assert scratch_names(store) == []


def test_foreign_names_are_ignored(store):
    save(store, 1)
    (store.folder / "notes.txt").write_text("mine")
    for name in ("00000002", "3", "000000001", "0000000x"):
        (store.folder / name).mkdir()
    (store.folder / "00000004").write_text("a file")
    assert store.steps() == [1]
    for step in (5, 6, 7):
        save(store, step)
    assert (store.folder / "00000002").is_dir()
    assert store.steps() == [6, 7]


def test_steps_of_nine_digits_are_read(store):
    save(store, 99_999_999)
    save(store, 100_000_000)
    assert store.steps() == [99_999_999, 100_000_000]


def test_readers_change_nothing(store):
    for step in (1, 2):
        save(store, step, is_best=step == 1)
    for name in (".new-00000003", ".removed-00000000"):
        (store.folder / name).mkdir()
        (store.folder / name / "state.json").write_text("{")
    os.rename(store.folder / "00000001", store.folder / ".aside-00000001")
    before = sorted(store.folder.rglob("*"))
    reader = CheckpointStore(store.folder, keep=1)
    assert reader.steps() == [1, 2]  # What stands aside is whole.
    assert (reader.latest(), reader.best()) == (2, 1)
    assert number_of(reader, 1) == 1
    assert sorted(store.folder.rglob("*")) == before
    reader.clean()
    assert scratch_names(store) == []
    assert (store.folder / "00000001").is_dir()
    assert number_of(reader, 1) == 1


def test_a_save_removes_what_a_stopped_one_left(store):
    save(store, 1)
    for name in (".new-00000002", ".new-00000003", ".removed-00000000"):
        (store.folder / name).mkdir()
        (store.folder / name / "state.json").write_text("{")
    (store.folder / ".best.json").write_text("{")
    save(store, 2)
    assert scratch_names(store) == []
    assert store.steps() == [1, 2]


@pytest.mark.parametrize("keep", [0, -1, 1.5, True, "3"])
def test_keep_must_be_positive(tmp_path, keep):
    message = f"keep must be a positive integer. Received: keep={keep!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        CheckpointStore(tmp_path, keep)


@pytest.mark.parametrize("step", [-1, 1.0, None, True])
def test_a_step_must_be_an_integer(store, step):
    message = f"step must be an integer, 0 or more. Received: step={step!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        save(store, step, number=1)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "state",
    [{"loss": float("nan")}, {1: 2}, {"a": (1, 2)}, {"a": object()}, [1]],
)
def test_the_state_must_be_plain_json(store, state):
    with pytest.raises(ValueError, match="state must be a dict of plain JSON"):
        store.save(1, FakeModel(1), None, state)
    assert not store.folder.exists()


def test_an_absent_step_is_named(store):
    save(store, 5)
    message = (
        f"step must be one of the checkpoints in {store.folder}, 5. "
        "Received: step=6."
    )
    for read in (store.read_state, store.mark_best, store.model_folder):
        with pytest.raises(ValueError, match=re.escape(message)):
            read(6)
    assert store.best() is None


def checkpoint_file_names():
    return [
        "model/assets/words.txt",
        "model/weights.bin",
        "optimizer.safetensors",
        "random.safetensors",
        "sha256.json",
        "state.json",
    ]


def assert_damaged(store, step, name, after):
    message = (
        f"The checkpoint {store.folder / f'{step:08d}'} is damaged: {name} is "
        f"not what was saved; {after}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        store.verify(step)


def test_every_file_is_checked(store):
    path = save(store, 1)
    found = [x.relative_to(path) for x in path.rglob("*") if x.is_file()]
    assert sorted(map(str, found)) == checkpoint_file_names()


@pytest.mark.parametrize("name", checkpoint_file_names())
def test_a_file_that_is_damaged_is_named(store, name):
    save(store, 7)
    path = save(store, 8) / name
    content = path.read_bytes()
    after = "remove that folder to continue from step 7"
    for change in (content[:-1], b"", content + b"\0"):
        path.write_bytes(change)
        assert_damaged(store, 8, name, after)
    path.unlink()
    assert_damaged(store, 8, name, after)
    assert store.latest() == 8  # It is not passed over silently.
    path.write_bytes(content)
    store.verify(8)


@pytest.mark.parametrize("name", checkpoint_file_names())
def test_no_byte_may_flip(store, name):
    path = save(store, 1) / name
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"is damaged: .* no earlier one"):
            store.verify(1)


def test_a_state_that_is_damaged_is_not_read(store):
    save(store, 1)
    (save(store, 2) / "state.json").write_text('{"step": 2, "number": 3}')
    with pytest.raises(ValueError, match=r"damaged: state\.json is not what"):
        store.read_state(2)


def test_the_earlier_one_to_go_on_from_is_whole(store):
    for step in (1, 2, 3):
        save(store, step, is_best=step == 1)
    for step in (2, 3):
        (store.folder / f"{step:08d}" / "model" / "weights.bin").write_text("")
    after = "remove that folder to continue from step 1"
    assert_damaged(store, 3, "model/weights.bin", after)
    (store.folder / "00000001" / "sha256.json").write_text("[]")
    after = "no earlier one is left"
    assert_damaged(store, 3, "model/weights.bin", after)


def test_a_mark_that_is_damaged_is_named(store):
    save(store, 1, is_best=True)
    path = store.folder / "best.json"
    content = path.read_bytes()
    message = f"{path} is damaged; remove it to continue without a best"
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=re.escape(message)):
            store.best()
    path.unlink()
    assert store.best() is None
