"""Prepares text in parts, which many machines can work on at a time.

Three steps. What they hand on is small; token ids go through files in a
scratch folder:

    tokenise   a part of the text -> its token ids and documents
    plan       how much is in each part -> the stretches that make up a shard
    assemble   the stretches of a shard -> the shard

The shards are, byte for byte, those that `shards.prepare` writes on its own. A
step may be done again, or twice at a time: the names of scratch files are
drawn, and a shard gets its name when it is whole.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import re
import secrets
import sys
import typing

import numpy as np
import tensorflow as tf

from gpt3_keras.data import manifest as manifests
from gpt3_keras.data import text
from gpt3_keras.data import text_parts
from gpt3_keras.data.manifest import DOCUMENT_RECORD
from gpt3_keras.data.manifest import Shard
from gpt3_keras.data.shard_writer import ShardWriter
from gpt3_keras.data.shard_writer import check_ids

_BLOCK_BYTES = 1 << 18


_TOKENISED = re.compile(r"part(\d+)-.*\.documents")


@dataclasses.dataclass(frozen=True)
class Job:
    """What every step knows.

    Args:
        output: path of the folder of shards.
        run: str, first part of the shards' names.
        document: "file" or "line".
        dtype: str, of the token ids.
        capacity: int, token ids in a shard.
    """

    output: str
    run: str
    document: str
    dtype: str
    capacity: int

    @property
    def scratch(self):
        """Path of the folder of what the steps hand on."""
        return manifests.scratch_folder(self.output, self.run)


class Count(typing.NamedTuple):
    """What there is of a file in a part."""

    file: int
    num_documents: int
    num_tokens: int
    num_line_ends: int


class Tokenised(typing.NamedTuple):
    """What became of a part: a `Count` for each span, or an error's text."""

    number: int
    name: str
    counts: list[Count]
    error: str = ""


class Stretch(typing.NamedTuple):
    """Some tokens of a part, named as its files are.

    Args:
        name: str.
        first_token: int.
        num_tokens: int.
        file: int, the part's first file.
        num_lines: int, how many lines of that file are in earlier parts.
        goes_on: bool, whether the part's last document does in a later one.
    """

    name: str
    first_token: int
    num_tokens: int
    file: int
    num_lines: int
    goes_on: bool


class ShardPlan(typing.NamedTuple):
    """What a shard is made of."""

    number: int
    stretches: list[Stretch]


def part_number(name):
    """The number of the part that a scratch file ends; None for another file.

    >>> part_number("part7-1f0c9a7e-00000.documents")
    7
    """
    match = _TOKENISED.fullmatch(name)
    return int(match[1]) if match else None


def tokenise(part, job, tokenizer):
    """Writes what a part holds into the scratch folder.

    Args:
        part: a `text_parts.Part`.
        job: a `Job`.
        tokenizer: see `shards.prepare`.

    Returns:
        A `Tokenised`.
    """
    name = f"part{part.number}-{secrets.token_hex(4)}"
    writer = ShardWriter(job.scratch, name, job.dtype, capacity=sys.maxsize)
    with contextlib.closing(writer):
        try:
            counts = [
                _tokenise_span(span, job, tokenizer, writer)
                for span in part.spans
            ]
        except ValueError as error:  # No use trying that again elsewhere.
            return Tokenised(part.number, "", [], str(error))
        shards = writer.finish()
    return Tokenised(part.number, shards[0].name if shards else "", counts)


def _tokenise_span(span, job, tokenizer, writer):
    reader = text_parts.Reader(span, job.document)
    vocabulary_size = tokenizer.vocabulary_size()
    num_documents = num_tokens = 0
    for piece in text.encode(reader.pieces(), tokenizer):
        check_ids(piece.content, vocabulary_size)
        num_documents += writer.add(piece)
        num_tokens += len(piece.content)
    return Count(span.file, num_documents, num_tokens, reader.num_line_ends)


def plan(tokenised, job):
    """Yields the `ShardPlan`s of all shards.

    Args:
        tokenised: list of `Tokenised`, of all parts.
        job: a `Job`.
    """
    stretches, room, numbers = [], job.capacity, itertools.count()
    for whole in _whole_parts(tokenised, job):
        first = 0
        while first < whole.num_tokens:
            num = min(room, whole.num_tokens - first)
            stretches.append(whole._replace(first_token=first, num_tokens=num))
            first += num
            room -= num
            if not room:
                yield ShardPlan(next(numbers), stretches)
                stretches, room = [], job.capacity
    if stretches:
        yield ShardPlan(next(numbers), stretches)


def _whole_parts(tokenised, job):
    """A `Stretch` for each part with a token, all of it."""
    wholes, num_lines, last_file = [], {}, None
    for part in sorted(tokenised):
        file = part.counts[0].file
        files = [count.file for count in part.counts if count.num_tokens]
        if files:
            if job.document == "file" and last_file == files[0]:
                wholes[-1] = wholes[-1]._replace(goes_on=True)
            last_file = files[-1]
            num_tokens = sum(count.num_tokens for count in part.counts)
            lines = num_lines.get(file, 0)
            wholes.append(
                Stretch(part.name, 0, num_tokens, file, lines, goes_on=False)
            )
        for count in part.counts:
            lines = num_lines.get(count.file, 0)
            num_lines[count.file] = lines + count.num_line_ends
    return wholes


def totals(tokenised, job):
    """A (file, number of documents, number of tokens) for each file."""
    found = {}
    for count in (count for part in tokenised for count in part.counts):
        num_documents, num_tokens = found.get(count.file, (0, 0))
        num_documents += count.num_documents
        if job.document == "file":  # It may be in several parts.
            num_documents = min(num_documents, 1)
        found[count.file] = num_documents, num_tokens + count.num_tokens
    return [(file, *counts) for file, counts in found.items()]


def assemble(plan, job):
    """Writes a shard, from what is in the scratch folder.

    Args:
        plan: a `ShardPlan`.
        job: a `Job`.

    Returns:
        Its `Shard`.
    """
    name = f"{job.run}-{plan.number:05d}"
    records = _merged([_records(stretch, job) for stretch in plan.stretches])
    tokens = (
        block for stretch in plan.stretches for block in _tokens(stretch, job)
    )
    return Shard(
        name=name,
        num_documents=int(records["ends"].sum()),
        num_records=len(records),
        num_tokens=sum(stretch.num_tokens for stretch in plan.stretches),
        tokens_sha256=_write(job, f"{name}.tokens", tokens),
        documents_sha256=_write(job, f"{name}.documents", [records.tobytes()]),
    )


def _records(stretch, job):
    """The records of a stretch's documents, as a shard holds them."""
    path = os.path.join(job.scratch, f"{stretch.name}.documents")
    with tf.io.gfile.GFile(path, "rb") as file:
        records = np.frombuffer(file.read(), DOCUMENT_RECORD).copy()
    if job.document == "line":
        records["line"][records["file"] == stretch.file] += stretch.num_lines
    if stretch.goes_on:
        records["ends"][-1] = 0
    first, last = stretch.first_token, stretch.first_token + stretch.num_tokens
    stops = np.cumsum(records["num_tokens"], dtype="int64")
    starts = stops - records["num_tokens"]
    chosen = (stops > first) & (starts < last)
    records, starts, stops = records[chosen], starts[chosen], stops[chosen]
    records["ends"][stops > last] = 0
    records["num_tokens"] = np.minimum(stops, last) - np.maximum(starts, first)
    return records


def _merged(records):
    """All records, those of one document in several stretches as one."""
    records = np.concatenate(records)
    begins = np.flatnonzero(np.append(True, records["ends"][:-1] == 1))
    merged = records[begins]
    merged["num_tokens"] = np.add.reduceat(records["num_tokens"], begins)
    merged["ends"] = records["ends"][np.append(begins[1:], len(records)) - 1]
    return merged


def _tokens(stretch, job):
    """Yields the bytes of a stretch's tokens."""
    path = os.path.join(job.scratch, f"{stretch.name}.tokens")
    token_bytes = np.dtype(job.dtype).itemsize
    left = stretch.num_tokens * token_bytes
    with tf.io.gfile.GFile(path, "rb") as file:
        file.seek(stretch.first_token * token_bytes)
        while left:
            block = file.read(min(left, _BLOCK_BYTES))
            if not block:
                raise OSError(f"Not all of {path} was written.")
            left -= len(block)
            yield block


def _write(job, name, blocks):
    """Writes a file of a shard, all of it or nothing; returns its SHA-256."""
    sha256 = hashlib.sha256()
    partial = os.path.join(job.scratch, f"{name}-{secrets.token_hex(4)}")
    with tf.io.gfile.GFile(partial, "wb") as file:
        for block in blocks:
            file.write(block)
            sha256.update(block)
    path = os.path.join(job.output, name)
    tf.io.gfile.rename(partial, path, overwrite=True)
    return sha256.hexdigest()
