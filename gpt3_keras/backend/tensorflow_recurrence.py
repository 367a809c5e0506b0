"""TensorFlow kernels of the two recurrences, with hand-written gradients.

Shapes follow the legend of `functional.py`, with G for a recurrence's gates
side by side.
"""

import tensorflow as tf

from gpt3_keras import functional


@tf.custom_gradient
def gru(projection, recurrent_kernel, recurrent_bias):
    """States of a GRU that starts from zeros.

    The loop does only the recurrent product. Its gradient's loop does only
    the transposed product; the weights' gradients are one product after it.

    Args:
        projection: float (B, T, 3D), W x + b for every step.
        recurrent_kernel: float (D, 3D).
        recurrent_bias: float (3D,).

    Returns:
        float (B, T, D).
    """
    projection_TBG = tf.transpose(projection, [1, 0, 2])
    zero_BD = _zero_state(projection_TBG, recurrent_kernel)

    def step(inputs, carry):
        (state_BD,) = carry
        product_BG = tf.matmul(state_BD, recurrent_kernel) + recurrent_bias
        state_BD, gates = functional.gru_cell(inputs[0], product_BG, state_BD)
        u_n_BD = tf.split(product_BG, 3, axis=-1)[2]
        saved_BG = tf.concat([*gates, u_n_BD], axis=-1)
        return (state_BD,), (state_BD, saved_BG)

    states_TBD, saved_TBG = _scan(step, [projection_TBG], [zero_BD], 2)

    def gradient(upstream):
        z, r, n, u_n = tf.split(saved_TBG, 4, axis=-1)
        previous_TBD = _shift(states_TBD)
        through_n = (1 - z) * (1 - n * n)
        # d product / d state, gate by gate; dh times this is the gradient of
        # the recurrent product.
        slope_TBG = tf.concat(
            [
                (previous_TBD - n) * z * (1 - z),
                through_n * u_n * r * (1 - r),
                through_n * r,
            ],
            axis=-1,
        )

        def step(inputs, carry):
            upstream_BD, slope_BG, z_BD = inputs
            d_state = upstream_BD + carry[0]
            d_product = tf.tile(d_state, [1, 3]) * slope_BG
            d_previous = d_state * z_BD + tf.matmul(
                d_product, recurrent_kernel, transpose_b=True
            )
            return (d_previous,), (d_state,)

        upstream_TBD = tf.transpose(upstream, [1, 0, 2])
        (d_state_TBD,) = _scan(
            step, [upstream_TBD, slope_TBG, z], [zero_BD], 1, reverse=True
        )
        d_product_TBG = tf.tile(d_state_TBD, [1, 1, 3]) * slope_TBG
        d_z_r_TBG = d_product_TBG[..., : -z.shape[-1]]
        d_projection_TBG = tf.concat(
            [d_z_r_TBG, d_state_TBD * through_n], axis=-1
        )
        return (
            tf.transpose(d_projection_TBG, [1, 0, 2]),
            _outer_sum(previous_TBD, d_product_TBG),
            tf.reduce_sum(d_product_TBG, axis=[0, 1]),
        )

    return tf.transpose(states_TBD, [1, 0, 2]), gradient


@tf.custom_gradient
def lstm(projection, recurrent_kernel):
    """States and cells of an LSTM that starts from zeros.

    Args:
        projection: float (B, T, 4D), W x + b for every step.
        recurrent_kernel: float (D, 4D).

    Returns:
        A pair of float (B, T, D): states and cells.
    """
    projection_TBG = tf.transpose(projection, [1, 0, 2])
    zero_BD = _zero_state(projection_TBG, recurrent_kernel)

    def step(inputs, carry):
        state_BD, cell_BD = carry
        product_BG = tf.matmul(state_BD, recurrent_kernel)
        state_BD, cell_BD, gates = functional.lstm_cell(
            inputs[0], product_BG, cell_BD
        )
        saved_BG = tf.concat(gates, axis=-1)
        return (state_BD, cell_BD), (state_BD, cell_BD, saved_BG)

    states_TBD, cells_TBD, saved_TBG = _scan(
        step, [projection_TBG], [zero_BD, zero_BD], 3
    )

    def gradient(upstream_states, upstream_cells):
        i, f, g, o = tf.split(saved_TBG, 4, axis=-1)
        tanh_TBD = tf.tanh(cells_TBD)
        to_cell_TBD = o * (1 - tanh_TBD * tanh_TBD)
        slope_cell_TBG = tf.concat(
            [g * i * (1 - i), _shift(cells_TBD) * f * (1 - f), i * (1 - g * g)],
            axis=-1,
        )
        slope_o_TBD = tanh_TBD * o * (1 - o)

        def step(inputs, carry):
            d_state, d_cell, to_cell, slope_cell, slope_o, f_BD = inputs
            d_state = d_state + carry[0]
            d_cell = d_cell + carry[1] + d_state * to_cell
            d_gates = tf.concat(
                [tf.tile(d_cell, [1, 3]) * slope_cell, d_state * slope_o],
                axis=-1,
            )
            d_previous = tf.matmul(d_gates, recurrent_kernel, transpose_b=True)
            return (d_previous, d_cell * f_BD), (d_gates,)

        inputs = [
            tf.transpose(upstream_states, [1, 0, 2]),
            tf.transpose(upstream_cells, [1, 0, 2]),
            to_cell_TBD,
            slope_cell_TBG,
            slope_o_TBD,
            f,
        ]
        (d_gates_TBG,) = _scan(
            step, inputs, [zero_BD, zero_BD], 1, reverse=True
        )
        return (
            tf.transpose(d_gates_TBG, [1, 0, 2]),
            _outer_sum(_shift(states_TBD), d_gates_TBG),
        )

    outputs = (
        tf.transpose(states_TBD, [1, 0, 2]),
        tf.transpose(cells_TBD, [1, 0, 2]),
    )
    return outputs, gradient


def _scan(step, inputs, carry, num_outputs, reverse=False):
    """`step` over axis 0 of `inputs`, its outputs stacked on a new axis 0.

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


def _zero_state(projection_TBG, recurrent_kernel):
    shape = [tf.shape(projection_TBG)[1], recurrent_kernel.shape[0]]
    return tf.zeros(shape, projection_TBG.dtype)


def _shift(states_TBD):
    """The state before each step: zeros, then all states but the last."""
    return tf.pad(states_TBD, [[1, 0], [0, 0], [0, 0]])[:-1]


def _outer_sum(left_TBD, right_TBG):
    """sum_tb left_tb right_tb^T as one matrix product."""
    left_ND = tf.reshape(left_TBD, [-1, left_TBD.shape[-1]])
    right_NG = tf.reshape(right_TBG, [-1, right_TBG.shape[-1]])
    return tf.matmul(left_ND, right_NG, transpose_a=True)
