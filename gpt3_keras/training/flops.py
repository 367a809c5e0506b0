"""What a step costs, and what the device could do: FLOPs and FLOPs a second.

Model FLOPs are those that the model's matrix products need, however they are
computed: two for each multiplication and its addition (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1); what is done for one number at a time, such as
softmax and normalisation, does not count. Their share of what the device can
do is the utilisation of Chowdhery et al. 2022 (arXiv:2204.02311, appendix B).
"""

import itertools
import time
from typing import NamedTuple

from keras import ops

from gpt3_keras.training import strategies

_FLOPS_PER_MULTIPLICATION = 2
_NUM_GATES = {"gru": 3, "lstm": 4}

_SMALLEST_SIDE = 256
_LARGEST_SIDE = 8192
_NUM_RUNS = 5
_PRODUCTS_PER_RUN = 2
_BUDGET_SECS = 0.3  # for the runs at one size


class _Part(NamedTuple):
    """A stretch of the network.

    Args:
        kernels: multiplications a token with a trainable matrix.
        states: multiplications a token of states with states.
        learns: whether its matrices do.
        reads: whether a gradient goes on to what it reads.
    """

    kernels: int
    states: int
    learns: bool
    reads: bool


def forward_flops(backbone, num_rows, sequence_length):
    """FLOPs of the losses of `num_rows` rows, without any gradient.

    2 B T (L (5 D² + 2 G D² + 2 T D) + 5 D² + 2 G D² + 2 T D
           + 2 D² + 2 T D + gate + V D),

    the L blocks of the encoder, the generator's, the pointer and the
    vocabulary head. A block has five products D x D (query, key, value,
    output, the recurrence's own output), the G = 3 (GRU) or 4 (LSTM) gates of
    its recurrence over inputs and states, and scores and values over all T
    positions, the masked ones too, as they are computed. The pointer has
    query, key, scores and context vector; `gate` is its network, from 2 D
    over `pointer_hidden_dims` to 1.

    Args:
        backbone: a `GPT3Backbone`.
        num_rows: int, B.
        sequence_length: int, T.

    Returns:
        int.
    """
    multiplications = sum(
        part.kernels + part.states for part in _parts(backbone, sequence_length)
    )
    num_tokens = num_rows * sequence_length
    return _FLOPS_PER_MULTIPLICATION * num_tokens * multiplications


def train_step_flops(backbone, num_rows, sequence_length):
    """FLOPs of losses and gradients of `num_rows` rows, one optimizer step.

    Three times `forward_flops` where everything learns: each product has a
    gradient for either factor. What stands still has less, as the backbone's
    `trainable` weights now say, so that a phase is measured by what it has
    to do: the products of a part whose matrices are frozen want a gradient
    for their inputs only, and where nothing before them learns, none. The
    update itself is left out, and so is whether a loss has the weight 0.

    Args:
        backbone: a `GPT3Backbone`, its phase's modules set trainable.
        num_rows: int, B, over all micro-batches and replicas.
        sequence_length: int, T.

    Returns:
        int.
    """
    multiplications = sum(
        part.kernels * (1 + part.learns + part.reads)
        + part.states * (1 + 2 * part.reads)
        for part in _parts(backbone, sequence_length)
    )
    num_tokens = num_rows * sequence_length
    return _FLOPS_PER_MULTIPLICATION * num_tokens * multiplications


def _parts(backbone, sequence_length):
    """Yields the `_Part`s of a backbone and its vocabulary head."""
    width = backbone.hidden_dim
    block_kernels = (5 + 2 * _NUM_GATES[backbone.rnn]) * width**2
    states = 2 * sequence_length * width
    embedding_learns = _learns(backbone.token_embedding) or _learns(
        backbone.position_embedding
    )
    h_learns = embedding_learns
    for block in backbone.encoder.blocks:
        # What a part reads within itself learns along with the part.
        h_learns = h_learns or _learns(block)
        yield _Part(block_kernels, states, _learns(block), h_learns)
    h_learns = h_learns or _learns(backbone.encoder.norm)

    generator_learns = _learns(backbone.generator)
    yield _Part(
        block_kernels, states, generator_learns, generator_learns or h_learns
    )
    pointer_learns = _learns(backbone.pointer)
    widths = (2 * width, *backbone.pointer_hidden_dims, 1)
    network = sum(a * b for a, b in itertools.pairwise(widths))
    yield _Part(
        2 * width**2 + network,
        states,
        pointer_learns,
        pointer_learns or h_learns,
    )
    states_learn, kernel_learns = backbone.head_learns()
    head = backbone.vocabulary_size * width
    yield _Part(head, 0, kernel_learns, states_learn)


def _learns(layer):
    return bool(layer.trainable_weights)


def matmul_flops_per_sec(dtype, strategy=None):
    """The FLOPs a second of a large square product, measured now.

    Sides are doubled as long as that takes next to no time: a processor
    reaches its speed at about a thousand, accelerators later. The best of
    five runs counts.

    Args:
        dtype: str, of the factors: a layer's `compute_dtype`.
        strategy: the strategy whose replicas all compute at
            once. Defaults to the present one: without any, one device.

    Returns:
        float, over all replicas together.
    """
    strategy = strategy or strategies.default_strategy()
    side, best = _SMALLEST_SIDE, 0.0
    while True:
        secs = _product_secs(strategy, side, dtype)
        flops = _FLOPS_PER_MULTIPLICATION * side**3
        best = max(best, strategy.num_replicas_in_sync * flops / secs)
        # Twice the side is eight times the work.
        next_secs = 8 * secs * _PRODUCTS_PER_RUN * (_NUM_RUNS + 1)
        if side == _LARGEST_SIDE or next_secs > _BUDGET_SECS:
            return best
        side *= 2


def _product_secs(strategy, side, dtype):
    """Seconds for one product on every replica, of some the shortest."""

    def multiply(sign):
        # Made on the device, from what no compiler knows beforehand. The
        # square of this matrix is itself: nothing overflows.
        column = ops.where(ops.arange(side) % 2 == 0, 1.0, sign) / side**0.5
        factor = ops.cast(column[:, None] * column[None, :], dtype)
        product = factor
        for _ in range(_PRODUCTS_PER_RUN):
            product = ops.matmul(product, factor)
        return ops.cast(product[0, 0], "float32")

    run = strategies.on_every_replica(multiply, strategy)

    def timed_run():
        start_secs = time.perf_counter()
        run(-1.0)
        return time.perf_counter() - start_secs

    timed_run()  # Traces.
    return min(timed_run() for _ in range(_NUM_RUNS)) / _PRODUCTS_PER_RUN
