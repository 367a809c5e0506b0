"""Augmentation by random replacement of characters (M19)."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from gpt3_keras.data import augmentation_step
from gpt3_keras.data import code_points as code_point_sets
from gpt3_keras.data import sources
from gpt3_keras.data import text as texts


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """Characters, and how often each of them is drawn.

    >>> Alphabet("etaoin", (12, 9, 8, 8, 7, 7)).characters
    'etaoin'

    Args:
        characters: str, each of them a grapheme of its own: no white space,
            no combining marks.
        counts: tuple of positive ints, one for each character. Defaults to
            as often as it stands in `characters`.
    """

    characters: str
    counts: tuple = ()

    def __post_init__(self):
        if not isinstance(self.characters, str) or not self.characters:
            raise ValueError(
                "An alphabet must be a string with at least one character. "
                f"Received: {self.characters!r}."
            )
        for character in self.characters:
            if not code_point_sets.stands_alone(character):
                raise ValueError(
                    "An alphabet must hold characters that stand alone, not "
                    "white space, marks or parts of emoji. Received: "
                    f"{character!r} (U+{ord(character):04X})."
                )
        counts = self.counts or (1,) * len(self.characters)
        object.__setattr__(self, "counts", tuple(counts))
        if len(counts) != len(self.characters) or min(counts) <= 0:
            raise ValueError(
                "counts must hold a positive number for each character. "
                f"Received: {len(counts)} counts, the least of them "
                f"{min(counts)}, for {len(self.characters)} characters."
            )

    def cumulative_shares(self):
        """Where each character's part of [0, 1) ends, float32."""
        sums = np.cumsum(self.counts, dtype="float64")
        return (sums / sums[-1]).astype("float32")


def alphabet_of(source):
    """The letters of a corpus, as often as they stand there.

    Args:
        source: see `sources.find_files`. It is read once, block by block.

    Returns:
        An `Alphabet`, its characters in the order of their code points.

    Raises:
        ValueError: if text is missing, is not UTF-8 or holds no letter.
    """
    counts = collections.Counter()
    for file in sources.find_files(source):
        for block in texts.read_text(file.path):
            counts.update(block)
    letters = sorted(filter(code_point_sets.is_letter, counts))
    if not letters:
        raise ValueError(
            "An alphabet is made of the letters of a text. Received: "
            f"source={source!r}, which holds no letter."
        )
    return Alphabet("".join(letters), tuple(counts[x] for x in letters))


@dataclasses.dataclass(frozen=True)
class ReplaceCharacters(augmentation_step.Step):
    """Replaces letters at random by others.

    >>> step = ReplaceCharacters(rate=0.2, alphabet="aeiou", seed=0)
    >>> text, spans = step("The answer is Paris.", spans=[(14, 19)], index=0)
    >>> text.numpy().decode()
    'The anewer is Paris.'

    Each letter, in any script, is drawn with probability `rate`, on its own,
    and gets a character from the alphabet in its place, which may happen to
    be the same. Left alone are white space, digits and signs, emoji, a letter
    that makes one grapheme with a mark or with another letter, and whatever
    lies in a span. The number of characters stays the same.

    Args:
        rate: float in [0, 1].
        alphabet: str or `Alphabet`, where replacements are drawn from. In a
            str, a character may stand several times. See `alphabet_of`.
        seed: int. Defaults to 0.

    Call arguments, returns and raises: see `augmentation_step.Step`.
    """

    rate: float
    alphabet: str | Alphabet
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.alphabet, Alphabet):
            object.__setattr__(self, "alphabet", Alphabet(self.alphabet))

    def change(self, code_points, spans, index):
        chances, draws = tf.unstack(
            self.uniform([2, tf.size(code_points)], index)
        )
        is_drawn = (
            (chances < self.rate)
            & _are_lone_letters(code_points)
            & ~_are_in_spans(spans, tf.size(code_points))
        )
        alphabet = np.array([*map(ord, self.alphabet.characters)], "int32")
        shares = self.alphabet.cumulative_shares()
        # The last share is 1, and no draw reaches it.
        replacements = tf.gather(
            alphabet, tf.searchsorted(shares, draws, side="right")
        )
        return tf.where(is_drawn, replacements, code_points), spans


def _are_lone_letters(code_points):
    """Which characters are letters and graphemes of their own."""
    extends = code_point_sets.contains(code_point_sets.extending(), code_points)
    joins = code_point_sets.contains(code_point_sets.joining(), code_points)
    letters = code_point_sets.contains(code_point_sets.letters(), code_points)
    after = tf.pad(extends, [[0, 1]])[1:]
    # A mark may stand between a sign that joins and what it joins.
    joins |= extends & tf.pad(joins, [[1, 0]])[:-1]
    before = tf.pad(joins, [[1, 0]])[:-1]
    return letters & ~before & ~after


def _are_in_spans(spans, num_chars):
    """Which characters lie in a span."""
    starts, ends = tf.unstack(spans, axis=1)
    places = tf.range(num_chars)
    num_open = tf.searchsorted(tf.sort(starts), places, side="right")
    num_closed = tf.searchsorted(tf.sort(ends), places, side="right")
    return num_open > num_closed
