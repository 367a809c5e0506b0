"""What the steps of augmentation have in common."""

import abc
import math

import tensorflow as tf

from gpt3_keras.data import hashing


class Step(abc.ABC):
    """Changes a text at random, and takes what is marked in it along.

    A step runs in the graph: inside of `tf.data.Dataset.map` and
    `tf.function`, and eagerly. What it draws depends on its seed, its kind
    and the index of the text alone: not on the order of the texts, nor on
    how many are worked on at a time.

    A dataclass inherits from this, with the fields `rate` and `seed`, and
    defines `change`.

    Call arguments:
        text: scalar string tensor, UTF-8. What is not UTF-8 is left alone,
            and so is any text if `rate` is 0.
        spans: int32 (N, 2). Start and end, in characters (code points), of
            parts of the text that must not change. Defaults to none.
        index: scalar int64, which example of which epoch this is; text k of
            n in epoch e has the index `e * n + k`.

    Returns:
        The text, a scalar string tensor, and the spans, int32 (N, 2), where
        the same characters now are.

    Raises:
        ValueError: at construction, if a field is wrong.
        tf.errors.InvalidArgumentError: if a span does not lie in the text.
    """

    def __post_init__(self):
        check_rate("rate", self.rate)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(
                f"seed must be an int. Received: seed={self.seed!r}."
            )

    @abc.abstractmethod
    def change(self, code_points, spans, index):
        """Changes a text that is a tensor of code points.

        Args:
            code_points: int32 (L,).
            spans: int32 (N, 2), inside of the text.
            index: scalar int64.

        Returns:
            code_points: int32 (L,).
            spans: int32 (N, 2).
        """

    def __call__(self, text, spans=None, index=0):
        text = tf.convert_to_tensor(text, tf.string)
        spans = tf.zeros((0, 2), "int32") if spans is None else spans
        spans = tf.reshape(tf.cast(spans, "int32"), (-1, 2))
        if self.rate == 0:
            return text, spans
        text = tf.ensure_shape(text, ())
        valid = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8")
        return tf.cond(
            text == valid,
            lambda: self._changed(text, spans, tf.cast(index, "int64")),
            lambda: (text, spans),
        )

    def _changed(self, text, spans, index):
        code_points = tf.strings.unicode_decode(text, "UTF-8")
        _check_spans(spans, tf.size(code_points))
        code_points, spans = self.change(code_points, spans, index)
        return tf.strings.unicode_encode(code_points, "UTF-8"), spans

    def uniform(self, shape, index):
        """Numbers in [0, 1), float32, for the text with an index."""
        key = hashing.name_hash(self.seed, type(self).__name__)
        key -= hashing.NUM_HASHES // 2  # Into the range of int64.
        return tf.random.stateless_uniform(
            shape, tf.stack([tf.constant(key, "int64"), index]), alg="philox"
        )


def check_rate(name, rate):
    """Raises unless a rate is a probability."""
    is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not is_number or math.isnan(rate) or not 0 <= rate <= 1:
        raise ValueError(
            f"{name} must be a number from 0 to 1. Received: {name}={rate!r}."
        )


def _check_spans(spans, num_chars):
    starts, ends = tf.unstack(spans, axis=1)
    tf.debugging.Assert(
        tf.reduce_all((starts >= 0) & (starts <= ends) & (ends <= num_chars)),
        [
            "Spans must be (start, end) in characters of the text. Received: "
            "spans=",
            spans,
            "with a text of this length:",
            num_chars,
        ],
        summarize=20,
    )
