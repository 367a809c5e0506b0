"""The command line on tasks: LAMBADA, summaries and dialogue, end to end."""

import io
import json
import re

import pytest

from gpt3_keras import cli
from tests.data import dialogues

# Keras turns its variables into NumPy arrays the old way when it saves them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
NAMES = ("Anna", "Boris", "Clara", "David")
TINY = """
model: {num_heads: 2, hidden_dim: 16, max_sequence_length: 256,
        pointer_hidden_dims: [4, 4]}
tokenizer: {trained_vocabulary_size: 280}
data: {train: "%s", document: line, sequence_length: 16, batch_size: 4}
task: {name: %s, train: "%s", validation: "%s", sequence_length: 256,
       batch_size: 4, %s}
augmentation: {character_rate: 0.05, sentence_rate: 0.5}
training: {learning_rate: {start: 1e-2}, validation_steps: 2,
           phases: [%s{name: task, steps: 2, data: task}]}
generation: {max_new_tokens: 8, temperature: 0}
"""
LANGUAGE_MODEL = (
    "{name: language model, steps: 2, data: task, context_weight: 1.0}, "
)


def run(*arguments):
    """The exit code of a command in this process."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:
        return exit.code


def train(folder, task, train, validation, options="", first=LANGUAGE_MODEL):
    """A run of a task, made by the command."""
    text = folder / "text.txt"
    text.write_text((story(0) + "\n") * 10, encoding="utf-8")
    config = folder / f"{task}.yaml"
    config.write_text(
        TINY % (text, task, train, validation, options, first), "utf-8"
    )
    workdir = folder / f"{task}_run"
    assert run("train", "--config", config, "--workdir", workdir) == 0
    return workdir


def evaluate(workdir, task, data, *arguments):
    """The figures that `evaluate` writes."""
    figures = workdir / "figures.json"
    command = ["evaluate", "--workdir", workdir, "--task", task, "--data", data]
    assert run(*command, "--json", figures, *arguments) == 0
    return json.loads(figures.read_text("utf-8"))


def story(number):
    """Whole sentences with names that come again."""
    one, other = NAMES[number % 4], NAMES[(number + 1) % 4]
    return (
        f"{one} met {other} near the river on a cold morning. They had not "
        f"seen each other for years and stood there for a while. At last "
        f"{other} laughed and told a long story about the old mill. Nobody "
        f"else was there to hear it, only the birds in the reeds and the "
        f"water under the bridge. Then it was time to go home with {one}. "
    )


@pytest.fixture(scope="module")
def lambada(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lambada")
    novels = folder / "novels"
    novels.mkdir()
    for i in range(2):
        text = "\n".join(story(k) * 2 for k in range(i, i + 6))
        (novels / f"{i}.txt").write_text(text, encoding="utf-8")
    passages = folder / "passages.txt"
    lines = [f"anna met boris . then there was {x}" for x in ("anna", "nobody")]
    passages.write_text("\n".join(lines) + "\n", encoding="utf-8")
    workdir = train(
        folder, "lambada", novels, passages, "lambada: {ends: word}"
    )
    return workdir, passages


def test_lambada(lambada, capsys):
    workdir, passages = lambada
    figures = evaluate(workdir, "lambada", passages)
    assert figures["num_passages"] == 2
    assert figures["target_in_context"] == 0.5
    assert 0 <= figures["accuracy"] <= 1 < figures["perplexity"]
    table = figures["failures"]
    assert {row["by"] for row in table} >= {"in context", "tokens"}
    assert "failures" in capsys.readouterr().out
    history = (workdir / "history.jsonl").read_text("utf-8").splitlines()
    phases = {json.loads(line)["phase"] for line in history}
    assert phases == {"language model", "task"}


def test_a_folder_of_both_splits_wants_one_named(lambada, tmp_path, capsys):
    workdir, passages = lambada
    for split in ("development", "test"):
        file = tmp_path / f"lambada_{split}_plain_text.txt"
        file.write_bytes(passages.read_bytes())
    command = ["evaluate", "--workdir", workdir, "--task", "lambada"]
    assert run(*command, "--data", tmp_path) == 2
    assert "split" in capsys.readouterr().err
    figures = evaluate(workdir, "lambada", tmp_path, "--split", "test")
    assert figures["num_passages"] == 2


def test_a_trained_task_goes_no_further(lambada):
    workdir, _ = lambada
    before = (workdir / "history.jsonl").read_bytes()
    assert run("train", "--workdir", workdir) == 0
    assert (workdir / "history.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def summaries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summaries")
    data = folder / "data.jsonl"
    records = [
        {"source": [story(i), story(i + 2)], "target": [f"{NAMES[i]} laughed."]}
        for i in range(4)
    ]
    data.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    options = "summaries: {max_new_tokens: 6, min_new_tokens: 2, num_beams: 2}"
    return train(folder, "summaries", data, data, options), data


def test_summaries(summaries):
    workdir, data = summaries
    figures = evaluate(workdir, "summaries", data)
    assert figures["num_summaries"] == 4
    assert 2 <= figures["mean_tokens"] <= 6
    assert 0 < figures["lead_rouge1"] < 1
    assert 0 <= figures["copied_share"] <= 1


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dialogue")
    (folder / "train.schema.json").write_text(json.dumps(dialogues.SCHEMA))
    records = [{**dialogues.DIALOGUE, "id": f"{i}"} for i in range(5)]
    data = folder / "train.jsonl"
    data.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return train(folder, "dialogue", data, data, first=""), data


def test_dialogue(dialogue):
    workdir, data = dialogue
    figures = evaluate(workdir, "dialogue", data)
    assert figures["num_turns"] == 10
    for name in ("intent_accuracy", "joint_goal_accuracy", "slot_accuracy"):
        assert 0 <= figures[name] <= 1, name
    services = {row["services"]: row for row in figures["parts"]}
    assert services["seen"]["num_turns"] == 10
    assert services["restaurants"]["num_turns"] == 10


def test_turns_are_read_from_the_input(dialogue, monkeypatch, capsys):
    workdir, _ = dialogue
    typed = "Any Eritrean food?\nsystem: At 5 pm?\nYes.\n\nHello.\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert run("dialogue", "--workdir", workdir) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(re.match(r"intent \w+", line) for line in lines)


def test_the_state_of_a_turn_does_not_see_the_next(
    dialogue, monkeypatch, capsys
):
    workdir, _ = dialogue
    printed = []
    for typed in ("Any food?\nIn the north.\n", "Any food?\nNo, at 12.\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert run("dialogue", "--workdir", workdir) == 0
        printed.append(capsys.readouterr().out.splitlines())
    assert printed[0][0] == printed[1][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--task", "lambada", "--data", "{folder}/empty.txt"),
            "{folder}/empty.txt",
        ),
        (
            ("--task", "lambada", "--data", "{folder}/one.txt"),
            "{folder}/one.txt",
        ),
        (
            ("--task", "summaries", "--data", "{folder}/bad.jsonl"),
            "{folder}/bad.jsonl",
        ),
        (
            ("--task", "dialogue", "--data", "{folder}/bad.jsonl"),
            "The run must have been trained on dialogue. Received: --workdir "
            "{workdir}, whose task.name is 'lambada'.",
        ),
    ],
)
def test_bad_input_is_one_line(lambada, tmp_path, capsys, arguments, message):
    workdir, _ = lambada
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "one.txt").write_text("two words\nalone\n")
    (tmp_path / "bad.jsonl").write_text('{"source": "A."}\n')
    places = {"folder": tmp_path, "workdir": workdir}
    capsys.readouterr()
    code = run(
        "evaluate",
        "--workdir",
        workdir,
        *(x.format(**places) for x in arguments),
    )
    written = capsys.readouterr()
    assert code == 2
    (line,) = [line for line in written.err.splitlines() if line]
    assert line.startswith("gpt3-keras evaluate: error: ")
    assert message.format(**places) in line
    assert written.out == ""


def test_augmentation_is_shown(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("One is here. Two is there.\nSame.\n", encoding="utf-8")
    code = run(
        "augment",
        "--input",
        text,
        "--sentence-rate",
        "1",
        "--character-rate",
        "0",
    )
    assert code == 0
    out = capsys.readouterr().out
    # Word by word, as `git diff --word-diff` marks it.
    assert "{+Two is there. +}" in out or "[-One is here. -]" in out
    assert "Same" not in out


def test_a_corpus_is_converted(real_data, tmp_path, capsys):
    output = tmp_path / "out"
    command = ["convert", "--kind", "woz", "--input", real_data("woz2")]
    assert run(*command, "--output", output) == 0
    assert "2,536 turns" in capsys.readouterr().out
    assert (output / "train.jsonl").is_file()
    assert (output / "train.schema.json").is_file()
