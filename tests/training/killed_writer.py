"""Kills a process that saves checkpoints, again and again.

`python -m tests.training.killed_writer FOLDER NUM_KILLS` exits with an error
if a kill loses a checkpoint; else it prints what the kills hit, as JSON.
"""

import collections
import json
import os
import pathlib
import random
import signal
import sys
import time

import numpy as np

from gpt3_keras.training import tensor_file
from gpt3_keras.training.checkpoints import CheckpointStore
from tests.training.fakes import FakeModel
from tests.training.fakes import FakeOptimizer

KEEP = 2


def save(store, step, is_best=False):
    store.save(
        step,
        FakeModel(step),
        FakeOptimizer(step),
        {"step": step},
        is_best,
    )


def write_forever(folder, acknowledge):
    """Saves step after step, each one twice, every third as the best."""
    store = CheckpointStore(folder, KEEP)
    store.clean()
    step = store.latest() or 0
    while True:
        step += 1
        for _ in range(2):
            save(store, step, is_best=step % 3 == 0)
            os.write(acknowledge, f"{step}\n".encode())


def check(folder, step):
    """Raises unless the checkpoint is whole and holds what `step` wrote."""
    store = CheckpointStore(folder, KEEP)
    store.verify(step)
    text = f"{step}\n" * 50
    model = store.model_folder(step)
    optimizer = FakeOptimizer(-1)
    file = tensor_file.TensorFile(model.parent / "optimizer.safetensors")
    file.assign_to(optimizer.variables)
    if not (
        store.read_state(step) == {"step": step}
        and (model / "weights.bin").read_text() == text
        and (model / "assets" / "words.txt").read_text() == text
        and all(np.all(x.value == step) for x in optimizer.variables)
    ):
        raise SystemExit(f"step {step} holds something else")


def kill_once(folder, delay_secs):
    """Returns the last step whose `save` returned, 0 if none did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write_forever(folder, writer)
    os.close(writer)
    time.sleep(delay_secs)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(reader, "rb") as file:
        steps = file.read().split()
    return int(steps[-1]) if steps else 0


def main(folder, num_kills):
    folder = pathlib.Path(folder)
    choose = random.Random(0)
    store = CheckpointStore(folder, KEEP)
    save(store, 1, is_best=True)
    left = collections.Counter()
    last = 1
    for _ in range(num_kills):
        last = max(last, kill_once(folder, choose.uniform(0.0, 0.06)))
        names = [path.name for path in folder.glob(".*")]
        left.update(name.partition("-")[0] for name in names)
        if store.latest() < last:
            raise SystemExit(f"step {last} was saved and is lost")
        if store.best() not in store.steps():
            raise SystemExit("the best checkpoint is lost")
        for step in store.steps():
            check(folder, step)
    store.clean()
    print(json.dumps({"last": last, "left": left}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
