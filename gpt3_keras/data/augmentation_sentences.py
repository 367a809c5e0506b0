"""Augmentation by swapping two sentences (M20)."""

import dataclasses

import tensorflow as tf

from gpt3_keras.data import augmentation_step
from gpt3_keras.data import code_points as code_point_sets
from gpt3_keras.data import sentences


@dataclasses.dataclass(frozen=True)
class SwapSentences(augmentation_step.Step):
    r"""Lets two sentences of a text change places.

    >>> step = SwapSentences(rate=1.0, language="en", seed=0)
    >>> text, spans = step("It rains. Mr. Poe reads.", [(14, 17)], index=0)
    >>> text.numpy().decode(), spans.numpy().tolist()
    ('Mr. Poe reads. It rains.', [[4, 7]])

    With probability `rate`, two sentences are drawn among those of a text,
    all pairs alike. The white space between sentences stays where it is, so
    that paragraphs do, too. A span that reaches over the end of a sentence
    makes one of those that it touches.

    Args:
        rate: float in [0, 1].
        language: "en" or "fr", see `sentences.split_sentences`. Defaults to
            "en".
        seed: int. Defaults to 0.

    Call arguments, returns and raises: see `augmentation_step.Step`.
    """

    rate: float
    language: str = "en"
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        sentences.check_language(self.language)

    def change(self, code_points, spans, index):
        starts, ends = self._movable(code_points, spans)
        num_sentences = tf.size(starts)
        chance, first, second = tf.unstack(self.uniform([3], index))
        first = _draw(first, num_sentences)
        # Any of the others, counted from the one after the first.
        second = first + 1 + _draw(second, num_sentences - 1)
        second %= tf.maximum(num_sentences, 1)
        earlier = tf.minimum(first, second)
        later = tf.maximum(first, second)
        return tf.cond(
            (chance < self.rate) & (num_sentences >= 2),
            lambda: _swap(
                code_points,
                spans,
                (starts[earlier], ends[earlier]),
                (starts[later], ends[later]),
            ),
            lambda: (code_points, spans),
        )

    def _movable(self, code_points, spans):
        """Start and end (S,) of what may move, without white space around."""
        text = tf.strings.unicode_encode(code_points, "UTF-8")
        lengths, _ = sentences.sentence_lengths(text, self.language)
        starts, ends = _bodies(code_points, tf.cumsum(lengths))
        # The white space before, between and after the sentences.
        is_free = ~_are_touched(
            spans,
            tf.concat([[0], ends], 0),
            tf.concat([starts, [tf.size(code_points)]], 0),
        )
        place = tf.range(tf.size(starts))
        last = tf.size(starts) - 1
        starts = tf.boolean_mask(starts, is_free[:-1] | (place == 0))
        ends = tf.boolean_mask(ends, is_free[1:] | (place == last))
        # What is tied to the beginning or the end of the text stays there.
        place = tf.range(tf.size(starts))
        last = tf.size(starts) - 1
        moves = (is_free[0] | (place > 0)) & (is_free[-1] | (place < last))
        return tf.boolean_mask(starts, moves), tf.boolean_mask(ends, moves)


def _bodies(code_points, limits):
    """Start and end (S,) of sentences, less the white space around them.

    Args:
        code_points: int32 (L,).
        limits: int32 (S,), where the sentences end with their white space.
    """
    is_space = code_point_sets.contains(code_point_sets.spaces(), code_points)
    written = tf.cast(tf.where(~is_space)[:, 0], "int32")
    num_written = tf.searchsorted(written, limits)
    # A text of white space alone has no sentence that could move.
    num_written = tf.boolean_mask(num_written, num_written > 0)
    first = tf.concat([tf.zeros_like(num_written[:1]), num_written[:-1]], 0)
    return tf.gather(written, first), tf.gather(written, num_written - 1) + 1


def _are_touched(spans, starts, ends):
    """Whether a span has a character in, or on both sides of, each range."""
    first, last = tf.unstack(spans, axis=1)
    is_empty = first == last
    first = tf.sort(tf.boolean_mask(first, ~is_empty))
    last = tf.sort(tf.boolean_mask(last, ~is_empty))
    num_begun = tf.searchsorted(first, ends)
    num_ended = tf.searchsorted(last, starts, side="right")
    return num_begun > num_ended


def _swap(code_points, spans, earlier, later):
    """The text and its spans after two ranges have changed places."""
    (start, end), (later_start, later_end) = earlier, later
    swapped = tf.concat(
        [
            code_points[:start],
            code_points[later_start:later_end],
            code_points[end:later_start],
            code_points[start:end],
            code_points[later_end:],
        ],
        0,
    )
    growth = (later_end - later_start) - (end - start)
    first, last = tf.unstack(spans, axis=1)
    shifts = tf.where((first >= end) & (last <= later_start), growth, 0)
    shifts = tf.where(
        (first >= later_start) & (last <= later_end),
        start - later_start,
        shifts,
    )
    shifts = tf.where((first >= start) & (last <= end), later_end - end, shifts)
    return swapped, spans + shifts[:, None]


def _draw(uniform, number):
    """An int in [0, number), for a number in [0, 1)."""
    drawn = tf.cast(uniform * tf.cast(number, "float32"), "int32")
    return tf.minimum(drawn, tf.maximum(number - 1, 0))
