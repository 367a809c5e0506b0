"""GRU and LSTM kernels: values by oracles, gradients by differences."""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.backend.tensorflow import recurrence as backend
from tests import gradients
from tests import oracles

CASES = [
    ("eager", 2, 4),
    ("eager", 1, 3),
    ("eager", 3, 1),
    ("graph", 2, 4),
    ("graph", 1, 1),
    ("XLA", 2, 4),
    ("XLA", 1, 1),
]


def recurrence_arrays(batch, length, num_gates, has_bias):
    arrays = [
        oracles.states(batch, length, num_gates * 3),
        oracles.states(3, num_gates * 3, seed=1),
    ]
    bias = [oracles.states(num_gates * 3, seed=2)] if has_bias else []
    return arrays + bias


@pytest.mark.parametrize(("mode", "batch", "length"), CASES)
def test_gru(mode, batch, length):
    arrays = recurrence_arrays(batch, length, 3, has_bias=True)
    pull = oracles.states(batch, length, 3, seed=3)
    gradients.check(
        mode,
        lambda *arrays: tf.reduce_sum(pull * backend.gru(*arrays)),
        lambda *arrays: np.sum(pull * oracles.gru(*arrays)),
        arrays,
        [(None, None, 9), (3, 9), (9,)],
        rtol=1e-7,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        backend.gru(*arrays), oracles.gru(*arrays), rtol=1e-10
    )


@pytest.mark.parametrize(("mode", "batch", "length"), CASES)
def test_lstm(mode, batch, length):
    arrays = recurrence_arrays(batch, length, 4, has_bias=False)
    pulls = oracles.states(2, batch, length, 3, seed=3)
    gradients.check(
        mode,
        lambda *arrays: tf.reduce_sum(pulls * tf.stack(backend.lstm(*arrays))),
        lambda *arrays: np.sum(pulls * oracles.lstm(*arrays)),
        arrays,
        [(None, None, 12), (3, 12)],
        rtol=1e-7,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        backend.lstm(*arrays), oracles.lstm(*arrays), rtol=1e-10
    )


def test_they_agree_with_tensorflows_own_differences():
    for kernel, num_gates, has_bias in (
        (backend.gru, 3, True),
        (lambda *arrays: tf.stack(backend.lstm(*arrays)), 4, False),
    ):
        arrays = recurrence_arrays(1, 3, num_gates, has_bias)
        made, measured = tf.test.compute_gradient(tf.function(kernel), arrays)
        for gradient, difference in zip(made, measured, strict=True):
            np.testing.assert_allclose(gradient, difference, atol=1e-6)


@pytest.mark.parametrize("mode", gradients.MODES)
def test_they_do_not_see_the_future(mode):
    for kernel, num_gates, has_bias in (
        (backend.gru, 3, True),
        (lambda *arrays: sum(backend.lstm(*arrays)), 4, False),
    ):
        arrays = recurrence_arrays(2, 5, num_gates, has_bias)
        _, (gradient, *_) = gradients.value_and_gradients(
            mode,
            lambda *arrays, kernel=kernel: tf.reduce_sum(
                kernel(*arrays)[:, 2] ** 2
            ),
            arrays,
            [(None, None, num_gates * 3), *(a.shape for a in arrays[1:])],
        )
        assert (gradient.numpy()[:, 3:] == 0).all()
        assert (gradient.numpy()[:, :3] != 0).any(axis=(0, 2)).all()
