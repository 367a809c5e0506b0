"""Augmentation of rows: answers stay, epochs differ, runs can go on."""

import numpy as np
import pytest

from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import SwapSentences
from gpt3_keras.data.augmented_rows import augmented_examples
from gpt3_keras.data.augmented_rows import augmented_pieces
from gpt3_keras.data.pipeline import text_dataset
from gpt3_keras.data.task_rows import Example
from gpt3_keras.data.text import Piece
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import assert_same_batches
from tests.data.corpora import batches
from tests.data.corpora import write_files

SWAP = SwapSentences(1.0)
REPLACE = ReplaceCharacters(1.0, "x")
CONTEXT = "Rowan ran. The dog met Rowan. Then they all called for"


def test_words_of_the_answer_and_the_last_sentence_stay():
    (made,) = augmented_examples(
        [Example(CONTEXT, "?", " Rowan")], [REPLACE], 0, "en"
    )
    assert (
        made.context == "Rowan xxx. xxx xxx xxx Rowan. Then they all called for"
    )
    assert (made.prompt, made.answer) == ("?", " Rowan")


def test_sentences_before_the_last_change_places():
    (made,) = augmented_examples(
        [Example(CONTEXT, "", " Rowan")], [SWAP], 0, "en"
    )
    assert made.context == (
        "The dog met Rowan. Rowan ran. Then they all called for"
    )


def test_a_text_of_its_own_is_changed_whole():
    (made,) = augmented_examples([Example("One. Two.", "?", " x")], [SWAP], 0)
    assert made.context == "Two. One."


def test_nothing_is_lost_between_groups(monkeypatch):
    monkeypatch.setattr("gpt3_keras.data.augmented_rows._GROUP", 3)
    examples = [Example(f"{i} words.", "", " x") for i in range(8)]
    made = list(augmented_examples(examples, [REPLACE], 0))
    assert [x.context for x in made] == [f"{i} xxxxx." for i in range(8)]
    pieces = [Piece(0, i, f"{i} words.", True) for i in range(8)]
    made = list(augmented_pieces(pieces, [REPLACE], 0))
    assert [x.content for x in made] == [f"{i} xxxxx." for i in range(8)]
    assert [x.line for x in made] == list(range(8))


def test_epochs_differ_and_come_again():
    examples = [Example("some words of a context", "", " x")] * 4
    some = [ReplaceCharacters(0.3, "abc")]
    epochs = [
        [x.context for x in augmented_examples(examples, some, epoch)]
        for epoch in (0, 1, 0)
    ]
    assert epochs[0] == epochs[2] != epochs[1]
    assert len(set(epochs[0])) > 1


@pytest.fixture
def corpus(tmp_path):
    lines = "".join(f"Here is line {i}. It is short.\n" for i in range(30))
    return write_files(tmp_path / "corpus", {"a.txt": lines})


def dataset(source, **options):
    options = {"sequence_length": 16, "batch_size": 4, **options}
    return text_dataset(
        source, ByteTokenizer(), document="line", split="all", **options
    )


def test_plain_text_is_augmented_and_goes_on_where_it_was(corpus):
    steps = (ReplaceCharacters(0.5, "éa"),)  # Two bytes, or one.
    plain = batches(dataset(corpus, shuffle_buffer=0))
    made = dataset(corpus, num_epochs=None, augmentation=steps)
    whole = batches(made.take(200))
    assert any((ids == "é".encode()[0]).any() for ids, *_ in whole)
    assert not any((ids == "é".encode()[0]).any() for ids, *_ in plain)
    # Three epochs, each with rows of its own number.
    for first in (0, 50, 100, 150):
        rest = dataset(
            corpus, num_epochs=None, augmentation=steps, first_row=4 * first
        )
        assert_same_batches(batches(rest.take(20)), whole[first : first + 20])
    assert np.isin(whole[0][0], [*range(257)]).all()


def test_prepared_text_cannot_be_augmented(corpus, tmp_path):
    from gpt3_keras.data import shards

    shards.prepare(corpus, tmp_path / "shards", ByteTokenizer())
    with pytest.raises(
        ValueError,
        match=r"Prepared text cannot be augmented; name the text that it was "
        r"made from\. Received: source=",
    ):
        text_dataset(
            str(tmp_path / "shards"),
            ByteTokenizer(),
            sequence_length=16,
            batch_size=4,
            augmentation=(REPLACE,),
        )
