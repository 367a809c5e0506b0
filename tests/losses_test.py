"""Each loss, its sum and its count, against a loop over positions."""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import functional
from gpt3_keras import losses
from tests import oracles

TOKEN_IDS = np.array([[3, 3, 5, 3, 1], [1, 2, 2, 0, 0]], "int32")
TARGETS = np.array([[3, 5, 3, 9, 5], [2, 2, 1, 0, 0]], "int32")
PADDING_MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
# Two targets that do not count, and one that counts a half.
WEIGHTS = np.array([[1, 1, 0.5, 1, 0], [1, 1, 1, 0, 0]], "float32")
MASK = oracles.causal(PADDING_MASK)
MATCH = MASK & (TARGETS[:, :, None] == TOKEN_IDS[:, None, :])
LOGITS = np.where(
    MASK, oracles.states(2, 5, 5) * 2, functional.MASKED_LOGIT
).astype("float32")
TEMPERATURE = 0.7


def each_target():
    """Index, weight, and the scores of the matches and of their rivals."""
    for b, t in np.ndindex(TARGETS.shape):
        scores = LOGITS[b, t].astype("float64")
        match, rivals = MATCH[b, t], MASK[b, t] & ~MATCH[b, t]
        yield (b, t), float(WEIGHTS[b, t]), scores[match], scores[rivals]


def check(pair, total, count):
    np.testing.assert_allclose(pair, (total, count), rtol=1e-5)
    assert [value.dtype for value in pair] == ["float32", "float32"]


def test_terms_are_in_the_order_of_the_config():
    assert losses.TERMS == ("language_model", "generator", "pointer", "gate")


def test_language_model_loss():
    log_probs = -np.abs(oracles.states(2, 5)).astype("float32")
    total = sum(-w * log_probs[i] for i, w, _, _ in each_target())
    pair = losses.language_model_loss(log_probs, WEIGHTS)
    check(pair, total, WEIGHTS.sum())


def test_pointer_loss():
    total = count = 0.0
    for _, weight, matching, rivals in each_target():
        if matching.size:
            gaps = (rivals - matching.max()) / TEMPERATURE
            rank = 1.0 + oracles.sigmoid(gaps).sum()
            total += weight * (1.0 - 1.0 / rank)
            count += weight
    assert 0 < count < WEIGHTS.sum()
    pair = losses.pointer_loss(LOGITS, MATCH, MASK, WEIGHTS, TEMPERATURE)
    check(pair, total, count)


def test_pointer_reciprocal_rank():
    total = count = 0.0
    for _, weight, matching, rivals in each_target():
        if matching.size:
            total += weight / (1 + (rivals > matching.max()).sum())
            count += weight
    pair = losses.pointer_reciprocal_rank(LOGITS, MATCH, MASK, WEIGHTS)
    check(pair, total, count)


def test_gate_loss():
    gates = oracles.states(2, 5, seed=1).astype("float32") * 3
    total = count = 0.0
    for index, weight, matching, _ in each_target():
        if not matching.size:
            total -= weight * np.log(oracles.sigmoid(gates[index]))
            count += weight
    assert 0 < count < WEIGHTS.sum()
    check(losses.gate_loss(gates, MATCH, WEIGHTS), total, count)


def test_every_target_is_the_pointers_or_the_gates():
    gates = np.zeros((2, 5), "float32")
    _, copied = losses.pointer_loss(LOGITS, MATCH, MASK, WEIGHTS)
    _, generated = losses.gate_loss(gates, MATCH, WEIGHTS)
    assert copied + generated == WEIGHTS.sum()


def all_pairs(logits, gates, weights):
    log_probs = functional.copy_log_probs_of_targets(logits, MATCH)
    return (
        losses.language_model_loss(log_probs, weights),
        losses.pointer_loss(logits, MATCH, MASK, weights, TEMPERATURE),
        losses.gate_loss(gates, MATCH, weights),
        losses.pointer_reciprocal_rank(logits, MATCH, MASK, weights),
    )


def test_without_targets_they_are_zero_and_so_are_their_gradients():
    logits, gates = tf.constant(LOGITS), tf.zeros((2, 5))
    with tf.GradientTape() as tape:
        tape.watch([logits, gates])
        pairs = all_pairs(logits, gates, np.zeros_like(WEIGHTS))
        total = sum(pair[0] for pair in pairs)
    np.testing.assert_array_equal(pairs, 0.0)
    for gradient in tape.gradient(total, [logits, gates]):
        np.testing.assert_array_equal(gradient, 0.0)


def test_sums_and_counts_add_up_over_rows():
    gates = oracles.states(2, 5, seed=1).astype("float32")
    weights = WEIGHTS
    whole = np.array(all_pairs(LOGITS, gates, weights))
    rows = 0.0
    for row in range(2):
        only = weights * (np.arange(2) == row)[:, None]
        rows = rows + np.array(all_pairs(LOGITS, gates, only))
    np.testing.assert_allclose(rows, whole, rtol=1e-6)


@pytest.mark.parametrize("gate", [-1e4, 1e4])
def test_at_the_ends_they_and_their_gradients_are_finite(gate):
    logits, gates = tf.constant(LOGITS * 1e3), tf.fill((2, 5), gate)
    logits = tf.where(MASK, logits, functional.MASKED_LOGIT)
    with tf.GradientTape() as tape:
        tape.watch([logits, gates])
        pairs = all_pairs(logits, gates, WEIGHTS)
        total = sum(pair[0] for pair in pairs[:3])
    assert np.isfinite(pairs).all()
    for gradient in tape.gradient(total, [logits, gates]):
        assert np.isfinite(gradient).all()


def test_the_pointer_loss_pulls_the_match_up_and_its_rivals_down():
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, _ = losses.pointer_loss(logits, MATCH, MASK, WEIGHTS)
    gradient = tape.gradient(total, logits).numpy()
    assert (gradient[~MASK] == 0).all()
    assert (gradient[MATCH] <= 0).all()
    assert (gradient[MASK & ~MATCH] >= 0).all()
    assert np.any(gradient)
