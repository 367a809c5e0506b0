"""JAX: the vocabulary head with its hand-written gradient.

Shapes follow the legend of `functional.py`, with N for tokens (B times T) and
C for those of one chunk.
"""

import functools

import jax
from jax import numpy as jnp

from gpt3_keras import functional_head as equations
from gpt3_keras.backend.jax import devices

# Tokens of one device whose logits are alive at once.
CHUNK_TOKENS = 512


def target_log_probs(states, output_kernel, targets):
    """log softmax(states . output_kernel^T) at the targets, float32 (N,).

    Arguments as on TensorFlow.
    """
    kernel = jnp.asarray(output_kernel, states.dtype)

    def body(carry, chunk):
        return carry, equations.target_log_probs(_matmul, chunk, kernel)

    return _over_chunks(body, (), [states, targets])[1]


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

    Arguments and results as on TensorFlow. A chunk without a weight costs
    nothing. XLA adds in place by itself: `kernel_gradient` is None.
    """
    arrays = equations.only_wanted_gradients(
        states, output_kernel, (log_generate, log_copy), terms, learns, False
    )
    total, log_probs_N = _fused((terms, learns), *arrays, (targets, weights))
    return total, jax.lax.stop_gradient(log_probs_N), kernel_gradient


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fused(options, states, output_kernel, log_parts, constants):
    return _forward(options, states, output_kernel, log_parts, constants)[0]


def _forward(options, states, output_kernel, log_parts, constants):
    terms, learns = options
    targets, weights = constants
    kernel = jnp.asarray(output_kernel, states.dtype)
    shape = output_kernel.shape if learns[1] else ()

    def run(carry, chunk):
        return equations.mixture_chunk(
            _matmul, chunk, carry, kernel, terms, learns
        )

    def body(carry, chunk):
        counts = jnp.any(chunk[-1] != 0)
        return jax.lax.cond(counts, run, _leave_out, carry, chunk)

    (d_kernel, total), per_token = _over_chunks(
        body,
        (jnp.zeros(shape, output_kernel.dtype), jnp.zeros((), "float32")),
        [states, targets, *log_parts, weights],
    )
    log_probs_N, pull_N, d_states_ND, *d_log_parts = per_token
    if learns[1]:
        pulled_ND = equations.target_pull(states, pull_N)
        d_kernel = d_kernel.at[targets].add(-pulled_ND.astype(d_kernel.dtype))
    else:
        d_kernel = None
    return (total, log_probs_N), (d_states_ND, d_kernel, tuple(d_log_parts))


def _backward(options, gradients, upstream):
    del options
    pull = upstream[0]  # To the sum.
    scaled = jax.tree.map(lambda d: pull.astype(d.dtype) * d, gradients)
    return (*scaled, None)


_fused.defvjp(_forward, _backward)


def _leave_out(carry, chunk):
    """What `mixture_chunk` gives for tokens that do not count."""
    states_CD = chunk[0]
    zero_C = jnp.zeros(states_CD.shape[:1], "float32")
    return carry, (zero_C, zero_C, jnp.zeros_like(states_CD), zero_C, zero_C)


def _matmul(a, b, transpose_a=False, transpose_b=False):
    contracted = (0 if transpose_a else 1,), (1 if transpose_b else 0,)
    return jax.lax.dot_general(a, b, (contracted, ((), ())))


def _over_chunks(body, carry, inputs):
    """`body(carry, chunk) -> (carry, outputs)` over chunks of axis 0.

    Tokens that lie side by side go to different chunks: so each chunk has as
    many tokens of every device as any other. The last tokens are zeros, whose
    outputs are cut off again.

    Returns:
        The last carry, and the outputs joined again along axis 0.
    """
    num_tokens = inputs[0].shape[0]
    chunk_tokens = CHUNK_TOKENS * devices.num_batch_shards()
    if num_tokens <= chunk_tokens:
        return body(carry, inputs)
    num_chunks = -(-num_tokens // chunk_tokens)
    missing = -num_tokens % num_chunks

    def split(x):
        x = jnp.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1))
        x = x.reshape(-1, num_chunks, *x.shape[1:])
        return jnp.swapaxes(x, 0, 1)

    def join(x):
        x = jnp.swapaxes(x, 0, 1)
        return x.reshape(-1, *x.shape[2:])[:num_tokens]

    carry, outputs = jax.lax.scan(body, carry, [split(x) for x in inputs])
    return carry, jax.tree.map(join, outputs)


def rows_where(mask, arrays):
    """The arrays, those rows first at which `mask`, bool (N,), holds.

    XLA knows no shape that depends on numbers: the others go to the end, in
    chunks of their own, which `mixture_loss` then leaves out.
    """
    order = jnp.argsort(~mask, stable=True)
    num_chunks = -(-mask.shape[0] // CHUNK_TOKENS)
    if devices.num_batch_shards() > 1 or num_chunks == 1:
        return list(arrays)  # Each device keeps its own rows.
    # Side by side stands what goes to different chunks.
    missing = -mask.shape[0] % num_chunks
    order = jnp.pad(order, (0, missing), constant_values=mask.shape[0])
    order = order.reshape(num_chunks, -1).T.reshape(-1)
    kept = order < mask.shape[0]
    return [
        jnp.where(
            kept.reshape(-1, *[1] * (x.ndim - 1)),
            jnp.take(x, jnp.where(kept, order, 0), axis=0),
            jnp.zeros((), x.dtype),
        )
        for x in arrays
    ]
