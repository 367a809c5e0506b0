"""Modules that a backward pass computes again: the same gradients."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.layers import rematerialization
from gpt3_keras.models.backbone import GPT3Backbone
from tests import graphs

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="reads TensorFlow's graphs; agreement_test has the others",
)

IDS = np.random.default_rng(0).integers(1, 13, (3, 7)).astype("int32")
MASK = np.arange(7) < np.array([[7], [4], [1]])
SIGNATURE = [tf.TensorSpec((3, 7), tf.int32), tf.TensorSpec((3, 7), tf.bool)]


def make_backbone(is_rematerialised, share, dtype):
    """A small backbone with dropout; its weights are the same either way."""
    scope = rematerialization.scope(num_layers=2)
    keras.utils.set_random_seed(0)
    with scope if is_rematerialised else contextlib.nullcontext():
        return GPT3Backbone(
            vocabulary_size=13,
            num_layers=2,
            num_heads=2,
            hidden_dim=8,
            max_sequence_length=8,
            pointer_hidden_dims=(8, 8),
            share_pointer_parameters=share,
            dropout=0.5,
            dtype=dtype,
        )


def gradients(backbone, jit_compile=False):
    """A traced function of a loss's gradients by every weight."""
    weights = [weight.value for weight in backbone.trainable_variables]

    @tf.function(input_signature=SIGNATURE, jit_compile=jit_compile)
    def traced(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        with tf.GradientTape() as tape:
            outputs = backbone(inputs, dropout_key=keras.ops.array([1, 2]))
            kept = [
                tf.where(tf.cast(output, tf.float32) > -1e4, output, 0)
                for output in tf.nest.flatten(outputs)
            ]
            loss = sum(
                tf.reduce_sum(tf.cast(output, tf.float32) ** 2)
                for output in kept
            )
        found = tape.gradient(loss, weights, unconnected_gradients="zero")
        return [*map(tf.convert_to_tensor, found)]

    return traced


def check(tolerance, share=False, dtype="float32", jit_compile=False):
    """Compares gradients; the tolerance is a share of each one's largest."""
    plain, again = (
        gradients(make_backbone(is_rematerialised, share, dtype), jit_compile)(
            IDS, MASK
        )
        for is_rematerialised in (False, True)
    )
    largest = [np.abs(gradient).max() for gradient in plain]
    for received, expected, size in zip(again, plain, largest, strict=True):
        np.testing.assert_allclose(received, expected, atol=tolerance * size)
    assert sum(size > 0 for size in largest) > 40


@pytest.mark.parametrize("share", [False, True], ids=["apart", "shared"])
def test_gradients_are_the_same(share):
    check(1e-5, share)


def test_under_xla_they_are_the_same():
    check(1e-5, jit_compile=True)


def test_in_half_precision_they_are_the_same():
    """But for the order in which a state's three gradients are added up."""
    check(0.06, dtype="mixed_bfloat16")


def test_the_recurrences_run_again():
    """One loop forward and one backward for each of three, and one again."""
    loops = [
        sum(
            operation.type in ("While", "StatelessWhile")
            for operation in graphs.operations(
                gradients(make_backbone(is_rematerialised, False, "float32"))
                .get_concrete_function()
                .graph
            )
        )
        for is_rematerialised in (False, True)
    ]
    assert loops == [6, 9]
