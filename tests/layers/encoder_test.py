"""The encoder: its blocks in a row, then a normalisation."""

import numpy as np
import pytest

from gpt3_keras.layers.encoder import Encoder
from tests import oracles

PADDING_MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)


def make(rnn, num_layers=2):
    layer = Encoder(num_layers, 2, 6, rnn, dtype="float64")
    layer.build((None, None, 6))
    return oracles.randomize(layer)


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_it_equals_its_oracle(rnn, num_layers):
    layer = make(rnn, num_layers)
    assert len(layer.blocks) == num_layers
    states = oracles.states(2, 4, 6)
    expected = states
    for block in layer.blocks:
        expected = oracles.autoregressive_block(
            expected, oracles.causal(PADDING_MASK), block
        )
    expected = oracles.norm(expected, layer.norm)
    np.testing.assert_allclose(
        layer(states, PADDING_MASK), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
def test_step_by_step_it_is_the_same(rnn):
    layer = make(rnn)
    states = oracles.states(2, 4, 6)
    expected, cache = layer.prefill(states, np.ones((2, 4), bool))
    assert list(cache) == ["block_0", "block_1"]
    for t in range(4):
        here = slice(t, t + 1)
        state, cache = layer.decode(states[:, here], cache, t)
        np.testing.assert_allclose(
            state, expected[:, here], rtol=1e-5, atol=1e-5
        )


def test_blocks_have_weights_of_their_own():
    layer = Encoder(2, 2, 6)
    layer.build((None, None, 6))
    first, second = (b.attention.query_dense.kernel for b in layer.blocks)
    assert not np.allclose(first, second)
