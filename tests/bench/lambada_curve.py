"""LAMBADA's accuracy while a model learns, with a pointer and without one.

Trains `configs/lambada.yaml` twice through the command line, on the same
passages with the same schedule, and stops after some steps of it. The model
without pointer learns as a plain generator, and its gate is shut when it is
measured. One JSON line for each checkpoint of either, and a picture of them.

    python tests/bench/lambada_curve.py [--steps 600] [--every 200]
        [--passages 1500] [--folder DIR] [--output tests/bench/results]

A folder that holds the runs already is measured as it is.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import matplotlib.pyplot as plt
import numpy as np
import turns

import gpt3_keras as gk
from gpt3_keras.data.lambada import read_passages
from gpt3_keras.evaluation.lambada import last_word

PASSAGES = turns.DATA / "lambada" / "lambada_development_plain_text.txt"
ENTIRE, SHUT = "with pointer", "without pointer"
SETTINGS = {
    ENTIRE: (),
    SHUT: (
        "losses.language_model=0",
        "losses.generator=1",
        "losses.pointer=0",
        "losses.gate=0",
        "training.early_stopping.metric=loss",
    ),
}
# A gate of 1 to the last bit of a float32.
_SHUT_LOGIT = 100.0


def train(variant, num_steps, every, workdir):
    """Trains one variant up to a step, and keeps every checkpoint."""
    overrides = (
        f"task.train={turns.DATA}/novels_en/*.txt",
        f"task.validation={PASSAGES}",
        f"training.checkpoint_steps={every}",
        "training.validation_steps=100000",
        "training.keep_checkpoints=1000",
        *SETTINGS[variant],
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gpt3_keras.cli", "train"),
            *("--config", "lambada", "--workdir", workdir),
            *(x for override in overrides for x in ("--set", override)),
        ],
        cwd=turns.ROOT,
    )
    while process.poll() is None:
        time.sleep(1)
        if checkpoints(workdir)[-1:] >= [(num_steps,)]:
            process.terminate()
            process.wait()


def checkpoints(workdir):
    """(step, folder) of each checkpoint of a run, the earliest first."""
    return sorted(
        (int(folder.name), folder)
        for folder in (workdir / "checkpoints").glob("*")
        if folder.name.isdigit()
    )


def measure(folder, variant, passages):
    """The figures of a checkpoint."""
    model = gk.GPT3CausalLM.from_preset(str(folder / "model"))
    if variant == SHUT:
        gate = model.backbone.pointer.gate_output
        gate.kernel.assign(np.zeros(gate.kernel.shape))
        gate.bias.assign([_SHUT_LOGIT])
    return last_word(model, passages)


def draw(curves, path):
    """A picture of accuracies by step."""
    figure, axes = plt.subplots(figsize=(6, 3.6), dpi=120, layout="constrained")
    for variant, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=variant)
    axes.set(xlabel="steps of 32 passages", ylabel="last words told")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--passages", type=int, help="only so many")
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the runs")
    parser.add_argument("--output", type=pathlib.Path, help="for the picture")
    parser.add_argument(
        "--quick", action="store_true", help="20 steps, 100 passages"
    )
    arguments = parser.parse_args()
    num_steps, every, limit = (
        (20, 10, 100)
        if arguments.quick
        else (arguments.steps, arguments.every, arguments.passages)
    )
    passages = list(read_passages(PASSAGES))[:limit]
    curves = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.folder or pathlib.Path(folder)
        for variant in SETTINGS:
            workdir = folder / variant.replace(" ", "_")
            if not checkpoints(workdir):
                train(variant, num_steps, every, workdir)
            for step, checkpoint in checkpoints(workdir):
                if step > num_steps or step % every:
                    continue
                figures = measure(checkpoint, variant, passages)
                curves.setdefault(variant, []).append(
                    (step, figures["accuracy"])
                )
                turns.report(
                    f"lambada_accuracy/{variant}/step {step}",
                    figures["accuracy"],
                    f"share of {len(passages):,} passages",
                    peer=dict(curves[ENTIRE]).get(step),
                    perplexity=figures["perplexity"],
                )
    if arguments.output:
        draw(curves, arguments.output / "lambada_curve.png")


if __name__ == "__main__":
    main()
