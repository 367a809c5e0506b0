"""The four losses of the language model, each a sum and a count.

Sums and counts, not means: they add up over micro-batches, replicas and
workers, and one division at the end gives the same number however the batch
was cut.

Legend of axes in `functional.py`. `weights` is float32 (B, T), 0 where a
target does not count.
"""

from keras import ops

from gpt3_keras import functional

TERMS = ("language_model", "generator", "pointer", "gate")


def language_model_loss(log_probs, weights):
    """Cross entropy, -log p(target).

    Args:
        log_probs: float32 (B, T), of the targets: the mixture's, or for the
            generator-only term the generator's.
        weights: float32 (B, T).

    Returns:
        (sum, count), float32 scalars.
    """
    return -ops.sum(weights * log_probs), ops.sum(weights)


def pointer_loss(pointer_logits, match, mask, weights, temperature=1.0):
    """1 - 1/E[rank] of the target's best position.

    Over the targets that stand somewhere in the context. Sharper at the top
    than cross entropy: a target moving from rank 2 to 1 gains a half, from 20
    to 19 almost nothing.

    Args:
        pointer_logits: float (B, T, S).
        match: bool (B, T, S), from `functional.match_targets`.
        mask: bool (B, T, S), the readable positions.
        weights: float32 (B, T).
        temperature: positive float, of the soft rank.

    Returns:
        (sum, count), float32 scalars.

    Reference: the smoothed reciprocal rank of Shi et al. 2012 (CLiMF) with
    the soft rank of Qin et al. 2010, eq. 12.
    """
    weights = weights * ops.cast(ops.any(match, axis=-1), "float32")
    rank = functional.soft_rank(pointer_logits, match, mask, temperature)
    return ops.sum(weights * (1.0 - 1.0 / rank)), ops.sum(weights)


def gate_loss(gate_logits, match, weights):
    """-log g where the target is nowhere in the context.

    There the token can only have been generated. Elsewhere both ways are
    possible, and the mixture's own gradient decides.

    Args:
        gate_logits: float (B, T).
        match: bool (B, T, S).
        weights: float32 (B, T).

    Returns:
        (sum, count), float32 scalars.
    """
    absent = ops.logical_not(ops.any(match, axis=-1))
    weights = weights * ops.cast(absent, "float32")
    log_generate, _ = functional.log_gate(gate_logits)
    return -ops.sum(weights * log_generate), ops.sum(weights)


def pointer_reciprocal_rank(pointer_logits, match, mask, weights):
    """The exact reciprocal rank that `pointer_loss` smooths; a metric.

    Arguments and result as for `pointer_loss`.
    """
    weights = weights * ops.cast(ops.any(match, axis=-1), "float32")
    rank = functional.exact_rank(pointer_logits, match, mask)
    return ops.sum(weights / rank), ops.sum(weights)
