"""Packing: every token once, in order, whatever the documents."""

import random

import numpy as np
import pytest

from gpt3_keras.data import packing
from gpt3_keras.data.text import Piece

END = 99


def random_pieces(draw):
    """Random documents, and pieces that they might come in."""
    documents, pieces = [], []
    for file in range(draw.randrange(1, 8)):
        document = [draw.randrange(90) for _ in range(draw.randrange(12))]
        documents.append(document)
        rest = list(document)
        while rest and draw.random() < 0.5:
            cut = draw.randrange(len(rest) + 1)
            pieces.append(Piece(file, 0, np.array(rest[:cut], "int32"), False))
            rest = rest[cut:]
        pieces.append(Piece(file, 0, np.array(rest, "int32"), True))
    return documents, pieces


@pytest.mark.parametrize("min_tokens", [1, 1 << 14])
@pytest.mark.parametrize("seed", range(40))
def test_no_token_is_lost_or_repeated(seed, min_tokens, monkeypatch):
    monkeypatch.setattr(packing, "_MIN_TOKENS", min_tokens)
    draw = random.Random(seed)
    documents, pieces = random_pieces(draw)
    sequence_length = draw.randrange(1, 20)
    expected = [END]
    for document in documents:
        expected += [*document, END] if document else []

    stream = packing.token_stream(iter(pieces), END)
    rows = list(packing.pack(stream, sequence_length))

    assert [t for row in rows for t in row[:-1]] == expected[:-1]
    assert [t for row in rows for t in row[1:]] == expected[1:]
    assert all(len(row) == sequence_length + 1 for row in rows[:-1])
    assert all(row.dtype == np.int32 for row in rows)
    assert len(rows) == packing.num_rows(len(expected) - 1, sequence_length)


def test_no_document_makes_no_row():
    assert not list(packing.pack(packing.token_stream([], END), 4))


def test_an_endless_stream_is_packed_as_it_comes():
    def endless():
        while True:
            yield np.arange(1000, dtype="int32")

    row = next(packing.pack(endless(), 8))
    assert row.tolist() == list(range(9))


def test_a_row_does_not_keep_the_stream_alive():
    row = next(packing.pack([np.arange(100_000)], 8))
    assert row.base is None
