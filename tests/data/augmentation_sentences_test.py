"""Swapped sentences: which, how often, and what moves along."""

import collections
import math
import re

import pytest

from gpt3_keras.data import sentence_rules
from gpt3_keras.data import sentences
from gpt3_keras.data.augmentation import SwapSentences
from gpt3_keras.data.augmentation import augment_texts
from tests.data.augmentation_texts import TEXTS

SPACE = f"[{sentence_rules.SPACES}]"


def swapped(text, number, spans=(), language="en"):
    """What becomes of a text, and of its spans, under so many indices."""
    step = SwapSentences(1.0, language, seed=2)
    return augment_texts([text] * number, [step], [list(spans)] * number)


def bodies(text, language="en"):
    """The sentences without white space around them, and what is between."""
    parts, between, held = [], [], ""
    for start, end in sentences.split_sentences(text, language):
        before, part, after = re.fullmatch(
            f"({SPACE}*)(.*?)({SPACE}*)", text[start:end], re.DOTALL
        ).groups()
        if part:
            parts.append(part)
            between.append(held + before)
            held = after
        else:
            held += before
    return parts, [*between, held]


@pytest.mark.parametrize("name", TEXTS)
def test_two_sentences_change_places_and_white_space_stays(name):
    text = TEXTS[name]
    parts, between = bodies(text)
    assert _joined(parts, between) == text
    orders = [parts]
    if len(parts) > 1:
        orders = [
            _exchanged(parts, i, j) for i in range(len(parts)) for j in range(i)
        ]
    expected = {_joined(order, between) for order in orders}
    assert {after for after, _ in swapped(text, 60)} == expected


def test_french_sentences_change_places():
    text = "«\u00a0Où\u202f?\u00a0» dit M. Roux. Il rit."
    expected = "Il rit. «\u00a0Où\u202f?\u00a0» dit M. Roux."
    assert swapped(text, 1, language="fr") == [(expected, [])]


def _exchanged(parts, i, j):
    parts = [*parts]
    parts[i], parts[j] = parts[j], parts[i]
    return parts


def _joined(parts, between):
    pairs = zip([*parts, ""], between, strict=True)
    return "".join(space + part for part, space in pairs)


def test_all_pairs_are_drawn_alike():
    text = "One. Two. Three. Four."
    parts, between = bodies(text)
    results = augment_texts([text] * 1200, [SwapSentences(1.0, seed=5)])
    counts = collections.Counter(after for after, _ in results)
    assert len(counts) == 6
    assert set(counts) == {
        _joined(_exchanged(parts, i, j), between)
        for i in range(4)
        for j in range(i)
    }
    for count in counts.values():
        assert abs(count - 200) < 6 * math.sqrt(1200 * 1 / 6 * 5 / 6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_share_of_swapped_texts_is_the_rate(rate):
    results = augment_texts(["One. Two."] * 1000, [SwapSentences(rate)])
    num_swapped = sum(after != "One. Two." for after, _ in results)
    assert abs(num_swapped - 1000 * rate) < 6 * math.sqrt(
        1000 * rate * (1 - rate)
    )


def test_spans_move_with_their_sentences():
    text = "  I am Al. You are Émilie. \n\nHe is 👩\u200d🚀 Bo. Who? "
    words = ["Al", "Émilie", "Bo", "Who", "I am Al.", "Who?"]
    spans = [(text.index(x), text.index(x) + len(x)) for x in words]
    results = swapped(text, 20, spans)
    assert len({after for after, _ in results}) == 6
    for after, moved in results:
        assert [after[start:end] for start, end in moved] == words
        assert after != text


@pytest.mark.parametrize("span", [(2, 5), (3, 4), (2, 4), (3, 5), (0, 7)])
def test_a_span_over_two_sentences_ties_them(span):
    text = "Aa. Bb. Cc. Dd."
    results = swapped(text, 20, [span])
    assert {after for after, _ in results} == {
        "Cc. Aa. Bb. Dd.",
        "Dd. Cc. Aa. Bb.",
        "Aa. Bb. Dd. Cc.",
    }
    for after, [moved] in results:
        assert after[slice(*moved)] == text[slice(*span)]


@pytest.mark.parametrize("span", [(1, 12), (0, 13)])
def test_a_span_over_the_whole_text_ties_all(span):
    text = " Aa. Bb. Cc. "
    assert swapped(text, 1, [span]) == [(text, [span])]


@pytest.mark.parametrize("span", [(0, 3), (11, 13), (0, 1), (12, 13)])
def test_a_span_in_the_margin_holds_its_sentence(span):
    text = " Aa. Bb. Cc. "
    expected = " Aa. Cc. Bb. " if span[0] == 0 else " Bb. Aa. Cc. "
    assert swapped(text, 5, [span]) == [(expected, [span])] * 5


def test_empty_spans_tie_nothing():
    text = "Aa. Bb."
    spans = [(0, 0), (3, 3), (4, 4), (7, 7)]
    [(after, moved)] = swapped(text, 1, spans)
    assert after == "Bb. Aa."
    assert moved == [(4, 4), (7, 7), (0, 0), (3, 3)]


def test_another_language_is_refused():
    with pytest.raises(
        ValueError,
        match=r'language must be "en" or "fr"\. Received: language=.de.\.',
    ):
        SwapSentences(0.5, "de")
