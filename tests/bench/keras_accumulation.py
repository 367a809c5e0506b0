"""Keras' own accumulation, clipping and `fit` on two replicas, beside ours.

One GPT-2 of KerasHub and one model of ours, each trained ten steps on the
same rows of very uneven lengths in three ways: whole batches on one device;
parts of a batch one after the other; and two replicas (logical devices of the
processor). All three should give the same weights. What is printed is how
far they are apart: the largest difference of a weight, as a share of its
variable's largest. One JSON line a figure.

    python tests/bench/keras_accumulation.py

Why Keras' ways differ:

* Each part's loss is a mean of its own, and `gradient_accumulation_steps`
  takes the mean of those: a token of a part with few of them weighs more than
  one of a part with many. Two replicas are such parts, too.
* `clipvalue` clips each replica's gradient before the replicas' are added up,
  and so lets another gradient through than one device does.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf

import gpt3_keras as gk

VOCABULARY_SIZE = 100
LENGTH = 32
BATCH_SIZE = 8
NUM_STEPS = 10
NUM_PARTS = 2
CLIPS = {"unclipped": None, "clipped": 0.01}


def make_data():
    """Triples whose rows have from one to all of their targets."""
    generator = np.random.default_rng(0)
    num_rows = NUM_STEPS * BATCH_SIZE
    ids = generator.integers(1, VOCABULARY_SIZE, (num_rows, LENGTH + 1))
    lengths = np.minimum(generator.geometric(0.1, num_rows), LENGTH)
    mask = np.arange(LENGTH) < lengths[:, None]
    # Keras adds the masks of replicas up, which booleans do not take.
    x = {
        "token_ids": ids[:, :-1].astype("int32"),
        "padding_mask": mask.astype("int32"),
    }
    return x, ids[:, 1:].astype("int32"), mask.astype("float32")


def make_keras(num_parts, clip):
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=1,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        dropout=0.0,
        max_sequence_length=LENGTH,
    )
    model = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
    optimizer = keras.optimizers.SGD(
        0.5,
        momentum=0.9,
        clipvalue=clip,
        gradient_accumulation_steps=num_parts if num_parts > 1 else None,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, jit_compile=False)
    return model


def make_ours(num_parts, clip):
    backbone = gk.GPT3Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_heads=2,
        hidden_dim=32,
        max_sequence_length=LENGTH,
        pointer_hidden_dims=(16, 16),
        dropout=0.0,
    )
    model = gk.GPT3CausalLM(backbone)
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9, clipvalue=clip)
    model.compile(optimizer, micro_batches=num_parts)
    return model


def train(make, clip, strategy, num_parts=1, fit_parts=False):
    """The weights after all steps."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = make(num_parts, clip)
    # Keras' accumulation wants each part as a batch of its own.
    size = BATCH_SIZE // num_parts if fit_parts else BATCH_SIZE
    dataset = tf.data.Dataset.from_tensor_slices(make_data()).batch(size)
    model.fit(dataset, shuffle=False, verbose=0)
    return [np.asarray(w.numpy()) for w in model.trainable_weights]


def distance(weights, expected):
    return max(
        float(np.abs(a - b).max() / np.abs(b).max())
        for a, b in zip(weights, expected, strict=True)
        if np.abs(b).max() > 0
    )


def main():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    alone = tf.distribute.get_strategy()
    replicas = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name, clip in CLIPS.items():
        found = {}
        for make in (make_ours, make_keras):
            whole = train(make, clip, alone)
            in_parts = train(make, clip, alone, NUM_PARTS, make is make_keras)
            on_replicas = train(make, clip, replicas)
            found[make] = {
                f"{name}/in_two_parts": distance(in_parts, whole),
                f"{name}/on_two_replicas": distance(on_replicas, whole),
            }
        for figure, value in found[make_ours].items():
            peer = found[make_keras][figure]
            line = {
                "name": f"exactness/{figure}",
                "value": float(f"{value:.3g}"),
                "unit": "largest difference of a weight, relative",
                "peer": float(f"{peer:.3g}"),
                "ratio": float(f"{value / peer:.3g}"),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
