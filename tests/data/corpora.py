"""A byte-level tokenizer and small corpora, for the tests of data."""

import hashlib
import itertools
import random

import numpy as np

END = 256


class ByteTokenizer:
    """A token a byte, and one for the end of text."""

    start_token_id = END
    end_token_id = END
    pad_token_id = END

    def __init__(self, name="bytes", vocabulary_size=257):
        self.name = name
        self.size = vocabulary_size

    def vocabulary_size(self):
        return self.size

    def fingerprint(self):
        return hashlib.sha256(self.name.encode()).hexdigest()

    def encode_batch(self, texts):
        return [list(text.encode()) for text in texts]


def write_files(folder, texts):
    """Writes texts, a dict from name to str or bytes; returns the folder."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def write_corpus(folder, num_files=12, num_lines=8, seed=0):
    """Writes files of words, with blank lines; returns the folder."""
    draw = random.Random(seed)
    words = ["one", "deux", "trois", "été", "it's", "  spaced", "42", "…"]
    texts = {}
    for i in range(num_files):
        lines = [
            " ".join(draw.choices(words, k=draw.randrange(0, 9)))
            for _ in range(num_lines)
        ]
        texts[f"part{i % 3}/{i}.txt"] = f"{i}:" + "\n".join(lines) + "\n"
    return write_files(folder, texts)


def batches(dataset):
    """The batches of a dataset, flat, as tuples of NumPy arrays."""
    return [
        (x["token_ids"], x["padding_mask"], y, sample_weight)
        for x, y, sample_weight in dataset.as_numpy_iterator()
    ]


def rows(dataset):
    """The rows of a dataset, each the tokens that it reads and the last."""
    return [
        (*ids[mask].tolist(), int(y[mask][-1]))
        for batch in batches(dataset)
        for ids, mask, y in zip(*batch[:3], strict=True)
    ]


def stream(dataset):
    """The stream that unshuffled rows were cut from, put together again."""
    pieces = rows(dataset)
    return [t for row in pieces for t in row[:-1]] + [pieces[-1][-1]]


def documents(dataset):
    """The documents in the stream of unshuffled rows, as bytes."""
    tokens = stream(dataset)
    ends = [i for i, token in enumerate(tokens) if token == END]
    spans = itertools.pairwise(ends)
    return [bytes(tokens[start + 1 : stop]) for start, stop in spans]


def assert_same_batches(one, other):
    assert len(one) == len(other) > 0
    for left, right in zip(one, other, strict=True):
        for x, y in zip(left, right, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
