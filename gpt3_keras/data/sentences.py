"""Cuts text into sentences, in Python and in the graph, by the same rules."""

import functools
import itertools
import re

import tensorflow as tf

from gpt3_keras.data import sentence_rules

LANGUAGES = tuple(sentence_rules.RULES)


def split_sentences(text, language="en"):
    """The places of a text's sentences; `sentence_rules` says what they are.

    >>> text = 'Mr. Smith paid 3.5 pounds. "What?" he said. Well...'
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Mr. Smith paid 3.5 pounds. ', '"What?" he said. ', 'Well...']

    Takes time in proportion to the text.

    Args:
        text: str.
        language: "en" or "fr".

    Returns:
        A list of (start, end), in characters, in order. Together they cover
        the text; a sentence has the white space that follows it, and the
        first one also what comes before it. Text that is empty has no
        sentences.

    Raises:
        ValueError: if the language is another.
    """
    check_language(language)
    for pattern, replacement in _compiled(language):
        text = pattern.sub(replacement, text)
    lengths = map(len, text.split(sentence_rules.MARK))
    ends = itertools.accumulate(filter(None, lengths))
    return list(itertools.pairwise([0, *ends]))


def sentence_lengths(text, language="en"):
    """How long a text's sentences are, as an operation of the graph.

    Args:
        text: scalar string tensor, UTF-8.
        language: "en" or "fr".

    Returns:
        Two int32 tensors (S,): the sentences' lengths in characters (code
        points) and in bytes. They are those of `split_sentences`.

    Raises:
        ValueError: if the language is another.
    """
    check_language(language)
    for pattern, replacement in sentence_rules.RULES[language]:
        text = tf.strings.regex_replace(text, pattern, replacement)
    pieces = tf.strings.split(text[None], sentence_rules.MARK).values
    num_bytes = tf.strings.length(pieces)
    is_sentence = num_bytes > 0
    num_chars = tf.strings.length(pieces, unit="UTF8_CHAR")
    return (
        tf.boolean_mask(num_chars, is_sentence),
        tf.boolean_mask(num_bytes, is_sentence),
    )


def check_language(language):
    """Raises unless the language is one that has rules."""
    if language not in LANGUAGES:
        raise ValueError(
            f'language must be "en" or "fr". Received: language={language!r}.'
        )


@functools.cache
def _compiled(language):
    return [
        (re.compile(pattern), replacement)
        for pattern, replacement in sentence_rules.RULES[language]
    ]
