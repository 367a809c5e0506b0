"""Which characters are letters, parts of graphemes, or white space.

A grapheme, what a reader takes for one character, may be several code points:
a letter and its accents, or emoji that are joined (Unicode Standard Annex
29). The sets here tell where a letter stands alone. They are those of the
Unicode version that Python has.
"""

import functools
import re
import sys
import unicodedata

import numpy as np
import tensorflow as tf

from gpt3_keras.data import sentence_rules

_JOINER = 0x200D
_VIRAMA = 9  # The combining class of signs that join two consonants.
# First and last of the ranges that belong to what comes before them though
# they are not marks: the non-joiner and the joiner, parts of Hangul
# syllables, vowels of Thai and Lao, halfwidth marks of kana, and what colours
# or tags an emoji.
_APPENDED = (
    (0x200C, 0x200D),
    (0x1100, 0x11FF),
    (0xA960, 0xA97F),
    (0xD7B0, 0xD7FF),
    (0x0E33, 0x0E33),
    (0x0EB3, 0x0EB3),
    (0xFF9E, 0xFF9F),
    (0x1F3FB, 0x1F3FF),
    (0xE0020, 0xE007F),
)
# Those that belong to what comes after them (Grapheme_Cluster_Break=Prepend).
_PREPENDED = (
    (0x0600, 0x0605),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x0D4E, 0x0D4E),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x111C2, 0x111C3),
    (0x1193F, 0x1193F),
    (0x11941, 0x11941),
    (0x11A3A, 0x11A3A),
    (0x11A84, 0x11A89),
    (0x11D46, 0x11D46),
    (0x11F02, 0x11F02),
)
_LETTERS = ("Lu", "Ll", "Lt", "Lo")  # Not Lm: they change the letter before.
_MARKS = ("Mn", "Mc", "Me")
# White space, and what cannot be seen.
_UNSEEN = ("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn")


def letters():
    """Where letters that can stand alone begin and end, for `contains`."""
    return _bounds("letters")


def extending():
    """Those that make one grapheme with the character before them."""
    return _bounds("extending")


def joining():
    """Those that make one grapheme with the character after them."""
    return _bounds("joining")


def spaces():
    """White space."""
    return _bounds("spaces")


def contains(bounds, code_points):
    """Whether each code point is in a set.

    Args:
        bounds: int32 array, from one of the functions above.
        code_points: int32 tensor (N,).

    Returns:
        A bool tensor (N,).
    """
    place = tf.searchsorted(bounds, code_points, side="right")
    return tf.bitwise.bitwise_and(place, 1) == 1


def is_letter(character):
    """Whether a character is a letter that can stand alone."""
    return bool(_members()["letters"][ord(character)])


def stands_alone(character):
    """Whether a character can be seen and is always a grapheme of its own."""
    return bool(_members()["alone"][ord(character)])


@functools.cache
def _bounds(name):
    """Where a set of code points begins, ends, begins again and so on.

    A code point is in the set if the number of bounds up to it is odd.
    """
    members = np.pad(_members()[name], 1)
    return np.flatnonzero(members[1:] != members[:-1]).astype("int32")


@functools.cache
def _members():
    """Each set as a bool array over all code points."""
    characters = [*map(chr, range(sys.maxunicode + 1))]
    categories = np.array([*map(unicodedata.category, characters)])
    extending = np.isin(categories, _MARKS)
    joining = np.zeros_like(extending)
    for mark in np.flatnonzero(extending):
        joining[mark] = unicodedata.combining(characters[mark]) == _VIRAMA
    joining[_JOINER] = True
    for ranges, members in ((_APPENDED, extending), (_PREPENDED, joining)):
        for first, last in ranges:
            members[first : last + 1] = True
    spaces = np.zeros_like(extending)
    for space in re.findall(
        f"[{sentence_rules.SPACES}]", "".join(characters[:0x10000])
    ):
        spaces[ord(space)] = True
    is_part = extending | joining
    return {
        "letters": np.isin(categories, _LETTERS) & ~is_part,
        "extending": extending,
        "joining": joining,
        "spaces": spaces,
        "alone": ~np.isin(categories, _UNSEEN) & ~is_part & ~spaces,
    }
