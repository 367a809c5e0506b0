"""Augmentation of training text: steps, and ways to apply and to see them.

Validation data is not augmented: no step is applied to it.
"""

import difflib
import functools
import itertools
import re

import tensorflow as tf

from gpt3_keras.data import sources
from gpt3_keras.data import text as texts_of_files
from gpt3_keras.data.augmentation_characters import Alphabet
from gpt3_keras.data.augmentation_characters import ReplaceCharacters
from gpt3_keras.data.augmentation_characters import alphabet_of
from gpt3_keras.data.augmentation_sentences import SwapSentences

__all__ = [
    "Alphabet",
    "ReplaceCharacters",
    "SwapSentences",
    "alphabet_of",
    "apply_steps",
    "augment_texts",
    "augmented",
    "changes",
    "examples_before_and_after",
    "marked_changes",
]

_WORD = re.compile(r"\s+|\S+")


def apply_steps(steps, text, spans=None, index=0):
    """Applies steps to one text, in the graph, one after the other.

    Args:
        steps: list of `ReplaceCharacters` and `SwapSentences`. Two of a kind
            need different seeds to draw different things.
        text, spans, index: see `augmentation_step.Step`.

    Returns:
        The text and its spans, as each of the steps returns them.
    """
    text = tf.convert_to_tensor(text, tf.string)
    if spans is None:
        spans = tf.zeros((0, 2), "int32")
    for step in steps:
        text, spans = step(text, spans, index)
    return text, spans


def augmented(dataset, steps, first_index=0):
    """A dataset of texts and spans after some steps, in the same order.

    Example k gets the index `first_index + k`, each time the dataset is gone
    through. So epochs differ if they come from `dataset.repeat(...)`, or from
    one dataset each, `first_index` being the number of examples before it.

    >>> pairs = tf.data.Dataset.from_tensors(("To be.", [[3, 5]]))
    >>> steps = [ReplaceCharacters(rate=1.0, alphabet="x")]
    >>> [(text, spans)] = augmented(pairs, steps).as_numpy_iterator()
    >>> text, spans.tolist()
    (b'xx be.', [[3, 5]])

    Args:
        dataset: a `tf.data.Dataset` of (text, spans), see
            `augmentation_step.Step`.
        steps: as in `apply_steps`.
        first_index: int.

    Returns:
        A `tf.data.Dataset` of (text, spans).
    """
    return dataset.enumerate(first_index).map(
        lambda index, pair: apply_steps(steps, *pair, index),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def augment_texts(texts, steps, spans=None, first_index=0):
    """What some steps make of a list of texts.

    >>> steps = [ReplaceCharacters(rate=1.0, alphabet="x")]
    >>> augment_texts(["To be."], steps, spans=[[(3, 5)]])
    [('xx be.', [(3, 5)])]

    Args:
        texts: list of str.
        steps: as in `apply_steps`.
        spans: list of lists of (start, end), one list for each text. Defaults
            to none.
        first_index: int, the index of the first text.

    Returns:
        A list of (text, spans), a str and a list of (start, end).
    """
    spans = [[] for _ in texts] if spans is None else spans
    augment = _function(tuple(steps))
    results = []
    pairs = zip(texts, spans, strict=True)
    for index, (text, marked) in enumerate(pairs, first_index):
        marked = tf.reshape(tf.constant(marked, "int32"), (-1, 2))
        index = tf.constant(index, "int64")
        text, marked = augment(tf.constant(text), marked, index)
        text = text.numpy().decode("utf-8")
        results.append((text, [*map(tuple, marked.numpy().tolist())]))
    return results


def examples_before_and_after(source, steps, number, only_changed=False):
    """Yields (before, after) for the first lines of a source of text.

    A line is a text; one of more than 16,000 characters is several. Their
    indices count from 0. Memory does not grow with the source.

    Args:
        source: see `sources.find_files`.
        steps: as in `apply_steps`.
        number: int, how many pairs.
        only_changed: bool, whether to pass over lines that stay the same.

    Raises:
        ValueError: if text is missing or is not UTF-8.
    """
    augment = _function(tuple(steps))
    spans = tf.zeros((0, 2), "int32")

    def pairs():
        for index, before in enumerate(_lines(source)):
            index = tf.constant(index, "int64")
            after, _ = augment(tf.constant(before), spans, index)
            after = after.numpy().decode("utf-8")
            if after != before or not only_changed:
                yield before, after

    yield from itertools.islice(pairs(), number)


def changes(before, after):
    """What has become of a text, word by word.

    >>> changes("To be here.", "To bx here.")
    [('same', 'To '), ('removed', 'be'), ('added', 'bx'), ('same', ' here.')]

    Args:
        before: str.
        after: str.

    Returns:
        A list of (kind, text); the kinds are "same", "removed" and "added".
        Without what was added they join to `before`, without what was removed
        to `after`.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    found = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            found.append(("same", "".join(old[start:end])))
            continue
        if start < end:
            found.append(("removed", "".join(old[start:end])))
        if new_start < new_end:
            found.append(("added", "".join(new[new_start:new_end])))
    return found


def marked_changes(before, after):
    """A text with the marks of `git diff --word-diff` where it has changed.

    >>> marked_changes("To be here.", "To bx here.")
    'To [-be-]{+bx+} here.'

    Args:
        before: str.
        after: str.
    """
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return "".join(
        marks[kind].format(part) for kind, part in changes(before, after)
    )


# A graph takes a second to build.
@functools.lru_cache(maxsize=8)
def _function(steps):
    """The steps as one graph for all texts, whatever their lengths."""
    return tf.function(
        lambda text, spans, index: apply_steps(steps, text, spans, index),
        input_signature=[
            tf.TensorSpec((), tf.string),
            tf.TensorSpec((None, 2), tf.int32),
            tf.TensorSpec((), tf.int64),
        ],
    )


def _lines(source):
    for file in sources.find_files(source):
        blocks = texts_of_files.read_text(file.path)
        for _, line, _ in texts_of_files.split_lines(blocks):
            yield line
