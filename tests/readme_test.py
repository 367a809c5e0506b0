"""Every block of the README works as it stands."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from gpt3_keras import cli_arguments
from tests import sweep

SMALL = """
model: {num_heads: 2, hidden_dim: 16, max_sequence_length: 32,
        pointer_hidden_dims: [4, 4]}
tokenizer: {trained_vocabulary_size: 270}
data: {train: text, sequence_length: 16, batch_size: 4}
training: {learning_rate: {start: 1e-2}, validation_steps: 2,
           phases: [{name: all, steps: 4}]}
generation: {max_new_tokens: 8}
"""
README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def blocks(language):
    pattern = rf"^```{language}\n(.*?)^```"
    text = README.read_text(encoding="utf-8")
    return re.findall(pattern, text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "export" / "1" / "saved_model.pb").exists()


def test_shell_blocks_name_verbs_and_options_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("mine", "summaries", "woz2", "lambada"):
        (tmp_path / "runs" / run).mkdir(parents=True)
    (tmp_path / "woz2").mkdir()
    (tmp_path / "configs").symlink_to(README.parent / "configs")
    commands = [
        shlex.split(line)
        for block in blocks("bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    # The loop over workers stands around one of them.
    commands = [words for words in commands if "gpt3-keras" in words]
    verbs = [words[1] for words in commands]
    assert verbs == [
        *("prepare", "train", "plot", "evaluate", "generate"),
        *("train", "evaluate"),
        *("convert", "train", "evaluate", "dialogue"),
        *("train", "evaluate", "augment"),
        *("export", "train", "train"),
    ]
    for words in commands:
        words = [word for word in words if word != "&"]
        assert words[0] == "gpt3-keras"
        cli_arguments.parser().parse_args(words[1:])


@pytest.mark.slow
@sweep.IN_A_SWEEP
def test_the_block_on_several_devices_runs(tmp_path, free_ports):
    """As it stands, but on a small config and ports that are free."""
    (block,) = [b for b in blocks("bash") if "worker_hosts" in b]
    for port, free in zip(("21701", "21702"), free_ports(2), strict=True):
        assert port in block
        block = block.replace(port, str(free))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "my_texts").mkdir()
    for i in range(8):
        text = f"Page {i}. The keeper lit the lamp, the lamp the sea. " * 9
        (tmp_path / "my_texts" / f"{i}.txt").write_text(text)
    command = f'gpt3-keras() {{ "{sys.executable}" -m gpt3_keras.cli "$@"; }}'
    subprocess.run(
        ["bash", "-euc", f"{command}\n{block}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
        check=True,
        timeout=300,
    )
    losses = [
        (tmp_path / "runs" / name / "history.jsonl").read_text("utf-8")
        for name in ("replicas", "workers")
    ]
    records = [json.loads(text.splitlines()[-1]) for text in losses]
    assert records[0]["step"] == 4
    assert records[1]["val_loss"] == pytest.approx(
        records[0]["val_loss"], rel=1e-5
    )


def test_figures_have_been_filled_in():
    assert "MEASURED_TABLE" not in README.read_text(encoding="utf-8")
