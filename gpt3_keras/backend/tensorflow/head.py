"""TensorFlow: the vocabulary head with its hand-written gradient.

Shapes follow the legend of `functional.py`, with N for tokens (B times T) and
C for those of one chunk.
"""

import tensorflow as tf

from gpt3_keras import functional_head as equations

# Tokens whose logits are alive at once. With V = 50,257 in float32 that is
# 103 MB; smaller chunks leave the matrix products too small to run at speed.
CHUNK_TOKENS = 512


def target_log_probs(states, output_kernel, targets):
    """log softmax(states . output_kernel^T) at the targets, chunk by chunk.

    Args:
        states: float (N, D).
        output_kernel: float (V, D), used in the dtype of the states.
        targets: int (N,).

    Returns:
        float32 (N,).
    """
    kernel = tf.cast(output_kernel, states.dtype)

    def body(chunk, carry):
        return carry, (equations.target_log_probs(tf.matmul, chunk, kernel),)

    return _over_chunks(body, [states, targets], (), ["float32"])[1][0]


def mixture_loss(
    states,
    output_kernel,
    targets,
    log_generate,
    log_copy,
    weights,
    terms,
    learns=(True, True),
    kernel_gradient=None,
):
    """The weighted sum of mixture and generator cross entropies over tokens.

    sum_i w_i (a (-log p_i) + b (-log P_gen,i)), with p the mixture and (a, b)
    `terms`. Its gradient is made in the same pass as its value, so that the
    logits of one chunk are alive at a time and no product is done twice.

    Args:
        states: float (N, D), the generator's states.
        output_kernel: float (V, D), used in the dtype of the states.
        targets: int (N,).
        log_generate: float32 (N,), log g.
        log_copy: float32 (N,), log (1 - g) + log P_copy(target).
        weights: float32 (N,), 0 where a target does not count.
        terms: pair of floats, the weights of the two cross entropies. The
            mixture's being 0, the gate and the pointer have no gradient.
        learns: pair of bools, whether the states and the output matrix want
            a gradient. What nobody wants is not computed.
        kernel_gradient: float32 (V, D), or None. The output matrix' gradient
            is added to it here, in place, and does not flow.

    Returns:
        The sum, a float32 scalar; log P_gen(target), float32 (N,); and
        `kernel_gradient` with what was added. The gradient is that of the
        sum alone.
    """
    states, output_kernel, (log_generate, log_copy) = (
        equations.only_wanted_gradients(
            states,
            # A variable would be one of `custom_gradient`'s own, run eagerly.
            tf.convert_to_tensor(output_kernel),
            (log_generate, log_copy),
            terms,
            learns,
            kernel_gradient is not None,
        )
    )

    @tf.custom_gradient
    def fused(states, output_kernel, log_generate, log_copy):
        # Where the output matrix does not learn, a number stands for it; its
        # gradient then goes nowhere.
        start = kernel_gradient
        if kernel_gradient is None or not learns[1]:
            shape = output_kernel.shape if learns[1] else []
            start = tf.fill(shape, fresh_zero(output_kernel.dtype, targets))
        total, d_kernel, per_token = _mixture_pass(
            [states, targets, log_generate, log_copy, weights],
            output_kernel,
            start,
            terms,
            learns,
        )
        log_probs_N, d_states_ND, d_generate_N, d_copy_N = per_token

        def gradient(upstream, *_):
            return (
                tf.cast(upstream, states.dtype) * d_states_ND,
                tf.cast(upstream, d_kernel.dtype) * d_kernel,
                upstream * d_generate_N,
                upstream * d_copy_N,
            )

        return (total, log_probs_N, d_kernel), gradient

    total, log_probs_N, d_kernel = fused(
        states, output_kernel, log_generate, log_copy
    )
    if kernel_gradient is not None and learns[1]:
        kernel_gradient = tf.stop_gradient(d_kernel)
    return total, tf.stop_gradient(log_probs_N), kernel_gradient


def _mixture_pass(inputs, output_kernel, d_kernel, terms, learns):
    """Losses and gradients of all tokens; see `mixture_loss`.

    Returns:
        The loss; `d_kernel` with the output matrix' gradient added; and, of
        each token, log P_gen and the gradients to the states, to log g and to
        the copy's log probability.
    """
    states, targets = inputs[:2]
    kernel = tf.cast(output_kernel, states.dtype)
    (d_kernel, total), per_token = _over_chunks(
        lambda chunk, carry: equations.mixture_chunk(
            tf.matmul, chunk, carry, kernel, terms, learns
        ),
        inputs,
        (d_kernel, tf.zeros([], "float32")),
        ["float32", "float32", states.dtype, "float32", "float32"],
    )
    log_probs_N, pull_N, *gradients = per_token
    if learns[1]:
        pulled_ND = equations.target_pull(states, pull_N)
        d_kernel = tf.tensor_scatter_nd_sub(
            d_kernel, targets[:, None], tf.cast(pulled_ND, d_kernel.dtype)
        )
    return total, d_kernel, (log_probs_N, *gradients)


def _over_chunks(body, inputs, carry, output_dtypes):
    """`body(chunk, carry) -> (carry, outputs)` over chunks of axis 0.

    The last chunk is filled up with zeros, whose outputs are cut off again.

    Returns:
        The last carry, and the outputs joined again along axis 0.
    """
    length = inputs[0].shape[0]
    if length is not None and length <= CHUNK_TOKENS:
        return body(inputs, carry)
    num_tokens = tf.shape(inputs[0])[0] if length is None else length
    num_chunks = -(-num_tokens // CHUNK_TOKENS)
    size = CHUNK_TOKENS
    if length is None:  # Few tokens make a small chunk.
        size = -(-num_tokens // tf.maximum(num_chunks, 1))
    missing = num_chunks * size - num_tokens

    def split(x):
        x = tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1))
        return tf.reshape(x, [num_chunks, size, *x.shape[1:]])

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


def rows_where(mask, arrays):
    """The rows of each array at which `mask`, bool (N,), holds.

    Their number depends on the mask: XLA cannot compile it.
    """
    places = tf.where(mask)[:, 0]
    return [tf.gather(x, places) for x in arrays]


def fresh_zero(dtype, witness):
    """A zero that TensorFlow does not know to be constant.

    Of zeros that it knows it makes a constant, which lives as long as the
    graph does, beside the sum; a loop may add in place to a tensor that is
    filled with this one.

    Args:
        dtype: of the result.
        witness: an int tensor that is not known before the graph runs.
    """
    is_nan = tf.math.is_nan(tf.cast(tf.reduce_max(witness), "float32"))
    return tf.cast(is_nan, dtype)
