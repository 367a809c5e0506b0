r"""Text to words in the TensorFlow graph: the split that precedes BPE.

GPT-2 splits text with the pattern

    's|'t|'re|'ve|'m|'ll|'d
    | ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

TensorFlow's regular expressions have no lookahead and other tables of letters
and spaces. But whether a word starts at a character depends on its nearest
neighbours only, so all starts are found at once, with array operations.
"""

import functools

import numpy as np
import tensorflow as tf
import tokenizers

from gpt3_keras.models.tokenizer_tables import END_OF_TEXT

# Classes of characters. EDGE is what no word reaches across: a text's end or
# the end-of-text token.
OTHER, LETTER, NUMBER, SPACE, EDGE = range(5)

# Stands between texts; no UTF-8 contains this byte.
_SEPARATOR = b"\xff"

# No letter, number or space lies beyond the fourth Unicode plane.
_NUM_PLANES = 4


@functools.cache
def character_classes():
    """uint8 (C,): each code point's class; the last stands for all beyond.

    The tables are those of the `tokenizers` library itself, whichever version
    of Unicode it was built with: it replaces every letter by one letter, every
    number by one number and every space by one space.
    """
    points = np.arange(_NUM_PLANES << 16, dtype="<u4")
    points[0xD800:0xE000] = ord("!")  # Surrogates are no characters.
    text = points.tobytes().decode("utf-32-le")
    stand_ins = {r"\p{L}": "L", r"\p{N}": "0", r"\s": " "}
    for pattern, stand_in in stand_ins.items():
        text = tokenizers.normalizers.Replace(
            tokenizers.Regex(pattern), stand_in
        ).normalize_str(text)
    replaced = np.frombuffer(text.encode("utf-32-le"), "<u4")
    classes = np.zeros(len(points), "uint8")
    for value, stand_in in enumerate(stand_ins.values(), LETTER):
        classes[replaced == ord(stand_in)] = value
    return classes[: np.flatnonzero(classes)[-1] + 2]


def split_words(texts):
    """Finds the words of texts, where they lie in one buffer of bytes.

    `["It's", " ok<|endoftext|>"]` has the words `It`, `'s`, ` ok` and the
    special one, which is a word of one byte: its first.

    Args:
        texts: string (B,), UTF-8.

    Returns:
        A dict of int32 tensors: `"bytes"` (N,), the buffer; `"starts"` and
        `"ends"` (W,), each word's first byte and the byte after its last;
        `"specials"` (S,), the first bytes of end-of-text tokens; `"rows"`
        (N,), the text that each byte belongs to.

    Raises:
        InvalidArgumentError: when run, on text that is not UTF-8.
    """
    joined = tf.strings.join(
        [
            _SEPARATOR,
            tf.strings.reduce_join(tf.strings.join([texts, _SEPARATOR])),
        ]
    )
    data = tf.cast(tf.io.decode_raw(joined, tf.uint8), tf.int32)
    row_ends = tf.cumsum(tf.strings.length(texts) + 1)
    num_bytes = tf.size(data)
    is_edge = _mark(tf.concat([[0], row_ends], 0), num_bytes)
    rows = tf.cumsum(tf.cast(is_edge, tf.int32)) - 1

    lengths, points = _decode_utf8(data, is_edge, rows)
    specials = _find(END_OF_TEXT.encode(), data)
    special_bytes = specials[:, tf.newaxis] + tf.range(len(END_OF_TEXT))
    is_edge |= _mark(tf.reshape(special_bytes, [-1]), num_bytes)

    positions = _where(lengths > 0)
    points = tf.gather(points, positions)
    table = character_classes()
    classes = tf.gather(table, tf.minimum(points, len(table) - 1))
    classes = tf.cast(classes, tf.int32)
    classes = tf.where(tf.gather(is_edge, positions), EDGE, classes)
    starts = tf.boolean_mask(positions, _starts_word(classes, points))
    ends = tf.concat([starts[1:], [num_bytes]], 0)
    is_word = ~tf.gather(is_edge, starts) | tf.gather(
        _mark(specials, num_bytes), starts
    )
    return {
        "bytes": data,
        "starts": tf.boolean_mask(starts, is_word),
        "ends": tf.boolean_mask(ends, is_word),
        "specials": specials,
        "rows": rows,
    }


def _where(mask):
    return tf.cast(tf.where(mask)[:, 0], tf.int32)


def _mark(positions, size):
    """bool (size,), True at `positions`, which do not repeat."""
    ones = tf.ones_like(positions, tf.bool)
    return tf.tensor_scatter_nd_update(
        tf.zeros([size], tf.bool), positions[:, tf.newaxis], ones
    )


def _ahead(x, steps):
    """What stands `steps` later; round the end, where there are edges only."""
    return tf.roll(x, -steps, 0)


def _behind(x, steps):
    return tf.roll(x, steps, 0)


def _find(pattern, data):
    """int32 (S,): where `pattern`, which cannot overlap itself, begins."""
    candidates = _where((data == pattern[0]) & (_ahead(data, 1) == pattern[1]))
    windows = candidates[:, tf.newaxis] + tf.range(len(pattern))
    windows = tf.gather(data, tf.minimum(windows, tf.size(data) - 1))
    is_match = tf.reduce_all(windows == tf.constant([*pattern]), -1)
    return tf.boolean_mask(candidates, is_match)


def _lead_bytes():
    """int32 (256,) tables: length of a character, its second byte's bounds.

    Length 0 is a byte inside a character, -1 one that UTF-8 never has.
    """
    lengths = np.full(256, -1, "int32")
    lengths[:0x80] = 1
    lengths[0x80:0xC0] = 0
    lengths[0xC2:0xE0] = 2
    lengths[0xE0:0xF0] = 3
    lengths[0xF0:0xF5] = 4
    low = np.full(256, 0x80, "int32")
    high = np.full(256, 0xBF, "int32")
    low[0xE0], low[0xF0] = 0xA0, 0x90  # No longer form of a shorter one.
    high[0xED], high[0xF4] = 0x9F, 0x8F  # No surrogate; no more than 10FFFF.
    return lengths, low, high


def _decode_utf8(data, is_edge, rows):
    """Each byte's lead length (N,), and the code point that it begins (N,)."""
    lengths, low, high = (tf.gather(t, data) for t in _lead_bytes())
    lengths = tf.where(is_edge, 1, lengths)
    second, third, fourth = (_ahead(data, k) for k in (1, 2, 3))
    is_whole = (
        ((lengths < 2) | ((second >= low) & (second <= high)))
        & ((lengths < 3) | (third & 0xC0 == 0x80))
        & ((lengths < 4) | (fourth & 0xC0 == 0x80))
    )
    is_inside = (
        _behind(lengths >= 2, 1)
        | _behind(lengths >= 3, 2)
        | _behind(lengths >= 4, 3)
    )
    is_bad = (lengths < 0) | ~is_whole | ((lengths == 0) & ~is_inside)
    _check_utf8(is_bad & ~is_edge, is_edge, rows)

    second, third, fourth = second & 0x3F, third & 0x3F, fourth & 0x3F
    two = (data & 0x1F) * 0x40 + second
    three = ((data & 0x0F) * 0x40 + second) * 0x40 + third
    four = (((data & 0x07) * 0x40 + second) * 0x40 + third) * 0x40 + fourth
    points = tf.where(lengths == 2, two, data)
    points = tf.where(lengths == 3, three, points)
    return lengths, tf.where(lengths == 4, four, points)


def _check_utf8(is_bad, is_edge, rows):
    """Fails the step, naming the first bad byte and its text."""
    position = tf.argmax(is_bad, output_type=tf.int32)
    row = tf.gather(rows, position)
    row_start = tf.gather(_where(is_edge), row) + 1
    message = tf.strings.format(
        "Text must be valid UTF-8. Received: an invalid byte at offset {} of "
        "text {}.",
        (position - row_start, row),
    )
    tf.debugging.Assert(~tf.reduce_any(is_bad), [message])


def _starts_word(classes, points):
    """bool (C,): whether a word starts at each character.

    Args:
        classes: int32 (C,).
        points: int32 (C,), code points.
    """
    previous, following = _behind(classes, 1), _ahead(classes, 1)
    is_space = classes == SPACE
    # Letters, numbers and others stay with their kind, and take one blank
    # before them along.
    is_start = (classes != previous) & (_behind(points, 1) != ord(" "))
    # Spaces stay together, but the last before a word stands apart from them:
    # a blank to go with the word, another alone.
    is_last = (following != SPACE) & (following != EDGE)
    is_start = tf.where(is_space, (previous != SPACE) | is_last, is_start)
    is_start |= (classes == EDGE) | (previous == EDGE)

    # 's and the like are words where an apostrophe starts one.
    is_quote = is_start & (points == ord("'"))
    next_two = _ahead(points, 1), _ahead(points, 2)
    is_short = is_quote & _is_any(next_two[:1], ["s", "t", "m", "d"])
    is_long = is_quote & _is_any(next_two, ["re", "ve", "ll"])
    is_start &= ~_behind(is_short | is_long, 1)
    return is_start | _behind(is_short, 2) | _behind(is_long, 3)


def _is_any(points, endings):
    return functools.reduce(
        tf.logical_or,
        (
            functools.reduce(
                tf.logical_and,
                (p == ord(c) for p, c in zip(points, ending, strict=True)),
            )
            for ending in endings
        ),
    )
