"""Each equation against loops, and at the edges of float32."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gpt3_keras import functional
from tests import oracles

TOKEN_IDS = np.array([[3, 3, 5, 3, 1], [1, 2, 2, 0, 0]], "int32")
TARGETS = np.array([[3, 5, 3, 9, 5], [2, 2, 1, 0, 0]], "int32")
PADDING_MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
MASK = oracles.causal(PADDING_MASK)
V = 10


def masked_logits(scale=1.0, mask=MASK):
    logits = oracles.states(*mask.shape) * scale
    return np.where(mask, logits, functional.MASKED_LOGIT).astype("float32")


def matches():
    expected = np.zeros(MASK.shape, bool)
    for b, t, j in np.ndindex(MASK.shape):
        same = TOKEN_IDS[b, j] == TARGETS[b, t]
        expected[b, t, j] = same and MASK[b, t, j]
    return expected


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_causal_mask(dtype):
    mask = functional.causal_mask(PADDING_MASK.astype(dtype))
    assert mask.dtype == "bool"
    np.testing.assert_array_equal(mask, MASK)


def test_past_mask():
    expected = [[[True, True, True, False]]]
    np.testing.assert_array_equal(functional.past_mask(4, 2), expected)
    np.testing.assert_array_equal(
        functional.past_mask(4, tf.constant(2)), expected
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_masked_logit_is_finite_and_has_no_probability(dtype):
    logits = ops.zeros((1, 3), dtype)
    masked = functional.mask_logits(logits, np.array([[True, True, False]]))
    assert masked.dtype == dtype
    assert ops.all(ops.isfinite(masked))
    probs = functional.softmax(masked)
    assert probs.dtype == "float32"
    np.testing.assert_array_equal(probs, [[0.5, 0.5, 0.0]])


def test_softmax_of_one_choice():
    np.testing.assert_array_equal(functional.softmax(tf.zeros((2, 1))), 1.0)


def test_log_gate_never_ends():
    logits = np.array([-1e4, -2.0, 0.0, 2.0, 1e4], "float32")
    log_generate, log_copy = functional.log_gate(logits)
    np.testing.assert_allclose(
        log_generate,
        [-1e4, np.log(oracles.sigmoid(-2)), np.log(0.5), -0.126928, 0.0],
        rtol=1e-5,
    )
    np.testing.assert_array_equal(log_copy, log_generate[::-1])


def test_match_targets():
    match = functional.match_targets(TOKEN_IDS, TARGETS, MASK)
    np.testing.assert_array_equal(match, matches())


def test_copy_log_probs_sum_over_repeats():
    logits = masked_logits()
    probs = oracles.softmax(logits)
    expected = np.zeros((*TOKEN_IDS.shape, V))
    for b, t, j in np.ndindex(MASK.shape):
        expected[b, t, TOKEN_IDS[b, j]] += probs[b, t, j]
    log_probs = functional.copy_log_probs(logits, TOKEN_IDS, V).numpy()
    np.testing.assert_allclose(np.exp(log_probs), expected, atol=1e-6)
    assert (log_probs[expected == 0] == functional.MASKED_LOGIT).all()

    of_targets = functional.copy_log_probs_of_targets(logits, matches())
    picked = np.take_along_axis(log_probs, TARGETS[..., None], -1)[..., 0]
    present = matches().any(-1)
    np.testing.assert_allclose(
        of_targets.numpy()[present], picked[present], rtol=1e-5, atol=1e-6
    )
    assert (of_targets.numpy()[~present] < -2.9e4).all()


def test_mixture_log_probs():
    gates = np.array([-1e4, -1.0, 1.0, 1e4], "float32")
    generation = np.log(np.array([0.1, 0.2, 0.3, 0.4], "float32"))
    copy = np.log(np.array([0.5, 0.6, 0.7, 0.8], "float32"))
    probs = np.exp(functional.mixture_log_probs(gates, generation, copy))
    share = oracles.sigmoid([-1e4, -1.0, 1.0, 1e4])
    expected = share * np.exp(generation) + (1 - share) * np.exp(copy)
    np.testing.assert_allclose(probs, expected, rtol=1e-5)


def test_soft_rank_by_hand():
    logits = np.array([[[2.0, 1.0, 3.0, 0.0]]], "float32")
    match = np.array([[[True, True, False, False]]])
    mask = np.ones((1, 1, 4), bool)
    expected = 1 + oracles.sigmoid(1 / 0.5) + oracles.sigmoid(-2 / 0.5)
    rank = functional.soft_rank(logits, match, mask, temperature=0.5)
    np.testing.assert_allclose(rank, [[expected]], rtol=1e-6)
    exact = functional.exact_rank(logits, match, mask)
    np.testing.assert_array_equal(exact, [[2.0]])


def test_only_readable_rivals_count():
    logits = np.array([[[2.0, 9.0, 9.0]]], "float32")
    match = np.array([[[True, False, False]]])
    mask = np.array([[[True, True, False]]])
    assert functional.exact_rank(logits, match, mask) == 2.0
    assert functional.soft_rank(logits, match, mask, 1e-3) == 2.0


def test_exact_rank_counts_the_positions_above():
    logits, match = masked_logits(3.0), matches()
    ranks = functional.exact_rank(logits, match, MASK).numpy()
    for b, t in np.argwhere(match.any(-1)):
        best = logits[b, t][match[b, t]].max()
        rivals = logits[b, t][MASK[b, t] & ~match[b, t]]
        assert ranks[b, t] == 1 + (rivals > best).sum()


def test_soft_rank_becomes_exact_as_it_cools():
    logits, match = masked_logits(3.0), matches()
    present = match.any(-1)
    exact = functional.exact_rank(logits, match, MASK).numpy()[present]
    errors = [
        np.abs(
            functional.soft_rank(logits, match, MASK, t).numpy()[present]
            - exact
        ).max()
        for t in (1.0, 0.1, 1e-4)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_shift_right():
    states = oracles.states(2, 3, 4)
    shifted = functional.shift_right(states).numpy()
    assert (shifted[:, 0] == 0).all()
    np.testing.assert_array_equal(shifted[:, 1:], states[:, :-1])


@pytest.mark.parametrize("as_index", [int, tf.constant])
def test_positions(as_index):
    values = oracles.states(2, 3, 4)
    for index in range(3):
        before = functional.position_before(values, as_index(index)).numpy()
        np.testing.assert_array_equal(
            before, functional.shift_right(values)[:, index : index + 1]
        )
        update = oracles.states(2, 1, 4, seed=1)
        expected = values.copy()
        expected[:, index] = update[:, 0]
        np.testing.assert_array_equal(
            functional.set_position(
                ops.convert_to_tensor(values), update, as_index(index)
            ),
            expected,
        )


def test_until_stop():
    token_ids = np.array([[9, 9, 1, 9, 2], [9, 1, 2, 3, 4]], "int32")
    prompt = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool)

    def kept(stop_token_ids):
        return functional.until_stop(token_ids, prompt, stop_token_ids)

    np.testing.assert_array_equal(kept([9]), [[True] * 4 + [False], [True] * 5])
    np.testing.assert_array_equal(
        kept([1, 3]),
        [[True] * 3 + [False] * 2, [True] * 2 + [False] * 3],
    )
    assert np.all(kept(None))


def test_the_gru_cell_is_a_step_of_its_oracle():
    kernel, bias = oracles.states(3, 9, seed=1), oracles.states(9, seed=2)
    projection = oracles.states(2, 2, 9)
    h = oracles.gru(projection, kernel, bias)
    state, gates = functional.gru_cell(
        projection[:, 1], h[:, 0] @ kernel + bias, h[:, 0]
    )
    np.testing.assert_allclose(state, h[:, 1], rtol=1e-10)
    assert len(gates) == 3


def test_the_lstm_cell_is_a_step_of_its_oracle():
    kernel = oracles.states(3, 12, seed=1)
    projection = oracles.states(2, 2, 12)
    h, c = oracles.lstm(projection, kernel)
    state, cell, gates = functional.lstm_cell(
        projection[:, 1], h[:, 0] @ kernel, c[:, 0]
    )
    np.testing.assert_allclose(state, h[:, 1], rtol=1e-10)
    np.testing.assert_allclose(cell, c[:, 1], rtol=1e-10)
    assert len(gates) == 4
