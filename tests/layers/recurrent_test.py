"""The recurrent layer against its oracle, Keras' own, and its cached form."""

import keras
import numpy as np
import pytest

from gpt3_keras.layers.recurrent import Recurrent
from tests import oracles

CELLS = ("gru", "lstm")


def make(cell, dtype="float64"):
    layer = Recurrent(4, cell, dtype=dtype)
    layer.build((None, None, 3))
    return oracles.randomize(layer)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("batch", "length"), [(3, 5), (1, 4), (2, 1)])
def test_it_equals_its_oracle(cell, batch, length):
    layer = make(cell)
    inputs = oracles.states(batch, length, 3)
    expected = oracles.recurrent(inputs, layer)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_it_equals_keras_own(cell):
    layer = make(cell)
    kernel, input_bias = layer.input_dense.get_weights()
    recurrent_kernel = np.asarray(layer.recurrent_kernel)
    recurrent_bias = np.asarray(layer.recurrent_bias)
    if cell == "gru":
        peer = keras.layers.GRU(
            4, reset_after=True, return_sequences=True, dtype="float64"
        )
        biases = np.stack([input_bias, recurrent_bias])
    else:
        peer = keras.layers.LSTM(4, return_sequences=True, dtype="float64")
        biases = input_bias + recurrent_bias
    peer.build((None, 6, 3))
    peer.set_weights([kernel, recurrent_kernel, biases])
    inputs = oracles.states(2, 6, 3)
    np.testing.assert_allclose(layer(inputs), peer(inputs), rtol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_step_by_step_it_is_the_same(cell):
    layer = make(cell)
    inputs = oracles.states(2, 5, 3)
    expected, memory = layer.prefill(inputs)
    # What the memory holds at and after the position must not matter.
    memory = {name: values * 0.0 + 7.0 for name, values in memory.items()}
    for t in range(5):
        state, memory = layer.decode(inputs[:, t : t + 1], memory, t)
        np.testing.assert_allclose(
            state, expected[:, t : t + 1], rtol=1e-10, atol=1e-12
        )
    np.testing.assert_allclose(memory["states"], expected, rtol=1e-10)


def test_the_forget_gate_starts_open():
    layer = Recurrent(2, "lstm")
    layer.build((None, None, 3))
    np.testing.assert_array_equal(
        layer.recurrent_bias, [0, 0, 1, 1, 0, 0, 0, 0]
    )


def test_the_cell_must_be_known():
    with pytest.raises(ValueError, match="cell") as error:
        Recurrent(4, cell="rnn")
    assert str(error.value) == (
        "cell must be one of ('gru', 'lstm'). Received: cell='rnn'."
    )
