"""Likeness of values, as fuzzywuzzy's token_sort_ratio counts it."""

import random

import pytest

from gpt3_keras.evaluation import fuzzy_matching


def slow_common_subsequence(a, b):
    """The textbook's table."""
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            rows[i][j] = (
                rows[i - 1][j - 1] + 1
                if x == y
                else max(rows[i - 1][j], rows[i][j - 1])
            )
    return rows[-1][-1]


@pytest.mark.parametrize("seed", range(30))
def test_common_subsequence(seed):
    draw = random.Random(seed)
    a, b = (
        "".join(draw.choices("abc", k=draw.randint(0, 90))) for _ in range(2)
    )
    found = fuzzy_matching.common_subsequence(a, b)
    assert found == slow_common_subsequence(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("thai", "thai", 1.0),
        ("San Jose", "jose, san!", 1.0),
        ("5 pm", "6 pm", 0.75),
        ("abc", "xyz", 0.0),
        ("", "thai", 0.0),
        ("?", "?", 0.0),  # nothing is left of either
        ("café", "caf", 1.0),  # letters that are not ASCII go
        ("thai", "thai food", 0.62),
    ],
)
def test_token_sort_ratio(a, b, expected):
    assert fuzzy_matching.token_sort_ratio(a, b) == expected
    assert fuzzy_matching.token_sort_ratio(b, a) == expected
