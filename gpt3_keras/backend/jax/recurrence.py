"""JAX: the two recurrences with their gradients."""

import jax

from gpt3_keras import functional_recurrence as equations
from gpt3_keras.functional_recurrence import time_first


@jax.custom_vjp
def gru(projection, recurrent_kernel, recurrent_bias):
    """States of a GRU, float (B, T, D); arguments as on TensorFlow."""
    return _gru_forward(projection, recurrent_kernel, recurrent_bias)[0]


def _gru_forward(projection, recurrent_kernel, recurrent_bias):
    states_TBD, saved_TBG = equations.gru_states(
        _scan, time_first(projection), recurrent_kernel, recurrent_bias
    )
    return time_first(states_TBD), (states_TBD, saved_TBG, recurrent_kernel)


def _gru_backward(kept, upstream):
    d_projection_TBG, d_kernel, d_bias = equations.gru_gradient(
        _scan, *kept, time_first(upstream)
    )
    return time_first(d_projection_TBG), d_kernel, d_bias


gru.defvjp(_gru_forward, _gru_backward)


@jax.custom_vjp
def lstm(projection, recurrent_kernel):
    """States and cells of an LSTM; arguments as on TensorFlow."""
    return _lstm_forward(projection, recurrent_kernel)[0]


def _lstm_forward(projection, recurrent_kernel):
    forward = equations.lstm_states(
        _scan, time_first(projection), recurrent_kernel
    )
    states_cells = tuple(time_first(x) for x in forward[:2])
    return states_cells, (forward, recurrent_kernel)


def _lstm_backward(kept, upstream):
    d_projection_TBG, d_kernel = equations.lstm_gradient(
        _scan, *kept, [time_first(u) for u in upstream]
    )
    return time_first(d_projection_TBG), d_kernel


lstm.defvjp(_lstm_forward, _lstm_backward)


def _scan(step, inputs, carry, num_outputs, reverse=False):
    """The loop that `functional_recurrence` wants."""
    del num_outputs  # Known from the step itself.

    def body(carry, inputs):
        carry, outputs = step(inputs, carry)
        return tuple(carry), outputs

    return jax.lax.scan(body, tuple(carry), inputs, reverse=reverse)[1]
