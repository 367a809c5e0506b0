"""The curve of a run in each precision, beside that of float32.

Each is a process of its own, `gpt3-keras train` on one novel with the demo's
sizes, and writes its history. One JSON line a figure: the loss of held-out
lines at the end, and the largest distance of a curve from float32's.

    python tests/bench/precision.py [--text PATH] [--steps 120]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = os.environ.get("GPT3_KERAS_DATA", ROOT.parent / "shared" / "data")
TEXT = pathlib.Path(DATA) / "novels_en" / "ENG18652_Carroll.txt"
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def train(text, precision, num_steps, folder):
    """The losses of a run, in training and on held-out lines."""
    overrides = (
        f"data.train={text}",
        "data.validation=null",
        "data.document=line",
        "tokenizer.trained_vocabulary_size=2000",
        f"training.precision={precision}",
        f"training.validation_steps={max(num_steps // 4, 1)}",
        f"training.phases=[{{name: all, steps: {num_steps}}}]",
    )
    options = [x for override in overrides for x in ("--set", override)]
    subprocess.run(
        [
            *(sys.executable, "-m", "gpt3_keras.cli", "train"),
            *("--config", "demo", "--workdir", folder, *options),
        ],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    lines = (pathlib.Path(folder) / "history.jsonl").read_text("utf-8")
    records = [json.loads(line) for line in lines.splitlines()]
    return (
        [record["loss"] for record in records if "loss" in record],
        [record["val_loss"] for record in records if "val_loss" in record],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", default=TEXT, help="a text file")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--quick", action="store_true", help="20 steps")
    arguments = parser.parse_args()
    num_steps = 20 if arguments.quick else arguments.steps
    with tempfile.TemporaryDirectory() as folder:
        curves = {
            name: train(arguments.text, name, num_steps, f"{folder}/{name}")
            for name in PRECISIONS
        }
    expected, expected_held_out = curves["float32"]
    for name, (losses, held_out) in curves.items():
        apart = max(
            abs(loss / other - 1)
            for loss, other in zip(losses, expected, strict=True)
        )
        for figure, value, peer in (
            ("held_out_loss", held_out[-1], expected_held_out[-1]),
            ("largest_distance_of_the_curve", apart, None),
        ):
            line = {
                "name": f"precision/{name}/{figure}",
                "value": float(f"{value:.5g}"),
                "unit": "share" if peer is None else "nats per token",
                "peer": peer and float(f"{peer:.5g}"),
                "ratio": peer and float(f"{value / peer:.5g}"),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
