"""Passages with other names: the same words, about somebody else.

A few novels have a few names, which a model soon knows by heart; what it has
to learn is who is meant. With new names in each passage it can learn only that.
Hermann et al. 2015 (arXiv:1506.03340), section 2, hide names for that reason.
"""

import collections
import dataclasses
import re

from gpt3_keras.data import hashing
from gpt3_keras.data.words import MIN_LETTERS
from gpt3_keras.data.words import NO_ANSWERS

_WORD = re.compile(r"[^\W\d_]+")
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
    counts = collections.Counter(_WORD.findall(text))
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
    vocabulary = tokenizer.get_vocabulary()
    words = {
        entry[1:]
        for entry in vocabulary
        if entry[0] == "Ġ" and entry[1:].isalpha() and entry[1:].isascii()
    }
    return sorted(
        word
        for word in words
        if len(word) >= MIN_LETTERS
        and _is_capitalised(word)
        and word.lower() not in words
    )


@dataclasses.dataclass(frozen=True)
class RenameNames:
    """Replaces names in passages, each by the same other all over a passage.

    "... said rowan . good luck , rowan" -> "... said fiona . good luck , fiona"

    Names that are different stay different. Passages in lower case get their
    new names in lower case.

    Args:
        new_names: list of str.
        rate: float in [0, 1], the share of the names that are replaced.
        lowercase: bool, whether passages are in lower case.

    Call arguments:
        passage: a `lambada.Passage`.
        names: set of str, those that may be replaced, with their capital.
        base: int, what the draws depend on.

    Returns:
        A `lambada.Passage`.
    """

    new_names: list
    rate: float
    lowercase: bool

    def __call__(self, passage, names, base):
        if self.lowercase:
            names = {name.lower() for name in names}
        words = dict.fromkeys(_WORD.findall(passage.context))
        words[passage.target] = None
        renamed = {}
        for word in words:
            draw = hashing.name_hash(base, word)
            if word not in names or hashing.fraction(draw) >= self.rate:
                continue
            new = self.new_names[draw % len(self.new_names)]
            new = new.lower() if self.lowercase else new
            if new not in words and new not in renamed.values():
                renamed[word] = new

        def rename(text):
            return _WORD.sub(
                lambda match: renamed.get(match[0], match[0]), text
            )

        return passage._replace(
            context=rename(passage.context), target=rename(passage.target)
        )


def _is_capitalised(word):
    return word[0].isupper() and word[1:].islower()
