"""Repeated content words, found in rows of BPE tokens."""

import numpy as np
import pytest

from gpt3_keras.data.words import RepeatedWords
from gpt3_keras.models.tokenizer import GPT3Tokenizer


@pytest.fixture(scope="module")
def repeats():
    return RepeatedWords(GPT3Tokenizer())


def found(repeats, text):
    """The words that were found, and the rest left out."""
    tokenizer = GPT3Tokenizer()
    ids = np.array(tokenizer.encode_batch([text])[0])
    pieces = tokenizer.detokenize([[i] for i in ids])
    chosen = repeats(ids)
    return "".join(p for p, c in zip(pieces, chosen, strict=True) if c).split()


def test_the_second_time_counts(repeats):
    text = "said gavriel . rowan met gavriel , and gavriel frowned at rowan"
    assert found(repeats, text) == ["gavriel", "gavriel", "rowan"]


def test_a_word_counts_whole_or_not_at_all(repeats):
    # Their first pieces are the same.
    assert found(repeats, " the caspian and the caspians . the caspian") == [
        "caspian"
    ]
    assert found(repeats, " art and the artist and the artists") == []


def test_marks_end_a_word(repeats):
    assert found(repeats, "a lake, or lakes; the lake!") == ["lake"]


def test_function_words_and_short_ones_are_no_answers(repeats):
    text = " they were there , and they were there ; an ox is an ox"
    assert found(repeats, text) == []


def test_letters_of_other_languages_are_letters(repeats):
    assert found(repeats, " un élève , puis un élève") == ["élève"]


def test_nothing_is_found_in_nothing(repeats):
    assert repeats(np.zeros(0, "int32")).shape == (0,)
