"""Names: those that a text has, and those of a vocabulary."""

from gpt3_keras import GPT3Tokenizer
from gpt3_keras.data import lambada_names


def test_names_are_words_with_a_capital_inside_of_sentences():
    text = (
        "Then Rowan, Will and Zoë left. They saw Rowan. Who saw Zoë? Oh, Will "
        "will, and will. They would. Mr Ray, Mr Ray. Once with Rex. IBM, IBM."
    )
    assert lambada_names.find_names(text) == {"Rowan", "Zoë", "Ray"}


def test_a_word_that_begins_sentences_alone_is_no_name():
    assert lambada_names.find_names("Perhaps. Perhaps! Perhaps?") == set()


def test_the_vocabulary_has_names_and_no_common_words():
    names = lambada_names.names_of_vocabulary(GPT3Tokenizer())
    assert 3_000 < len(names) < 6_000
    assert {"Fiona", "Moscow"} <= set(names)
    assert not {"The", "Good", "Will", "IBM"} & set(names)
    assert names == sorted(names)
