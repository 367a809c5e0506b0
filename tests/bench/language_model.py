"""Held-out perplexity and wall time: this model against a GPT-2 of its size.

Trains `GPT3CausalLM` and KerasHub's `GPT2CausalLM`, as many parameters each,
on the same rows of English and French novels, in turns of a few steps in one
process, so that a busy machine slows both. Two books of each language are held
out; perplexity is over the opening of each, `--held-out-tokens` in all. Prints
one JSON line a figure and draws the curves.

    python tests/bench/language_model.py --output results
    python tests/bench/language_model.py --quick

Both optimizers are AdamW with the same warm-up and cosine budget; the learning
rates are the best of a grid for each (`--learning-rate`,
`--peer-learning-rate`; the grid is in `results/README.md`).
"""

import argparse
import itertools
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf

import gpt3_keras as gk

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = os.environ.get("GPT3_KERAS_DATA", ROOT.parent / "shared" / "data")
NUM_HELD_OUT_BOOKS = 2
EVALUATIONS = 8


class Contender:
    """One model, its curve, and the seconds spent in its training steps."""

    def __init__(self, name, model, to_perplexity):
        self.name = name
        self.model = model
        self.to_perplexity = to_perplexity
        self.seconds = 0.0
        self.curve = []

    def train(self, batches):
        start = time.perf_counter()
        self.model.fit(batches, verbose=0)
        self.seconds += time.perf_counter() - start

    def evaluate(self, batches):
        logs = self.model.evaluate(batches, verbose=0, return_dict=True)
        return float(self.to_perplexity(logs))

    def perplexity_at(self, seconds):
        """Perplexity after so many seconds, from the curve."""
        return float(
            np.exp(
                np.interp(
                    seconds,
                    [point["seconds"] for point in self.curve],
                    [np.log(point["perplexity"]) for point in self.curve],
                )
            )
        )


def optimizer(learning_rate, num_steps):
    warmup_steps = max(1, num_steps // 40)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        num_steps - warmup_steps,
        alpha=0.05,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=0.01)


def build_ours(args, vocabulary_size, num_steps):
    keras.utils.set_random_seed(args.seed)
    backbone = gk.GPT3Backbone(
        vocabulary_size=vocabulary_size,
        hidden_dim=args.hidden_dim,
        num_heads=args.hidden_dim // 64,
        max_sequence_length=args.sequence_length,
        dropout=0.0,
    )
    model = gk.GPT3CausalLM(backbone)
    model.compile(optimizer=optimizer(args.learning_rate, num_steps))
    return Contender("gpt3_keras", model, lambda logs: logs["perplexity"])


def build_peer(args, vocabulary_size, num_steps):
    """GPT-2 with two blocks; its parameters are ours within a few percent."""
    keras.utils.set_random_seed(args.seed)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=vocabulary_size,
        num_layers=2,
        num_heads=args.hidden_dim // 64,
        hidden_dim=args.hidden_dim,
        intermediate_dim=4 * args.hidden_dim,
        max_sequence_length=args.sequence_length,
        dropout=0.0,
    )
    model = keras_hub.models.GPT2CausalLM(backbone)
    model.compile(
        optimizer=optimizer(args.peer_learning_rate, num_steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
    )
    return Contender("keras_hub_gpt2", model, lambda logs: np.exp(logs["loss"]))


def books(data):
    """Paths of the novels to train on and of those held out."""
    train, held_out = [], []
    for folder, pattern in (("novels_en", "ENG*"), ("novels_fr", "FRA*")):
        paths = sorted(map(str, (pathlib.Path(data) / folder).glob(pattern)))
        if len(paths) <= NUM_HELD_OUT_BOOKS:
            raise SystemExit(f"language_model.py: no novels in {data}/{folder}")
        train += paths[:-NUM_HELD_OUT_BOOKS]
        held_out += paths[-NUM_HELD_OUT_BOOKS:]
    return train, held_out


def full_batches(source, tokenizer, args, shuffle_buffer, num_batches=None):
    """Whole batches in memory, so that no contender waits for text."""
    dataset = gk.text_dataset(
        source,
        tokenizer,
        sequence_length=args.sequence_length,
        batch_size=args.batch_size,
        split="all",
        seed=args.seed,
        shuffle_buffer=shuffle_buffer,
    )
    whole = (b for b in dataset if b[1].shape[0] == args.batch_size)
    return list(itertools.islice(whole, num_batches))


def as_dataset(batches):
    stacked = tf.nest.map_structure(lambda *x: tf.stack(x), *batches)
    return tf.data.Dataset.from_tensor_slices(stacked).prefetch(2)


def run(args):
    tokenizer = gk.GPT3Tokenizer()
    train_books, held_out_books = books(args.data)
    tokens_a_batch = args.batch_size * args.sequence_length
    num_steps = args.tokens // tokens_a_batch
    # The buffer holds every row: all books from the first step on.
    train = full_batches(train_books, tokenizer, args, 100_000, num_steps)
    num_books = len(held_out_books)
    part = max(1, args.held_out_tokens // tokens_a_batch // num_books)
    held_out = [
        full_batches([book], tokenizer, args, 0, part)
        for book in held_out_books
    ]
    part = max(1, args.curve_tokens // tokens_a_batch // num_books)
    sample = as_dataset([b for book in held_out for b in book[:part]])
    size = tokenizer.vocabulary_size()
    contenders = [
        build_ours(args, size, num_steps),
        build_peer(args, size, num_steps),
    ]
    for contender in contenders:  # Tracing and compiling is nobody's step.
        warm_up(contender.model, as_dataset(train[:1]))
    turn = max(1, num_steps // EVALUATIONS)
    for first in range(0, num_steps, turn):
        segment = as_dataset(train[first : first + turn])
        for contender in contenders:
            contender.train(segment)
            point = {
                "tokens": min(first + turn, num_steps) * tokens_a_batch,
                "seconds": contender.seconds,
                "perplexity": contender.evaluate(sample),
            }
            contender.curve.append(point)
            print(json.dumps({"name": contender.name, **point}), flush=True)
    everything = as_dataset([b for book in held_out for b in book])
    return contenders, [c.evaluate(everything) for c in contenders]


def warm_up(model, batch):
    """Traces the steps, then puts weights and optimizer back."""
    weights = model.get_weights()
    model.optimizer.build(model.trainable_variables)
    state = [v.numpy() for v in model.optimizer.variables]
    model.fit(batch, verbose=0)
    model.evaluate(batch, verbose=0)
    model.set_weights(weights)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)


def figures(args, contenders, perplexities):
    """The JSON lines: perplexity, ratios and speed."""
    ours, peer = contenders
    mine, theirs = perplexities
    # Ours when the peer had finished: from the sample's curve where ours was
    # slower, and its end where it was faster (then it stands still).
    mine_then = mine * ours.perplexity_at(peer.seconds)
    mine_then /= ours.curve[-1]["perplexity"]
    tokens = ours.curve[-1]["tokens"]
    yield "perplexity_at_equal_tokens", mine, "perplexity", theirs
    yield "perplexity_at_equal_wall_time", mine_then, "perplexity", theirs
    yield (
        "training_speed",
        tokens / ours.seconds,
        "tokens/s",
        tokens / peer.seconds,
    )
    yield (
        "parameters",
        ours.model.count_params(),
        "weights",
        peer.model.count_params(),
    )
    yield "learning_rate", args.learning_rate, "1", args.peer_learning_rate
    yield "tokens", tokens, "tokens", tokens


def draw(contenders, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, key in zip(axes, ("tokens", "seconds"), strict=True):
        for contender in contenders:
            axis.plot(
                [point[key] for point in contender.curve],
                [point["perplexity"] for point in contender.curve],
                marker="o",
                markersize=3,
                label=contender.name,
            )
        axis.set(xlabel=f"training {key}", yscale="log")
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("perplexity of held-out novels")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default=str(DATA))
    parser.add_argument("--tokens", type=int, default=1_048_576)
    parser.add_argument("--curve-tokens", type=int, default=16_384)
    parser.add_argument("--held-out-tokens", type=int, default=131_072)
    parser.add_argument("--hidden-dim", type=int, default=128)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--peer-learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="16k tokens")
    args = parser.parse_args()
    if args.quick:
        args.tokens, args.curve_tokens = 16_384, 4_096
        args.held_out_tokens = 8_192
    contenders, perplexities = run(args)
    lines = []
    for name, value, unit, peer in figures(args, contenders, perplexities):
        line = {"name": name, "value": round(value, 5), "unit": unit}
        line |= {"peer": round(peer, 5), "ratio": round(value / peer, 4)}
        lines.append(json.dumps(line))
        print(lines[-1], flush=True)
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
        path = args.output / "language_model.jsonl"
        path.write_text("\n".join(lines) + "\n")
        draw(contenders, args.output / "language_model.png")
        curves = {c.name: c.curve for c in contenders}
        path.with_suffix(".curves.json").write_text(json.dumps(curves))


if __name__ == "__main__":
    main()
