"""The generator: one block that reads the encoder, then a normalisation."""

import numpy as np
import pytest

from gpt3_keras.layers.generator import Generator
from tests import oracles

PADDING_MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)


def make(rnn):
    layer = Generator(2, 6, rnn, dtype="float64")
    layer.build((None, None, 6), (None, None, 6))
    return oracles.randomize(layer)


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
def test_it_equals_its_oracle(rnn):
    layer = make(rnn)
    states, encoded = oracles.states(2, 4, 6), oracles.states(2, 4, 6, seed=1)
    expected = oracles.autoregressive_block(
        states, oracles.causal(PADDING_MASK), layer.block, encoded
    )
    expected = oracles.norm(expected, layer.norm)
    np.testing.assert_allclose(
        layer(states, encoded, PADDING_MASK), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
def test_step_by_step_it_is_the_same(rnn):
    layer = make(rnn)
    states, encoded = oracles.states(2, 4, 6), oracles.states(2, 4, 6, seed=1)
    expected, cache = layer.prefill(states, encoded, np.ones((2, 4), bool))
    for t in range(4):
        here = slice(t, t + 1)
        state, cache = layer.decode(states[:, here], encoded[:, here], cache, t)
        np.testing.assert_allclose(
            state, expected[:, here], rtol=1e-5, atol=1e-5
        )
