"""Byte-pair encoding in the TensorFlow graph.

Made of array operations and constants: no table resource, nothing that grows,
nothing but TensorFlow's own operations. It traces into a SavedModel as it is.
"""

import functools

import numpy as np
import tensorflow as tf

from gpt3_keras.models.tokenizer_merges import NEVER
from gpt3_keras.models.tokenizer_merges import NONE
from gpt3_keras.models.tokenizer_merges import GraphMerges
from gpt3_keras.models.tokenizer_merges import put
from gpt3_keras.models.tokenizer_merges import repeat_while_last
from gpt3_keras.models.tokenizer_tables import END_OF_TEXT
from gpt3_keras.models.tokenizer_words import split_words

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
        self._merges = GraphMerges(tables)
        # Traced once, whatever graphs they become part of.
        self._tokenize = tf.function(
            self._tokenize_ops,
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )
        self._detokenize = tf.function(
            self._detokenize_ops,
            input_signature=[
                tf.RaggedTensorSpec([None, None], tf.int64, 1, tf.int64)
            ],
            autograph=False,
        )

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
        return self._tokenize(texts)

    def _tokenize_ops(self, texts):
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
        token_ids = token_ids.with_row_splits_dtype(tf.int64)
        return self._detokenize(tf.cast(token_ids, tf.int64))

    def _detokenize_ops(self, token_ids):
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
            ids, pieces, positions = self._merges.encode(symbols, starts, ends)
            cuts = _shared_tokens(
                ids, pieces, positions, starts, has_next, tf.size(symbols)
            )
            begins = tf.roll(tf.where(has_next, cuts, 0), 1, 0)
            is_kept = (positions < tf.gather(cuts, pieces)) & (
                positions >= tf.gather(begins, pieces)
            )
            is_open = has_next & (cuts == NEVER)
            is_piece = ~tf.roll(is_open, 1, 0)
            return (
                tf.boolean_mask(starts, is_piece),
                tf.boolean_mask(word_ends, is_piece),
                tf.boolean_mask(ids, is_kept),
                tf.boolean_mask(positions, is_kept),
                tf.reduce_any(is_open),
            )

        nothing = tf.zeros([0], tf.int32)
        _, _, ids, positions, _ = repeat_while_last(
            encode, [starts, word_ends, nothing, nothing, tf.constant(True)]
        )
        return ids, positions


@functools.lru_cache(maxsize=16)
def graph_encoder(tables):
    """The `GraphBytePairEncoder` of `BytePairTables`, made when needed."""
    return GraphBytePairEncoder(tables)


def _shared_tokens(ids, pieces, positions, starts, has_next, num_bytes):
    """Where each piece first has a token that the next piece has too.

    Returns:
        int32 (P,), a position; `NEVER` where there is none.
    """
    has_previous = tf.roll(has_next, 1, 0)
    head_ends = tf.where(has_previous, starts + _OVERLAP_BYTES, 0)
    tail_starts = tf.where(has_next, tf.roll(starts, -1, 0), NEVER)
    is_head = positions < tf.gather(head_ends, pieces)
    heads = put(tf.fill([num_bytes], NONE), positions, ids, is_head)
    is_tail = positions >= tf.gather(tail_starts, pieces)
    is_shared = is_tail & (tf.gather(heads, positions) == ids)
    return tf.math.unsorted_segment_min(
        tf.where(is_shared, positions, NEVER), pieces, tf.size(starts)
    )


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
