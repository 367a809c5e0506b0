"""Names: those that a text has, and those of a vocabulary."""

import collections
import re

from gpt3_keras.data.words import MIN_LETTERS
from gpt3_keras.data.words import NO_ANSWERS
from gpt3_keras.data.words import WORD
from gpt3_keras.data.words import spaced_words

# Written with a capital although no sentence begins there.
_INSIDE = re.compile(r"(?<=\w[\s,;]|[,;]\s)[^\W\d_]+")
_MIN_INSIDE = 2
# More than these are common words that begin sentences.
_MAX_LOWER_SHARE = 0.05


def find_names(text):
    """The names in a text: words that are hardly ever in lower case.

    >>> sorted(find_names("So Anna, Anna, saw Rome. Then she left Rome."))
    ['Anna', 'Rome']

    Args:
        text: str, best of some pages; a name stands inside of a sentence
            twice at least.

    Returns:
        A frozenset of str.
    """
    counts = collections.Counter(WORD.findall(text))
    inside = collections.Counter(
        word for word in _INSIDE.findall(text) if _is_capitalised(word)
    )
    return frozenset(
        word
        for word, count in inside.items()
        if count >= _MIN_INSIDE
        and len(word) >= MIN_LETTERS
        and word.lower() not in NO_ANSWERS
        and counts[word.lower()] <= _MAX_LOWER_SHARE * counts[word]
    )


def names_of_vocabulary(tokenizer):
    """The words of a vocabulary that it has with a capital alone.

    Of GPT-3's 50,257 entries about 4,200, most of them names.

    Args:
        tokenizer: a `GPT3Tokenizer`.

    Returns:
        A sorted list of str.
    """
    words = set(spaced_words(tokenizer.get_vocabulary()))
    return sorted(
        word
        for word in words
        if len(word) >= MIN_LETTERS
        and _is_capitalised(word)
        and word.lower() not in words
    )


def _is_capitalised(word):
    return word[0].isupper() and word[1:].islower()
