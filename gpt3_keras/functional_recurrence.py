"""The recurrences over a whole row, and their gradients, in `keras.ops`.

Each is written once for all backends; what a loop is, a backend says:

`scan(step, inputs, carry, num_outputs, reverse=False)` calls
`step(inputs_t, carry) -> (carry, outputs_t)` over axis 0 of the arrays in
`inputs`, from its end if `reverse`, and gives the outputs, as many as
`num_outputs`, each stacked on a new axis 0 in the order of the inputs.

Time stands first here. Axes as in `functional.py`, with G for a recurrence's
gates side by side.
"""

from keras import ops

from gpt3_keras import functional


def gru_states(scan, projection_TBG, recurrent_kernel, recurrent_bias):
    """A GRU that starts from zeros. The loop does the recurrent product alone.

    Args:
        scan: see above.
        projection_TBG: float (T, B, 3D), W x + b for every step.
        recurrent_kernel: float (D, 3D).
        recurrent_bias: float (3D,).

    Returns:
        The states, float (T, B, D), and what the gradient wants of each step,
        float (T, B, 4D): the gates and the candidate's recurrent product.
    """

    def step(inputs, carry):
        (state_BD,) = carry
        product_BG = ops.matmul(state_BD, recurrent_kernel) + recurrent_bias
        state_BD, gates = functional.gru_cell(inputs[0], product_BG, state_BD)
        u_n_BD = ops.split(product_BG, 3, axis=-1)[2]
        return (state_BD,), (state_BD, ops.concatenate([*gates, u_n_BD], -1))

    start = [_zero_state(projection_TBG, recurrent_kernel)]
    return scan(step, [projection_TBG], start, 2)


def gru_gradient(scan, states_TBD, saved_TBG, recurrent_kernel, upstream_TBD):
    """The gradient of `gru_states` to its three arrays.

    The loop does the transposed product alone; the weights' gradients are one
    product after it.

    Args:
        scan, states_TBD, saved_TBG, recurrent_kernel: as for `gru_states`,
            and what it gave.
        upstream_TBD: float (T, B, D), the gradient to the states.

    Returns:
        Gradients of the shapes of projection, kernel and bias.
    """
    z, r, n, u_n = ops.split(saved_TBG, 4, axis=-1)
    previous_TBD = _shift(states_TBD)
    through_n = (1 - z) * (1 - n * n)
    # d product / d state, gate by gate; dh times this is the gradient of the
    # recurrent product.
    slope_TBG = ops.concatenate(
        [
            (previous_TBD - n) * z * (1 - z),
            through_n * u_n * r * (1 - r),
            through_n * r,
        ],
        axis=-1,
    )
    kernel_GD = ops.transpose(recurrent_kernel)

    def step(inputs, carry):
        upstream_BD, slope_BG, z_BD = inputs
        d_state = upstream_BD + carry[0]
        d_product = ops.tile(d_state, [1, 3]) * slope_BG
        d_previous = d_state * z_BD + ops.matmul(d_product, kernel_GD)
        return (d_previous,), (d_state,)

    start = [_zero_state(states_TBD, recurrent_kernel)]
    (d_state_TBD,) = scan(
        step, [upstream_TBD, slope_TBG, z], start, 1, reverse=True
    )
    d_product_TBG = ops.tile(d_state_TBD, [1, 1, 3]) * slope_TBG
    d_z_r_TBG = d_product_TBG[..., : -z.shape[-1]]
    return (
        ops.concatenate([d_z_r_TBG, d_state_TBD * through_n], axis=-1),
        _outer_sum(previous_TBD, d_product_TBG),
        ops.sum(d_product_TBG, axis=(0, 1)),
    )


def lstm_states(scan, projection_TBG, recurrent_kernel):
    """An LSTM that starts from zeros.

    Args:
        scan: see above.
        projection_TBG: float (T, B, 4D), W x + b for every step.
        recurrent_kernel: float (D, 4D).

    Returns:
        States and cells, float (T, B, D), and the gates, (T, B, 4D).
    """

    def step(inputs, carry):
        state_BD, cell_BD = carry
        product_BG = ops.matmul(state_BD, recurrent_kernel)
        state_BD, cell_BD, gates = functional.lstm_cell(
            inputs[0], product_BG, cell_BD
        )
        saved_BG = ops.concatenate(gates, axis=-1)
        return (state_BD, cell_BD), (state_BD, cell_BD, saved_BG)

    zero_BD = _zero_state(projection_TBG, recurrent_kernel)
    return scan(step, [projection_TBG], [zero_BD, zero_BD], 3)


def lstm_gradient(scan, forward, recurrent_kernel, upstream):
    """The gradient of `lstm_states` to its two arrays.

    Args:
        scan: see above.
        forward: (states, cells, gates), what `lstm_states` gave.
        recurrent_kernel: float (D, 4D).
        upstream: pair of float (T, B, D), to the states and to the cells.

    Returns:
        Gradients of the shapes of projection and kernel.
    """
    states_TBD, cells_TBD, gates_TBG = forward
    i, f, g, o = ops.split(gates_TBG, 4, axis=-1)
    tanh_TBD = ops.tanh(cells_TBD)
    slope_cell_TBG = ops.concatenate(
        [g * i * (1 - i), _shift(cells_TBD) * f * (1 - f), i * (1 - g * g)],
        axis=-1,
    )
    kernel_GD = ops.transpose(recurrent_kernel)

    def step(inputs, carry):
        d_state, d_cell, to_cell, slope_cell, slope_o, f_BD = inputs
        d_state = d_state + carry[0]
        d_cell = d_cell + carry[1] + d_state * to_cell
        d_gates = ops.concatenate(
            [ops.tile(d_cell, [1, 3]) * slope_cell, d_state * slope_o], axis=-1
        )
        d_previous = ops.matmul(d_gates, kernel_GD)
        return (d_previous, d_cell * f_BD), (d_gates,)

    inputs = [
        *upstream,
        o * (1 - tanh_TBD * tanh_TBD),
        slope_cell_TBG,
        tanh_TBD * o * (1 - o),
        f,
    ]
    zero_BD = _zero_state(states_TBD, recurrent_kernel)
    (d_gates_TBG,) = scan(step, inputs, [zero_BD, zero_BD], 1, reverse=True)
    return d_gates_TBG, _outer_sum(_shift(states_TBD), d_gates_TBG)


def time_first(x):
    """(B, T, ...) as (T, B, ...), and back again."""
    return ops.transpose(x, (1, 0, 2))


def _zero_state(array_TBX, recurrent_kernel):
    batch, units = ops.shape(array_TBX)[1], recurrent_kernel.shape[0]
    return ops.zeros((batch, units), array_TBX.dtype)


def _shift(states_TBD):
    """The state before each step: zeros, then all states but the last."""
    return ops.pad(states_TBD, ((1, 0), (0, 0), (0, 0)))[:-1]


def _outer_sum(left_TBD, right_TBG):
    """sum_tb left_tb right_tb^T as one matrix product."""
    left_ND = ops.reshape(left_TBD, (-1, left_TBD.shape[-1]))
    right_NG = ops.reshape(right_TBG, (-1, right_TBG.shape[-1]))
    return ops.matmul(ops.transpose(left_ND), right_NG)
