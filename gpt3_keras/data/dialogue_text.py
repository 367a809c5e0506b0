"""Utterances as tokens that know where their characters are."""

import dataclasses
import functools
import re

import numpy as np

from gpt3_keras.data import services

# What stands before an utterance; a newline is part of no word.
MARKS = {"system": "\nsystem:", "user": "\nuser:"}
# A value of so many letters is also found with an ending: moderate-ly.
_MIN_LETTERS_WITH_ENDING = 4
_ENDING = r"\w{0,3}"


def lower(text):
    """`text` in lower case, each character in its place.

    >>> lower("San José")
    'san josé'
    """
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def words_of(name):
    """The words of an identifier.

    >>> words_of("FindRestaurants"), words_of("price_range")
    ('find restaurants', 'price range')
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return lower(re.sub(r"[_\s]+", " ", name)).strip()


@dataclasses.dataclass(frozen=True)
class TokenSpans:
    """The tokens of one utterance, and the characters of each.

    Args:
        ids: list of int.
        starts, ends: int (n,), token i is characters [starts[i], ends[i]),
            the blank before it included.
    """

    ids: list
    starts: np.ndarray
    ends: np.ndarray

    def tokens_of(self, start, end):
        """(first, last) token with any of the characters [start, end)."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        return first, max(first, last)


def align(text, ids, tokenizer):
    """The `TokenSpans` of the ids of a blank and `text`.

    Byte-level tokens have one character a byte.

    Args:
        text: str.
        ids: list of int, of `" " + text`.
        tokenizer: a `GPT3Tokenizer`.
    """
    lengths = [len(c.encode("utf-8")) for c in " " + text]
    character = np.repeat(np.arange(len(lengths)) - 1, lengths)
    bounds = np.cumsum([0] + [len(tokenizer.id_to_token(i)) for i in ids])
    return TokenSpans(
        ids, character[bounds[:-1]], character[bounds[1:] - 1] + 1
    )


@functools.cache
def value_pattern(service):
    """Finds values of closed slots in lower-case text.

    The longest one at a place is found: "north indian" is not "north".

    Args:
        service: a `services.Service`.

    Returns:
        A regular expression, or None without values; and a dict from the
        value's text to (slot's number, candidate's number) pairs.
    """
    places = {}
    for s, slot in enumerate(service.slots):
        if slot.is_open or slot.requestable_only:
            continue
        for c, value in enumerate(slot.domain):
            if value not in services.RESERVED:
                places.setdefault(lower(value), []).append((s, c))
    if not places:
        return None, places
    texts = sorted(places, key=len, reverse=True)
    parts = [
        re.escape(text)
        + (_ENDING if len(text) >= _MIN_LETTERS_WITH_ENDING else "")
        for text in texts
    ]
    alternatives = "|".join(f"({part})" for part in parts)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)"), {
        number: places[text] for number, text in enumerate(texts)
    }


def mentions(text, service):
    """Yields (slot, candidate, start, end) of each value in a text."""
    pattern, places = value_pattern(service)
    if pattern is None:
        return
    for found in pattern.finditer(lower(text)):
        for slot, candidate in places[found.lastindex - 1]:
            yield slot, candidate, found.start(), found.end()


def occurrences(text, values):
    """(start, end) of each place where one of some values stands."""
    found = _any_of(frozenset(values)).finditer(lower(text))
    return [match.span() for match in found]


@functools.lru_cache(1 << 12)
def _any_of(values):
    # The longest first: "5 pm sharp" before "5 pm".
    texts = sorted(map(lower, values), key=lambda text: (-len(text), text))
    parts = "|".join(map(re.escape, texts))
    return re.compile(rf"(?<!\w)(?:{parts})(?!\w)")
