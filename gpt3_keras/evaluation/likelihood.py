"""How likely continuations are after their contexts, in batches.

Rows are sorted by length and padded to a few widths, so that few graphs are
traced and little is computed on padding. Sums are float64.
"""

import itertools

import numpy as np
from keras import ops

from gpt3_keras import functional
from gpt3_keras.models import objective
from gpt3_keras.models import prompts

# Positions with a distribution over the vocabulary that exist at a time.
_MAX_DISTRIBUTIONS = 256
_MIN_WIDTH = 16


def continuation_scores(
    model, contexts, continuations, batch_size=32, progress=None
):
    """log p(continuation | context), and whether the model would write it.

    A row is its context and its continuation. If that is longer than the
    model's `max_sequence_length` + 1 tokens (the last is only predicted),
    its beginning is left out, as lm-evaluation-harness does.

    Args:
        model: a `GPT3CausalLM`.
        contexts: rows of token ids, N, each with at least one.
        continuations: rows of token ids, N, each with at least one.
        batch_size: int, the most rows at a time.
        progress: function of (rows done, N), called after each batch.

    Returns:
        A dict of arrays (N,): `"log_prob"` float64, the sum over the
        continuation's tokens; `"is_greedy"` bool, whether each of them is
        the likeliest one; `"copied"` float64, which share of their
        probability the pointer gave, (1 - g) P_copy / p, averaged over
        them; `"num_tokens"` int64.

    Raises:
        ValueError: a context or a continuation has no token, a continuation
            is longer than the model, or an id is not in the vocabulary.
    """
    rows = _rows(model, contexts, continuations)
    function = model.graph("scores", _position_scores)
    scores = {
        "log_prob": np.zeros(len(rows), "float64"),
        "is_greedy": np.zeros(len(rows), "bool"),
        "copied": np.zeros(len(rows), "float64"),
        "num_tokens": np.array([n for _, n in rows], "int64"),
    }
    num_done = 0
    for width, num_targets, places in _batches(model, rows, batch_size):
        x, y, positions, real = _gathered(rows, places, width, num_targets)
        log_probs, is_best, copied = map(np.asarray, function(x, positions, y))
        counts = real.sum(axis=1)
        scores["log_prob"][places] = (log_probs * real).sum(1, "float64")
        scores["is_greedy"][places] = (is_best | ~real).all(axis=1)
        scores["copied"][places] = (copied * real).sum(1, "float64") / counts
        num_done += len(places)
        if progress is not None:
            progress(num_done, len(rows))
    return scores


def continuation_log_probs(
    model, contexts, continuations, batch_size=8, progress=None
):
    """log p(continuation | context) alone, for long continuations.

    The same as `"log_prob"` of `continuation_scores`, with the vocabulary
    head in chunks: memory does not grow with the continuation's length.

    Args:
        model, contexts, continuations, batch_size, progress: as there.

    Returns:
        float64 (N,).
    """
    rows = _rows(model, contexts, continuations)
    function = model.graph("log_probs", objective.token_log_probs)
    sums = np.zeros(len(rows), "float64")
    num_done = 0
    for width, places in _batches_by_width(model, rows, batch_size):
        x = prompts.pad([rows[i][0][:-1] for i in places], width)
        y = prompts.pad([rows[i][0][1:] for i in places], width)["token_ids"]
        ends = x["padding_mask"].sum(axis=1)[:, None]
        starts = ends - np.array([rows[i][1] for i in places])[:, None]
        columns = np.arange(width)[None]
        real = (columns >= starts) & (columns < ends)
        log_probs = np.asarray(function(x, y))
        sums[places] = (log_probs * real).sum(axis=1, dtype="float64")
        num_done += len(places)
        if progress is not None:
            progress(num_done, len(rows))
    return sums


def rolling_log_likelihood(
    model,
    documents,
    start_token_id,
    context_length=1,
    batch_size=8,
    progress=None,
):
    """log p of whole documents of any length, each on its own.

    Every token is predicted once. The first `max_sequence_length` tokens
    follow the start token; then each window predicts the next T + 1 -
    `context_length` tokens, and has as much context before them as fits in
    T inputs. The last window is as full as the others. For T = 4 and
    context_length = 1:

        inputs   ⏎ 0 1 2     3 4 5 6     5 6 7 8
        targets  0 1 2 3     4 5 6 7         8 9

    Args:
        model: a `GPT3CausalLM`.
        documents: rows of token ids, N; one without a token gives 0.
        start_token_id: int, what the first token is predicted from.
        context_length: int in [1, T].
        batch_size: int, the most windows at a time.
        progress: function of (windows done, windows).

    Returns:
        float64 (N,), nats.

    Reference: `get_rolling_token_windows` of lm-evaluation-harness.
    """
    length = model.backbone.max_sequence_length
    if not 1 <= context_length <= length:
        raise ValueError(
            "context_length must be in [1, max_sequence_length]. Received: "
            f"context_length={context_length}, max_sequence_length={length}."
        )
    owners, contexts, continuations = [], [], []
    for owner, ids in enumerate(documents):
        ids = [start_token_id, *ids]
        start = 1
        while start < len(ids):
            room = length if start == 1 else length + 1 - context_length
            end = min(start + room, len(ids))
            owners.append(owner)
            contexts.append(ids[max(end - length - 1, 0) : start])
            continuations.append(ids[start:end])
            start = end
    log_probs = continuation_log_probs(
        model, contexts, continuations, batch_size, progress
    )
    sums = np.zeros(len(documents), "float64")
    np.add.at(sums, np.array(owners, "int64"), log_probs)
    return sums


def _position_scores(model, x, positions, y):
    """log p(y), whether y is likeliest, and its copied share, (B, K).

    Args:
        model: a `GPT3CausalLM`.
        x: dict of `"token_ids"` and `"padding_mask"`, (B, S).
        positions: int32 (B, K), from which y is predicted.
        y: int32 (B, K).
    """
    outputs = model.backbone(x, training=False)
    at = positions[..., None]
    outputs = {
        "generator_states": _take(outputs["generator_states"], at),
        "pointer_logits": _take(outputs["pointer_logits"], at),
        "gate_logits": _take(outputs["gate_logits"], positions),
    }
    log_probs_BKV = model.mix(outputs, x["token_ids"])
    log_probs = ops.squeeze(_take(log_probs_BKV, y[..., None], 2), axis=2)
    is_best = ops.equal(ops.argmax(log_probs_BKV, axis=-1), y)
    past = ops.less_equal(ops.arange(ops.shape(x["token_ids"])[1]), at)
    match = functional.match_targets(x["token_ids"], y, past)
    _, log_copy = functional.log_gate(outputs["gate_logits"])
    log_copy = log_copy + functional.copy_log_probs_of_targets(
        outputs["pointer_logits"], match
    )
    return log_probs, is_best, ops.exp(log_copy - log_probs)


def _take(values, places, axis=1):
    return ops.take_along_axis(values, places, axis=axis)


def _rows(model, contexts, continuations):
    """Pairs of the ids that fit the model, and how many are predicted."""
    length = model.backbone.max_sequence_length
    pairs = list(zip(contexts, continuations, strict=True))
    for place, (context, continuation) in enumerate(pairs):
        if not len(context) or not len(continuation):
            raise ValueError(
                "A context and its continuation must each have a token. "
                f"Received: {len(context)} and {len(continuation)} tokens in "
                f"row {place}."
            )
        if len(continuation) > length:
            raise ValueError(
                "A continuation must fit max_sequence_length. Received: "
                f"{len(continuation)} tokens in row {place}, "
                f"max_sequence_length={length}."
            )
    rows = [
        ([*context, *continuation][-length - 1 :], len(continuation))
        for context, continuation in pairs
    ]
    prompts.check_ids((ids for ids, _ in rows), model.backbone.vocabulary_size)
    return rows


def _width(length, limit):
    """`length`, rounded up to 16, 24, 32, 48, 64, 96, ... and to `limit`.

    >>> [_width(n, 100) for n in (1, 16, 17, 33, 65, 97)]
    [16, 16, 24, 48, 96, 100]
    """
    width = _MIN_WIDTH
    while width < length:
        is_power = width & (width - 1) == 0
        width = width * 3 // 2 if is_power else width * 4 // 3
    return min(width, limit)


def _num_slots(num_targets):
    """`num_targets`, rounded up to a power of two."""
    return 1 << (num_targets - 1).bit_length()


def _batches(model, rows, batch_size):
    """Yields (width, number of targets, places of rows), longest first."""
    limit = model.backbone.max_sequence_length

    def shape(place):
        ids, num_targets = rows[place]
        return _width(len(ids) - 1, limit), _num_slots(num_targets)

    order = sorted(range(len(rows)), key=shape, reverse=True)
    for (width, num_targets), places in itertools.groupby(order, shape):
        places = list(places)
        step = max(1, min(batch_size, _MAX_DISTRIBUTIONS // num_targets))
        for start in range(0, len(places), step):
            yield width, num_targets, places[start : start + step]


def _batches_by_width(model, rows, batch_size):
    """Yields (width, places of rows), longest first."""
    limit = model.backbone.max_sequence_length

    def width(place):
        return _width(len(rows[place][0]) - 1, limit)

    order = sorted(range(len(rows)), key=width, reverse=True)
    for common, places in itertools.groupby(order, width):
        places = list(places)
        for start in range(0, len(places), batch_size):
            yield common, places[start : start + batch_size]


def _gathered(rows, places, width, num_targets):
    """Inputs; targets, their positions, and which are real, (B, K)."""
    x = prompts.pad([rows[i][0][:-1] for i in places], width)
    ends = [rows[i][0][-rows[i][1] :] for i in places]
    y = prompts.pad(ends, num_targets)
    starts = x["padding_mask"].sum(axis=1) - y["padding_mask"].sum(axis=1)
    positions = starts[:, None] + np.arange(num_targets)[None]
    positions = np.where(y["padding_mask"], positions, 0).astype("int32")
    return x, y["token_ids"], positions, y["padding_mask"]
