"""Training runs in processes of their own, to be killed and compared."""

import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import h5py
import numpy as np

from gpt3_keras.training import workdir
from gpt3_keras.training.checkpoints import CheckpointStore

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAST_STEP = 20
SPEEDS = ("tokens_per_sec", "flops_utilisation")
CONFIG = """
model: {num_heads: 2, hidden_dim: 16, max_sequence_length: 32,
        pointer_hidden_dims: [8, 8], dropout: 0.1}
tokenizer: {trained_vocabulary_size: 300}
data: {train: "%s", sequence_length: 32, batch_size: 6, document: line,
       validation_fraction: 0.01, shuffle_buffer: 64}
training:
  learning_rate: {start: 3e-3, end: 1e-3, noise_probability: 0.3,
                  noise_scale: 0.1}
  clipping: {value: 0.05}
  validation_steps: 8
  early_stopping: {patience: 9}
  checkpoint_steps: 2
  keep_checkpoints: 2
  phases: [{name: encoder, steps: 5, trainable: [embeddings, encoder]},
           {name: all, steps: 15}]
generation: {max_new_tokens: 8}
"""


def write_config(folder, source):
    """A config of a small run on 400 lines of a text."""
    lines = source.read_text("utf-8").splitlines()
    lines = [line for line in lines if line.strip()][:400]
    text = folder / "text.txt"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "config.yaml"
    path.write_text(CONFIG % text, encoding="utf-8")
    return path


def start(config, folder, *overrides):
    """A process that trains, or goes on."""
    options = [x for override in overrides for x in ("--set", override)]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "gpt3_keras.cli", "train"),
            *("--config", str(config), "--workdir", str(folder), *options),
        ],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout_secs=600):
    """The exit code and the last line of the error stream."""
    try:
        _, errors = process.communicate(timeout=timeout_secs)
    finally:
        process.kill()
    lines = [line for line in errors.splitlines() if line.strip()]
    return process.returncode, lines[-1] if lines else ""


def train(config, folder, *overrides):
    """Trains to the end."""
    code, line = finish(start(config, folder, *overrides))
    assert code == 0, line


@contextlib.contextmanager
def job(config, folder, ports, *overrides):
    """The processes of a job of several workers; none outlives it."""
    hosts = ", ".join(f"127.0.0.1:{port}" for port in ports)
    processes = [
        start(
            config,
            folder,
            "runtime.strategy=multi_worker_mirrored",
            f"runtime.worker_hosts=[{hosts}]",
            f"runtime.task_index={i}",
            *overrides,
        )
        for i in range(len(ports))
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def num_records(folder):
    """How many lines a run's history has by now."""
    path = folder / workdir.HISTORY
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_records(process, folder, number, timeout_secs=600):
    """Waits until a history has so many lines, or its process is over."""
    end_secs = time.monotonic() + timeout_secs
    while num_records(folder) < number and process.poll() is None:
        assert time.monotonic() < end_secs, f"no {number} records yet"
        time.sleep(0.005)


def kill_soon(process, folder, generator):
    """Kills a process a little after some record or another."""
    number = num_records(folder) + generator.randrange(1, 8)
    wait_for_records(process, folder, number)
    time.sleep(generator.random() * 0.2)
    process.kill()
    process.communicate()


def generator(seed):
    """Where a test kills is the same each time it runs, as far as it can."""
    return random.Random(seed)


def weights(folder):
    """The weights of a run's last checkpoint, by their place in its file."""
    store = CheckpointStore(folder / workdir.CHECKPOINTS, keep=1)
    assert store.latest() == LAST_STEP
    store.verify(LAST_STEP)
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.array(item)

    path = store.model_folder(LAST_STEP) / "model.weights.h5"
    with h5py.File(path) as file:
        file.visititems(add)
    return found


def history(folder):
    """A run's records, without what depends on the machine."""
    lines = (folder / workdir.HISTORY).read_text("utf-8").splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k not in SPEEDS}
        for line in lines
    ]
