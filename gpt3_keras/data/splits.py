"""Which documents are held out: a fact about their names, not their order."""

import dataclasses

import numpy as np

from gpt3_keras.data import hashing

SPLITS = ("train", "validation", "all")


@dataclasses.dataclass(frozen=True)
class Split:
    """Some of a corpus' documents.

    A document is held out if its hash, which depends on the seed, its file's
    key and its line, is below a bound.

    Args:
        name: "train", "validation" or "all".
        keys: list of str, the keys of the corpus' files.
        seed: int.
        bound: int in (0, 2⁶⁴).
    """

    name: str
    keys: list[str]
    seed: int
    bound: int

    def keeps(self, file):
        """A function from line numbers to bool: which documents belong.

        Args:
            file: int, the file's place in the corpus.
        """
        if self.name == "all":
            return lambda lines: np.ones_like(lines, bool)
        base = hashing.name_hash(self.seed, self.keys[file])
        if self.name == "validation":
            return lambda lines: hashing.counter_hash(base, lines) < self.bound
        return lambda lines: hashing.counter_hash(base, lines) >= self.bound


def split_corpus(corpus, name, fraction, seed):
    """Chooses the documents of a split.

    With `document="file"`, the held-out files are as many as the fraction,
    rounded, but one at least and never all. With `document="line"`, each line
    is held out or not on its own, so that nobody needs to count them first;
    where that would leave a split empty, it gets one line.

    Args:
        corpus: an object with `document`, `keys` and `lines(file)`.
        name: "train", "validation" or "all".
        fraction: float in (0, 1), of the documents, to be held out.
        seed: int.

    Returns:
        A `Split`.

    Raises:
        ValueError: if there are not two documents, unless all are wanted.
    """
    if name not in SPLITS:
        raise ValueError(
            'split must be "train", "validation" or "all". Received: '
            f"split={name!r}."
        )
    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ValueError(
            "validation_fraction must be between 0 and 1. Received: "
            f"validation_fraction={fraction!r}."
        )
    bound = 0
    if name != "all":
        find = _bound_of_lines if corpus.document == "line" else _bound_of_files
        bound = find(corpus, fraction, seed)
    return Split(name, corpus.keys, seed, bound)


def _bound_of_files(corpus, fraction, seed):
    hashes = sorted(
        hashing.counter_hash(hashing.name_hash(seed, key), 0)
        for key in corpus.keys
    )
    if len(hashes) < 2:
        raise _cannot_split(
            corpus, 'count each line as one with document="line"'
        )
    num_held_out = round(fraction * len(hashes))
    return hashes[min(max(num_held_out, 1), len(hashes) - 1)]


def _bound_of_lines(corpus, fraction, seed):
    bound = int(fraction * hashing.NUM_HASHES)
    lowest, highest = hashing.NUM_HASHES, -1
    for file, key in enumerate(corpus.keys):
        base = hashing.name_hash(seed, key)
        for lines in corpus.lines(file):
            hashes = hashing.counter_hash(base, lines)
            lowest = min(lowest, int(hashes.min()))
            highest = max(highest, int(hashes.max()))
            if lowest < bound <= highest:  # Neither split is empty.
                return bound
    if lowest >= highest:
        raise _cannot_split(corpus, "add text")
    return lowest + 1 if bound <= lowest else highest


def _cannot_split(corpus, remedy):
    return ValueError(
        "Holding out documents takes two of them; name a validation source of "
        f'its own and use split="all", or {remedy}. Received: '
        f"{corpus.keys[0]!r} with one document "
        f"(document={corpus.document!r})."
    )
