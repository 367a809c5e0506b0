"""Each loss of the article on and off: M15 to M18, by what they are for.

Every run is a process of its own, `gpt3-keras train` and `evaluate`, with the
same budget and data; three seeds each. One JSON line a figure: the mean over
the seeds, the least and the largest, beside the mean with the loss's default.

    python tests/bench/ablation.py [--losses pointer similarity] [--seeds 3]

The pointer loss is judged by a language model of novels, on another novel; the
similarity and the smoothing of labels by WOZ 2.0, and the constraints, which
WOZ 2.0 lacks, by some dialogues of Schema-Guided Dialogue, on their validation
sets.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(
    os.environ.get("GPT3_KERAS_DATA", ROOT.parent / "shared" / "data")
)
NOVELS = DATA / "novels_en"


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss, its values, and what they are judged by.

    Attributes:
        name: str.
        key: str, its place in a config.
        values: dict, from a name to the values of config keys; the first is
            the default.
        base: `"novels"`, `"woz2"` or `"sgd"`.
    """

    name: str
    key: str
    values: dict
    base: str


_DIALOGUE = "task.dialogue.loss_weights."
LOSSES = (
    Loss("pointer (M15)", "losses.pointer", {"on": 0.1, "off": 0}, "novels"),
    Loss(
        "similarity (M16)",
        _DIALOGUE + "similarity",
        {"off": 0, "on": 0.1},
        "woz2",
    ),
    Loss(
        "label smoothing (M17)",
        "task.dialogue.label_smoothing",
        {"off": 0, "on": 0.1},
        "woz2",
    ),
    Loss(
        "constraints (M18)",
        _DIALOGUE + "constraint",
        {"on": 0.1, "off": 0},
        "sgd",
    ),
)
HELD_OUT = {"woz2": "validate", "sgd": "dev"}
FIGURES = {
    "novels": ("perplexity", "mean_reciprocal_rank"),
    "woz2": ("joint_goal_accuracy", "slot_f1"),
    "sgd": ("joint_goal_accuracy", "intent_accuracy", "slot_f1"),
}


def command(verb, *arguments):
    """Runs a verb of the command line."""
    subprocess.run(
        [sys.executable, "-m", "gpt3_keras.cli", verb, *map(str, arguments)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def train(config, workdir, overrides):
    """Trains a config with some values changed."""
    options = [x for override in overrides for x in ("--set", override)]
    command("train", "--config", config, "--workdir", workdir, *options)


def evaluate(workdir, task, data, *options):
    """The figures of `gpt3-keras evaluate`."""
    file = workdir / "evaluated.json"
    command(
        *("evaluate", "--workdir", workdir, "--task", task, "--data", data),
        *("--json", file, *options),
    )
    return json.loads(file.read_text("utf-8"))


def of_novels(overrides, workdir, num_steps):
    """Trains on five novels; judged by another."""
    train(
        "demo",
        workdir,
        [
            f"data.train={NOVELS}/ENG19*.txt",
            f"data.validation={NOVELS}/ENG18652_Carroll.txt",
            f"training.validation_steps={num_steps}",
            f"training.phases=[{{name: all, steps: {num_steps}}}]",
            *overrides,
        ],
    )
    return evaluate(workdir, "perplexity", NOVELS / "ENG18652_Carroll.txt")


def of_dialogues(name, overrides, workdir, num_steps, converted):
    """Trains on a corpus of dialogues; judged by its validation set."""
    held_out = HELD_OUT[name]
    train(
        name,
        workdir,
        [
            f"task.train={converted}/train.jsonl",
            f"task.validation={converted}/{held_out}.jsonl",
            f"training.validation_steps={num_steps}",
            f"training.phases=[{{name: all, steps: {num_steps}, data: task}}]",
            "task.batch_size=8",
            *overrides,
        ],
    )
    return evaluate(workdir, "dialogue", converted / f"{held_out}.jsonl")


def thin(file, number):
    """Keeps so many of a file's dialogues, evenly spread."""
    lines = file.read_text("utf-8").splitlines(keepends=True)
    kept = [lines[i * len(lines) // number] for i in range(number)]
    file.write_text("".join(kept), "utf-8")


def measure(base, overrides, workdir, num_steps, folder):
    if base == "novels":
        return of_novels(overrides, workdir, num_steps)
    converted = folder / f"data_{base}"
    if not converted.exists():
        kind = {"woz2": "woz"}.get(base, base)
        command(
            *("convert", "--kind", kind, "--input", DATA / base),
            *("--output", converted),
        )
        if base == "sgd":
            thin(converted / "train.jsonl", 2000)
            thin(converted / "dev.jsonl", 300)
    return of_dialogues(base, overrides, workdir, num_steps, converted)


def ablate(loss, num_seeds, num_steps, folder):
    """Prints a loss's figures, a line each."""
    means = {}
    for value, setting in loss.values.items():
        found = []
        for seed in range(num_seeds):
            workdir = folder / f"{loss.base}_{loss.key}_{value}_{seed}"
            if setting == next(iter(loss.values.values())):
                workdir = folder / f"{loss.base}_default_{seed}"
            overrides = [f"{loss.key}={setting}", f"training.seed={seed}"]
            done = workdir / "evaluated.json"
            if done.exists():
                found.append(json.loads(done.read_text("utf-8")))
                continue
            found.append(
                measure(loss.base, overrides, workdir, num_steps, folder)
            )
        for figure in FIGURES[loss.base]:
            values = [each[figure] for each in found if figure in each]
            if not values:
                continue
            mean = statistics.mean(values)
            peer = means.setdefault(figure, mean)
            line = {
                "name": f"ablation/{loss.name}/{value}/{figure}",
                "value": float(f"{mean:.4g}"),
                "least": float(f"{min(values):.4g}"),
                "largest": float(f"{max(values):.4g}"),
                "unit": "perplexity" if figure == "perplexity" else "share",
                "peer": float(f"{peer:.4g}"),
                "ratio": float(f"{mean / peer:.4g}") if peer else None,
                "seeds": len(values),
            }
            print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [loss.name.split(" (")[0] for loss in LOSSES]
    parser.add_argument("--losses", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the runs")
    parser.add_argument(
        "--quick", action="store_true", help="2 seeds, 20 steps"
    )
    arguments = parser.parse_args()
    num_seeds, num_steps = arguments.seeds, arguments.steps
    if arguments.quick:
        num_seeds, num_steps = 2, 20
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.folder or pathlib.Path(folder)
        for loss, name in zip(LOSSES, names, strict=True):
            if name in arguments.losses:
                ablate(loss, num_seeds, num_steps, folder)


if __name__ == "__main__":
    main()
