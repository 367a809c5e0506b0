"""Byte-pair encoding in the TensorFlow graph.

Made of array operations and constants: no table resource, nothing that grows,
nothing but TensorFlow's own operations. It traces into a SavedModel as it is.
"""

import numpy as np
import tensorflow as tf

from gpt3_keras.models.tokenizer_tables import END_OF_TEXT
from gpt3_keras.models.tokenizer_words import split_words

_NEVER = np.iinfo("int32").max

# A word longer than these two together is encoded in pieces: one begins every
# `_STRIDE_BYTES` and reaches `_OVERLAP_BYTES` into the next.
_STRIDE_BYTES = 64
_OVERLAP_BYTES = 64


class GraphBytePairEncoder:
    """Tokenises and detokenises inside `tf.function` and `tf.data`.

    Repeats in all words at once: of the pairs of neighbours that a merge
    joins, join the one of lowest rank, until no merge applies.

    A long word would take as many rounds as it has merges, so it is encoded
    in overlapping pieces. This is exact where merges are ordered
    (`BytePairTables.is_ordered`): tokens are the encoding of their text if
    and only if each pair of neighbours is the encoding of its own text. So
    where two pieces share a token in their overlap, the first piece up to
    that token and the second from it on are the encoding of both. Pieces that
    share none are encoded again as one.

    Args:
        tables: `BytePairTables`.
    """

    def __init__(self, tables):
        self._byte_ids = np.array(tables.byte_ids, "int32")
        self._is_complete = not tables.missing_bytes
        self._special_id = tables.vocabulary[END_OF_TEXT]
        self._is_ordered = tables.is_ordered
        self._token_bytes = tables.token_bytes
        ids = tables.vocabulary
        keys, ranks = [], []
        for (left, right), rank in tables.ranks.items():
            keys.append(ids[left] * len(ids) + ids[right])
            ranks.append(rank)
        order = np.argsort(keys)
        # Sorted; the last is never found, so that the tables are not empty.
        self._pair_keys = np.append(np.array(keys, "int64")[order], -1)
        self._pair_keys[-1] = np.iinfo("int64").max
        self._pair_ranks = np.append(np.array(ranks, "int32")[order], _NEVER)
        self._products = np.array(
            [*(ids[left + right] for left, right in tables.merges), 0], "int32"
        )

    @tf.autograph.experimental.do_not_convert
    def tokenize(self, texts):
        """Token ids of texts.

        Args:
            texts: string (B,), UTF-8.

        Returns:
            An int32 RaggedTensor (B, None).

        Raises:
            InvalidArgumentError: when run, on text that is not UTF-8 or has a
                byte that the vocabulary lacks.
        """
        words = split_words(texts)
        symbols = tf.gather(self._byte_ids, words["bytes"])
        symbols = tf.tensor_scatter_nd_update(
            symbols,
            words["specials"][:, tf.newaxis],
            tf.fill(tf.shape(words["specials"]), self._special_id),
        )
        pieces = self._cut(words["starts"], words["ends"])
        ids, positions = self._encode(symbols, *pieces)
        if not self._is_complete:
            tf.debugging.Assert(
                tf.reduce_all(ids >= 0),
                ["Text must only have bytes that are in the vocabulary."],
            )
        return tf.RaggedTensor.from_value_rowids(
            ids,
            tf.cast(tf.gather(words["rows"], positions), tf.int64),
            nrows=tf.size(texts, tf.int64),
            validate=False,
        )

    @tf.autograph.experimental.do_not_convert
    def detokenize(self, token_ids):
        """Texts of token ids; what is not UTF-8 in them becomes U+FFFD.

        Args:
            token_ids: int RaggedTensor (B, None).

        Returns:
            string (B,).

        Raises:
            InvalidArgumentError: when run, on an id that the vocabulary does
                not have.
        """
        ids = token_ids.values
        size = len(self._token_bytes)
        is_known = (ids >= 0) & (ids < size)
        tf.debugging.Assert(
            tf.reduce_all(is_known),
            [f"Token ids must be in [0, {size}). Received: ", ids],
        )
        pieces = tf.gather(tf.constant(self._token_bytes), ids)
        texts = tf.strings.reduce_join(token_ids.with_values(pieces), axis=-1)
        return tf.strings.unicode_transcode(
            texts, "UTF-8", "UTF-8", errors="replace"
        )

    def _cut(self, starts, ends):
        """Words to pieces: (P,) each piece's start and its word's end."""
        if not self._is_ordered:
            return starts, ends
        lengths = ends - starts
        counts = -(-(lengths - _OVERLAP_BYTES) // _STRIDE_BYTES)
        counts = tf.maximum(counts, 1)
        firsts = tf.repeat(tf.cumsum(counts, exclusive=True), counts)
        steps = tf.range(tf.size(firsts)) - firsts
        starts = tf.repeat(starts, counts) + steps * _STRIDE_BYTES
        return starts, tf.repeat(ends, counts)

    def _encode(self, symbols, starts, word_ends):
        """Encodes words that lie in pieces.

        Args:
            symbols: int32 (N,), token ids of the bytes.
            starts: int32 (P,), of the pieces.
            word_ends: int32 (P,), ends of their words.

        Returns:
            int32 (M,) token ids and the positions of their first bytes.
        """

        def encode(starts, word_ends, *_):
            # The last piece of all has no next one.
            has_next = (word_ends == tf.roll(word_ends, -1, 0)) & (
                tf.range(tf.size(starts)) < tf.size(starts) - 1
            )
            next_starts = tf.roll(starts, -1, 0)
            ends = tf.where(has_next, next_starts + _OVERLAP_BYTES, word_ends)
            ids, pieces, positions = self._merge(symbols, starts, ends)
            cuts = _shared_tokens(
                ids, pieces, positions, starts, has_next, tf.size(symbols)
            )
            begins = tf.roll(tf.where(has_next, cuts, 0), 1, 0)
            is_kept = (positions < tf.gather(cuts, pieces)) & (
                positions >= tf.gather(begins, pieces)
            )
            is_open = has_next & (cuts == _NEVER)
            is_piece = ~tf.roll(is_open, 1, 0)
            return (
                tf.boolean_mask(starts, is_piece),
                tf.boolean_mask(word_ends, is_piece),
                tf.boolean_mask(ids, is_kept),
                tf.boolean_mask(positions, is_kept),
                tf.reduce_any(is_open),
            )

        nothing = tf.zeros([0], tf.int32)
        _, _, ids, positions, _ = _repeat_while_last(
            encode, [starts, word_ends, nothing, nothing, tf.constant(True)]
        )
        return ids, positions

    def _merge(self, symbols, starts, ends):
        """Encodes pieces, each on its own.

        Returns:
            int32 (M,) token ids, their pieces, their first bytes' positions.
        """
        bytes_of_pieces = tf.ragged.range(starts, ends)
        positions = bytes_of_pieces.values
        pieces = tf.cast(bytes_of_pieces.value_rowids(), tf.int32)
        ids = tf.gather(symbols, positions)

        def merge(ids, pieces, positions, ranks, _):
            lowest = tf.gather(tf.math.segment_min(ranks, pieces), pieces)
            is_lowest = (ranks == lowest) & (ranks < _NEVER)
            is_joined = self._choose(is_lowest, pieces)
            products = tf.gather(
                self._products,
                tf.minimum(ranks, len(self._products) - 1),
            )
            ids = tf.where(is_joined, products, ids)
            kept = tf.where(~tf.roll(is_joined, 1, 0))[:, 0]
            ids = tf.gather(ids, kept)
            pieces = tf.gather(pieces, kept)
            ranks = self._ranks(ids, pieces)
            return (
                ids,
                pieces,
                tf.gather(positions, kept),
                ranks,
                tf.reduce_any(ranks < _NEVER),
            )

        ranks = self._ranks(ids, pieces)
        ids, pieces, positions, _, _ = _repeat_while_last(
            merge,
            [ids, pieces, positions, ranks, tf.reduce_any(ranks < _NEVER)],
        )
        return ids, pieces, positions

    def _ranks(self, ids, pieces):
        """int32 (M,): the rank of each token's merge with the next."""
        size = len(self._token_bytes)
        keys = tf.cast(ids, tf.int64) * size
        keys += tf.cast(tf.roll(ids, -1, 0), tf.int64)
        table = tf.constant(self._pair_keys)
        found = tf.searchsorted(table, keys)
        is_merge = tf.gather(table, found) == keys
        is_merge &= pieces == tf.roll(pieces, -1, 0)
        is_merge &= tf.range(tf.size(ids)) < tf.size(ids) - 1
        return tf.where(is_merge, tf.gather(self._pair_ranks, found), _NEVER)

    def _choose(self, is_lowest, pieces):
        """Which of the pairs of lowest rank to join now, none overlapping."""
        index = tf.range(tf.size(is_lowest))
        if not self._is_ordered:  # The next may be of lower rank: one only.
            firsts = tf.math.segment_min(
                tf.where(is_lowest, index, _NEVER), pieces
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


def check_lengths(rows, limit):
    """Fails the step if one of several rows, or the one, is too long.

    Args:
        rows: an int tensor (T,), or a RaggedTensor (B, None).
        limit: int, or int scalar tensor.
    """
    is_ragged = isinstance(rows, tf.RaggedTensor)
    lengths = rows.row_lengths() if is_ragged else tf.shape(rows)[-1:]
    longest = tf.reduce_max(tf.concat([[0], tf.cast(lengths, tf.int32)], 0))
    message = tf.strings.format(
        "A prompt must leave room for a new token. Received: a prompt of {} "
        "tokens, room for {}.",
        (longest, limit),
    )
    tf.debugging.Assert(longest <= limit, [message])


def _repeat_while_last(body, state):
    """`tf.while_loop` on vectors that shrink, while the last item is True."""
    shapes = [tf.TensorShape([None])] * (len(state) - 1)
    return tf.while_loop(
        lambda *state: state[-1],
        body,
        state,
        shape_invariants=[*shapes, tf.TensorShape([])],
    )


def _shared_tokens(ids, pieces, positions, starts, has_next, num_bytes):
    """Where each piece first has a token that the next piece has too.

    Returns:
        int32 (P,), a position; `_NEVER` where there is none.
    """
    has_previous = tf.roll(has_next, 1, 0)
    head_ends = tf.where(has_previous, starts + _OVERLAP_BYTES, 0)
    tail_starts = tf.where(has_next, tf.roll(starts, -1, 0), _NEVER)
    is_head = positions < tf.gather(head_ends, pieces)
    heads = tf.tensor_scatter_nd_update(
        tf.fill([num_bytes], -1),
        tf.boolean_mask(positions, is_head)[:, tf.newaxis],
        tf.boolean_mask(ids, is_head),
    )
    is_tail = positions >= tf.gather(tail_starts, pieces)
    is_shared = is_tail & (tf.gather(heads, positions) == ids)
    return tf.math.unsorted_segment_min(
        tf.where(is_shared, positions, _NEVER), pieces, tf.size(starts)
    )
