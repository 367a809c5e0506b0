"""Held out or not: a fact about a document's name and the seed."""

import random
import re

import numpy as np
import pytest

from gpt3_keras.data import hashing
from gpt3_keras.data import shuffling
from gpt3_keras.data import splits


class Corpus:
    """Documents that are names only."""

    def __init__(self, num_lines):
        """Takes a dict from a file's key to its lines, or a list of keys."""
        self.document = "line" if isinstance(num_lines, dict) else "file"
        self.num_lines = num_lines
        self.keys = list(num_lines)
        self.num_blocks = 0

    def lines(self, file):
        num_lines = self.num_lines[self.keys[file]]
        for start in range(1, num_lines + 1, 10):
            self.num_blocks += 1
            yield np.arange(
                start, min(start + 10, num_lines + 1), dtype="uint64"
            )


def members(corpus, name, fraction=0.1, seed=0):
    """The (key, line) that are in a split."""
    split = splits.split_corpus(corpus, name, fraction, seed)
    lines = [0] if corpus.document == "file" else range(1, 2000)
    return {
        (key, line)
        for file, key in enumerate(corpus.keys)
        for line in lines
        if corpus.document == "file" or line <= corpus.num_lines[key]
        if split.keeps(file)(line)
    }


FILES = Corpus([f"{i}.txt" for i in range(30)])
LINES = Corpus({"a.txt": 700, "b.txt": 300})


@pytest.mark.parametrize("corpus", [FILES, LINES], ids=["files", "lines"])
def test_each_document_is_in_one_split(corpus):
    train, validation = members(corpus, "train"), members(corpus, "validation")
    assert not train & validation
    assert train | validation == members(corpus, "all")
    assert members(corpus, "validation", seed=1) != validation


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.25, 0.5, 0.999])
@pytest.mark.parametrize("num_files", [2, 3, 10, 30])
def test_files_are_held_out_in_number(num_files, fraction):
    corpus = Corpus(FILES.keys[:num_files])
    expected = min(max(round(fraction * num_files), 1), num_files - 1)
    assert len(members(corpus, "validation", fraction)) == expected


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_lines_are_held_out_in_the_long_run(fraction):
    share = len(members(LINES, "validation", fraction)) / 1000
    assert abs(share - fraction) < 4 * (fraction * (1 - fraction) / 1000) ** 0.5


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.9, 1 - 1e-9])
@pytest.mark.parametrize("seed", range(5))
def test_no_split_of_two_lines_is_empty(fraction, seed):
    corpus = Corpus({"a.txt": 1, "b.txt": 1})
    for name in ("train", "validation"):
        assert len(members(corpus, name, fraction, seed)) == 1


def test_order_and_company_do_not_matter():
    keys = random.Random(0).sample(FILES.keys, 30)
    assert members(Corpus(keys), "train") == members(FILES, "train")
    more = Corpus({**LINES.num_lines, "c.txt": 50})
    held_out = members(LINES, "validation")
    assert held_out < members(more, "validation")


def test_lines_are_counted_no_further_than_needed():
    corpus = Corpus({"a.txt": 100_000, "b.txt": 100_000})
    splits.split_corpus(corpus, "train", 0.1, 0)
    assert corpus.num_blocks < 20


@pytest.mark.parametrize("name", ["train", "validation"])
@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (
            Corpus(["book.txt"]),
            "Holding out documents takes two of them; name a validation "
            'source of its own and use split="all", or count each line as one '
            "with document=\"line\". Received: 'book.txt' with one document "
            "(document='file').",
        ),
        (
            Corpus({"book.txt": 1}),
            "use split=\"all\", or add text. Received: 'book.txt' with one "
            "document (document='line').",
        ),
    ],
)
def test_one_document_cannot_be_split(corpus, name, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        splits.split_corpus(corpus, name, 0.1, 0)
    assert len(members(corpus, "all")) == 1


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan"), "half"])
def test_a_fraction_is_between_0_and_1(fraction):
    message = re.escape(
        "validation_fraction must be between 0 and 1. Received: "
        f"validation_fraction={fraction!r}."
    )
    with pytest.raises(ValueError, match=message):
        splits.split_corpus(FILES, "train", fraction, 0)


def test_there_are_three_splits():
    message = re.escape(
        'split must be "train", "validation" or "all". Received: '
        "split='test'."
    )
    with pytest.raises(ValueError, match=message):
        splits.split_corpus(FILES, "test", 0.1, 0)


def test_hashes_are_the_same_on_every_machine_and_in_arrays():
    assert hashing.name_hash(0, "a.txt") == 6102559035530270856
    # The first outputs of SplitMix64 from the seed 1234567.
    base, places = 1234567, np.arange(1, 4, dtype="uint64")
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert hashing.counter_hash(base, places).tolist() == expected
    assert [hashing.counter_hash(base, i) for i in (1, 2, 3)] == expected


def test_files_have_an_order_for_each_seed_and_epoch():
    keys = FILES.keys
    orders = [
        [keys[i] for i in shuffling.file_order(listing, seed, epoch)]
        for seed in range(3)
        for epoch in range(3)
        for listing in [keys]
    ]
    assert len({tuple(order) for order in orders}) == 9
    backwards = keys[::-1]
    again = [backwards[i] for i in shuffling.file_order(backwards, 0, 0)]
    assert again == orders[0]


@pytest.mark.parametrize("buffer_size", [1, 7, 100, 1000])
def test_shuffling_keeps_every_row(buffer_size):
    def shuffled(seed, epoch):
        return list(
            shuffling.shuffle_rows(range(100), buffer_size, seed, epoch)
        )

    orders = [shuffled(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert shuffled(0, 0) == orders[0]
    # A row leaves at most so much too early.
    assert all(
        row - place <= buffer_size for place, row in enumerate(orders[0])
    )
    if buffer_size > 1:
        assert len(set(map(tuple, orders))) == 4
