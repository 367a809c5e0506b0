"""The losses of dialogue understanding, each a sum and a count.

As in `losses`, sums and counts add up over micro-batches, replicas and
workers. No term looks beyond its own dialogue. `weights` is float32, 0 where
nothing counts. Axes as in `functional_dialogue`.
"""

from keras import ops

from gpt3_keras import functional
from gpt3_keras import functional_dialogue

TERMS = ("intent", "requested", "slot", "span", "constraint", "similarity")


def slot_loss(log_probs, targets, valid, weights, label_smoothing=0.0):
    """Cross entropy with a smoothed target.

    -sum_v q(v) log p(v),  q(v) = (1 - eps) [v = target] + eps / |valid|

    q is spread over all valid candidates, the target among them, so that its
    mass is 1 however many there are. eps = 0 is the cross entropy.

    Args:
        log_probs: float32 (..., C).
        targets: int (...), numbers of candidates.
        valid: bool (..., C), the candidates that there are.
        weights: float32 (...).
        label_smoothing: float in [0, 1), eps.

    Returns:
        (sum, count), float32 scalars.

    Reference: Szegedy et al. 2016 (arXiv:1512.00567), section 7.
    """
    target = ops.take_along_axis(
        log_probs, ops.maximum(targets, 0)[..., None], axis=-1
    )[..., 0]
    loss = -target
    if label_smoothing:
        valid = ops.cast(valid, "float32")
        mean = ops.sum(valid * log_probs, axis=-1) / ops.maximum(
            ops.sum(valid, axis=-1), 1.0
        )
        loss = loss + label_smoothing * (target - mean)
    return ops.sum(weights * loss), ops.sum(weights)


def span_loss(start_log_probs, end_log_probs, spans, weights):
    """-log of the probability that one of the right spans is pointed at.

    Arguments as for `functional_dialogue.span_log_probs`; `weights` is (...).

    Returns:
        (sum, count), float32 scalars. Where there is no right span nothing
        counts.
    """
    known = ops.any(ops.greater_equal(spans[..., 0], 0), axis=-1)
    weights = weights * ops.cast(known, "float32")
    log_probs = functional_dialogue.span_log_probs(
        start_log_probs, end_log_probs, spans
    )
    return -ops.sum(weights * log_probs), ops.sum(weights)


def requested_loss(logits, targets, weights):
    """Binary cross entropy of each slot: does the user ask about it?

    Args:
        logits: float (...).
        targets: int or bool (...).
        weights: float32 (...).

    Returns:
        (sum, count), float32 scalars.
    """
    log_yes, log_no = functional.log_gate(logits)
    loss = -ops.where(ops.cast(targets, "bool"), log_yes, log_no)
    return ops.sum(weights * loss), ops.sum(weights)


def constraint_loss(allowed_log_mass, weights):
    """-log of the probability of the states that the schema allows.

    Args:
        allowed_log_mass: float32 (B, N), from
            `functional_dialogue.allowed_log_mass`.
        weights: float32 (B, N).

    Returns:
        (sum, count), float32 scalars.

    Reference: the semantic loss of Xu et al. 2018 (arXiv:1711.11157).
    """
    return -ops.sum(weights * allowed_log_mass), ops.sum(weights)


def similarity_loss(
    contexts, replies, weights, temperature=0.1, form="log_sum_exp"
):
    """Dialogues so far lie near to their replies.

    With r_n and r+_n of length 1, and sim their inner product:

    `"log_sum_exp"`:   -sim(r_n, r+_n) / tau + log sum_m exp(sim(r_n, r+_m) /
                       tau), m over the replies of the same dialogue.
    `"least_squares"`: |r_n - r+_n|^2 = 2 - 2 sim(r_n, r+_n).

    The article compares with the replies of the whole batch; then the loss
    would change with the way in which the batch is cut into micro-batches.
    Replies of the same dialogue are the harder ones to tell apart.

    Args:
        contexts: float (B, N, D), r.
        replies: float (B, N, D), r+.
        weights: float32 (B, N), 0 where there is no reply.
        temperature: positive float, tau.
        form: `"log_sum_exp"` or `"least_squares"`.

    Returns:
        (sum, count), float32 scalars.

    Reference: van den Oord et al. 2018 (arXiv:1807.03748), eq. 4.
    """
    contexts, replies = _of_length_one(contexts), _of_length_one(replies)
    if form == "least_squares":
        sim_BN = ops.sum(contexts * replies, axis=-1)
        return ops.sum(weights * (2.0 - 2.0 * sim_BN)), ops.sum(weights)
    sims_BNN = ops.einsum("bnd,bmd->bnm", contexts, replies) / temperature
    own_BN = ops.sum(contexts * replies, axis=-1) / temperature
    real_BN = ops.greater(weights, 0)
    rivals_BNN = functional.mask_logits(sims_BNN, real_BN[:, None])
    loss_BN = ops.logsumexp(rivals_BNN, axis=-1) - own_BN
    loss_BN = ops.where(real_BN, loss_BN, 0.0)
    return ops.sum(weights * loss_BN), ops.sum(weights)


def _of_length_one(x):
    """x / |x|, and zeros for zeros.

    Of these `ops.normalize` has no gradient but on TensorFlow.
    """
    x = ops.cast(x, "float32")
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square, 1e-12))
