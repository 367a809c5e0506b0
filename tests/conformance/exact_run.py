"""Trains on real text, cut in some ways, and writes down all that came out.

    python -m tests.conformance.exact_run TEXT OUTPUT CUT [CUT ...]

A cut is "replicas x micro_batches", such as "1x8"; in a job of several
workers, which TF_CONFIG describes, a worker has one replica.
"""

import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

import gpt3_keras as gk

NUM_STEPS = 20
BATCH_SIZE = 8
LENGTH = 32


class Losses(keras.callbacks.Callback):
    """The loss of each step alone."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(float(logs["loss"]))
        self.model.reset_metrics()


def read(text, tokenizer):
    """Rows of very uneven lengths, as arrays of the triple."""
    dataset = gk.text_dataset(
        text,
        tokenizer,
        sequence_length=LENGTH,
        batch_size=BATCH_SIZE,
        split="all",
        document="file",
    )
    batches = list(dataset.take(NUM_STEPS).as_numpy_iterator())
    x, y, weight = keras.tree.map_structure(
        lambda *parts: np.concatenate(parts), *batches
    )
    lengths = np.random.default_rng(0).geometric(0.15, len(y))
    weight *= np.arange(LENGTH) < np.minimum(lengths, LENGTH)[:, None]
    x["padding_mask"] &= weight > 0
    return x, y, weight


def run(strategy, micro_batches, data, vocabulary_size):
    """Losses, weights, an evaluation and predictions."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        backbone = gk.GPT3Backbone(
            vocabulary_size=vocabulary_size,
            num_heads=2,
            hidden_dim=16,
            max_sequence_length=LENGTH,
            pointer_hidden_dims=(8, 12),
            dropout=0.2,
        )
        model = gk.GPT3CausalLM(backbone)
        model.compile(
            keras.optimizers.AdamW(1e-3, clipvalue=0.01, weight_decay=0.01),
            micro_batches=micro_batches,
            seed=1,
        )
    losses = Losses()
    untuned = tf.data.Options()
    untuned.autotune.enabled = False  # Who drops an iterator waits for it.
    dataset = tf.data.Dataset.from_tensor_slices(data).with_options(untuned)
    model.fit(
        dataset.batch(BATCH_SIZE),
        callbacks=[losses],
        shuffle=False,
        verbose=0,
    )
    # The last batch has three rows: fewer than some jobs have workers.
    rest = dataset.take(3 * BATCH_SIZE + 3).batch(BATCH_SIZE)
    report = model.evaluate(rest, verbose=0, return_dict=True)
    found = {w.path: w.numpy() for w in model.backbone.weights}
    found["losses"] = np.array(losses.values, "float64")
    found["report"] = np.array([report[name] for name in sorted(report)])
    if strategy.num_replicas_in_sync < 4:
        found["predictions"] = model.predict(rest, verbose=0)
    return found


def main(text, output, *cuts):
    """Runs every cut; a file for each."""
    is_job = "TF_CONFIG" in os.environ
    if is_job:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        task = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    else:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 4
        )
    tokenizer = gk.GPT3Tokenizer.train([text], vocabulary_size=400)
    data = read(text, tokenizer)
    for cut in cuts:
        replicas, micro_batches = map(int, cut.split("x"))
        name = f"worker_{task}_{cut}" if is_job else cut
        if not is_job:
            strategy = tf.distribute.get_strategy()
            if replicas > 1:
                devices = [f"CPU:{i}" for i in range(replicas)]
                strategy = tf.distribute.MirroredStrategy(devices)
        found = run(strategy, micro_batches, data, 400)
        np.savez(pathlib.Path(output) / f"{name}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
