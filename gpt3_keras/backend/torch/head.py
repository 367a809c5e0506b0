"""PyTorch: the vocabulary head with its hand-written gradient.

Shapes follow the legend of `functional.py`, with N for tokens (B times T) and
C for those of one chunk.
"""

import torch
from keras import ops

from gpt3_keras import functional_head as equations

# Tokens whose logits are alive at once.
CHUNK_TOKENS = 512


def target_log_probs(states, output_kernel, targets):
    """log softmax(states . output_kernel^T) at the targets, float32 (N,).

    Arguments as on TensorFlow.
    """
    kernel = ops.cast(output_kernel, states.dtype)
    return torch.cat(
        [
            equations.target_log_probs(_matmul, chunk, kernel)
            for chunk in _chunks([states, targets])
        ]
    )


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
    """The sum over tokens, log P_gen(target), and `kernel_gradient`.

    Arguments and results as on TensorFlow. PyTorch adds to a parameter's own
    gradient: `kernel_gradient` is None.
    """
    states, output_kernel, log_parts = equations.only_wanted_gradients(
        states, output_kernel, (log_generate, log_copy), terms, learns, False
    )
    total, log_probs_N = _Mixture.apply(
        (terms, learns), states, output_kernel, targets, *log_parts, weights
    )
    return total, log_probs_N.detach(), kernel_gradient


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(
        context,
        options,
        states,
        output_kernel,
        targets,
        log_generate,
        log_copy,
        weights,
    ):
        terms, learns = options
        kernel = ops.cast(output_kernel, states.dtype)
        shape = output_kernel.shape if learns[1] else ()
        d_kernel = torch.zeros(
            shape, dtype=output_kernel.dtype, device=states.device
        )
        carry = d_kernel, torch.zeros((), device=states.device)
        outputs = []
        for chunk in _chunks(
            [states, targets, log_generate, log_copy, weights]
        ):
            carry, output = equations.mixture_chunk(
                _matmul, chunk, carry, kernel, terms, learns
            )
            outputs.append(output)
        d_kernel, total = carry
        log_probs_N, pull_N, d_states_ND, *d_log_parts = map(
            torch.cat, zip(*outputs, strict=True)
        )
        if learns[1]:
            pulled_ND = equations.target_pull(states, pull_N)
            d_kernel = d_kernel.index_add(
                0, targets, pulled_ND.to(d_kernel.dtype), alpha=-1
            )
        context.save_for_backward(d_states_ND, d_kernel, *d_log_parts)
        context.mark_non_differentiable(log_probs_N)
        return total, log_probs_N

    @staticmethod
    def backward(context, upstream, _):
        d_states, d_kernel, d_generate, d_copy = (
            upstream.to(d.dtype) * d if wanted else None
            for d, wanted in zip(
                context.saved_tensors, _wanted(context), strict=True
            )
        )
        return None, d_states, d_kernel, None, d_generate, d_copy, None


def _wanted(context):
    """Whether states, kernel, log g and log copy want a gradient."""
    return [context.needs_input_grad[i] for i in (1, 2, 4, 5)]


def _matmul(a, b, transpose_a=False, transpose_b=False):
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def _chunks(arrays):
    """Yields the arrays' rows, so many at a time."""
    parts = [array.split(CHUNK_TOKENS) for array in arrays]
    return zip(*parts, strict=True)


def rows_where(mask, arrays):
    """The rows of each array at which `mask`, bool (N,), holds."""
    return [array[mask] for array in arrays]
