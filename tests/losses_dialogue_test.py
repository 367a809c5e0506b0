"""The losses of dialogue understanding against loops; their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import functional
from gpt3_keras import functional_dialogue
from gpt3_keras import losses_dialogue
from tests import gradients
from tests import oracles

WEIGHTS = np.array([[1, 0.5, 0], [1, 1, 1]], "float32")
TARGETS = np.array([[2, 0, 1], [0, 3, 1]])
VALID = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
VALID = np.stack([VALID, VALID[[1, 0, 2]]])
LOGITS = oracles.states(2, 3, 4)


def check(pair, total, count, rtol=1e-5):
    np.testing.assert_allclose(pair, (total, count), rtol=rtol)
    assert [value.dtype for value in pair] == ["float32", "float32"]


def check_gradient(function, oracle, arrays):
    """In graph mode, against differences of a float64 oracle."""
    gradients.check(
        "graph",
        lambda *x: function(*[tf.cast(y, "float32") for y in x]),
        oracle,
        [np.asarray(a, "float64") for a in arrays],
        [a.shape for a in arrays],
        rtol=2e-3,
        atol=2e-4,
    )


def slot_loss(logits, label_smoothing):
    log_probs = functional_dialogue.masked_log_softmax(logits, VALID)
    return losses_dialogue.slot_loss(
        log_probs, TARGETS, VALID, WEIGHTS, label_smoothing
    )


def slot_oracle(logits, label_smoothing):
    total = 0.0
    for b, n in np.ndindex(TARGETS.shape):
        valid = np.flatnonzero(VALID[b, n])
        log_p = oracles.log_softmax(logits[b, n, valid])
        q = np.full(len(valid), label_smoothing / len(valid))
        q[list(valid).index(TARGETS[b, n])] += 1 - label_smoothing
        assert q.sum() == pytest.approx(1.0)
        total -= WEIGHTS[b, n] * (q @ log_p)
    return total


IS_TURN = np.array([[1, 0, 1], [1, 1, 1]], bool)


def belief_loss(logits):
    """A state's loss with all states before it summed out."""
    updates = functional_dialogue.masked_log_softmax(logits, True)
    log_probs = functional_dialogue.belief_log_probs(updates, IS_TURN)
    return losses_dialogue.slot_loss(
        log_probs, TARGETS % 3, np.ones((2, 3, 3), bool), WEIGHTS
    )


def belief_oracle(logits):
    total = 0.0
    for b in range(2):
        belief = np.eye(3)[0]
        for n in range(3):
            update = np.exp(oracles.log_softmax(logits[b, n]))
            if IS_TURN[b, n]:
                belief = update[0] * belief + update[1:]
            total -= WEIGHTS[b, n] * np.log(belief[TARGETS[b, n] % 3])
    return total


def test_the_gradient_goes_through_beliefs():
    check(belief_loss(LOGITS), belief_oracle(LOGITS), WEIGHTS.sum())
    check_gradient(lambda x: belief_loss(x)[0], belief_oracle, [LOGITS])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9])
def test_slot_loss(label_smoothing):
    total = slot_oracle(LOGITS, label_smoothing)
    check(slot_loss(LOGITS, label_smoothing), total, WEIGHTS.sum())
    check_gradient(
        lambda logits: slot_loss(logits, label_smoothing)[0],
        lambda logits: slot_oracle(logits, label_smoothing),
        [LOGITS],
    )


def test_smoothing_of_nothing_is_the_cross_entropy():
    log_probs = functional_dialogue.masked_log_softmax(LOGITS, VALID)
    chosen = np.take_along_axis(np.asarray(log_probs), TARGETS[..., None], -1)
    total = -np.sum(WEIGHTS * chosen[..., 0])
    check(slot_loss(LOGITS, 0.0), total, WEIGHTS.sum())


def test_candidates_that_are_not_there_change_nothing():
    wide = np.pad(LOGITS, ((0, 0), (0, 0), (0, 3)))
    valid = np.pad(VALID, ((0, 0), (0, 0), (0, 3)))
    log_probs = functional_dialogue.masked_log_softmax(wide, valid)
    pair = losses_dialogue.slot_loss(log_probs, TARGETS, valid, WEIGHTS, 0.1)
    check(pair, *slot_loss(LOGITS, 0.1))


def test_requested_loss():
    logits = oracles.states(2, 3, seed=3) * 3
    targets = np.array([[1, 0, 1], [0, 0, 1]])

    def oracle(logits):
        p = oracles.sigmoid(logits)
        log_p = np.where(targets, np.log(p), np.log(1 - p))
        return -np.sum(WEIGHTS * log_p)

    pair = losses_dialogue.requested_loss(logits, targets, WEIGHTS)
    check(pair, oracle(logits), WEIGHTS.sum())
    check_gradient(
        lambda x: losses_dialogue.requested_loss(x, targets, WEIGHTS)[0],
        oracle,
        [logits],
    )


SPANS = np.array(
    [
        [[[0, 1], [3, 3]], [[2, 2], [-1, -1]], [[1, 2], [-1, -1]]],
        [[[-1, -1]] * 2, [[0, 3], [1, 3]], [[3, 3], [-1, -1]]],
    ]
)


def span_loss(starts, ends):
    starts, ends = (tf.nn.log_softmax(x) for x in (starts, ends))
    return losses_dialogue.span_loss(starts, ends, SPANS, WEIGHTS)


def span_oracle(starts, ends):
    p, q = oracles.softmax(starts), oracles.softmax(ends)
    total = 0.0
    for b, n in np.ndindex(WEIGHTS.shape):
        mass = sum(p[b, n, i] * q[b, n, j] for i, j in SPANS[b, n] if i >= 0)
        if mass:
            total -= WEIGHTS[b, n] * np.log(mass)
    return total


def test_span_loss():
    starts, ends = LOGITS, oracles.states(2, 3, 4, seed=5)
    count = WEIGHTS.sum() - WEIGHTS[1, 0]  # It has no right span.
    check(
        span_loss(*(x.astype("float32") for x in (starts, ends))),
        span_oracle(starts, ends),
        count,
    )
    check_gradient(lambda *x: span_loss(*x)[0], span_oracle, [starts, ends])


CONTEXTS, REPLIES = oracles.states(2, 3, 5), oracles.states(2, 3, 5, seed=1)


def similarity_oracle(contexts, replies, form="log_sum_exp"):
    total = 0.0
    for b in range(2):
        unit = [
            x[b] / np.linalg.norm(x[b], axis=-1, keepdims=True)
            for x in (contexts, replies)
        ]
        for n in np.flatnonzero(WEIGHTS[b]):
            sims = [
                unit[0][n] @ unit[1][m] / 0.2
                for m in np.flatnonzero(WEIGHTS[b])
            ]
            own = unit[0][n] @ unit[1][n] / 0.2
            loss = np.log(np.exp(sims).sum()) - own
            if form == "least_squares":
                loss = np.sum((unit[0][n] - unit[1][n]) ** 2)
            total += WEIGHTS[b, n] * loss
    return total


@pytest.mark.parametrize("form", ["log_sum_exp", "least_squares"])
def test_similarity_loss(form):
    def loss(contexts, replies):
        return losses_dialogue.similarity_loss(
            contexts, replies, WEIGHTS, 0.2, form
        )

    total = similarity_oracle(CONTEXTS, REPLIES, form)
    check(loss(CONTEXTS, REPLIES), total, WEIGHTS.sum())
    check_gradient(
        lambda *x: loss(*x)[0],
        lambda *x: similarity_oracle(*x, form),
        [CONTEXTS, REPLIES],
    )


def test_similarity_does_not_depend_on_how_the_batch_is_cut():
    whole = losses_dialogue.similarity_loss(CONTEXTS, REPLIES, WEIGHTS)
    parts = [
        losses_dialogue.similarity_loss(
            CONTEXTS[b : b + 1], REPLIES[b : b + 1], WEIGHTS[b : b + 1]
        )
        for b in range(2)
    ]
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=1e-6)


def test_one_reply_has_no_rival():
    weights = WEIGHTS * [[1, 0, 0], [0, 0, 0]]
    pair = losses_dialogue.similarity_loss(CONTEXTS, REPLIES, weights)
    np.testing.assert_allclose(pair, (0.0, 1.0), atol=1e-6)


def constraint_loss(intents, slots):
    """Intent 1 asks for slot 0 to be its candidate 0, and slot 1 not."""
    mass = functional_dialogue.allowed_log_mass(
        tf.nn.log_softmax(intents),
        tf.nn.log_softmax(slots),
        np.array([[0, 1]]),
        np.array([[[1, 0, 0], [0, 1, 1]]], bool),
        np.array([[[[[[-1]], [[-1]]], [[[0]], [[1]]]]] * 2]),
    )
    return losses_dialogue.constraint_loss(mass, WEIGHTS[:1, :2])


def constraint_oracle(intents, slots):
    i, s = oracles.softmax(intents), oracles.softmax(slots)
    total = 0.0
    for n in range(2):
        mass = i[0, n, 0]
        for v in range(3):
            for w in range(3):
                if v == 0 and w != 0:
                    mass += i[0, n, 1] * s[0, n, 0, v] * s[0, n, 1, w]
        total -= WEIGHTS[0, n] * np.log(mass)
    return total


def test_constraint_loss():
    intents = oracles.states(1, 2, 2)
    slots = oracles.states(1, 2, 2, 3, seed=1)
    check(
        constraint_loss(intents.astype("float32"), slots.astype("float32")),
        constraint_oracle(intents, slots),
        WEIGHTS[0, :2].sum(),
    )
    check_gradient(
        lambda *x: constraint_loss(*x)[0], constraint_oracle, [intents, slots]
    )


def test_where_nothing_counts_all_is_zero_and_so_are_the_gradients():
    logits, none = tf.constant(LOGITS, "float32"), np.zeros_like(WEIGHTS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_probs = functional_dialogue.masked_log_softmax(logits, VALID)
        pairs = [
            losses_dialogue.slot_loss(log_probs, TARGETS, VALID, none, 0.1),
            losses_dialogue.span_loss(log_probs, log_probs, SPANS, none),
            losses_dialogue.requested_loss(logits[..., 0], TARGETS, none),
            losses_dialogue.constraint_loss(logits[..., 0], none),
            losses_dialogue.similarity_loss(logits, logits, none),
        ]
        total = sum(pair[0] for pair in pairs)
    np.testing.assert_array_equal(pairs, 0.0)
    np.testing.assert_array_equal(tape.gradient(total, logits), 0.0)


def test_at_the_ends_they_and_their_gradients_are_finite():
    logits = tf.constant(LOGITS * 1e4, "float32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_probs = functional_dialogue.masked_log_softmax(logits, VALID)
        pairs = [
            losses_dialogue.slot_loss(log_probs, TARGETS, VALID, WEIGHTS),
            losses_dialogue.span_loss(log_probs, log_probs, SPANS, WEIGHTS),
            losses_dialogue.similarity_loss(0.0 * logits, logits, WEIGHTS),
        ]
        total = sum(pair[0] for pair in pairs)
    assert np.isfinite(pairs).all()
    assert np.isfinite(tape.gradient(total, logits)).all()
    assert functional.MASKED_LOGIT < 0
