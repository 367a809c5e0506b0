"""Where the value of an open slot was said."""

from gpt3_keras.data import dialogue_text
from gpt3_keras.data import turns


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
    values = tuple(values)
    for number in range(len(said) - 1, -1, -1):
        for speaker in reversed(turns.SPEAKERS):
            text = getattr(said[number], speaker)
            found = dialogue_text.occurrences(text, values)
            if found:
                return turns.Span(speaker, number, *found[-1])
    return None
