"""Pure equations of the model, in `keras.ops` only.

Axes at the end of a tensor's name: B batch, T target position, S source
position, H heads, D hidden_dim, K head_dim, V vocabulary. Masks are True where
something is kept. Logs, softmaxes and losses are float32.
"""

from keras import ops

# A logit that no attention may choose. exp() of it is zero in every float
# type, and unlike -inf it is finite, fits float16 and has a zero gradient.
MASKED_LOGIT = -3e4


def causal_mask(padding_mask):
    """Which source positions each target position may read.

    A target reads real sources that are not in its future, and always itself,
    so that no row of the mask is empty (a row of padding still gives numbers).

    Args:
        padding_mask: bool (B, S), True at real tokens.

    Returns:
        bool (B, T, S) with T = S.
    """
    positions = ops.arange(ops.shape(padding_mask)[1])
    target_T1, source_1S = positions[:, None], positions[None, :]
    past_TS = ops.greater(target_T1, source_1S)
    self_TS = ops.equal(target_T1, source_1S)
    real_B1S = ops.expand_dims(ops.cast(padding_mask, "bool"), 1)
    return ops.logical_or(
        ops.logical_and(ops.expand_dims(past_TS, 0), real_B1S),
        ops.expand_dims(self_TS, 0),
    )


def past_mask(num_sources, index):
    """What a single target at position `index` may read. bool (1, 1, S)."""
    return ops.arange(num_sources)[None, None, :] <= index


def mask_logits(logits, mask):
    """`logits` where `mask` is True, `MASKED_LOGIT` elsewhere."""
    return ops.where(mask, logits, ops.cast(MASKED_LOGIT, logits.dtype))


def softmax(logits):
    """Softmax over the last axis, computed and returned in float32."""
    logits = ops.cast(logits, "float32")
    if logits.shape[-1] == 1:  # Keras warns that this is not a choice.
        return ops.ones_like(logits)
    return ops.softmax(logits, axis=-1)


def log_gate(gate_logits):
    """log g and log(1 - g), both float32, for g = sigmoid(gate_logits)."""
    gate_logits = ops.cast(gate_logits, "float32")
    return ops.log_sigmoid(gate_logits), ops.log_sigmoid(-gate_logits)


def match_targets(token_ids, targets, mask):
    """Where in the readable context each target token stands.

    Args:
        token_ids: int (B, S), the context.
        targets: int (B, T), the token to find.
        mask: bool (B, T, S), what each target position may read.

    Returns:
        bool (B, T, S).
    """
    same_BTS = ops.equal(
        ops.expand_dims(targets, 2), ops.expand_dims(token_ids, 1)
    )
    return ops.logical_and(same_BTS, mask)


def copy_log_probs_of_targets(pointer_logits, match):
    """log sum_{j: x_j = target} a_tj without a scatter over the vocabulary.

    Args:
        pointer_logits: float (B, T, S), already masked.
        match: bool (B, T, S) from `match_targets`.

    Returns:
        float32 (B, T). About `MASKED_LOGIT` where the target is absent.
    """
    log_probs_BTS = ops.log_softmax(ops.cast(pointer_logits, "float32"))
    return ops.logsumexp(mask_logits(log_probs_BTS, match), axis=-1)


def copy_log_probs(pointer_logits, token_ids, vocabulary_size):
    """log sum_{j: x_j = v} a_tj for every token v.

    Args:
        pointer_logits: float (B, T, S), already masked.
        token_ids: int (B, S).
        vocabulary_size: V.

    Returns:
        float32 (B, T, V). `MASKED_LOGIT` where v is absent from the context.
    """
    probs_BTS = softmax(pointer_logits)
    batch, target, source = (ops.shape(probs_BTS)[i] for i in range(3))
    rows_BTS = ops.broadcast_to(
        ops.reshape(ops.arange(batch * target), (batch, target, 1)),
        (batch, target, source),
    )
    ids_BTS = ops.broadcast_to(
        ops.expand_dims(ops.cast(token_ids, "int32"), 1),
        (batch, target, source),
    )
    indices = ops.stack(
        [ops.reshape(rows_BTS, (-1,)), ops.reshape(ids_BTS, (-1,))], axis=-1
    )
    probs_NV = ops.scatter(
        indices,
        ops.reshape(probs_BTS, (-1,)),
        (batch * target, vocabulary_size),
    )
    probs_BTV = ops.reshape(probs_NV, (batch, target, vocabulary_size))
    return log_where_positive(probs_BTV)


def log_where_positive(probs):
    """The logarithm of probabilities; `MASKED_LOGIT` for those that are 0."""
    present = ops.greater(probs, 0.0)
    return mask_logits(ops.log(ops.where(present, probs, 1.0)), present)


def mixture_log_probs(gate_logits, generation_log_probs, copy_log_probs):
    """log p = logaddexp(log g + log P_gen, log(1 - g) + log P_copy).

    The pointer-generator mixture of See et al. 2017 (arXiv:1704.04368, eq. 9)
    in log space, so that a saturated gate gives neither NaN nor -inf.

    Args:
        gate_logits: float, broadcastable to the two others.
        generation_log_probs: float32 (..., V) or (...).
        copy_log_probs: float32, the same shape.

    Returns:
        float32, the same shape.
    """
    log_generate, log_copy = log_gate(gate_logits)
    return ops.logaddexp(
        log_generate + generation_log_probs, log_copy + copy_log_probs
    )


def soft_rank(pointer_logits, match, mask, temperature=1.0):
    """Expected rank of the best-scored matching position, differentiable.

    rank = 1 + sum_{k not a match} sigmoid((s_k - s*) / temperature), with s*
    the best score among the matches (Qin et al. 2010, "A general
    approximation framework", eq. 12, on the context's positions).

    Args:
        pointer_logits: float (B, T, S).
        match: bool (B, T, S).
        mask: bool (B, T, S), the readable positions.
        temperature: positive float.

    Returns:
        float32 (B, T), at least 1; meaningless where nothing matches.
    """
    lead_BTS, rivals_BTS = _rivals(pointer_logits, match, mask)
    above_BTS = ops.sigmoid(lead_BTS / temperature)
    return 1.0 + ops.sum(ops.where(rivals_BTS, above_BTS, 0.0), axis=-1)


def exact_rank(pointer_logits, match, mask):
    """1 + the number of non-matching positions scored above the best match.

    Args and shapes as in `soft_rank`. Returns float32 (B, T).
    """
    lead_BTS, rivals_BTS = _rivals(pointer_logits, match, mask)
    above_BTS = ops.logical_and(rivals_BTS, ops.greater(lead_BTS, 0.0))
    return 1.0 + ops.sum(ops.cast(above_BTS, "float32"), axis=-1)


def _rivals(pointer_logits, match, mask):
    """Each score's lead over the best match, and where its rivals stand."""
    scores_BTS = ops.cast(pointer_logits, "float32")
    best_BT1 = ops.max(mask_logits(scores_BTS, match), axis=-1, keepdims=True)
    return scores_BTS - best_BT1, ops.logical_and(mask, ops.logical_not(match))


def shift_right(states):
    """Each position's predecessor; zeros before the first. (B, T, D)."""
    return ops.pad(states, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def position_before(values, index):
    """`values[:, index - 1 : index]`, zeros where `index` is 0. (B, 1, ...).

    `values` is (B, S, ...), `index` an int or an int scalar tensor.
    """
    index = ops.cast(index, "int32")
    before = ops.take(values, ops.maximum(index - 1, 0)[None], axis=1)
    return before * ops.cast(ops.greater(index, 0), values.dtype)


def set_position(values, update, index):
    """`values` (B, S, ...) with `update` (B, 1, ...) at position `index`."""
    rows = ops.arange(ops.shape(values)[0])
    columns = ops.zeros_like(rows) + ops.cast(index, rows.dtype)
    return ops.scatter_update(
        values,
        ops.stack([rows, columns], axis=-1),
        ops.cast(ops.squeeze(update, axis=1), values.dtype),
    )


def new_stops(token_ids, prompt_mask, stop_token_ids):
    """Where stop tokens stand outside the prompt. bool (B, T).

    Arguments as for `until_stop`; `stop_token_ids` is a list.
    """
    stops = ops.zeros_like(token_ids, dtype="bool")
    for stop in stop_token_ids:
        stops = ops.logical_or(stops, ops.equal(token_ids, stop))
    return ops.logical_and(stops, ops.logical_not(prompt_mask))


def until_stop(token_ids, prompt_mask, stop_token_ids):
    """Which positions of written rows count: up to the first new stop token.

    Args:
        token_ids: int (B, T).
        prompt_mask: bool (B, T), True at the prompt, where nothing stops.
        stop_token_ids: list of ids, or None.

    Returns:
        bool (B, T); the stop token itself counts.
    """
    if stop_token_ids is None:
        return ops.ones_like(token_ids, dtype="bool")
    stops = new_stops(token_ids, prompt_mask, stop_token_ids)
    stops = ops.cast(stops, "int32")
    return ops.equal(ops.cumsum(stops, axis=-1) - stops, 0)


def gru_cell(projection, product, state):
    """One step of a gated recurrent unit, in cuDNN's form.

    z = sigmoid(x_z + u_z), r = sigmoid(x_r + u_r), n = tanh(x_n + r u_n),
    h' = z h + (1 - z) n: Cho et al. 2014 (arXiv:1406.1078, eqs. 5-8) with
    the reset gate after the recurrent product, as `keras.layers.GRU` has it.

    Args:
        projection: float (..., 3D), W x + b, gates in the order z, r, n.
        product: float (..., 3D), U h + c.
        state: float (..., D), h.

    Returns:
        The new state and the gates (z, r, n), each (..., D).
    """
    x_z, x_r, x_n = ops.split(projection, 3, axis=-1)
    u_z, u_r, u_n = ops.split(product, 3, axis=-1)
    update = ops.sigmoid(x_z + u_z)
    reset = ops.sigmoid(x_r + u_r)
    candidate = ops.tanh(x_n + reset * u_n)
    return candidate + update * (state - candidate), (update, reset, candidate)


def lstm_cell(projection, product, cell):
    """One step of a long short-term memory.

    c' = f c + i g, h' = o tanh(c'): Hochreiter & Schmidhuber 1997 with the
    forget gate of Gers et al. 2000, as `keras.layers.LSTM` has it.

    Args:
        projection: float (..., 4D), W x + b, gates in the order i, f, g, o.
        product: float (..., 4D), U h.
        cell: float (..., D), c.

    Returns:
        The new state, the new cell and the gates (i, f, g, o), each (..., D).
    """
    i, f, g, o = ops.split(projection + product, 4, axis=-1)
    gates = (ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o))
    new_cell = gates[1] * cell + gates[0] * gates[2]
    return gates[3] * ops.tanh(new_cell), new_cell, gates
