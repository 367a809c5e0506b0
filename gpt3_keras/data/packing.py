"""From documents to rows of one length, no token lost or repeated.

The documents of a split are one stream, with the end-of-text token before,
between and after them. Row i reads T tokens of it, and its targets are the
same, one further on:

    stream   ⏎ a b c ⏎ d e ⏎           T = 3
    row 0    ⏎ a b -> a b c
    row 1    c ⏎ d -> ⏎ d e
    row 2    e     -> ⏎

Each token but the last is an input once, each but the first a target once.
Rows cross documents; only the last row may be short.
"""

import numpy as np

# Tokens that are gathered before they are cut into rows.
_MIN_TOKENS = 1 << 14


def token_stream(pieces, end_token_id):
    """Yields the stream of some documents, in int32 arrays.

    A document without a token is no document.

    Args:
        pieces: iterable of `text.Piece` with token ids.
        end_token_id: int.
    """
    end = np.array([end_token_id], "int32")
    has_begun = False
    yield end
    for piece in pieces:
        if len(piece.content):
            has_begun = True
            yield piece.content
        if piece.ends and has_begun:
            has_begun = False
            yield end


def pack(stream, sequence_length):
    """Yields the rows of a stream: int32 (T + 1,), inputs and the last target.

    The last row is shorter, (n + 1,), if what is left has n < T targets.

    >>> [row.tolist() for row in pack([np.arange(4), np.arange(4, 8)], 3)]
    [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7]]

    Args:
        stream: iterable of int (n,) arrays.
        sequence_length: int, T.
    """
    held, num_held = [], 0
    for ids in stream:
        held.append(ids)
        num_held += len(ids)
        if num_held > max(sequence_length, _MIN_TOKENS):
            joined = np.concatenate(held)
            end = (num_held - 1) // sequence_length * sequence_length
            yield from _rows(joined[: end + 1], sequence_length)
            held, num_held = [joined[end:]], num_held - end
    if held:
        yield from _rows(np.concatenate(held), sequence_length)


def _rows(joined, sequence_length):
    for start in range(0, len(joined) - 1, sequence_length):
        # A view would keep all of `joined` for as long as the row lives.
        yield joined[start : start + sequence_length + 1].copy()


def num_rows(num_targets, sequence_length):
    """How many rows a stream with so many targets has.

    >>> num_rows(7, sequence_length=3)
    3
    """
    return -(-num_targets // sequence_length)
