"""Words: in text, in vocabularies, and in rows of byte-level BPE tokens."""

import re

import numpy as np

# A run of letters.
WORD = re.compile(r"[^\W\d_]+")
# Shorter words are hardly ever an answer.
MIN_LETTERS = 3
# The commonest words of LAMBADA's development contexts that are hardly ever
# an answer, and their likes in older novels.
_WORDS = """
a about after again against all always am an and another any are around as at
away back be because been before behind being between but by came can come
could did do does don down each enough even ever every few for from gave get
getting give go going got had has have he her here him himself his how i if in
inside into is it its just keep knew know let like made make may maybe me might
more most mr mrs much must my never new no nor not nothing now of off on once
one only or other our out over own put really said same saw says see seemed
seen shall she should so some someone something still such than that the their
them then there these they thing things think this those thou through thus to
too toward towards two until up upon us very was we went were what when where
which while who whom whose why will with without would you your
"""
NO_ANSWERS = frozenset(_WORDS.split())


def spaced_words(entries):
    """The ASCII words among a vocabulary's entries that follow a space.

    >>> list(spaced_words(["Ġgood", "luck", "Ġ,", "ĠFiona"]))
    ['good', 'Fiona']
    """
    for entry in entries:
        word = entry[1:]
        if entry[0] == "Ġ" and word.isascii() and word.isalpha():
            yield word


class RepeatedWords:
    """Finds the content words that stand in a row before.

    A word begins with a token that begins with a space, and goes on as long
    as letters follow. What is found are all its tokens.

    Args:
        tokenizer: a `GPT3Tokenizer`.

    Call arguments:
        token_ids: int (n,).

    Returns:
        bool (n,), True at the tokens of words that have a match before.
    """

    def __init__(self, tokenizer):
        tokens = tokenizer.detokenize(
            [[i] for i in range(tokenizer.vocabulary_size())]
        )
        letters = [token.removeprefix(" ").isalpha() for token in tokens]
        begins = [token.startswith(" ") for token in tokens]
        self.tokens = [token.strip() for token in tokens]
        self.is_letters = np.array(letters)
        self.begins = np.array(letters) & np.array(begins)

    def __call__(self, token_ids):
        is_letters = self.is_letters[token_ids]
        begins = self.begins[token_ids]
        found = np.zeros(len(token_ids), "bool")
        seen = set()
        for start in np.flatnonzero(begins):
            end = start + 1
            while end < len(begins) and is_letters[end] and not begins[end]:
                end += 1
            word = "".join(self.tokens[i] for i in token_ids[start:end])
            if len(word) < MIN_LETTERS or word.lower() in NO_ANSWERS:
                continue
            found[start:end] = word in seen
            seen.add(word)
        return found
