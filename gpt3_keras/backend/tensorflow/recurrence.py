"""TensorFlow: the two recurrences with their gradients."""

import tensorflow as tf

from gpt3_keras import functional_recurrence as equations
from gpt3_keras.functional_recurrence import time_first


@tf.custom_gradient
def gru(projection, recurrent_kernel, recurrent_bias):
    """States of a GRU that starts from zeros.

    Args:
        projection: float (B, T, 3D), W x + b for every step.
        recurrent_kernel: float (D, 3D).
        recurrent_bias: float (3D,).

    Returns:
        float (B, T, D).
    """
    states_TBD, saved_TBG = equations.gru_states(
        _scan, time_first(projection), recurrent_kernel, recurrent_bias
    )

    def gradient(upstream):
        d_projection_TBG, d_kernel, d_bias = equations.gru_gradient(
            _scan, states_TBD, saved_TBG, recurrent_kernel, time_first(upstream)
        )
        return time_first(d_projection_TBG), d_kernel, d_bias

    return time_first(states_TBD), gradient


@tf.custom_gradient
def lstm(projection, recurrent_kernel):
    """States and cells of an LSTM that starts from zeros.

    Args:
        projection: float (B, T, 4D), W x + b for every step.
        recurrent_kernel: float (D, 4D).

    Returns:
        A pair of float (B, T, D): states and cells.
    """
    forward = equations.lstm_states(
        _scan, time_first(projection), recurrent_kernel
    )

    def gradient(*upstream):
        d_projection_TBG, d_kernel = equations.lstm_gradient(
            _scan, forward, recurrent_kernel, [time_first(u) for u in upstream]
        )
        return time_first(d_projection_TBG), d_kernel

    return tuple(time_first(x) for x in forward[:2]), gradient


def _scan(step, inputs, carry, num_outputs, reverse=False):
    """The loop that `functional_recurrence` wants.

    One `while_loop` over TensorArrays of known size: `tf.scan` does not
    compile under XLA, and the callers bring their own gradients.
    """
    length = inputs[0].shape[0]
    num_steps = tf.shape(inputs[0])[0] if length is None else length
    sources = [
        tf.TensorArray(x.dtype, num_steps, element_shape=x.shape[1:]).unstack(x)
        for x in inputs
    ]
    sinks = [
        tf.TensorArray(inputs[0].dtype, num_steps) for _ in range(num_outputs)
    ]

    def body(count, carry, sinks):
        index = num_steps - 1 - count if reverse else count
        carry, outputs = step([s.read(index) for s in sources], carry)
        sinks = [s.write(index, x) for s, x in zip(sinks, outputs, strict=True)]
        return count + 1, list(carry), sinks

    _, _, sinks = tf.while_loop(
        lambda count, *_: count < num_steps,
        body,
        (0, list(carry), sinks),
        maximum_iterations=num_steps,
    )
    return [sink.stack() for sink in sinks]
