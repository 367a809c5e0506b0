"""How alike two values are, as the evaluation of SGD counts it.

Its script (google-research/schema_guided_dst/metrics.py) calls
`fuzz.token_sort_ratio` of the package fuzzywuzzy. Here is the same figure
without the package.
"""

import re

_NOT_WORDS = re.compile(r"\W")


def token_sort_ratio(a, b):
    """Likeness of two texts whatever the order of their words, in [0, 1].

    Both are reduced to ASCII letters and figures in lower case; their words
    are sorted. Then it is

        2 · LCS(a, b) / (|a| + |b|),

    LCS the length of the longest common subsequence, rounded to hundredths.

    >>> token_sort_ratio("5 pm, Friday", "friday 5 pm")
    1.0
    >>> token_sort_ratio("5 pm", "6 pm")
    0.75

    Args:
        a, b: str.

    Returns:
        float; 0 if nothing is left of one of them.
    """
    a, b = _sorted_words(a), _sorted_words(b)
    if not a or not b:
        return 0.0
    return round(200 * common_subsequence(a, b) / (len(a) + len(b))) / 100


def common_subsequence(a, b):
    """The length of the longest common subsequence of two strings.

    One bit a character of `a` (Hyyrö, 2004, "Bit-parallel LCS-length
    computation revisited"): a bit that has become 0 is a match.
    """
    places = {}
    for bit, character in enumerate(a):
        places[character] = places.get(character, 0) | 1 << bit
    row = (1 << len(a)) - 1
    for character in b:
        matches = row & places.get(character, 0)
        row = (row + matches) | (row - matches)
    return len(a) - (row & ((1 << len(a)) - 1)).bit_count()


def _sorted_words(text):
    text = text.encode("ascii", "ignore").decode()
    return " ".join(sorted(_NOT_WORDS.sub(" ", text).lower().split()))
