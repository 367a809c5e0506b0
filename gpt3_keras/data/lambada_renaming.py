"""Passages with other words: the same story, of somebody and something else.

A few novels have a few names and a few hundred things, which a model soon knows
by heart; what it has to learn is which of them is meant. With new ones in each
passage it can learn only that. Hermann et al. 2015 (arXiv:1506.03340), section
2, hide names for that reason.
"""

import dataclasses

from gpt3_keras.data import hashing
from gpt3_keras.data.words import NO_ANSWERS
from gpt3_keras.data.words import WORD
from gpt3_keras.data.words import spaced_words

# Words of one ending are mostly of one kind: a place is filled by its like.
_ENDINGS = ("ing", "ed", "ly", "s")
_MIN_COMMON_LETTERS = 4
# Beyond these the vocabulary's words are more and more those of programs.
_NUM_ENTRIES = 24_000


def ending(word):
    """The ending by which a word's likes are found; "" for most words.

    >>> ending("walking"), ending("garden")
    ('ing', '')
    """
    return next((e for e in _ENDINGS if word.endswith(e)), "")


def is_common(word):
    """Whether a word is a common one that may be an answer."""
    return (
        len(word) >= _MIN_COMMON_LETTERS
        and word.islower()
        and word not in NO_ANSWERS
    )


def words_of_vocabulary(tokenizer):
    """The common words among a vocabulary's first entries, by their ending.

    Of GPT-3's first 24,000 entries about 9,400.

    Args:
        tokenizer: a `GPT3Tokenizer`.

    Returns:
        A dict from each ending to a list of words, in the vocabulary's order.
    """
    found = {each: [] for each in (*_ENDINGS, "")}
    for word in spaced_words(tokenizer.get_vocabulary()[:_NUM_ENTRIES]):
        if is_common(word):
            found[ending(word)].append(word)
    return found


@dataclasses.dataclass(frozen=True)
class Renaming:
    """Replaces words in passages, each by the same other all over a passage.

    "... said rowan . good luck , rowan" -> "... said fiona . good luck , fiona"

    Words that are different stay different. A common word, one in lower case
    that is no name, gives way to one of the same ending. Passages in lower
    case get their new names in lower case.

    Args:
        new_names: list of str.
        name_rate: float in [0, 1], the share of the names that are replaced.
        new_words: dict from an ending to a list of str, see
            `words_of_vocabulary`; not read where `word_rate` is 0.
        word_rate: float in [0, 1], that of the common words.
        lowercase: bool, whether passages are in lower case.

    Call arguments:
        passage: a `lambada.Passage`.
        names: set of str, those that may be replaced, with their capital.
        base: int, what the draws depend on.

    Returns:
        A `lambada.Passage`.
    """

    new_names: list
    name_rate: float
    new_words: dict
    word_rate: float
    lowercase: bool

    def __call__(self, passage, names, base):
        if self.lowercase:
            names = {name.lower() for name in names}
        words = dict.fromkeys(WORD.findall(passage.context))
        words[passage.target] = None
        renamed = {}
        for word in words:
            rate, choices = self._likes(word, names)
            if not choices:
                continue
            draw = hashing.name_hash(base, word)
            if hashing.fraction(draw) >= rate:
                continue
            new = choices[draw % len(choices)]
            new = new.lower() if self.lowercase else new
            if new not in words and new not in renamed.values():
                renamed[word] = new

        def rename(text):
            return WORD.sub(lambda match: renamed.get(match[0], match[0]), text)

        return passage._replace(
            context=rename(passage.context), target=rename(passage.target)
        )

    def _likes(self, word, names):
        """How often a word is replaced, and what may come in its place."""
        if word in names:
            return self.name_rate, self.new_names
        if self.word_rate and is_common(word):
            return self.word_rate, self.new_words[ending(word)]
        return 0.0, []
