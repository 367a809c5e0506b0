"""Preparing on Apache Beam: what it writes, and how it fails."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest
import tensorflow as tf

from gpt3_keras import cli
from gpt3_keras import cli_arguments
from gpt3_keras.data import beam_pipeline
from gpt3_keras.data import runners
from gpt3_keras.data import shard_parts
from gpt3_keras.data import shards
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import write_files
from tests.data.part_runs import files_of
from tests.data.part_runs import write_awkward_corpus

# What Beam's own imports and calls warn of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Please install grpcio-status"),
]
TOKENIZER = ByteTokenizer()
needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason='Apache Beam is absent: pip install "gpt3-keras[beam]"',
)


@pytest.fixture
def corpus(tmp_path):
    return write_awkward_corpus(tmp_path / "corpus")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(beam_pipeline, "_PART_BYTES", 100)


def prepare(source, output, **options):
    options = {"runner": "DirectRunner", **options}
    return shards.prepare(source, output, TOKENIZER, **options)


@needs_beam
@pytest.mark.parametrize("document", ["file", "line"])
def test_shards_are_the_local_ones(
    document, corpus, tmp_path, small_parts, monkeypatch
):
    fixed = types.SimpleNamespace(token_hex=lambda num_bytes: "1f0c9a7e")
    monkeypatch.setattr(shards, "secrets", fixed)
    for runner in ("local", "DirectRunner"):
        manifest = prepare(
            corpus,
            tmp_path / runner,
            runner=runner,
            document=document,
            max_shard_bytes=700,
        )
    assert len(manifest.shards) > 2
    expected = files_of(tmp_path / "local")
    assert files_of(tmp_path / "DirectRunner") == expected


@needs_beam
@pytest.mark.slow
def test_workers_may_be_other_processes(corpus, tmp_path, small_parts):
    sums = []
    for options in (
        {"runner": "local"},
        {"runner_options": ["direct_running_mode=multi_processing"]},
    ):
        made = prepare(corpus, tmp_path / f"output{len(sums)}", **options)
        sums.append([shard.tokens_sha256 for shard in made.shards])
    assert sums[0] == sums[1]


@needs_beam
def test_folders_may_be_remote(corpus, tmp_path, small_parts):
    root = f"ram://{tmp_path.name}"
    for path in corpus.rglob("*.txt"):
        copy = f"{root}/corpus/{path.relative_to(corpus)}"
        tf.io.gfile.makedirs(os.path.dirname(copy))
        tf.io.gfile.copy(str(path), copy)
    here = prepare(corpus, tmp_path / "here", runner="local")
    for number, runner in enumerate(("local", "DirectRunner")):
        output = f"{root}/output{number}"
        there = prepare(f"{root}/corpus", output, runner=runner)
        assert there.files == here.files
        sums = [shard.tokens_sha256 for shard in there.shards]
        assert sums == [shard.tokens_sha256 for shard in here.shards]
        assert shards.verify(output) == there
        assert len(tf.io.gfile.listdir(output)) == 3


@needs_beam
def test_progress_is_told(corpus, tmp_path, small_parts, monkeypatch):
    reports, told = [], tmp_path / "told"

    def progress(*report):
        reports.append(report)
        told.touch()

    whole = shard_parts.tokenise

    def tokenise(part, job, tokenizer):
        start_secs = time.monotonic()
        while part.number == 3 and not told.exists():
            if time.monotonic() > start_secs + 60:
                raise TimeoutError("No progress was told.")
            time.sleep(0.01)
        return whole(part, job, tokenizer)

    monkeypatch.setattr(beam_pipeline, "_LOOK_EVERY_SECS", 0.02)
    monkeypatch.setattr(shard_parts, "tokenise", tokenise)
    prepare(corpus, tmp_path / "output", progress=progress)
    done, total = zip(*reports, strict=True)
    size = sum(path.stat().st_size for path in corpus.rglob("*.txt"))
    assert set(total) == {size - 3}  # Only a mark is no text.
    assert list(done) == sorted(done)
    assert 0 < done[0] < done[-1] == size - 3


@needs_beam
def test_a_bad_file_is_told_in_one_line(tmp_path, capsys, caplog):
    files = {"a.txt": "good", "b.txt": "x " * 150_000 + "\0"}
    source = write_files(tmp_path / "corpus", files)
    output = tmp_path / "output"
    output.mkdir()
    code = cli.main(
        [
            *("prepare", "--input", str(source), "--output", str(output)),
            *("--runner", "DirectRunner"),
        ]
    )
    assert code == 2
    error = capsys.readouterr().err
    assert re.fullmatch(
        "gpt3-keras prepare: error: Text must be UTF-8; .* Received: "
        rf"{source / 'b.txt'} with a NUL byte at offset 300000\.\n",
        error,
    )
    assert not caplog.records
    assert not files_of(output)


@needs_beam
def test_what_fails_in_a_worker_is_told(corpus, tmp_path, monkeypatch, caplog):
    def fail(plan, job):
        raise tf.errors.ResourceExhaustedError(None, None, "disk; No space.")

    monkeypatch.setattr(shard_parts, "assemble", fail)
    message = re.escape(
        "DirectRunner could not prepare the text: ResourceExhaustedError: "
        "disk; No space."
    )
    with pytest.raises(OSError, match=f"^{message}$"):
        prepare(corpus, tmp_path / "output")
    assert not caplog.records
    assert not (tmp_path / "output").exists()


@needs_beam
def test_a_finished_folder_is_kept(corpus, tmp_path):
    prepare(corpus, tmp_path / "output")
    before = files_of(tmp_path / "output")
    with pytest.raises(ValueError, match="must not hold prepared text"):
        prepare(corpus, tmp_path / "output")
    assert files_of(tmp_path / "output") == before
    manifest = prepare(corpus, tmp_path / "output", overwrite=True)
    after = files_of(tmp_path / "output")
    assert len(after) == 1 + 2 * len(manifest.shards)
    assert not before.keys() & after.keys() - {"manifest.json"}


@needs_beam
def test_an_interrupted_run_leaves_nothing(
    corpus, tmp_path, small_parts, monkeypatch, caplog
):
    whole = shard_parts.tokenise

    def tokenise(part, job, tokenizer):
        if part.number == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(part, job, tokenizer)

    monkeypatch.setattr(shard_parts, "tokenise", tokenise)
    with pytest.raises(KeyboardInterrupt):
        prepare(corpus, tmp_path / "output")
    assert not caplog.records
    assert not (tmp_path / "output").exists()


@needs_beam
@pytest.mark.slow
def test_a_killed_run_is_not_read_and_starts_over(corpus, tmp_path):
    output = tmp_path / "output"
    script = (
        "import os, signal, sys\n"
        "from gpt3_keras.data import shard_parts, shards\n"
        "from tests.data.corpora import ByteTokenizer\n"
        "assemble = shard_parts.assemble\n"
        "def kill(plan, job):\n"
        "    if plan.number: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return assemble(plan, job)\n"
        "shard_parts.assemble = kill\n"
        "shards.prepare(*sys.argv[1:], ByteTokenizer(), max_shard_bytes=200,"
        " runner='DirectRunner')\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, corpus, output], check=False
    )
    assert killed.returncode == -9
    left = {path.name for path in output.iterdir()}
    assert any(name.endswith(".parts") for name in left)
    assert "manifest.json" not in left
    with pytest.raises(ValueError, match="preparation did not finish"):
        shards.verify(output)
    manifest = prepare(corpus, output, runner="local")
    assert len(files_of(output)) == 1 + 2 * len(manifest.shards)


@needs_beam
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "direct_num_wokers=2",
            "'direct_num_wokers', which is unknown (did you mean "
            "'direct_num_workers'?).",
        ),
        ("qqq", "'qqq', which is unknown."),
        (
            "direct_num_workers=two",
            "argument --direct_num_workers: invalid int value: 'two'.",
        ),
    ],
)
def test_options_are_checked(option, message, corpus, tmp_path):
    message = re.escape(
        f"runner_options must be what the runner takes. Received: {message}"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        prepare(corpus, tmp_path / "output", runner_options=[option])
    assert not (tmp_path / "output").exists()


@needs_beam
def test_servers_know_more_options():
    made = beam_pipeline.pipeline_options("FlinkRunner", ["of_a_server=9"])
    options = made.get_all_options(retain_unknown_options=True)
    assert options["of_a_server"] == "9"
    assert options["runner"] == "FlinkRunner"


def test_without_beam_its_extra_is_named(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    output = tmp_path / "output"
    code = cli.main(
        [
            *("prepare", "--input", str(corpus), "--output", str(output)),
            *("--runner", "DirectRunner"),
        ]
    )
    assert code == 2
    assert capsys.readouterr().err == (
        'gpt3-keras prepare: error: Runners but "local" need Apache Beam; '
        'install it with `pip install "gpt3-keras[beam]"`. Received: '
        "runner='DirectRunner'.\n"
    )
    assert not output.exists()


def test_beam_is_not_imported_for_nothing(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    manifest = prepare(corpus, tmp_path / "output", runner="local")
    assert shards.verify(tmp_path / "output") == manifest


def test_another_runner_is_told(corpus, tmp_path):
    message = re.escape(
        "runner must be one of local, DirectRunner, DataflowRunner, "
        "FlinkRunner, SparkRunner. Received: runner='direct'."
    )
    with pytest.raises(ValueError, match=message):
        prepare(corpus, tmp_path / "output", runner="direct")
    message = re.escape(
        "runner_options are for a runner of Apache Beam. Received: "
        "runner='local', runner_options=['a=1']."
    )
    with pytest.raises(ValueError, match=message):
        prepare(
            corpus, tmp_path / "output", runner="local", runner_options=["a=1"]
        )


def test_the_command_line_offers_these_runners():
    for runner in (runners.LOCAL, *runners.BEAM):
        arguments = cli_arguments.parser().parse_args(
            [
                *("prepare", "--input", "a", "--output", "b"),
                *("--runner", runner),
                *("--runner-option", "a=1", "--runner-option", "b"),
            ]
        )
        assert arguments.runner == runner
        assert arguments.runner_option == ["a=1", "b"]
    with pytest.raises(SystemExit):
        cli_arguments.parser().parse_args(
            ["prepare", "--input", "a", "--output", "b", "--runner", "x"]
        )
