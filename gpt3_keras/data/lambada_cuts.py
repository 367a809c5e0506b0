"""Where text can be cut into passages such as LAMBADA's.

A passage is the fewest whole sentences with more than `min_words` words, and
then a sentence up to a word of it, the target. LAMBADA's have more than 50
words before the target's sentence, and the target is the last word of it:

```
development set     5 %   half   95 %   largest
words               62     72      94     170
sentences            4      6       8      14
```
"""

import dataclasses
import re

import numpy as np

from gpt3_keras.data import lambada
from gpt3_keras.data import lambada_style
from gpt3_keras.data import sentences
from gpt3_keras.data.words import NO_ANSWERS

STYLES = ("plain", "lambada")
ENDS = ("sentence", "word")

_WORD = re.compile(r"[^\W_]+(?:[-‐‑][^\W_]+)*")
_SPACE = ord(" ")
# What may not follow a target, for then it is part of a longer word.
_JOINS = [ord(char) for char in "'’-‐‑_"]


@dataclasses.dataclass(frozen=True)
class Cut:
    """How passages are cut from text.

    Args:
        style: `"plain"`, text as it is but for its white space, or
            `"lambada"`, see `lambada_style`.
        ends: `"sentence"`, the target is the last word of a sentence, what
            stands after it cut off; or `"word"`, any word.
        min_words: int. There are more words than these, counted between
            spaces, before the target's sentence.
        max_words: int, the most words of a passage, its target included.
        min_letters: int, of a target.
        language: `"en"` or `"fr"`, see `sentences.split_sentences`.

    Raises:
        ValueError: an argument breaks its rule.
    """

    style: str = "plain"
    ends: str = "sentence"
    min_words: int = 50
    max_words: int = 170
    min_letters: int = 3
    language: str = "en"

    def __post_init__(self):
        _check_choice("style", self.style, STYLES)
        _check_choice("ends", self.ends, ENDS)
        sentences.check_language(self.language)
        for name in ("min_words", "min_letters"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1. Received: "
                    f"{name}={getattr(self, name)}."
                )
        if self.max_words < self.min_words + 2:
            raise ValueError(
                "max_words must leave room for a context of more than "
                f"min_words words and a target. Received: max_words="
                f"{self.max_words}, min_words={self.min_words}."
            )


class Windows:
    """The passages of a stretch of text.

    Args:
        block: str.
        cut: a `Cut`.

    Attributes:
        is_copied: bool (N,), for each passage, whether its target stands in
            the context, as a whole word, in the same case.
    """

    def __init__(self, block, cut):
        pieces = _styled(block, cut)
        # One string; each passage is a slice of it.
        self.content = " ".join(pieces)
        spans = [match.span() for match in _WORD.finditer(self.content)]
        words = [self.content[start:end] for start, end in spans]
        spans = np.array(spans, "int64").reshape(-1, 2)
        self.starts, self.ends = spans[:, 0], spans[:, 1]
        lengths = np.array([len(piece) + 1 for piece in pieces], "int64")
        begins = np.concatenate([[0], np.cumsum(lengths)])  # Of sentences.
        codes = np.frombuffer(f" {self.content} ".encode("utf-32-le"), "uint32")
        targets = self._targets(words, begins, codes, cut)
        self._fit(targets, begins, codes[1:] == _SPACE, cut)
        before = _last_before(words)[self.targets]
        self.is_copied = (before >= 0) & (self.starts[before] >= self.firsts)

    def passage(self, i, file):
        """The passage at a place, a `Passage` of a file."""
        start, word = self.firsts[i], self.targets[i]
        place, end = self.starts[word], self.ends[word]
        return lambada.Passage(
            self.content[start : place - 1], self.content[place:end], file, 0
        )

    def _targets(self, words, begins, codes, cut):
        """The words that may be a target, by number."""
        numbers = np.arange(len(words))
        if cut.ends == "sentence":
            # The last word of each sentence.
            numbers = np.searchsorted(self.starts, begins[1:]) - 1
            has_word = numbers >= np.searchsorted(self.starts, begins[:-1])
            numbers = numbers[has_word]
        starts, ends = self.starts[numbers], self.ends[numbers]
        after = codes[ends + 1]
        stands_alone = (codes[starts] == _SPACE) & (starts > 0)
        if cut.style == "lambada":
            stands_alone &= after == _SPACE
        else:
            stands_alone &= ~np.isin(after, _JOINS)
        numbers = numbers[stands_alone & (ends - starts >= cut.min_letters)]

        kept = [
            i
            for i in numbers.tolist()
            if words[i].isalpha() and words[i].lower() not in NO_ANSWERS
        ]
        return np.array(kept, "int64")

    def _fit(self, targets, begins, is_space, cut):
        """Keeps the targets with a passage, and where each one begins."""
        num_words = np.concatenate([[0], np.cumsum(is_space)])  # Before it.
        of_sentence = num_words[begins]
        sentence = np.searchsorted(begins, self.starts[targets], "right") - 1
        # The last sentence from which on there are more than `min_words`.
        wanted = of_sentence[sentence] - cut.min_words
        first = np.searchsorted(of_sentence, wanted) - 1
        firsts = begins[np.maximum(first, 0)]
        length = num_words[self.starts[targets]] - num_words[firsts] + 1
        fits = (first >= 0) & (length <= cut.max_words)
        self.firsts, self.targets = firsts[fits], targets[fits]


def _styled(block, cut):
    """The sentences of a stretch of text, written in a style."""
    pieces = [
        block[start:end]
        for start, end in sentences.split_sentences(block, cut.language)
    ]
    if cut.style == "lambada":
        pieces = lambada_style.as_lambada(pieces)
    else:
        pieces = [" ".join(piece.split()) for piece in pieces]
    return [piece for piece in pieces if piece]


def _last_before(words):
    """For each word, the last same word before it, or -1."""
    places, last = {}, []
    for i, word in enumerate(words):
        last.append(places.get(word, -1))
        places[word] = i
    return np.array(last, "int64")


def _check_choice(name, value, choices):
    if value not in choices:
        shown = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {shown}. Received: {name}={value!r}.")
