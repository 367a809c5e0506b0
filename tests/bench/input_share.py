"""How long a train step waits for its batch, raw text and prepared shards.

A model of the demo's sizes, whose steps are short, reads novels while it
trains. One JSON line for each source: the share of the time in which the loop
waited for a batch, and beside it two in a hundred.

    python tests/bench/input_share.py [--steps 50]
"""

import os
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import turns

import gpt3_keras as gk
from gpt3_keras.data import shards

NOVELS = f"{turns.DATA}/novels_en/ENG*.txt"
_GOAL = 0.02
_LENGTH, _BATCH = 128, 8


def waiting_share(model, source, tokenizer, num_steps):
    """Seconds that the loop waited over the seconds that it took."""
    dataset = gk.text_dataset(
        source,
        tokenizer,
        sequence_length=_LENGTH,
        batch_size=_BATCH,
        split="train",
        num_epochs=None,
    )
    batches = iter(dataset)
    model.train_on_batch(*next(batches))
    waited, start = 0.0, time.perf_counter()
    for _ in range(num_steps):
        before = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - before
        model.train_on_batch(*batch)
    return waited / (time.perf_counter() - start)


def main():
    parser = turns.parser(__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    num_steps = 10 if arguments.quick else arguments.steps
    tokenizer = gk.GPT3Tokenizer()
    model = gk.GPT3CausalLM(
        gk.GPT3Backbone(
            vocabulary_size=tokenizer.vocabulary_size(),
            num_heads=2,
            hidden_dim=64,
            max_sequence_length=_LENGTH,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        prepared = f"{folder}/prepared"
        shards.prepare(NOVELS, prepared, tokenizer)
        for name, source in (("text", NOVELS), ("shards", prepared)):
            share = waiting_share(model, source, tokenizer, num_steps)
            turns.report(
                f"input_share/{name}",
                share,
                "share of a step",
                peer=_GOAL,
            )


if __name__ == "__main__":
    main()
