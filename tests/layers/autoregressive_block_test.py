"""The block against the composition of its parts' oracles."""

import numpy as np
import pytest

from gpt3_keras.layers.autoregressive_block import AutoregressiveBlock
from tests import oracles

RNNS = ("gru", "lstm")


def make(rnn):
    layer = AutoregressiveBlock(2, 6, rnn, dropout=0.5, dtype="float64")
    layer.build((None, None, 6))
    return oracles.randomize(layer)


@pytest.mark.parametrize("rnn", RNNS)
@pytest.mark.parametrize("has_memory", [False, True])
def test_it_equals_its_oracle(rnn, has_memory):
    layer = make(rnn)
    states = oracles.states(2, 4, 6)
    memory = oracles.states(2, 4, 6, seed=1) if has_memory else None
    mask = oracles.causal(np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool))
    expected = oracles.autoregressive_block(states, mask, layer, memory)
    np.testing.assert_allclose(
        layer(states, mask, memory), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("rnn", RNNS)
@pytest.mark.parametrize("has_memory", [False, True])
def test_step_by_step_it_is_the_same(rnn, has_memory):
    layer = make(rnn)
    states = oracles.states(2, 4, 6)
    memory = oracles.states(2, 4, 6, seed=1) if has_memory else None
    mask = oracles.causal(np.ones((2, 4), bool))
    expected, cache = layer.prefill(states, mask, memory)
    cache = {name: values * 0.0 + 7.0 for name, values in cache.items()}
    for t in range(4):
        here = slice(t, t + 1)
        state, cache = layer.decode(
            states[:, here],
            cache,
            t,
            memory=None if memory is None else memory[:, here],
        )
        np.testing.assert_allclose(
            state, expected[:, here], rtol=1e-5, atol=1e-6
        )


def test_dropout_is_of_the_branches_and_of_their_keys():
    """Without keys there is none; a row keeps its mask in any batch."""
    layer = make("gru")
    states = np.repeat(oracles.states(1, 3, 6), 3, axis=0)
    mask = oracles.causal(np.ones((3, 3), bool))
    plain = layer(states, mask)
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-5)
    keys = np.array([1, 2, 1], "int32")
    dropped = np.asarray(layer(states, mask, dropout_keys=keys))
    assert np.abs(dropped[0] - plain[0]).max() > 0.1
    assert np.abs(dropped[0] - dropped[1]).max() > 0.1
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(dropped[0], dropped[2], **close)
    alone = layer(states[:1], mask[:1], dropout_keys=keys[:1])
    np.testing.assert_allclose(dropped[0], alone[0], **close)
