"""The demo, with a model too small to learn, from end to end."""

import json
import pathlib

import numpy as np
import pytest

from gpt3_keras import cli_demo
from gpt3_keras import config as configs

pytestmark = [
    pytest.mark.slow,
    # Keras makes NumPy arrays of its variables the old way to save them.
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept:DeprecationWarning"
    ),
]
TINY = (
    "model.hidden_dim=16",
    "model.num_heads=2",
    "model.pointer_hidden_dims=[4, 4]",
    "tokenizer.trained_vocabulary_size=400",
    "training.learning_rate.warmup_steps=0",
    "training.phases=[{name: all, steps: 2}]",
    "generation.max_new_tokens=5",
)


def test_demo(tmp_path, capsys):
    folder = tmp_path / "demo"
    figures = cli_demo.run(output=folder, overrides=TINY)
    assert {path.name for path in folder.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "curves.png",
        "export",
        "history.jsonl",
        "pointer.png",
        "tensorboard",
        "text",
    }
    assert (folder / "export" / "1" / "saved_model.pb").is_file()
    assert figures["unigram_perplexity"] < figures["vocabulary_size"]
    assert figures["perplexity"] < 1.1 * figures["untrained_perplexity"]
    printed = capsys.readouterr().out
    assert "It wrote the same text." in printed
    assert str(folder) in printed
    assert configs.load_config(folder / "config.yaml").model.hidden_dim == 16


def test_one_s_own_text(tmp_path):
    text = tmp_path / "text.txt"
    words = np.random.default_rng(0).choice(["to", "be", "or", "not"], 4000)
    lines = [" ".join(line) for line in words.reshape(200, 20)]
    text.write_text("\n".join(lines), encoding="utf-8")
    overrides = cli_demo._own_text(text)
    config = configs.load_config("demo", overrides)
    assert config.data.train == str(text)
    assert config.data.document == "line"
    assert config.data.validation is None
    assert config.tokenizer.trained_vocabulary_size == 300


def test_topics_that_are_held_out_are_not_repeated(tmp_path, capsys):
    cli_demo._write_topics(tmp_path)

    def lines(split):
        files = pathlib.Path(tmp_path / "text" / split).glob("*.txt")
        lines = "\n".join(file.read_text("utf-8") for file in files)
        lines = (line.strip() for line in lines.split("\n"))
        return {line for line in lines if len(line) > 25}

    training, held_out = lines("training"), lines("held_out")
    assert len(held_out & training) < 0.02 * len(held_out)
    assert len(held_out) > 0.05 * len(training)
    assert "held out: " in capsys.readouterr().out


def test_an_earlier_result_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = cli_demo._free_folder()
        folder.mkdir()
        names.append(folder.name)
    assert names == [
        "gpt3_keras_demo",
        "gpt3_keras_demo_2",
        "gpt3_keras_demo_3",
    ]


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ("import sys; sys.exit('no operation')", "does not load:\nno opera"),
        ("print('\"another\"')", 'writes another text:\n"another"'),
    ],
)
def test_a_process_that_disagrees_is_an_error(process, message, monkeypatch):
    monkeypatch.setattr(cli_demo, "_SERVE", process)
    with pytest.raises(RuntimeError, match=message):
        cli_demo._check_served("export", {}, "text")
    monkeypatch.setattr(
        cli_demo, "_SERVE", f"print({json.dumps(json.dumps('text'))})"
    )
    cli_demo._check_served("export", {}, "text")
