"""Attention against its oracle, whole and in halves."""

import numpy as np
import pytest

from gpt3_keras.layers.attention import Attention
from tests import oracles


@pytest.fixture
def layer():
    layer = Attention(num_heads=2, hidden_dim=6, dtype="float64")
    layer.build((None, None, 6), (None, None, 6))
    return oracles.randomize(layer)


def test_it_equals_its_oracle(layer):
    states, memory = oracles.states(2, 3, 6), oracles.states(2, 4, 6, seed=1)
    mask = np.random.default_rng(2).random((2, 3, 4)) < 0.6
    mask[..., 1] = True
    expected = oracles.attention(
        states, memory, mask, oracles.attention_weights(layer), num_heads=2
    )
    np.testing.assert_allclose(
        layer(states, memory, mask), expected, rtol=1e-5, atol=1e-6
    )


def test_its_halves_are_the_whole(layer):
    states, memory = oracles.states(2, 3, 6), oracles.states(2, 4, 6, seed=1)
    mask = np.ones((2, 3, 4), bool)
    keys, values = layer.project_memory(memory)
    assert keys.shape == values.shape == (2, 2, 4, 3)
    np.testing.assert_array_equal(
        layer.attend(states, keys, values, mask), layer(states, memory, mask)
    )


def test_what_is_masked_is_not_read(layer):
    states, memory = oracles.states(1, 2, 6), oracles.states(1, 3, 6, seed=1)
    mask = np.array([[[True, True, False]] * 2])
    expected = layer(states, memory, mask)
    memory[:, 2] = 1e3
    np.testing.assert_array_equal(layer(states, memory, mask), expected)


def test_an_empty_row_of_the_mask_gives_numbers(layer):
    states = oracles.states(1, 2, 6)
    assert np.isfinite(layer(states, states, np.zeros((1, 2, 2), bool))).all()


def test_initializers_draw_apart():
    layer = Attention(1, 4, kernel_initializer="he_normal")
    layer.build((None, None, 4), (None, None, 4))
    query, key = layer.query_dense.kernel, layer.key_dense.kernel
    assert not np.allclose(query, key)


def test_heads_must_divide():
    with pytest.raises(ValueError, match="num_heads") as error:
        Attention(num_heads=3, hidden_dim=16)
    assert str(error.value) == (
        "num_heads must divide hidden_dim. Received: num_heads=3, "
        "hidden_dim=16."
    )
