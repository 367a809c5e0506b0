"""Where a value was said."""

import pytest

from gpt3_keras.data import occurrences
from gpt3_keras.data import turns


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["hat"], ("user", 1, 2, 5)),  # not the one in "that"
        (["A HAT"], ("user", 1, 0, 5)),
        (["one"], ("user", 0, 4, 7)),  # the last of two
        (["two"], ("system", 1, 0, 3)),
        (["cat", "two"], ("system", 1, 0, 3)),
        (["$5"], ("user", 1, 7, 9)),
        (["a hat", "a"], ("user", 1, 0, 5)),
        (["at"], None),
        (["three"], None),
    ],
)
def test_latest(values, expected):
    said = [
        turns.Turn("", "one one cat", None),
        turns.Turn("two that hat?", "a hat: $5", None),
    ]
    span = occurrences.latest(values, said)
    assert span == (expected and turns.Span(*expected))


def test_letters_that_change_their_length():
    said = [turns.Turn("", "İ in İzmir", None)]
    span = occurrences.latest(["İzmir"], said)
    assert said[0].user[span.start : span.end] == "İzmir"
