"""How a train step grows with its tokens, its rows and its blocks.

Ours beside KerasHub's `GPT2CausalLM` on TensorFlow, as in `train_step.py`, from
four rows of 128 tokens and one block on: seconds a step, and the peak memory of
the process. `--draw` makes a picture of the lines of an earlier run, beside
them, and prints them as a table.

    python tests/bench/growth.py [--turns 5]
    python tests/bench/growth.py --draw tests/bench/results/growth.jsonl
"""

import itertools
import json
import os
import pathlib

import train_step
import turns
from train_step import OURS

PEER = "keras_hub_tensorflow"
# Where all starts from, and what one of its sizes grows to.
BASE = {"rows": 4, "tokens in a row": 128, "blocks": 1}
SERIES = {
    "tokens in a row": (128, 256, 512, 1024),
    "rows": (1, 4, 8, 16, 32),
    "blocks": (1, 2, 4, 8),
}
_FACTS = {"secs": "seconds a step", "peak_mb": "peak memory, MB"}


def points_of(size):
    """(rows, tokens, blocks) of a series."""
    return [tuple({**BASE, size: value}.values()) for value in SERIES[size]]


POINTS = tuple(dict.fromkeys(itertools.chain(*map(points_of, SERIES))))


def make(name, options):
    rows, length, blocks = map(int, options)
    return train_step.make_keras(name, rows, length, "float32", blocks)


def measure(point, num_turns):
    """Prints the figures of one point."""
    options = [str(size) for size in point]
    own, peer = (turns.Contender(name, options) for name in (OURS, PEER))
    turns.compare([own, peer], num_turns)
    rows, length, blocks = point
    name = f"growth/{rows}x{length}/{blocks} blocks"
    turns.report_speed(
        f"{name}/secs", own, [peer], lambda secs: secs / train_step.STEPS, "s"
    )
    for fact, unit in (("peak_mb", "MB"), ("num_weights", "weights")):
        turns.report_fact(f"{name}/{fact}", own, [peer], fact, unit)


def read(path):
    """{(rows, tokens, blocks): {fact: (ours, theirs)}} from a run's lines."""
    points = {}
    for line in map(json.loads, path.read_text("utf-8").splitlines()):
        _, shape, blocks, fact, _ = line["name"].split("/")
        rows, length = train_step.shape_of(shape)
        point = rows, length, int(blocks.partition(" ")[0])
        points.setdefault(point, {})[fact] = line["value"], line["peer"]
    return points


def draw(points, path):
    """Seconds and memory over each size, which doubles from mark to mark."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        len(_FACTS),
        len(SERIES),
        figsize=(9, 5),
        dpi=120,
        sharey="row",
        layout="constrained",
    )
    for fact, row in zip(_FACTS, panels, strict=True):
        for (size, sizes), axes in zip(SERIES.items(), row, strict=True):
            for who, label in enumerate(("gpt3_keras", "KerasHub GPT-2")):
                values = [points[point][fact][who] for point in points_of(size)]
                axes.plot(sizes, values, marker="o", label=label)
            axes.set_xscale("log", base=2)
            axes.set_xticks(sizes, sizes)
            if fact == "secs":
                axes.set_yscale("log", base=2)
            else:
                axes.set_ylim(bottom=0)
            axes.set_xlabel(size)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(_FACTS[fact])
    panels[0][0].legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def table(points):
    """The points in Markdown."""
    lines = [
        "| rows | tokens | blocks | s a step | KerasHub | MB | KerasHub |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in POINTS:
        figures = [
            f"{value:,.3g}" if fact == "secs" else f"{value:,.0f}"
            for fact in _FACTS
            for value in points[point][fact]
        ]
        lines.append(f"| {' | '.join([*map(str, point), *figures])} |")
    return "\n".join(lines)


def main():
    parser = turns.parser(__doc__.splitlines()[0], num_turns=5)
    parser.add_argument("--draw", type=pathlib.Path, help="lines of a run")
    arguments = parser.parse_args()
    if arguments.draw:
        points = read(arguments.draw)
        draw(points, arguments.draw.with_suffix(".png"))
        print(table(points))
        return
    points, num_turns = POINTS, arguments.turns
    if arguments.quick:
        points, num_turns = [(1, 128, 1)], 3
    for point in points:
        measure(point, num_turns)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not turns.serve(make):
        main()
