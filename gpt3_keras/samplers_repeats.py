"""Which tokens would repeat what a row has written."""

from keras import ops


def would_repeat(token_ids, starts, index, num_tokens, like):
    """Which tokens at `index` would end a run that was written before.

    After `a b c a b`, with n = 3, that is `c`.

    Args:
        token_ids: int (N, T).
        starts: int (N,), where the written text begins.
        index: int scalar tensor.
        num_tokens: int, n, the length of a run.
        like: (N, V), of the result's shape.

    Returns:
        bool (N, V).
    """
    length = ops.shape(token_ids)[1]
    places = ops.arange(length)[None]
    # Runs end at `places`: the written text has room for them.
    found = ops.logical_and(
        places >= starts[:, None] + num_tokens - 1, places < index
    )
    for back in range(1, num_tokens):
        earlier = ops.pad(token_ids, ((0, 0), (back, 0)))[:, :length]
        at_index = ops.take(
            token_ids, ops.maximum(index - back, 0)[None], axis=1
        )
        found = ops.logical_and(found, ops.equal(earlier, at_index))
    rows = ops.arange(ops.shape(token_ids)[0])[:, None] + 0 * places
    indices = ops.stack(
        [
            ops.reshape(rows, (-1,)),
            ops.reshape(ops.cast(token_ids, rows.dtype), (-1,)),
        ],
        axis=-1,
    )
    counts = ops.scatter(
        indices,
        ops.reshape(ops.cast(found, "float32"), (-1,)),
        ops.shape(like),
    )
    return ops.greater(counts, 0.0)
