"""The command line: every verb, and one line for every mistake."""

import gc
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from gpt3_keras import cli
from tests import sweep

# Keras turns its variables into NumPy arrays the old way when it saves them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
ROOT = pathlib.Path(__file__).parents[1]
VERBS = (
    "demo",
    "train",
    "evaluate",
    "generate",
    "export",
    "prepare",
    "plot",
    "convert",
    "augment",
    "dialogue",
)
WORDS = ("the cat saw the dog", "the dog saw the cat", "a bird saw them all")
TINY = """
model: {num_heads: 2, hidden_dim: 16, max_sequence_length: 32,
        pointer_hidden_dims: [4, 4]}
tokenizer: {trained_vocabulary_size: 270}
data: {train: "%s", sequence_length: 16, batch_size: 4, document: line,
       validation_fraction: 0.2}
training: {learning_rate: {start: 1e-2}, validation_steps: 2,
           phases: [{name: all, steps: 4}]}
generation: {max_new_tokens: 8, temperature: 0}
"""


def run(*arguments):
    """The exit code of a command in this process."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:
        return exit.code


@pytest.fixture
def fails(capsys):
    """Runs a command that must answer with one line and exit code 2."""

    def check(*arguments):
        capsys.readouterr()
        code = run(*arguments)
        written = capsys.readouterr()
        lines = [line for line in written.err.splitlines() if line]
        assert code == 2, written
        assert len(lines) == 1, written.err
        verb = arguments[0] if arguments and arguments[0] in VERBS else ""
        start = f"gpt3-keras {verb}".strip() + ": error: "
        assert lines[0].startswith(start), lines[0]
        assert written.out == ""
        return lines[0].removeprefix(start)

    return check


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [f"{number} {WORDS[number % 3]}" for number in range(60)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(text):
    path = text.parent / "tiny.yaml"
    path.write_text(TINY % text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(config):
    """A run, made by the command; its folder and its figures."""
    folder = config.parent / "run"
    figures = config.parent / "train.json"
    code = run(
        "train", "--config", config, "--workdir", folder, "--json", figures
    )
    assert code == 0
    return folder, json.loads(figures.read_text("utf-8"))


@pytest.fixture
def damaged(trained, tmp_path):
    """A copy of the run that a test may spoil."""
    return pathlib.Path(shutil.copytree(trained[0], tmp_path / "damaged"))


def preset(folder):
    """Path of a run's model."""
    from gpt3_keras.training import workdir

    return workdir.model_folder(folder)


def snapshot(folder):
    """Every file of `folder` with its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


# What works.


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb, capsys):
    assert run(verb, "--help") == 0
    assert f"example:\n  gpt3-keras {verb}" in capsys.readouterr().out


def test_what_a_verb_leaves_behind_is_not_kept():
    cli._import_verbs()
    num_kept = gc.get_freeze_count()
    left = [[] for _ in range(1000)]
    cli._import_verbs()
    assert gc.get_freeze_count() < num_kept + len(left)
    assert gc.isenabled()


def test_help_does_not_wait_for_tensorflow():
    script = (
        "import sys; from gpt3_keras import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'numpy'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_train(trained):
    folder, figures = trained
    assert {path.name for path in folder.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "curves.png",
        "history.jsonl",
        "tensorboard",
    }
    assert 1 < figures["val_perplexity"] < 300
    records = (folder / "history.jsonl").read_text("utf-8").splitlines()
    losses = [json.loads(record).get("val_loss") for record in records]
    assert figures["val_loss"] == min(loss for loss in losses if loss)


def test_train_on_a_finished_run_has_nothing_to_do(trained, config, capsys):
    folder, _ = trained
    before = snapshot(folder / "checkpoints")
    capsys.readouterr()
    assert run("train", "--workdir", folder) == 0
    first = capsys.readouterr().out
    assert run("train", "--config", config, "--workdir", folder) == 0
    assert capsys.readouterr().out == first
    assert snapshot(folder / "checkpoints") == before


def test_a_workdir_is_of_the_file_system(config, capsys):
    folder = "gs://bucket/run"
    assert run("train", "--config", config, "--workdir", folder) == 2
    assert capsys.readouterr().err == (
        "gpt3-keras train: error: --workdir must be a folder of the file "
        "system, such as of a mounted bucket. Received: "
        "--workdir=gs://bucket/run.\n"
    )


def test_evaluate(trained, text, tmp_path, capsys):
    folder, _ = trained
    path = tmp_path / "figures.json"
    code = run(
        *("evaluate", "--workdir", folder, "--task", "perplexity"),
        *("--data", text, "--json", path),
    )
    assert code == 0
    figures = json.loads(path.read_text("utf-8"))
    printed = dict(
        line.split() for line in capsys.readouterr().out.splitlines()
    )
    assert set(printed) == set(figures)
    assert printed["perplexity"] == f"{figures['perplexity']:,.4f}"
    assert printed["num_tokens"] == f"{figures['num_tokens']:,}"
    assert 1 < figures["perplexity"] < 300


def test_generate(trained, capsys):
    folder, _ = trained
    command = ("generate", "--workdir", folder, "--prompt", "the cat")
    drawn = ("--temperature", 3, "--seed", 2, "--top-k", 99, "--top-p", 0.9)
    texts = []
    for options in (
        drawn,
        drawn,
        ("--temperature", 3, "--seed", 1),
        (*drawn, "--max-new-tokens", 1),
    ):
        assert run(*command, *options) == 0
        texts.append(capsys.readouterr().out.removesuffix("\n"))
    assert all(text.startswith("the cat") for text in texts)
    first, again, other, short = texts
    assert first == again != other
    assert len(first) > len(short)


@pytest.mark.slow
def test_export(trained, tmp_path, capsys):
    folder, _ = trained
    assert run("export", "--workdir", folder, "--output", tmp_path / "1") == 0
    assert (tmp_path / "1" / "saved_model.pb").is_file()
    assert str(tmp_path / "1") in capsys.readouterr().out


def test_prepare(text, trained, tmp_path, capsys):
    """What one's own tokenizer prepared, one's own model evaluates."""
    shards = tmp_path / "shards"
    code = run(
        *("prepare", "--input", text, "--output", shards),
        *("--document", "line", "--tokenizer", preset(trained[0])),
    )
    assert code == 0
    assert f"shards are in {shards}." in capsys.readouterr().out
    figures = []
    for source in (text, shards):
        path = tmp_path / "figures.json"
        code = run(
            *("evaluate", "--workdir", trained[0], "--task", "perplexity"),
            *("--data", source, "--json", path),
        )
        assert code == 0
        figures.append(json.loads(path.read_text("utf-8")))
    assert figures[0] == figures[1]


def test_plot_draws_a_run(tmp_path, capsys):
    """From its history alone, also while its last line is being written."""
    from matplotlib import image

    losses = dict.fromkeys(("language_model", "generator", "pointer", "gate"))
    lines = []
    for step in (10, 20, 30):
        record = {"phase": "all", "step": step, "learning_rate": 1e-3 / step}
        record |= {f"{name}_loss": 10 / step for name in losses}
        lines.append(json.dumps(record))
    record = {"phase": "all", "step": 30, "val_loss": 1.0}
    record |= {f"val_{name}_loss": 0.5 for name in losses}
    history = "\n".join([*lines, json.dumps(record), '{"phase": "al'])
    (tmp_path / "history.jsonl").write_text(history, encoding="utf-8")
    for options, path in (
        ((), tmp_path / "curves.png"),
        (("--output", tmp_path / "other.png"), tmp_path / "other.png"),
    ):
        assert run("plot", "--workdir", tmp_path, *options) == 0
        assert capsys.readouterr().out == f"The picture is {path}.\n"
        assert image.imread(path).std() > 0.05


def test_plot_draws_the_learning_rate_of_a_config(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    command = ("plot", "--config", "base")
    assert run(*command) == 0
    uncounted, picture = capsys.readouterr().out.splitlines()
    assert uncounted == (
        "Drawn without the decay by epochs, as the text is not counted here: "
        "training.learning_rate.steps_per_epoch is null."
    )
    assert picture == "The picture is schedule.png."
    key = "training.learning_rate.steps_per_epoch=100"
    assert run(*command, "--set", key, "--output", "counted.png") == 0
    assert capsys.readouterr().out == "The picture is counted.png.\n"
    pictures = [tmp_path / name for name in ("schedule.png", "counted.png")]
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


# What does not: usage.


def test_a_verb_is_required(fails):
    assert "the following arguments are required: verb" in fails()
    assert "invalid choice: 'fly'" in fails("fly")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "the following arguments are required: --workdir"),
        (
            ("train", "--workdir", "x"),
            "A new run needs a config. Received: --config not given, and no "
            "run in --workdir x.",
        ),
        (
            ("train", "--config", "absent.yaml", "--workdir", "x"),
            "argument --config: there is no file absent.yaml",
        ),
        (
            ("train", "--config", "absent", "--workdir", "x"),
            "absent: No such file or directory",
        ),
        (
            ("evaluate", "--workdir", "absent", "--task", "perplexity"),
            "argument --workdir: there is no folder absent",
        ),
        (
            ("evaluate", "--workdir", ".", "--task", "fly", "--data", "x"),
            "argument --task: invalid choice: 'fly'",
        ),
        (
            ("generate", "--workdir", ".", "--prompt", "a", "--seed", "b"),
            "argument --seed: invalid int value: 'b'",
        ),
        (
            ("export", "--workdir", "absent", "--output", "x"),
            "argument --workdir: there is no folder absent",
        ),
        (
            ("prepare", "--input", "x", "--output", "y", "--document", "z"),
            "argument --document: invalid choice: 'z'",
        ),
        (
            ("plot",),
            "one of the arguments --workdir --config is required",
        ),
        (
            ("plot", "--workdir", ".", "--config", "base"),
            "argument --config: not allowed with argument --workdir",
        ),
        (
            ("plot", "--workdir", ".", "--set", "data.batch_size=4"),
            "--set changes a config, and needs --config. Received: --workdir "
            ". --set data.batch_size=4",
        ),
        (
            ("plot", "--workdir", "."),
            "A run must have measured steps before they can be drawn. "
            "Received: --workdir ., where history.jsonl has none.",
        ),
        (
            ("plot", "--config", "base", "--output", "rate.pdf"),
            "argument --output: rate.pdf must end in .png",
        ),
        (
            ("plot", "--config", "base", "--output", "absent/rate.png"),
            "argument --output: absent/rate.png cannot be a file",
        ),
        (
            ("plot", "--config", "base", "--set", "training.seeed=1"),
            "training has no key 'seeed'; did you mean seed?",
        ),
        (
            ("demo", "--json", "absent/figures.json"),
            "argument --json: absent/figures.json cannot be a file",
        ),
    ],
)
def test_wrong_usage(fails, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(*arguments)
    assert list(tmp_path.iterdir()) == []


# Configs.


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hiden_dim=64", "has no key 'hiden_dim'; did you mean hidden"),
        ("model.hidden_dim=big", "model.hidden_dim must be an integer. Rec"),
        (
            "data.sequence_length=64",
            "data.sequence_length must be at most model.max_sequence_length.",
        ),
        ("data.train=absent", "absent"),
        ("tokenizer=x", "An override must read section.key=value."),
    ],
)
def test_train_refuses_a_config(fails, config, tmp_path, override, message):
    folder = tmp_path / "run"
    line = fails(
        *("train", "--config", config, "--workdir", folder),
        *("--set", override),
    )
    assert message in line
    assert not folder.exists()


def test_train_refuses_a_model_that_is_too_large(config, tmp_path, capsys):
    """All lines of the message are written: the table and the advice."""
    code = run(
        *("train", "--config", config, "--workdir", tmp_path / "run"),
        *("--set", "model.max_parameters=9"),
    )
    assert code == 2
    first, *table, advice = capsys.readouterr().err.splitlines()
    assert first.startswith(
        "gpt3-keras train: error: The model must not have more than "
        "max_parameters weights. Received: "
    )
    assert table[0].split() == ["part", "weights", "share"]
    assert table[-1].split()[0] == "total"
    assert advice.startswith("No smaller num_layers, hidden_dim, ")
    assert not (tmp_path / "run").exists()


# Text.


def bad_texts(folder):
    """Paths that no text can be read from, and what is said of each."""
    (folder / "empty").mkdir()
    (folder / "empty.txt").write_bytes(b"")
    (folder / "latin.txt").write_bytes("déjà vu\n".encode("latin-1") * 20)
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 20)
    return {
        "absent.txt": "absent.txt",
        "absent/*.txt": "absent/*.txt",
        "empty": "empty",
        "empty.txt": "empty.txt",
        "latin.txt": "latin.txt",
        "binary.txt": "binary.txt",
    }


def test_train_refuses_bad_text(fails, config, tmp_path):
    for name, message in bad_texts(tmp_path).items():
        line = fails(
            *("train", "--config", config, "--workdir", tmp_path / "run"),
            *("--set", f"data.train={tmp_path / name}"),
        )
        assert message in line
        assert not (tmp_path / "run").exists()


def test_evaluate_refuses_bad_text(fails, trained, tmp_path):
    for name, message in bad_texts(tmp_path).items():
        line = fails(
            *("evaluate", "--workdir", trained[0], "--task", "perplexity"),
            *("--data", tmp_path / name, "--json", tmp_path / "f.json"),
        )
        assert message in line
        assert not (tmp_path / "f.json").exists()


def test_prepare_refuses_bad_text(fails, tmp_path):
    for name, message in bad_texts(tmp_path).items():
        line = fails(
            *("prepare", "--input", tmp_path / name),
            *("--output", tmp_path / "shards"),
        )
        assert message in line
        assert not (tmp_path / "shards").exists()


def test_demo_refuses_bad_text(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    line = fails(
        *("demo", "--text", tmp_path / "empty"),
        *("--output", tmp_path / "demo"),
    )
    assert "empty" in line
    assert not (tmp_path / "demo").exists()


def test_a_corrupted_shard_is_refused(fails, text, config, tmp_path):
    shards = tmp_path / "shards"
    code = run(
        *("prepare", "--input", text, "--output", shards),
        *("--document", "line"),
    )
    assert code == 0
    largest = max(snapshot(shards).items(), key=lambda item: len(item[1]))[0]
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)
    line = fails(
        *("train", "--config", config, "--workdir", tmp_path / "run"),
        *("--set", "tokenizer.trained_vocabulary_size=null"),
        *("--set", f"data.train={shards}"),
    )
    assert largest.name in line


# Runs, checkpoints and exports.


def test_train_keeps_a_run_of_another_config(trained, config, capsys):
    folder, _ = trained
    before = snapshot(folder)
    capsys.readouterr()
    code = run(
        *("train", "--config", config, "--workdir", folder),
        *("--set", "data.batch_size=2", "--set", "training.seed=5"),
        *("--set", "runtime.steps_per_execution=2"),
    )
    assert code == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == (
        "gpt3-keras train: error: A run goes on with the config that it began "
        "with; name another folder for another one. Received: "
        f"{folder} with another config:"
    )
    assert lines == ["  data.batch_size: 4 -> 2", "  training.seed: 0 -> 5"]
    assert snapshot(folder) == before


def test_train_keeps_what_is_no_run(fails, config, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    line = fails("train", "--config", config, "--workdir", tmp_path)
    assert "is not empty and stays as it is" in line
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "verb",
    [
        ("evaluate", "--task", "perplexity", "--data", "x"),
        ("generate", "--prompt", "a"),
        ("export", "--output", "x"),
    ],
)
def test_a_folder_that_is_no_run(fails, verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "export"
    (folder / "variables").mkdir(parents=True)
    command = (*verb, "--workdir", folder)
    assert "is a half-written export" in fails(*command)
    (folder / "variables").rmdir()
    assert "holds no training run: it has no config.yaml" in fails(*command)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_damaged_checkpoint(fails, damaged):
    weights = preset(damaged) / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    command = ("generate", "--workdir", damaged, "--prompt", "a")
    assert "is damaged: " in fails(*command)
    shutil.rmtree(damaged / "checkpoints")
    assert "has no checkpoint: its training did not" in fails(*command)


def test_export_keeps_what_is_there(fails, trained, tmp_path):
    (tmp_path / "assets").mkdir()
    command = ("export", "--workdir", trained[0], "--output", tmp_path)
    assert "holds a half-written export; delete it or" in fails(*command)
    (tmp_path / "letter.txt").write_text("dear")
    (tmp_path / "assets").rmdir()
    assert "is not empty and stays as it is" in fails(*command)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--prompt", "the cat " * 40),
            "Prompt and new tokens must fit the model's max_sequence_length.",
        ),
        (
            ("--prompt", "a", "--max-new-tokens", 99),
            "Prompt and new tokens must fit the model's max_sequence_length.",
        ),
        (("--prompt", "a", "--max-new-tokens", 0), "max_new_tokens must be"),
        (("--prompt", "a", "--temperature", -1), "temperature must be"),
        (("--prompt", "a", "--temperature", "nan"), "temperature must be"),
        (("--prompt", "a", "--top-k", -1), "top_k must be at least 0."),
        (("--prompt", "a", "--top-p", 1.5), "top_p must be in (0, 1]."),
        (("--prompt", "a", "--seed", -1), "seed must be"),
        (("--prompt", "a", "--seed", 2**40), "seed must be"),
        (("--prompt", "caf\udce9"), "--prompt: the text is not UTF-8"),
    ],
)
def test_generate_refuses(fails, trained, options, message):
    assert message in fails("generate", "--workdir", trained[0], *options)


# The machine.


def test_a_full_disk(config, tmp_path, monkeypatch, capsys):
    from gpt3_keras.training import checkpoint_files

    write = checkpoint_files.write

    def full_disk(folder, model, optimizer, state):
        if state["step"] == 4:
            raise OSError(28, os.strerror(28))
        write(folder, model, optimizer, state)

    monkeypatch.setattr(checkpoint_files, "write", full_disk)
    folder = tmp_path / "run"
    options = ("--set", "training.checkpoint_steps=2")
    command = ("train", "--config", config, "--workdir", folder, *options)
    assert run(*command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "00000004: No space left on device; the checkpoint of " in line
    assert "step 2 stays usable." in line
    monkeypatch.undo()
    assert run(*command) == 0


@pytest.mark.parametrize("name", ["SIGTERM", sweep.case("SIGINT")])
def test_a_signal_stops_training_after_a_checkpoint(
    name, config, tmp_path, monkeypatch, capsys
):
    from gpt3_keras.training import callbacks

    number = getattr(signal, name)
    end = callbacks.RunMonitor.on_train_batch_end

    def send(monitor, batch, logs=None):
        if monitor.plan.step == 1:
            os.kill(os.getpid(), number)
        end(monitor, batch, logs)

    monkeypatch.setattr(callbacks.RunMonitor, "on_train_batch_end", send)
    folder = tmp_path / "run"
    command = ("train", "--config", config, "--workdir", folder)
    assert run(*command) == 128 + number
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"gpt3-keras train: stopped by {name} after step 1; the same command "
        "continues from there"
    )
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [
        "00000001"
    ]
    monkeypatch.undo()
    assert run(*command) == 0


def test_numbers_that_are_none_stop_training(
    config, tmp_path, monkeypatch, capsys
):
    from gpt3_keras.models import objective

    losses = objective.loss_sums

    def spoilt(*arguments, **options):
        sums = losses(*arguments, **options)
        return {**sums, "objective": sums["objective"] * float("nan")}

    monkeypatch.setattr(objective, "loss_sums", spoilt)
    folder = tmp_path / "run"
    command = ("train", "--config", config, "--workdir", folder)
    assert run(*command) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "gpt3-keras train: error: At step 1 of phase 'all' the gradient of "
        "token_embedding/embeddings (and of "
    )
    assert line.endswith("There is no checkpoint yet.")
    monkeypatch.undo()
    assert run(*command) == 0


def test_an_interruption(trained, capsys, monkeypatch):
    from gpt3_keras.training import workdir

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(workdir, "load", interrupt)
    assert run("generate", "--workdir", trained[0], "--prompt", "a") == 130
    written = capsys.readouterr()
    assert written.err.strip() == "gpt3-keras generate: interrupted"


def test_what_a_layer_or_a_dataset_raised_is_found():
    import keras

    class Layer(keras.layers.Layer):
        def call(self, x):
            raise ValueError("x must be y. Received: x=1.")

    with pytest.raises(ValueError, match="Exception encountered") as error:
        Layer()(keras.ops.ones(1))
    assert cli._line(error.value) == "x must be y. Received: x=1."
    wrapped = "in user code\nValueError: Text must be UTF-8.\nTraceback ..."
    assert cli._line(ValueError(wrapped)) == "Text must be UTF-8."
    assert cli._line(MemoryError()) == "MemoryError"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("It must fit. Received: x=1.\n  a  1\nUse 2."),
            "It must fit. Received: x=1.\n  a  1\nUse 2.",
        ),
        (ValueError("It must fit.\nReceived: x=1."), "It must fit."),
        (OSError("It must fit. Received: x=1.\nMore."), "It must fit. Rec"),
    ],
)
def test_all_lines_of_a_table_are_a_message(error, message):
    shown = cli._message(error)
    assert shown.startswith(message)
    assert ("\n" in shown) == ("\n" in message)


def test_a_bug_is_not_called_bad_input(trained, monkeypatch):
    from gpt3_keras.training import workdir

    def bug(_):
        raise AttributeError("no such thing")

    monkeypatch.setattr(workdir, "load", bug)
    with pytest.raises(AttributeError, match="no such thing"):
        run("generate", "--workdir", trained[0], "--prompt", "a")


@pytest.mark.slow
def test_a_process_writes_one_line_and_no_notes(trained):
    """Nor do TensorFlow's start-up notes stand around the line."""
    process = subprocess.run(
        [
            *(sys.executable, "-m", "gpt3_keras.cli", "generate"),
            *("--workdir", str(preset(trained[0])), "--prompt", "a"),
        ],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k[:3] != "TF_"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert process.returncode == 2
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert line.startswith("gpt3-keras generate: error: ")
    assert line.endswith("is a checkpoint; name the folder of its run.")
