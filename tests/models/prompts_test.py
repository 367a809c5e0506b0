"""Rows of ids of any lengths, to and from rectangular arrays."""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.models import prompts
from tests.models import small


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("text", True),
        (b"text", True),
        (["text", "more"], True),
        (np.array(["text"]), True),
        (tf.constant(["text"]), True),
        ([1, 2], False),
        ([[1, 2], [3]], False),
        (np.array([[1, 2]]), False),
        (tf.constant([[1, 2]]), False),
        ({"token_ids": [[1]], "padding_mask": [[1]]}, False),
        ([], False),
    ],
)
def test_text_is_told_from_ids(inputs, expected):
    assert prompts.is_text(inputs) == expected


@pytest.mark.parametrize(
    ("inputs", "rows", "single"),
    [
        ([1, 2], [[1, 2]], True),
        (np.array([1, 2]), [[1, 2]], True),
        ([[1, 2], [3]], [[1, 2], [3]], False),
        (tf.constant([[1, 2]]), [[1, 2]], False),
        ([[], [3]], [[], [3]], False),
        ([], [], False),
        (
            {
                "token_ids": [[1, 2, 9], [3, 9, 9]],
                "padding_mask": [[1, 1, 0], [1, 0, 0]],
            },
            [[1, 2], [3]],
            False,
        ),
    ],
)
def test_rows_of_ids(inputs, rows, single):
    assert prompts.token_rows(inputs) == (rows, single)


@pytest.mark.parametrize(
    ("inputs", "single"),
    [
        (" air", True),
        (b" air", True),
        ([" air"], False),
        (np.array([" air"]), False),
        (tf.constant([" air"]), False),
    ],
)
def test_rows_of_text(inputs, single):
    preprocessor = small.preprocessor()
    expected = preprocessor.tokenizer.tokenize([" air"])
    assert prompts.token_rows(inputs, preprocessor) == (expected, single)


def test_padding_is_on_the_right():
    padded = prompts.pad([[5, 6], [7]], 3, pad_id=9)
    np.testing.assert_array_equal(padded["token_ids"], [[5, 6, 9], [7, 9, 9]])
    np.testing.assert_array_equal(
        padded["padding_mask"], [[True, True, False], [True, False, False]]
    )


def test_shift_gives_each_token_its_context():
    x, y, contexts = prompts.shift([[9, 1, 2], [3, 4]], 9, 8)
    np.testing.assert_array_equal(x["token_ids"], [[9, 1], [9, 3]])
    np.testing.assert_array_equal(y, [[1, 2], [3, 4]])
    assert contexts == [1, 0]


def test_new_rows_end_where_their_mask_or_their_share_does():
    outputs = {
        "token_ids": np.arange(12).reshape(2, 6),
        "padding_mask": np.array([[True] * 6, [True] * 4 + [False] * 2]),
    }
    rows = prompts.new_rows(outputs, [2, 1], 3, strip_prompt=False)
    assert rows == [[0, 1, 2, 3, 4], [6, 7, 8, 9]]
    rows = prompts.new_rows(outputs, [2, 1], None, strip_prompt=True)
    assert rows == [[2, 3, 4, 5], [7, 8, 9]]
