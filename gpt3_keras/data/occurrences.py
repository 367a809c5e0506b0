"""Where the value of an open slot was said."""

import functools
import re

from gpt3_keras.data import turns


@functools.lru_cache(1 << 12)
def _pattern(values):
    # The longest first: "5 pm sharp" before "5 pm".
    alternatives = sorted(values, key=len, reverse=True)
    joined = "|".join(re.escape(value) for value in alternatives)
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)


def latest(values, said):
    """The last place where one of the values stands, as words of its own.

    >>> said = [turns.Turn("", "At 5 pm, or 6 pm?", {})]
    >>> latest(["5 PM", "17:00"], said)
    Span(speaker='user', turn=0, start=3, end=7)

    Args:
        values: sequence of str, spellings of one value; case does not count.
        said: list of `turns.Turn`, up to the one that the value belongs to.

    Returns:
        A `turns.Span`, or None if it was not said so.
    """
    pattern = _pattern(tuple(values))
    folded = {value.casefold() for value in values}
    for number in range(len(said) - 1, -1, -1):
        for speaker in reversed(turns.SPEAKERS):
            found = [
                match
                for match in pattern.finditer(getattr(said[number], speaker))
                if match[0].casefold() in folded
            ]
            if found:
                return turns.Span(speaker, number, *found[-1].span())
    return None
