"""TensorFlow kernels: recurrences, the vocabulary head and the train step.

The recurrences and the head carry hand-written gradients. Shapes follow the
legend of `functional.py`, with G for a recurrence's gates side by side and N
for tokens (B times T).
"""

import tensorflow as tf

from gpt3_keras import functional

# Tokens whose logits are alive at once. With V = 50,257 in float32 that is
# 103 MB; smaller chunks leave the matrix products too small to run at speed.
CHUNK_TOKENS = 512


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


def target_log_probs(states, output_kernel, targets):
    """log softmax(states . output_kernel^T) at the targets, chunk by chunk.

    Args:
        states: float (N, D).
        output_kernel: float (V, D).
        targets: int (N,).

    Returns:
        float32 (N,).
    """

    def body(chunk, carry):
        states_CD, targets_C = chunk
        exps_CV, max_C, logits_C = _exp_logits(
            states_CD, output_kernel, targets_C
        )
        sum_C = tf.reduce_sum(exps_CV, axis=-1)
        return carry, (logits_C - max_C - tf.math.log(sum_C),)

    return _over_chunks(body, [states, targets], (), ["float32"])[1][0]


def mixture_loss(
    states, output_kernel, targets, log_generate, log_copy, weights, terms
):
    """The weighted sum of mixture and generator cross entropies over tokens.

    sum_i w_i (a (-log p_i) + b (-log P_gen,i)), with p the mixture and (a, b)
    `terms`. Its gradient is made in the same pass as its value, so that the
    logits of one chunk are alive at a time and no product is done twice.

    Args:
        states: float (N, D), the generator's states.
        output_kernel: float (V, D).
        targets: int (N,).
        log_generate: float32 (N,), log g.
        log_copy: float32 (N,), log (1 - g) + log P_copy(target).
        weights: float32 (N,), 0 where a target does not count.
        terms: pair of floats, the weights of the two cross entropies.

    Returns:
        The sum, a float32 scalar, and log P_gen(target), float32 (N,); the
        gradient is that of the sum alone.
    """

    @tf.custom_gradient
    def fused(states, output_kernel, log_generate, log_copy):
        inputs = [states, targets, log_generate, log_copy, weights]
        (d_kernel, total), per_token = _over_chunks(
            lambda chunk, carry: _mixture_chunk(
                chunk, carry, output_kernel, terms
            ),
            inputs,
            (tf.zeros_like(output_kernel), tf.zeros([], "float32")),
            ["float32", "float32", states.dtype, "float32", "float32"],
        )
        log_probs_N, pull_N, d_states_ND, d_generate_N, d_copy_N = per_token
        d_kernel = tf.tensor_scatter_nd_sub(
            d_kernel,
            targets[:, None],
            tf.cast(pull_N[:, None], states.dtype) * states,
        )

        def gradient(upstream, _):
            scale = tf.cast(upstream, states.dtype)
            return (
                scale * d_states_ND,
                scale * d_kernel,
                upstream * d_generate_N,
                upstream * d_copy_N,
            )

        return (total, log_probs_N), gradient

    total, log_probs_N = fused(states, output_kernel, log_generate, log_copy)
    return total, tf.stop_gradient(log_probs_N)


def _mixture_chunk(chunk, carry, output_kernel, terms):
    """Loss and gradients of one chunk of tokens; see `mixture_loss`."""
    states_CD, targets_C, log_generate_C, log_copy_C, weights_C = chunk
    d_kernel_VD, total = carry
    exps_CV, max_C, logits_C = _exp_logits(states_CD, output_kernel, targets_C)
    sum_C = tf.reduce_sum(exps_CV, axis=-1)
    log_probs_C = logits_C - max_C - tf.math.log(sum_C)
    mixture_C = tf.reduce_logsumexp(
        tf.stack([log_generate_C + log_probs_C, log_copy_C]), axis=0
    )
    total -= tf.reduce_sum(
        weights_C * (terms[0] * mixture_C + terms[1] * log_probs_C)
    )
    # Share of the mixture that the generator gave, and how strongly each
    # token's logits are pulled. 1 / sum turns exponentials into softmax.
    posterior_C = tf.exp(log_generate_C + log_probs_C - mixture_C)
    d_generate_C = -weights_C * terms[0] * posterior_C
    d_copy_C = -weights_C * terms[0] * (1.0 - posterior_C)
    pull_C = weights_C * terms[1] - d_generate_C
    pull_C1 = tf.cast(pull_C[:, None], states_CD.dtype)
    scaled_C1 = tf.cast((pull_C / sum_C)[:, None], states_CD.dtype)
    exps_CV = tf.cast(exps_CV, states_CD.dtype)
    d_states_CD = scaled_C1 * tf.matmul(exps_CV, output_kernel)
    d_states_CD -= pull_C1 * tf.gather(output_kernel, targets_C)
    d_kernel_VD += tf.matmul(exps_CV, scaled_C1 * states_CD, transpose_a=True)
    outputs = (log_probs_C, pull_C, d_states_CD, d_generate_C, d_copy_C)
    return (d_kernel_VD, total), outputs


def _exp_logits(states_CD, output_kernel, targets_C):
    """exp(logits - max), the max and the targets' logits, in float32."""
    logits_CV = tf.matmul(states_CD, output_kernel, transpose_b=True)
    logits_CV = tf.cast(logits_CV, "float32")
    max_C = tf.reduce_max(logits_CV, axis=-1)
    target_C = tf.gather(logits_CV, targets_C, batch_dims=1)
    return tf.exp(logits_CV - max_C[:, None]), max_C, target_C


def _over_chunks(body, inputs, carry, output_dtypes):
    """`body(chunk, carry) -> (carry, outputs)` over chunks of axis 0.

    The last chunk is filled up with zeros, whose outputs are cut off again.

    Returns:
        The last carry, and the outputs joined again along axis 0.
    """
    length = inputs[0].shape[0]
    if length is not None and length <= CHUNK_TOKENS:
        return body(inputs, carry)
    num_tokens = tf.shape(inputs[0])[0]
    num_chunks = -(-num_tokens // CHUNK_TOKENS)
    missing = num_chunks * CHUNK_TOKENS - num_tokens

    def split(x):
        x = tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1))
        return tf.reshape(x, [num_chunks, CHUNK_TOKENS, *x.shape[1:]])

    def join(sink):
        return sink.concat()[:num_tokens]

    chunks = [split(x) for x in inputs]
    sinks = [tf.TensorArray(dtype, num_chunks) for dtype in output_dtypes]

    def step(index, carry, sinks):
        carry, outputs = body([x[index] for x in chunks], carry)
        sinks = [s.write(index, x) for s, x in zip(sinks, outputs, strict=True)]
        return index + 1, carry, sinks

    _, carry, sinks = tf.while_loop(
        lambda index, *_: index < num_chunks,
        step,
        (0, carry, sinks),
        maximum_iterations=num_chunks,
        parallel_iterations=1,
    )
    return carry, [join(sink) for sink in sinks]


def compiled(function):
    """`function` of tensors as one graph, traced once for each structure."""
    return tf.function(function, reduce_retracing=True)


def stateless_uniform(shape, seed, counter):
    """float32 in [0, 1), a function of (seed, counter) alone.

    Philox (Salmon et al. 2011), named so that every device agrees.

    Args:
        shape: of the result.
        seed, counter: int, or int scalar tensors.
    """
    key = tf.stack([tf.cast(seed, "int32"), tf.cast(counter, "int32")])
    return tf.random.stateless_uniform(shape, key, alg="philox")


def train_step(model, x, y, sample_weight):
    """One update from one batch.

    Sums of losses and of their gradients over the batch, one division by the
    number of target tokens, one update.

    Args:
        model: a `GPT3CausalLM`.
        x, y, sample_weight: the batch, as `data/batch.py` defines it.

    Returns:
        The losses of the batch, as `GPT3CausalLM.compute_losses` gives them.
    """
    with tf.GradientTape() as tape:
        losses = model.compute_losses(x, y, sample_weight, training=True)
    variables = model.trainable_variables
    gradients = tape.gradient(losses["objective"], variables)
    num_targets = tf.maximum(losses["num_targets"], 1.0)
    gradients = [_divide(g, num_targets) for g in gradients]
    model.optimizer.apply(gradients, variables)
    return losses


def _divide(gradient, count):
    """`gradient / count`, dense or sparse; None where nothing flowed."""
    if gradient is None:
        return None
    gradient = tf.convert_to_tensor(gradient)
    return gradient / tf.cast(count, gradient.dtype)
