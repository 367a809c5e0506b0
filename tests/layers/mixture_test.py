"""The mixture is a distribution, whatever the gate and the context."""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import functional
from gpt3_keras.layers.mixture import Mixture
from tests import oracles

V = 11
REPEATED = np.array([[3, 3, 5, 3], [1, 2, 2, 2]], "int32")


def example(token_ids, seed=0):
    """Logits over the vocabulary, masked pointer logits, gate logits."""
    generator = np.random.default_rng(seed)
    batch, length = token_ids.shape
    mask = oracles.causal(np.ones_like(token_ids, bool))
    pointer = generator.normal(0, 3, (batch, length, length))
    return (
        generator.normal(0, 3, (batch, length, V)).astype("float32"),
        np.where(mask, pointer, functional.MASKED_LOGIT).astype("float32"),
        generator.normal(0, 2, (batch, length)).astype("float32"),
        token_ids,
    )


def test_it_equals_its_oracle():
    arguments = example(REPEATED)
    expected = np.log(oracles.mixture(*arguments))
    log_probs = Mixture()(*arguments)
    assert log_probs.dtype == "float32"
    np.testing.assert_allclose(log_probs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gate", [None, -1e4, 0.0, 1e4])
def test_one_position_alone_is_the_same(gate):
    generation, pointer, gates, token_ids = example(REPEATED)
    gates = gates if gate is None else np.full_like(gates, gate)
    whole = Mixture()(generation, pointer, gates, token_ids).numpy()
    for t in range(token_ids.shape[1]):
        last = slice(t, t + 1)
        alone = Mixture().decode(
            generation[:, last], pointer[:, last], gates[:, last], token_ids
        )
        np.testing.assert_allclose(alone, whole[:, last], rtol=1e-6)


@pytest.mark.parametrize("gate", [None, -1e4, -30.0, 0.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "token_ids",
    [
        REPEATED,
        np.full((1, 6), 4, "int32"),
        np.array([[7]], "int32"),
        np.arange(V, dtype="int32")[None],
    ],
    ids=["repeated", "one kind", "one token", "all kinds"],
)
def test_it_sums_to_one(token_ids, gate):
    generation, pointer, gates, _ = example(token_ids)
    gates = gates if gate is None else np.full_like(gates, gate)
    log_probs = Mixture()(generation, pointer, gates, token_ids).numpy()
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_gradients_are_finite(gate, scale):
    generation, pointer, gates, token_ids = example(REPEATED)
    readable = pointer > functional.MASKED_LOGIT
    pointer = np.where(readable, pointer * scale, pointer)
    inputs = [
        tf.constant(generation * scale),
        tf.constant(pointer),
        tf.fill(gates.shape, gate),
    ]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        log_probs = Mixture()(*inputs, token_ids)
    assert np.isfinite(log_probs).all()
    for gradient in tape.gradient(log_probs, inputs):
        assert np.isfinite(gradient).all()


def test_a_closed_gate_copies_and_an_open_one_generates():
    generation, pointer, gates, token_ids = example(REPEATED)
    copied = Mixture()(generation, pointer, gates * 0 - 1e4, token_ids)
    generated = Mixture()(generation, pointer, gates * 0 + 1e4, token_ids)
    np.testing.assert_allclose(
        generated, oracles.log_softmax(generation), rtol=1e-4, atol=1e-5
    )
    probs = oracles.softmax(pointer)
    expected = np.zeros(generation.shape)
    for b, t, j in np.ndindex(probs.shape):
        expected[b, t, token_ids[b, j]] += probs[b, t, j]
    np.testing.assert_allclose(np.exp(copied), expected, atol=1e-5)
