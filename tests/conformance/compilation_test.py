"""Every entry eager, in a graph, under XLA, and out of a SavedModel.

Graphs are traced once, for any batch and length.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import catalogue
from tests import oracles

# Unlike the sizes of the weights, and of each other.
SIZES = {"batch": 3, "length": 5}


@pytest.fixture(scope="module", params=catalogue.ENTRIES)
def case(request):
    """An entry, what it makes, and its outputs from an eager call."""
    entry = catalogue.ENTRIES[request.param]
    keras.utils.set_random_seed(0)
    layer = entry.make("float32")
    tensors = list(map(tf.constant, entry.arrays(**SIZES)))
    layer(*entry.arguments(tensors))
    oracles.randomize(layer)
    return entry, layer, tensors, layer(*entry.arguments(tensors))


def signature(entry):
    specs = []
    for kind in entry.inputs:
        dtype, axes = catalogue.KINDS[kind]
        shape = [axis if isinstance(axis, int) else None for axis in axes]
        specs.append(tf.TensorSpec(shape, dtype))
    return specs


def check_equal(outputs, expected):
    tf.nest.assert_same_structure(outputs, expected)
    for output, value in zip(
        tf.nest.flatten(outputs), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(output, value, rtol=1e-4, atol=1e-5)


def call_and_gradients(entry, layer):
    """A function of the inputs, that also gives the weights' gradients."""

    def run(*tensors):
        with tf.GradientTape() as tape:
            outputs = layer(*entry.arguments(tensors))
            total = sum(
                tf.reduce_mean(tf.sin(output))
                for output in tf.nest.flatten(outputs)
            )
        weights = layer.trainable_variables
        gradients = tape.gradient(total, [w.value for w in weights])
        return outputs, [
            tf.zeros(weight.shape)
            if gradient is None
            else tf.convert_to_tensor(gradient)
            for weight, gradient in zip(weights, gradients, strict=True)
        ]

    return run


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "XLA"])
def test_traced_it_gives_the_same_and_the_same_gradients(case, jit_compile):
    entry, layer, tensors, outputs = case
    run = call_and_gradients(entry, layer)
    traced = tf.function(
        run, input_signature=signature(entry), jit_compile=jit_compile
    )
    traced_outputs, gradients = traced(*tensors)
    check_equal(traced_outputs, outputs)
    check_equal(gradients, run(*tensors)[1])
    if layer.trainable_variables:
        assert any(np.any(gradient) for gradient in gradients)
    # The same trace serves every batch and length.
    for batch, length in () if jit_compile else ((1, 1), (4, 8)):
        tensors = list(map(tf.constant, entry.arrays(batch, length)))
        check_equal(traced(*tensors)[0], layer(*entry.arguments(tensors)))


def test_a_saved_model_gives_the_same(case, tmp_path):
    entry, layer, tensors, outputs = case
    archive = keras.export.ExportArchive()
    archive.track(layer)
    archive.add_endpoint(
        "serve",
        lambda *tensors: layer(*entry.arguments(tensors)),
        input_signature=signature(entry),
    )
    archive.write_out(tmp_path, verbose=False)
    reloaded = tf.saved_model.load(tmp_path)
    check_equal(reloaded.serve(*tensors), outputs)
