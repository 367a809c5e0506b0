"""Rows of a task: what is cut, what counts, and where reading goes on."""

import numpy as np
import pytest

from gpt3_keras.data.task_rows import Example
from gpt3_keras.data.task_rows import RowMaker
from gpt3_keras.data.task_rows import make_batch
from gpt3_keras.data.task_rows import task_dataset
from tests.data.corpora import END
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import assert_same_batches
from tests.data.corpora import batches

TOKENIZER = ByteTokenizer()


def row(example, sequence_length=12, **options):
    (made,) = RowMaker(TOKENIZER, sequence_length, **options).rows([example])
    return made


def test_a_row_is_start_context_prompt_and_answer():
    made = row(Example("abc", "?", "xy"), context_weight=0.25)
    assert made.token_ids.tolist() == [END, *b"abc?xy"]
    assert made.weights.tolist() == [0, 0.25, 0.25, 0.25, 0.25, 1, 1]
    assert made.token_ids.dtype == np.int32
    assert made.weights.dtype == np.float32


def test_the_end_of_an_answer_is_a_target():
    made = row(Example("a", "", "x"), adds_end=True)
    assert made.token_ids.tolist() == [END, *b"ax", END]
    assert made.weights.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("keeps_end", "context"), [(True, b"defg"), (False, b"abcd")]
)
def test_the_context_alone_is_cut(keeps_end, context):
    example = Example("abcdefg", "?", "xyz")
    made = row(example, sequence_length=8, keeps_end=keeps_end)
    assert made.token_ids.tolist() == [END, *context, *b"?xyz"]
    assert len(made.token_ids) == 9
    assert made.weights.tolist() == [0] * 6 + [1] * 3


def test_an_answer_may_take_the_whole_row():
    made = row(Example("ab", "?", "xyz"), sequence_length=4)
    assert made.token_ids.tolist() == [END, *b"?xyz"]


def test_an_answer_that_is_too_long_is_an_error():
    with pytest.raises(
        ValueError,
        match=r"An answer must fit task\.sequence_length\. Received: "
        r"task\.sequence_length=3, and 4 tokens of 'xyz'\.",
    ):
        row(Example("ab", "?", "xyz"), sequence_length=3)


def test_repeated_words_have_a_weight_of_their_own():
    made = row(
        Example("abca", "", "a"),
        context_weight=0.5,
        repeats=lambda ids: np.append(False, ids[1:] == ord("a")),
        repeated_weight=0.75,
    )
    assert made.weights.tolist() == [0, 0.75, 0.5, 0.5, 0.75, 1]


def test_a_batch_is_padded_on_the_right():
    maker = RowMaker(TOKENIZER, 5, context_weight=0.5)
    rows = list(maker.rows([Example("ab", "", "x"), Example("", "", "y")]))
    x, y, weights = make_batch(rows, 5, END)
    assert x["token_ids"].tolist() == [
        [END, *b"ab", END, END],
        [END, END, END, END, END],
    ]
    assert x["padding_mask"].sum(axis=1).tolist() == [3, 1]
    assert y.tolist() == [[*b"abx", END, END], [*b"y", END, END, END, END]]
    assert weights.tolist() == [[0.5, 0.5, 1, 0, 0], [1, 0, 0, 0, 0]]


def examples(epoch):
    return [Example(f"{epoch}:{i:02d}", "?", chr(97 + i)) for i in range(11)]


@pytest.mark.parametrize("shuffle_buffer", [0, 4])
def test_reading_goes_on_from_any_row(shuffle_buffer):
    options = {"batch_size": 3, "shuffle_buffer": shuffle_buffer}
    maker = RowMaker(TOKENIZER, 12)
    whole = task_dataset(examples, maker, num_epochs=None, **options)
    whole = batches(whole.take(15))
    for first in (3, 12, 15, 33):
        rest = task_dataset(
            examples, maker, num_epochs=None, first_row=first, **options
        )
        assert_same_batches(batches(rest.take(4)), whole[first // 3 :][:4])


def test_an_epoch_holds_every_example_once():
    maker = RowMaker(TOKENIZER, 12)
    made = batches(
        task_dataset(examples, maker, batch_size=4, shuffle_buffer=5)
    )
    assert [len(batch[0]) for batch in made] == [4, 4, 3]
    answers = np.concatenate([y[w > 0] for _, _, y, w in made])
    assert sorted(answers) == [97 + i for i in range(11)]


def test_counts_are_checked():
    with pytest.raises(ValueError, match=r"batch_size must be an int of at"):
        task_dataset(examples, RowMaker(TOKENIZER, 12), batch_size=0)
