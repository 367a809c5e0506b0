"""The merges of byte-pair encoding in the TensorFlow graph."""

import numpy as np
import tensorflow as tf

# No merge, or no position.
NEVER = np.iinfo("int32").max
# No token, also not the one (-1) of a byte that the vocabulary lacks.
NONE = np.iinfo("int32").min


class GraphMerges:
    """Encodes strings of bytes, all at once.

    Repeats in every string: of the pairs of neighbours that a merge joins,
    join those of lowest rank, until no merge applies.

    Args:
        tables: `BytePairTables`.
    """

    def __init__(self, tables):
        self._is_ordered = tables.is_ordered
        self._num_tokens = len(tables.tokens)
        ids = tables.vocabulary
        keys, ranks = [], []
        for (left, right), rank in tables.ranks.items():
            keys.append(ids[left] * len(ids) + ids[right])
            ranks.append(rank)
        order = np.argsort(keys)
        # Sorted; the last is never found, so that the tables are not empty.
        self._pair_keys = np.append(np.array(keys, "int64")[order], -1)
        self._pair_keys[-1] = np.iinfo("int64").max
        self._pair_ranks = np.append(np.array(ranks, "int32")[order], NEVER)
        self._products = np.array(
            [*(ids[left + right] for left, right in tables.merges), 0], "int32"
        )

    def encode(self, symbols, starts, ends):
        """Encodes pieces of a text, each on its own.

        Args:
            symbols: int32 (N,), the ids of the text's bytes.
            starts, ends: int32 (P,), the pieces' first bytes, and the bytes
                after their last. Pieces may overlap, but none is empty.

        Returns:
            int32 (M,) token ids, their pieces, their first bytes' positions.
        """
        bytes_of_pieces = tf.ragged.range(starts, ends)
        positions = bytes_of_pieces.values
        all_pieces = tf.cast(bytes_of_pieces.value_rowids(), tf.int32)

        # A piece that is done leaves the loop: its tokens go to `encoded`, at
        # the place of their first byte.
        def join(ids, pieces, places, ranks, encoded, _):
            lowest = tf.gather(tf.math.segment_min(ranks, pieces), pieces)
            is_open = lowest < NEVER
            encoded = put(encoded, places, ids, ~is_open)
            is_joined = self._choose(is_open & (ranks == lowest), pieces)
            products = tf.minimum(ranks, len(self._products) - 1)
            products = tf.gather(self._products, products)
            ids = tf.where(is_joined, products, ids)
            kept = tf.where(is_open & ~tf.roll(is_joined, 1, 0))[:, 0]
            ids, pieces, places = (
                tf.gather(x, kept) for x in (ids, pieces, places)
            )
            ranks = self._ranks(ids, pieces)
            any_left = tf.reduce_any(ranks < NEVER)
            return ids, pieces, places, ranks, encoded, any_left

        ids = tf.gather(symbols, positions)
        ranks = self._ranks(ids, all_pieces)
        ids, _, places, _, encoded, _ = repeat_while_last(
            join,
            [
                ids,
                all_pieces,
                tf.range(tf.size(ids)),
                ranks,
                tf.fill(tf.shape(ids), NONE),
                tf.reduce_any(ranks < NEVER),
            ],
        )
        encoded = put(encoded, places, ids, tf.ones_like(ids, tf.bool))
        kept = tf.where(encoded != NONE)[:, 0]
        return [tf.gather(x, kept) for x in (encoded, all_pieces, positions)]

    def _ranks(self, ids, pieces):
        """int32 (M,): the rank of each token's merge with the next."""
        size = self._num_tokens
        keys = tf.cast(ids, tf.int64) * size
        keys += tf.cast(tf.roll(ids, -1, 0), tf.int64)
        table = tf.constant(self._pair_keys)
        found = tf.searchsorted(table, keys)
        is_merge = tf.gather(table, found) == keys
        is_merge &= pieces == tf.roll(pieces, -1, 0)
        is_merge &= tf.range(tf.size(ids)) < tf.size(ids) - 1
        return tf.where(is_merge, tf.gather(self._pair_ranks, found), NEVER)

    def _choose(self, is_lowest, pieces):
        """Which of the pairs of lowest rank to join now, none overlapping."""
        index = tf.range(tf.size(is_lowest))
        if not self._is_ordered:  # The next may be of lower rank: one only.
            firsts = tf.math.segment_min(
                tf.where(is_lowest, index, NEVER), pieces
            )
            return is_lowest & (index == tf.gather(firsts, pieces))
        # In "aaaa", the first and the third.
        is_first = is_lowest & ~tf.roll(is_lowest, 1, 0)
        firsts = tf.where(is_first, index, 0)
        firsts = tf.gather(
            tf.boolean_mask(firsts, is_first),
            tf.maximum(tf.cumsum(tf.cast(is_first, tf.int32)) - 1, 0),
        )
        return is_lowest & ((index - firsts) % 2 == 0)


def repeat_while_last(body, state):
    """`tf.while_loop` on vectors that shrink, while the last item is True."""
    shapes = [tf.TensorShape([None])] * (len(state) - 1)
    return tf.while_loop(
        lambda *state: state[-1],
        body,
        state,
        shape_invariants=[*shapes, tf.TensorShape([])],
    )


def put(x, places, values, mask):
    """`x` with `values` at `places`, where `mask` is True."""
    return tf.tensor_scatter_nd_update(
        x,
        tf.boolean_mask(places, mask)[:, tf.newaxis],
        tf.boolean_mask(values, mask),
    )
