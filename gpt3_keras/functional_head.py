"""The vocabulary head, one chunk of tokens at a time, in `keras.ops`.

Written once for all backends, which make the chunks and hand in
`matmul(a, b, transpose_a=False, transpose_b=False)`: none of them should copy
a matrix of the vocabulary's size to turn it. Shapes follow the legend of
`functional.py`, with C for the tokens of one chunk.
"""

import keras
from keras import ops


def target_log_probs(matmul, chunk, output_kernel):
    """log softmax(states . output_kernel^T) at the targets.

    Args:
        matmul: see above.
        chunk: pair of states, float (C, D), and targets, int (C,).
        output_kernel: float (V, D).

    Returns:
        float32 (C,).
    """
    exps_CV, max_C, logits_C = _exp_logits(matmul, *chunk, output_kernel)
    return logits_C - max_C - ops.log(ops.sum(exps_CV, axis=-1))


def mixture_chunk(matmul, chunk, carry, output_kernel, terms, learns):
    """Loss and gradients of one chunk of tokens.

    sum_i w_i (a (-log p_i) + b (-log P_gen,i)), with p the mixture and (a, b)
    `terms`. The part of the output matrix' gradient that belongs to the
    targets' own rows is left to `target_pull`, after all chunks.

    Args:
        matmul: see above.
        chunk: states, float (C, D); targets, int (C,); log g and
            log (1 - g) P_copy(target), float32 (C,); weights, float32 (C,).
        carry: the output matrix' gradient so far, float (V, D), and the loss
            so far, a float32 scalar.
        output_kernel: float (V, D), in the dtype of the states.
        terms: pair of floats.
        learns: pair of bools, whether states and output matrix want a
            gradient.

    Returns:
        The new carry; and of each token log P_gen, how strongly its logits
        are pulled, and the gradients to its state, to log g and to the
        copy's log-probability.
    """
    states_CD, targets_C, log_generate_C, log_copy_C, weights_C = chunk
    d_kernel_VD, total = carry
    exps_CV, max_C, logits_C = _exp_logits(
        matmul, states_CD, targets_C, output_kernel
    )
    sum_C = ops.sum(exps_CV, axis=-1)
    log_probs_C = logits_C - max_C - ops.log(sum_C)
    mixture_C = ops.logaddexp(log_generate_C + log_probs_C, log_copy_C)
    total = total - ops.sum(
        weights_C * (terms[0] * mixture_C + terms[1] * log_probs_C)
    )
    # Share of the mixture that the generator gave, and how strongly each
    # token's logits are pulled. 1 / sum turns exponentials into softmax.
    posterior_C = ops.exp(log_generate_C + log_probs_C - mixture_C)
    d_generate_C = -weights_C * terms[0] * posterior_C
    d_copy_C = -weights_C * terms[0] * (1.0 - posterior_C)
    pull_C = weights_C * terms[1] - d_generate_C
    dtype = states_CD.dtype
    scaled_C1 = (pull_C / sum_C)[:, None]
    exps_CV = ops.cast(exps_CV, dtype)
    d_states_CD = ops.zeros_like(states_CD)
    if learns[0]:
        expected_CD = ops.cast(matmul(exps_CV, output_kernel), "float32")
        target_CD = ops.take(output_kernel, targets_C, axis=0)
        target_CD = ops.cast(target_CD, "float32")
        d_states_CD = ops.cast(
            scaled_C1 * expected_CD - pull_C[:, None] * target_CD, dtype
        )
    if learns[1]:
        is_half = keras.backend.standardize_dtype(dtype) == "float16"
        gain = _gain(scaled_C1, states_CD) if is_half else 1.0
        scaled_CD = ops.cast(gain * scaled_C1, dtype) * states_CD
        product_VD = matmul(exps_CV, scaled_CD, transpose_a=True)
        product_VD = ops.cast(product_VD, d_kernel_VD.dtype)
        if is_half:
            product_VD = product_VD / gain
        d_kernel_VD = d_kernel_VD + product_VD
    outputs = (log_probs_C, pull_C, d_states_CD, d_generate_C, d_copy_C)
    return (d_kernel_VD, total), outputs


def target_pull(states, pull_N):
    """What each target's row of the output matrix' gradient loses.

    Args:
        states: float (N, D).
        pull_N: float32 (N,), from `mixture_chunk`.

    Returns:
        float32 (N, D).
    """
    return ops.cast(states, "float32") * pull_N[:, None]


def only_wanted_gradients(
    states, output_kernel, log_parts, terms, learns, adds_elsewhere
):
    """The arrays of a `mixture_loss`, no gradient flowing that nobody wants.

    Args:
        states: float (N, D).
        output_kernel: float (V, D), or its variable.
        log_parts: log g and log (1 - g) P_copy(target), float32 (N,).
        terms: pair of floats, the weights of the two cross entropies.
        learns: pair of bools, whether states and output matrix learn.
        adds_elsewhere: bool, the output matrix' gradient does not flow.

    Returns:
        The first three of them, as tensors.
    """
    output_kernel = ops.convert_to_tensor(output_kernel)
    if not learns[0]:
        states = ops.stop_gradient(states)
    if adds_elsewhere or not learns[1]:
        output_kernel = ops.stop_gradient(output_kernel)
    if not terms[0]:
        log_parts = tuple(ops.stop_gradient(part) for part in log_parts)
    return states, output_kernel, log_parts


def _gain(scaled_C1, states_CD):
    """A power of two that `scaled * states` takes before it is float16.

    Weights over a softmax's sum are small for float16, and a chunk's sum of
    them may be large: as large a factor as the sum's bound lets it have.
    """
    largest_C = ops.cast(ops.max(ops.abs(states_CD), axis=-1), "float32")
    bound = ops.sum(ops.abs(scaled_C1[:, 0]) * largest_C)
    log2 = ops.log2(2.0**14 / ops.maximum(bound, 2.0**-16))
    return ops.power(2.0, ops.floor(log2))


def _exp_logits(matmul, states_CD, targets_C, output_kernel):
    """exp(logits - max), the max and the targets' logits, in float32."""
    logits_CV = matmul(states_CD, output_kernel, transpose_b=True)
    logits_CV = ops.cast(logits_CV, "float32")
    # The bound is for no token at all, of which Keras takes no maximum.
    max_C = ops.max(logits_CV, axis=-1, initial=-3e38)
    target_C1 = ops.take_along_axis(logits_CV, targets_C[:, None], axis=-1)
    return ops.exp(logits_CV - max_C[:, None]), max_C, target_C1[:, 0]
