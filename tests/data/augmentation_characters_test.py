"""Replaced characters: which, how many, and from where."""

import collections
import math
import unicodedata

import pytest

from gpt3_keras.data import code_points
from gpt3_keras.data.augmentation import Alphabet
from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import alphabet_of
from gpt3_keras.data.augmentation import augment_texts
from tests.data.augmentation_texts import TEXTS
from tests.data.corpora import write_files

regex = pytest.importorskip("regex")


@pytest.mark.parametrize("name", TEXTS)
def test_lone_letters_are_replaced_and_nothing_else(name):
    text = TEXTS[name]
    [(after, _)] = augment_texts([text], [ReplaceCharacters(1.0, "ж")])
    expected = [
        "ж"
        if unicodedata.category(grapheme) in ("Lu", "Ll", "Lo")
        else grapheme
        for grapheme in _graphemes(text)
        if len(grapheme) == 1
    ]
    kept = [x for x in _graphemes(text) if len(x) > 1]
    found = _graphemes(after)
    assert [x for x in found if len(x) == 1] == expected
    assert [x for x in found if len(x) > 1] == kept
    assert [*map(len, found)] == [*map(len, _graphemes(text))]


def _graphemes(text):
    """The text cut by another's implementation of graphemes.

    Vowels that are letters but no graphemes (Thai), halfwidth kana marks and
    parts of Hangul syllables count as parts there as they do here.
    """
    return regex.findall(r"\X", text)


@pytest.mark.parametrize("rate", [0.02, 0.3, 1])
def test_the_share_of_replaced_letters_is_the_rate(rate):
    text = "abcd efgh. " * 5000
    [(after, _)] = augment_texts([text], [ReplaceCharacters(rate, "XYZ", 3)])
    num_letters = 8 * 5000
    num_replaced = sum(x != y for x, y in zip(text, after, strict=True))
    # Six standard deviations: one run in 500 million fails by chance.
    margin = 6 * math.sqrt(num_letters * rate * (1 - rate))
    assert abs(num_replaced - num_letters * rate) <= margin
    # Where one letter is replaced says nothing about the next one.
    pairs = sum(
        x != y and z != w
        for x, y, z, w in zip(
            text[::2], after[::2], text[1::2], after[1::2], strict=True
        )
        if x.isalpha() and z.isalpha()
    )
    num_pairs = sum(
        x.isalpha() and z.isalpha()
        for x, z in zip(text[::2], text[1::2], strict=True)
    )
    expected = num_pairs * rate**2
    margin = 6 * math.sqrt(expected * (1 - rate**2))
    assert abs(pairs - expected) <= margin


def test_replacements_have_the_frequencies_of_the_alphabet():
    alphabet = Alphabet("XYZ", (6, 3, 1))
    [(after, _)] = augment_texts(
        ["a" * 40_000], [ReplaceCharacters(1, alphabet)]
    )
    counts = collections.Counter(after)
    for character, share in (("X", 0.6), ("Y", 0.3), ("Z", 0.1)):
        margin = 6 * math.sqrt(40_000 * share * (1 - share))
        assert abs(counts[character] - 40_000 * share) <= margin


def test_spans_are_left_alone():
    text = "éa 👩\u200d🚀 answer of it"
    spans = [(7, 13), (7, 9), (17, 19), (3, 3)]
    step = ReplaceCharacters(1.0, "ж")
    assert augment_texts([text], [step], [spans]) == [
        ("жж 👩\u200d🚀 answer жж it", spans)
    ]


def test_an_alphabet_is_counted_in_a_corpus(tmp_path):
    contents = {"a.txt": "été, été!\n", "b.txt": "Œ 12 e\u0301 👍 ñ한"}
    folder = write_files(tmp_path, contents)
    assert alphabet_of(folder) == Alphabet("etéñŒ한", (1, 2, 4, 1, 1, 1))
    write_files(tmp_path, {"a.txt": "12 !", "b.txt": "?"})
    with pytest.raises(
        ValueError,
        match=(
            r"An alphabet is made of the letters of a text\. Received: "
            r"source=.*, which holds no letter\."
        ),
    ):
        alphabet_of(folder)


def test_an_alphabet_of_a_novel_is_its_language(real_data):
    path = real_data("novels_fr") / "FRA00201_Audoux.txt"
    alphabet = alphabet_of(path)
    assert set("abcdefghijlmnopqrstuvxyzéèêàçœ") < {*alphabet.characters}
    assert max(zip(alphabet.counts, alphabet.characters, strict=True))[1] == "e"


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [
        ("", r"at least one character\. Received: ''\."),
        (3, r"at least one character\. Received: 3\."),
        ("a b", r"characters that stand alone.*Received: ' ' \(U\+0020\)\."),
        ("e\u0301", r"Received: '\u0301' \(U\+0301\)\."),
        ("a\u200d", r"Received: '\\u200d' \(U\+200D\)\."),
        ("\U0001f3fd", r"\(U\+1F3FD\)\."),
        ("\n", r"\(U\+000A\)\."),
        ("\ud800", r"\(U\+D800\)\."),
    ],
)
def test_a_wrong_alphabet_is_refused(alphabet, message):
    with pytest.raises(ValueError, match=message):
        ReplaceCharacters(0.1, alphabet)


@pytest.mark.parametrize("counts", [(1,), (1, 0), (2, -1)])
def test_wrong_counts_are_refused(counts):
    with pytest.raises(
        ValueError,
        match=(
            r"counts must hold a positive number for each character\. "
            rf"Received: {len(counts)} counts, the least of them "
            rf"{min(counts)}, for 2 characters\."
        ),
    ):
        Alphabet("ab", counts)


def test_letters_are_those_of_unicode():
    for character in "aÉœЖ한م我":
        assert code_points.is_letter(character)
    for character in "1 .\u0301ー\u1112\u200d👍_":
        assert not code_points.is_letter(character)
