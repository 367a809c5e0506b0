"""The equations of dialogue understanding against loops over everything."""

import itertools

import numpy as np
import pytest

from gpt3_keras import functional
from gpt3_keras import functional_dialogue
from tests import oracles


def log_probs(*shape, seed=0):
    logits = oracles.states(*shape, seed=seed) * 2
    return oracles.log_softmax(logits).astype("float32")


def test_a_slot_keeps_its_value_or_takes_a_new_one():
    updates = log_probs(2, 3, 5)
    previous = np.array([[0, 3, 1], [2, 2, -1]])
    found = np.asarray(functional_dialogue.state_log_probs(updates, previous))
    expected = np.exp(updates[..., 1:].astype("float64"))
    for b, n in np.ndindex(previous.shape):
        if previous[b, n] >= 0:
            expected[b, n, previous[b, n]] += np.exp(updates[b, n, 0])
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-5)
    # Nothing is lost, but where there is no value to keep.
    total = np.exp(found).sum(axis=-1)
    np.testing.assert_allclose(total[previous >= 0], 1.0, rtol=1e-5)
    assert total[1, 2] < 1 - 1e-3


@pytest.mark.parametrize("inner", [(), (2,)])
def test_a_belief_is_updated_turn_by_turn(inner):
    updates = log_probs(3, 6, *inner, 5)
    is_turn = np.array(
        [[1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0]], bool
    )
    found = functional_dialogue.belief_log_probs(updates, is_turn)
    belief = np.zeros((3, *inner, 4))
    belief[..., 0] = 1.0
    for n in range(6):
        update = np.exp(updates[:, n].astype("float64"))
        new = update[..., :1] * belief + update[..., 1:]
        turn = is_turn[:, n].reshape(-1, *[1] * (len(inner) + 1))
        belief = np.where(turn, new, belief)
        np.testing.assert_allclose(np.exp(found[:, n]), belief, rtol=1e-5)
    np.testing.assert_allclose(belief.sum(axis=-1), 1.0, rtol=1e-6)


def test_a_belief_survives_what_is_never_taken_nor_kept():
    updates = np.full((1, 3, 4), functional.MASKED_LOGIT, "float32")
    updates[:, :, 2] = 0.0  # Candidate 1 is taken for sure, again and again.
    found = functional_dialogue.belief_log_probs(updates, np.ones((1, 3), bool))
    np.testing.assert_allclose(np.exp(found), [[[0.0, 1.0, 0.0]] * 3])
    assert np.isfinite(np.asarray(found)).all()


def test_masked_log_softmax():
    logits = oracles.states(2, 4)
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 0]], bool)
    found = functional_dialogue.masked_log_softmax(logits, mask)
    for row, kept, log_p in zip(logits, mask, found, strict=True):
        expected = oracles.log_softmax(row[kept])
        np.testing.assert_allclose(log_p[kept], expected, atol=1e-5)
        assert np.isfinite(log_p).all()
        np.testing.assert_array_equal(np.exp(log_p)[~kept], 0.0)


def test_texts_are_pooled_over_their_tokens_alone():
    embeddings = oracles.states(3, 4, 2)
    ids = np.array([[5, 0, 7, -1], [2, -1, -1, -1], [-1] * 4])
    found = functional_dialogue.pool_texts(embeddings, ids)
    for row, vectors, pooled in zip(ids, embeddings, found, strict=True):
        real = vectors[row >= 0]
        expected = real.sum(axis=0) / max(len(real), 1) ** 0.5
        np.testing.assert_allclose(pooled, expected, rtol=1e-6)


SPANS = np.array([[[0, 1], [3, 3], [-1, -1]], [[-1, -1]] * 3])


def test_spans_add_up():
    starts, ends = log_probs(2, 5), log_probs(2, 5, seed=1)
    found = functional_dialogue.span_log_probs(starts, ends, SPANS)
    p, q = np.exp(starts[0]), np.exp(ends[0])
    expected = np.log(p[0] * q[1] + p[3] * q[3])
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    assert found[1] < 0.9 * functional.MASKED_LOGIT


@pytest.mark.parametrize("max_tokens", [1, 2, 4])
def test_the_best_span_lies_in_one_utterance(max_tokens):
    segments = np.array([[-1, 0, 0, 1, 1, 1]])
    starts = log_probs(1, 3, 2, 6)
    ends = log_probs(1, 3, 2, 6, seed=1)
    found = functional_dialogue.best_spans(starts, ends, segments, max_tokens)
    for n, s in np.ndindex(3, 2):
        spans = {
            (i, j): starts[0, n, s, i] + ends[0, n, s, j]
            for i, j in itertools.product(range(6), repeat=2)
            if i <= j < i + max_tokens and segments[0, i] == segments[0, j]
        }
        assert tuple(np.asarray(found)[0, n, s]) == max(spans, key=spans.get)


# Two intents; slots 0 and 1 are tied, slot 2 has a rule under intent 1 alone.
CLASS_SLOTS = np.array([[0, 0, 1, 2]])
CLASSES = np.array([[[1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0]]], bool)
ASSIGNMENTS = [
    [[[0, -1], [1, 2]], [[-1, -1], [-2, -2]]],
    [[[0, -1], [1, 2]], [[3, -1], [-2, -2]]],
]


def is_allowed(intent, values):
    if values[0] > 0 and values[1] != 1:
        return False
    return intent == 0 or values[2] == 0


def allowed_log_mass(intents, slots, assignments=ASSIGNMENTS):
    turns = [[assignments] * intents.shape[1]]
    return functional_dialogue.allowed_log_mass(
        intents, slots, CLASS_SLOTS, CLASSES, np.array(turns)
    )


def test_the_allowed_mass_is_that_of_all_states_one_by_one():
    intents, slots = log_probs(1, 2, 2), log_probs(1, 2, 3, 3, seed=1)
    found = allowed_log_mass(intents, slots)
    for n in range(2):
        mass = sum(
            np.exp(
                float(intents[0, n, i])
                + sum(float(slots[0, n, s, v]) for s, v in enumerate(values))
            )
            for i, *values in itertools.product(range(2), *[range(3)] * 3)
            if is_allowed(i, values)
        )
        assert 0.05 < mass < 0.95
        np.testing.assert_allclose(found[0, n], np.log(mass), rtol=1e-5)


def test_without_rules_all_is_allowed():
    intents, slots = log_probs(1, 2, 2), log_probs(1, 2, 3, 3, seed=1)
    free = [[[[-1, -1]]], [[[-1, -1]]]]
    found = allowed_log_mass(intents, slots, free)
    np.testing.assert_allclose(found, 0.0, atol=1e-6)


def test_a_state_that_breaks_a_rule_for_sure_has_a_finite_price():
    intents = np.log(np.array([[[1e-30, 1.0]]], "float32"))
    slots = np.full((1, 1, 3, 3), functional.MASKED_LOGIT, "float32")
    slots[..., 2] = 0.0
    found = allowed_log_mass(intents, slots)
    assert np.isfinite(found).all()
    assert (np.asarray(found) < -100).all()
