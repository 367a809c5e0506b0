"""Pure equations of dialogue understanding, in `keras.ops` only.

Axes beside those of `functional`: N turns, E elements of a schema (its slots
and intents), C candidates for a slot's value. A distribution that the schema
leaves no say has `functional.MASKED_LOGIT` for log 0.
"""

from keras import ops

from gpt3_keras import functional


def state_log_probs(update_log_probs, previous):
    """log p(s_t | s_{t-1}): a slot keeps its value, or takes a new one.

    p(s_t = v | s_{t-1}) = keep [v = s_{t-1}] + u(v), keep + sum_v u(v) = 1

    Args:
        update_log_probs: float32 (..., 1 + C), of keeping, then of taking
            each candidate.
        previous: int (...), s_{t-1} as a candidate's number; -1 for none of
            them, and then keeping leads nowhere.

    Returns:
        float32 (..., C).
    """
    keep, taken = update_log_probs[..., :1], update_log_probs[..., 1:]
    kept = ops.equal(
        ops.arange(ops.shape(taken)[-1]), ops.expand_dims(previous, -1)
    )
    return ops.logaddexp(
        taken, functional.mask_logits(keep + 0.0 * taken, kept)
    )


def belief_log_probs(update_log_probs, is_turn):
    """log b_n, what a slot is believed to have after each turn.

    b_n(v) = keep_n b_{n-1}(v) + u_n(v),  b_0 = [v = 0]
           = u_1(v) keep_2 ... keep_n + ... + u_n(v) + [v = 0] keep_1 ... keep_n

    That is p(s_n) with all earlier states summed out, where
    `state_log_probs` is given the state before.

    Args:
        update_log_probs: float32 (B, N, ..., 1 + C), of keeping, then of
            taking each candidate; candidate 0 is what a slot begins with.
        is_turn: bool (B, N); at others every slot keeps its value.

    Returns:
        float32 (B, N, ..., C).
    """
    rank = len(update_log_probs.shape)
    is_turn = ops.reshape(is_turn, (*ops.shape(is_turn), *[1] * (rank - 2)))
    keep = ops.where(is_turn, update_log_probs[..., :1], 0.0)
    taken = functional.mask_logits(update_log_probs[..., 1:], is_turn)
    kept = ops.cumsum(keep, axis=1)
    places = ops.arange(ops.shape(taken)[1])
    is_past_NM = ops.greater_equal(places[:, None], places)
    since = taken[:, None] + kept[:, :, None] - kept[:, None]
    since = functional.mask_logits(
        since,
        ops.reshape(is_past_NM, (*ops.shape(is_past_NM), *[1] * (rank - 2))),
    )
    is_first = ops.equal(ops.arange(ops.shape(taken)[-1]), 0)
    begun = functional.mask_logits(kept + 0.0 * taken, is_first)
    return ops.logaddexp(ops.logsumexp(since, axis=2), begun)


def masked_log_softmax(logits, mask):
    """log softmax over the last axis, float32, of what `mask` lets in."""
    logits = functional.mask_logits(ops.cast(logits, "float32"), mask)
    return ops.log_softmax(logits, axis=-1)


def pool_texts(embeddings, token_ids):
    """The mean embedding of each text's tokens, float (..., D).

    Args:
        embeddings: float (..., L, D).
        token_ids: int (..., L), negative where there is no token.

    Returns:
        float (..., D), zeros for an empty text.
    """
    real = ops.cast(ops.greater_equal(token_ids, 0), embeddings.dtype)
    total = ops.einsum("...ld,...l->...d", embeddings, real)
    # The root: a text of many words is not less of a text.
    count = ops.maximum(ops.sum(real, axis=-1, keepdims=True), 1.0)
    return total / ops.sqrt(count)


def span_log_probs(start_log_probs, end_log_probs, spans):
    """log of the probability that one of some spans is pointed at.

    log sum_k p_start(i_k) p_end(j_k)

    Args:
        start_log_probs, end_log_probs: float32 (..., T).
        spans: int (..., K, 2), first and last token of each; negative where
            there is none.

    Returns:
        float32 (...). About `MASKED_LOGIT` where there is no span at all.
    """
    places = ops.maximum(spans, 0)
    log_probs = ops.take_along_axis(
        start_log_probs, places[..., 0], axis=-1
    ) + ops.take_along_axis(end_log_probs, places[..., 1], axis=-1)
    real = ops.greater_equal(spans[..., 0], 0)
    return ops.logsumexp(functional.mask_logits(log_probs, real), axis=-1)


def best_spans(start_log_probs, end_log_probs, segment_ids, max_tokens):
    """The likeliest span inside of one utterance.

    Args:
        start_log_probs, end_log_probs: float32 (B, N, S, T).
        segment_ids: int (B, T), the same number all over an utterance.
        max_tokens: int, the longest span.

    Returns:
        int32 (B, N, S, 2), its first and last token.
    """
    length = ops.shape(segment_ids)[1]
    scores = []
    for width in range(max_tokens):
        ends = ops.minimum(ops.arange(length) + width, length - 1)
        inside = ops.logical_and(
            ops.equal(ops.take(segment_ids, ends, axis=1), segment_ids),
            ops.arange(length) + width < length,
        )
        score = start_log_probs + ops.take(end_log_probs, ends, axis=-1)
        scores.append(
            ops.where(inside[:, None, None], score, 2 * functional.MASKED_LOGIT)
        )
    scores = ops.stack(scores, axis=-1)  # (B, N, S, T, widths)
    shape = ops.shape(scores)
    best = ops.argmax(
        ops.reshape(scores, (*shape[:3], shape[3] * max_tokens)), axis=-1
    )
    starts = best // max_tokens
    return ops.cast(
        ops.stack([starts, starts + best % max_tokens], axis=-1), "int32"
    )


def allowed_log_mass(
    intent_log_probs, slot_log_probs, class_slots, classes, assignments
):
    """log of the probability of the states that a schema allows.

    log sum_i p(i) prod_group sum_assignment prod_slot p(class of slot)

    Intent and slots are taken as independent. Given the intent, the rules
    part the slots into groups that say nothing about each other, and a slot's
    values into classes that they treat alike: this is exact.

    Args:
        intent_log_probs: float32 (B, N, I).
        slot_log_probs: float32 (B, N, S, C).
        class_slots: int (B, Q), the slot of each class.
        classes: bool (B, Q, C), the candidates in each class.
        assignments: int (B, N, I, G, A, V): for each turn, intent and group
            the assignments that are allowed, of at most V classes each. -1
            is no class; -2 in an assignment is no assignment.

    Returns:
        float32 (B, N), at most 0 but for rounding.
    """
    of_class_BNQC = ops.take_along_axis(
        slot_log_probs, ops.maximum(class_slots, 0)[:, None, :, None], axis=2
    )
    class_BNQ = ops.logsumexp(
        functional.mask_logits(of_class_BNQC, classes[:, None]), axis=-1
    )
    shape = ops.shape(assignments)
    flat = ops.reshape(assignments, (*shape[:2], -1))
    chosen = ops.take_along_axis(class_BNQ, ops.maximum(flat, 0), axis=2)
    chosen = ops.where(flat >= 0, chosen, 0.0)
    chosen = ops.where(flat == -2, functional.MASKED_LOGIT, chosen)
    assignment_BNIGA = ops.sum(ops.reshape(chosen, shape), axis=-1)
    given_intent_BNI = ops.sum(ops.logsumexp(assignment_BNIGA, -1), axis=-1)
    return ops.logsumexp(intent_log_probs + given_intent_BNI, axis=-1)
