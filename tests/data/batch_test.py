"""The contract of a batch, and what breaks it."""

import re

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.data import batch


def good():
    rows = [np.array([9, 1, 2, 3]), np.array([3, 4, 9])]
    return batch.make_batch(rows, 3, pad_token_id=9)


def test_rows_are_shifted_and_padded_on_the_right():
    x, y, sample_weight = good()
    assert x["token_ids"].tolist() == [[9, 1, 2], [3, 4, 9]]
    assert x["padding_mask"].tolist() == [[True] * 3, [True, True, False]]
    assert y.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert sample_weight.tolist() == [[1, 1, 1], [1, 1, 0]]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_batch_is_of_the_spec(batch_size):
    spec = batch.element_spec(3, batch_size)
    for value, part in zip(
        tf.nest.flatten(good()), tf.nest.flatten(spec), strict=True
    ):
        assert part.shape.as_list() == [batch_size, 3]
        assert part.is_compatible_with(tf.constant(value))


def test_good_batches_pass():
    batch.check_batch(good(), vocabulary_size=10)
    batch.check_batch(tf.nest.map_structure(tf.constant, good()))


def changed(part, change):
    x, y, sample_weight = good()
    parts = {**x, "y": y, "sample_weight": sample_weight}
    parts[part] = change(parts[part])
    y, sample_weight = parts.pop("y"), parts.pop("sample_weight")
    return parts, y, sample_weight


def with_value(place, value):
    def change(array):
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            ({"ids": 1}, 2),
            "A batch must be ({'token_ids', 'padding_mask'}, y, "
            "sample_weight). Received: (a dict of ['ids'], int).",
        ),
        (
            changed("y", lambda y: y.astype("int64")),
            "y must be int32 (B, T), of one shape with the other parts. "
            "Received: y is int64 (2, 3), y has the shape (2, 3).",
        ),
        (
            changed("token_ids", lambda ids: ids[:, :2]),
            "x['token_ids'] must be int32 (B, T), of one shape with the other "
            "parts. Received: x['token_ids'] is int32 (2, 2), y has the shape "
            "(2, 3).",
        ),
        (
            changed("token_ids", with_value((1, 0), 10)),
            "x['token_ids'] must be token ids below vocabulary_size=10. "
            "Received: 10 at (1, 0).",
        ),
        (
            changed("y", with_value((0, 2), -1)),
            "y must be token ids below vocabulary_size=10. Received: -1 at "
            "(0, 2).",
        ),
        (
            changed("padding_mask", with_value((0, 0), False)),
            "x['padding_mask'] must be True, then False: padding is on the "
            "right. Received: True at (0, 1).",
        ),
        (
            changed("sample_weight", with_value((1, 2), 1)),
            "sample_weight must be finite, not negative, and 0 at padding. "
            "Received: 1.0 at (1, 2).",
        ),
        (
            changed("sample_weight", with_value((0, 0), -0.5)),
            "sample_weight must be finite, not negative, and 0 at padding. "
            "Received: -0.5 at (0, 0).",
        ),
    ],
)
def test_a_wrong_batch_is_refused(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        batch.check_batch(wrong, vocabulary_size=10)
