"""The commands on JAX and PyTorch: train, killed and resumed, and the rest.

Minutes of compiling: with GPT3_KERAS_SWEEP=1 alone.
"""

import importlib.util
import itertools
import json
import subprocess

import pytest

from tests import sweep
from tests.backend import processes

CONFIG = """
model: {hidden_dim: 16, num_heads: 2, max_sequence_length: 48, num_layers: 1}
tokenizer: {trained_vocabulary_size: 280}
data:
  train: TEXTS
  validation_fraction: 0.3
  document: line
  sequence_length: 16
  batch_size: 4
training:
  micro_batches: 2
  learning_rate: {start: 1e-2, end: 1e-3, warmup_steps: 2}
  validation_steps: 6
  checkpoint_steps: 2
  phases:
    - {name: encoder, steps: 3, trainable: [embeddings, encoder, generator]}
    - name: all
      steps: 6
      trainable: [embeddings, encoder, pointer, generator]
generation: {max_new_tokens: 4, temperature: 0.0}
"""

pytestmark = [pytest.mark.slow, sweep.IN_A_SWEEP]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    """What JAX compiles for one command, the others find."""
    folder = tmp_path_factory.mktemp("compiled")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def run(backend, *arguments, script=None):
    """One command on a backend; its exit code, and what it printed."""
    script = script or (
        "import sys; from gpt3_keras.cli import main; sys.exit(main())"
    )
    process = processes.start(
        *(backend, "-c", script, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed, _ = process.communicate()
    return process.returncode, printed


# A process that is gone in the middle of the second phase.
KILLED = """
import os, sys
from gpt3_keras.training import callbacks
from gpt3_keras.cli import main
advance = callbacks.StepPlan.advance
def killed(plan):
    advance(plan)
    if plan.step == 6:
        os._exit(9)
callbacks.StepPlan.advance = killed
sys.exit(main())
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_commands(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    lines = [
        f"The keeper lit the lamp number {i}, and the lamp lit the sea."
        for i in range(60)
    ]
    (tmp_path / "texts.txt").write_text("\n".join(lines), "utf-8")
    config = tmp_path / "config.yaml"
    config.write_text(
        CONFIG.replace("TEXTS", str(tmp_path / "texts.txt")), "utf-8"
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder, script, expected in (
        (whole, None, 0),
        (broken, KILLED, 9),
        (broken, None, 0),
    ):
        code, printed = run(
            *(backend, "train", "--config", config, "--workdir", folder),
            script=script,
        )
        assert code == expected, printed
    histories = [
        [
            {k: v for k, v in json.loads(line).items() if "per_sec" not in k}
            for line in (f / "history.jsonl").read_text("utf-8").splitlines()
        ]
        for f in (whole, broken)
    ]
    for record in itertools.chain(*histories):
        record.pop("flops_utilisation", None)
    assert histories[0] == histories[1]

    code, printed = run(
        *(backend, "evaluate", "--workdir", whole, "--task", "perplexity"),
        *("--data", tmp_path / "texts.txt", "--json", tmp_path / "out.json"),
    )
    assert code == 0, printed
    figures = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert 1 < figures["perplexity"] < 280

    code, printed = run(
        *(backend, "generate", "--workdir", whole, "--prompt", "The keeper"),
        *("--max-new-tokens", "4", "--temperature", "0"),
    )
    assert code == 0, printed
    assert "The keeper" in printed
    code, printed = run(
        backend, "export", "--workdir", whole, "--output", tmp_path / "1"
    )
    assert code == 0, printed
    assert (tmp_path / "1" / "saved_model.pb").exists()
    code, printed = run(
        backend, "export", "--workdir", whole, "--output", tmp_path / "1"
    )
    assert code == 2
    assert "already holds an export" in printed
