"""What micro-batches cost: the peak memory and the time of a whole process.

A batch of 64 rows of 256 tokens in 1, 4 and 16 parts, and as their peer a
batch of 4 such rows, the size of one of 16 parts. Each is a process of its
own, which trains the article's model (512 wide, 50,257 tokens) for three
steps. One JSON line a figure.

    python tests/bench/accumulation.py [--quick]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

CUTS = ((64, 1), (64, 4), (64, 16), (4, 1))
PEER = (4, 1)
SEQUENCE_LENGTH = 256
NUM_STEPS = 3


def measure(num_rows, micro_batches, is_quick):
    """Peak memory in MB and seconds a step, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    import gpt3_keras as gk

    keras.utils.set_random_seed(0)
    size = {"vocabulary_size": 4096, "hidden_dim": 128} if is_quick else {}
    model = gk.GPT3CausalLM(gk.GPT3Backbone(**size))
    model.compile(micro_batches=micro_batches)
    generator = np.random.default_rng(0)
    shape = (num_rows, SEQUENCE_LENGTH + 1)
    ids = generator.integers(0, model.backbone.vocabulary_size, shape, "int32")
    x = {
        "token_ids": ids[:, :-1],
        "padding_mask": np.ones((num_rows, SEQUENCE_LENGTH), bool),
    }
    secs = []
    for _ in range(NUM_STEPS):
        start_secs = time.perf_counter()
        model.train_on_batch(x, ids[:, 1:])
        secs.append(time.perf_counter() - start_secs)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mb": peak_kb / 1024, "secs": min(secs[1:])}


def measure_apart(cut, is_quick):
    """The same, in a process of its own."""
    arguments = [__file__, "--cut", *map(str, cut)]
    if is_quick:
        arguments.append("--quick")
    output = subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.PIPE
    ).stdout
    return json.loads(output.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model")
    parser.add_argument("--cut", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cut:
        print(json.dumps(measure(*arguments.cut, arguments.quick)))
        return
    found = {cut: measure_apart(cut, arguments.quick) for cut in CUTS}
    peer = found[PEER]
    for (num_rows, micro_batches), figures in found.items():
        name = f"{num_rows}x{SEQUENCE_LENGTH}_in_{micro_batches}"
        num_tokens = num_rows * SEQUENCE_LENGTH
        for figure, unit, value, peer_value in (
            ("peak_rss", "MB", figures["peak_mb"], peer["peak_mb"]),
            (
                "tokens_per_sec",
                "tokens/s",
                num_tokens / figures["secs"],
                PEER[0] * SEQUENCE_LENGTH / peer["secs"],
            ),
        ):
            line = {
                "name": f"accumulation/{name}/{figure}",
                "value": round(value, 1),
                "unit": unit,
                "peer": round(peer_value, 1),
                "ratio": round(value / peer_value, 3),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
