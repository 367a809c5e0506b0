"""Passages to train on, cut from any text as LAMBADA's were cut."""

import itertools

import numpy as np

from gpt3_keras.data import hashing
from gpt3_keras.data import lambada
from gpt3_keras.data import lambada_names
from gpt3_keras.data import shuffling
from gpt3_keras.data import text
from gpt3_keras.data.lambada_cuts import Cut
from gpt3_keras.data.lambada_cuts import Windows

# Characters that are cut into passages at a time, and files that are open.
_BLOCK_CHARS = 1 << 18
_NUM_OPEN = 8


def training_passages(
    source, *, seed, epoch, copied_share=1.0, rename=None, **cut
):
    """Yields the passages of an epoch, shuffled.

    Passages overlap: every word that can be a target is one. A target is a
    word of letters alone, as LAMBADA's all are, and none of a short list of
    words that are never LAMBADA's answers ("the", "said"). It counts as
    copied if the same word, in the same case, stands in its context.

    Files come in an order that depends on `seed` and `epoch`, a few at a
    time; so do the passages of a stretch of 2¹⁸ characters. The same
    arguments give the same passages in the same order.

    Args:
        source: see `lambada.training_files`.
        seed: int.
        epoch: int.
        copied_share: float in [0, 1], the share of passages whose target
            stands in the context. As many are taken of either kind as this
            allows, others in each epoch.
        **cut: see `Cut`.

    Returns:
        An iterator of `lambada.Passage`s; their line is 0.

    Raises:
        ValueError: an argument breaks its rule, or `source` names LAMBADA's
            development or test passages; while reading, if a file is not
            UTF-8.
    """
    if not 0 <= copied_share <= 1:
        raise ValueError(
            "copied_share must be in [0, 1]. Received: "
            f"copied_share={copied_share}."
        )
    cut = Cut(**cut)
    files = lambada.training_files(source)
    order = shuffling.file_order([file.key for file in files], seed, epoch)
    streams = (
        _file_passages(files[i], seed, epoch, copied_share, rename, cut)
        for i in order
    )
    return _mixed(streams, hashing.name_hash(seed, epoch, "streams"))


def window_counts(source, **cut):
    """How many passages there are, before a share of them is taken.

    Args:
        source: see `lambada.training_files`.
        **cut: see `Cut`.

    Returns:
        A dict: `"num_passages"`, and `"num_copied"`, those whose target
        stands in the context.
    """
    cut = Cut(**cut)
    counts = {"num_passages": 0, "num_copied": 0}
    for file in lambada.training_files(source):
        for block in _blocks(file.path):
            windows = Windows(block, cut)
            counts["num_passages"] += len(windows.is_copied)
            counts["num_copied"] += int(windows.is_copied.sum())
    return counts


def _file_passages(file, seed, epoch, copied_share, rename, cut):
    """Yields a file's passages, shuffled by the stretch."""
    for number, block in enumerate(_blocks(file.path)):
        windows = Windows(block, cut)
        base = hashing.name_hash(seed, epoch, file.key, number)
        draws = hashing.counter_hash(
            base, np.arange(len(windows.is_copied), dtype="uint64")
        )
        names = lambada_names.find_names(block) if rename else ()
        for i in _chosen(windows.is_copied, draws, copied_share):
            passage = windows.passage(i, file.path)
            yield rename(passage, names, int(draws[i])) if rename else passage


def _chosen(is_copied, draws, copied_share):
    """Places of either kind, as many as a share allows, in order of draws."""
    order = np.argsort(draws, kind="stable")
    kinds = order[is_copied[order]], order[~is_copied[order]]
    shares = copied_share, 1 - copied_share
    total = min(
        len(kind) / share
        for kind, share in zip(kinds, shares, strict=True)
        if share
    )
    taken = [
        kind[: round(total * share)]
        for kind, share in zip(kinds, shares, strict=True)
    ]
    taken = np.concatenate(taken)
    return taken[np.argsort(draws[taken], kind="stable")].tolist()


def _blocks(path):
    """Yields a file's text in stretches that end with a line, if they can."""
    held = ""
    for block in text.read_text(path):
        held += block
        while len(held) >= _BLOCK_CHARS:
            line = held.rfind("\n", 0, _BLOCK_CHARS)
            space = held.rfind(" ", 0, _BLOCK_CHARS)
            place = (line if line > 0 else space) + 1 or _BLOCK_CHARS
            yield held[:place]
            held = held[place:]
    if held.strip():
        yield held


def _mixed(streams, base):
    """Yields what some of the streams give, drawn from them in turn."""
    opened = list(itertools.islice(streams, _NUM_OPEN))
    counter = 0
    while opened:
        place = hashing.counter_hash(base, counter) % len(opened)
        counter += 1
        try:
            yield next(opened[place])
        except StopIteration:
            opened[place : place + 1] = itertools.islice(streams, 1)
