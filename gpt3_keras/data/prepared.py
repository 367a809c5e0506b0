"""Reads what `shards.prepare` wrote.

A shard's records of documents are checked when the corpus is opened, its
tokens before the first of them are used. That reads each file once more, at
the speed of SHA-256, about 1 GB/s.
"""

import contextlib
import hashlib
import os
import typing

import numpy as np
import tensorflow as tf

from gpt3_keras.data import manifest as manifests
from gpt3_keras.data import sources
from gpt3_keras.data.text import Piece
from gpt3_keras.data.text import check_document

_BLOCK_BYTES = 1 << 20
_BLOCK_RECORDS = 1 << 12
_PIECE_TOKENS = 1 << 16


class _Segment(typing.NamedTuple):
    """What a shard holds of one file: a run of records and of tokens.

    The `records` of whole-file documents are few and kept; those of lines are
    None, and read when they are needed.
    """

    shard: manifests.Shard
    first_token: int
    first_record: int
    num_records: int
    records: np.ndarray | None


class PreparedCorpus:
    """Documents in a folder of prepared text, as `text.TextCorpus` has them.

    Args:
        folder: path.
        tokenizer: the tokenizer that is to be in use, or None to skip the
            comparison.
        document: "file" or "line", what one document is meant to be, or None.

    Raises:
        ValueError: if the folder is not whole, or was made otherwise.
    """

    def __init__(self, folder, tokenizer=None, document=None):
        self.folder = os.path.expanduser(os.fspath(folder))
        self.manifest = manifests.load(self.folder)
        self.document = self.manifest.document
        self.keys = [file.key for file in self.manifest.files]
        if document is not None:
            self._check_document(document)
        if tokenizer is not None:
            self._check_tokenizer(tokenizer)
        self._dtype = np.dtype(self.manifest.token_dtype).newbyteorder("<")
        self._verified = set()
        self._segments = [[] for _ in self.keys]
        for shard in self.manifest.shards:
            self._index(shard)

    def lines(self, file):
        """Yields the line numbers of a file's documents, in uint64 arrays."""
        for segment in self._segments[file]:
            for records in self._records(segment):
                yield records["line"].astype("uint64")

    def pieces(self, files, split, augment=None):
        """Yields a `Piece` with token ids for each part of the documents.

        Args:
            files: ints, places of files in the corpus, in the order wanted.
            split: a `Split`, which documents count.
            augment: None; tokens are not augmented.
        """
        segments = (
            (file, segment)
            for file in files
            for segment in self._segments[file]
        )
        with contextlib.ExitStack() as open_file:
            shard, tokens = None, None
            for file, segment in segments:
                if segment.shard is not shard:
                    open_file.close()
                    shard = segment.shard
                    tokens = open_file.enter_context(self._open_tokens(shard))
                yield from self._read(segment, tokens, split.keeps(file))

    def num_targets(self, split):
        """How many targets the rows of a split have: its tokens and ends."""
        num_targets = 0
        for file, segments in enumerate(self._segments):
            keeps = split.keeps(file)
            for segment in segments:
                for records in self._records(segment):
                    kept = records[keeps(records["line"].astype("uint64"))]
                    num_targets += int(kept["num_tokens"].sum(dtype="int64"))
                    num_targets += int(kept["ends"].sum(dtype="int64"))
        return num_targets

    def verify(self):
        """Compares every file with its checksum, see `shards.verify`."""
        for shard in self.manifest.shards:
            self._verify_tokens(shard)

    def _check_document(self, document):
        check_document(document)
        if document != self.document:
            raise ValueError(
                "document must be what the text was prepared with. Received: "
                f"document={document!r}, {self.folder} was prepared with "
                f"document={self.document!r}."
            )

    def _check_tokenizer(self, tokenizer):
        received = tokenizer.fingerprint()
        if received != self.manifest.tokenizer_fingerprint:
            raise ValueError(
                "Text must be read with the tokenizer that it was prepared "
                "with; prepare it again. Received: a tokenizer of "
                f"{tokenizer.vocabulary_size()} entries, fingerprint "
                f"{received[:12]}; {self.folder} was prepared with one of "
                f"{self.manifest.vocabulary_size} entries, fingerprint "
                f"{self.manifest.tokenizer_fingerprint[:12]}."
            )

    def _index(self, shard):
        """Notes where in a shard each file's documents are."""
        path = manifests.documents_path(self.folder, shard)
        _check_digest(path, shard.documents_sha256)
        with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
            records = np.frombuffer(file.read(), manifests.DOCUMENT_RECORD)
        ends = np.cumsum(records["num_tokens"], dtype="int64")
        starts = np.flatnonzero(np.diff(records["file"], prepend=-1))
        stops = np.append(starts[1:], len(records))
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            segment = _Segment(
                shard,
                first_token=int(ends[start - 1]) if start else 0,
                first_record=start,
                num_records=stop - start,
                records=(
                    records[start:stop].copy()
                    if self.document == "file"
                    else None
                ),
            )
            self._segments[records["file"][start]].append(segment)

    def _records(self, segment):
        """Yields the records of a segment, in arrays."""
        if segment.records is not None:
            yield segment.records
            return
        path = manifests.documents_path(self.folder, segment.shard)
        size = manifests.DOCUMENT_RECORD.itemsize
        with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
            file.seek(segment.first_record * size)
            for start in range(0, segment.num_records, _BLOCK_RECORDS):
                num = min(_BLOCK_RECORDS, segment.num_records - start)
                data = file.read(num * size)
                yield np.frombuffer(data, manifests.DOCUMENT_RECORD)

    def _open_tokens(self, shard):
        """The open file of a shard's tokens, verified once a process."""
        if shard.name not in self._verified:
            self._verify_tokens(shard)
            self._verified.add(shard.name)
        path = manifests.tokens_path(self.folder, shard)
        return tf.io.gfile.GFile(path, "rb")

    def _verify_tokens(self, shard):
        path = manifests.tokens_path(self.folder, shard)
        _check_digest(path, shard.tokens_sha256)

    def _read(self, segment, tokens, keeps):
        """Yields pieces of those documents of a segment that `keeps` keeps."""
        first = segment.first_token
        position = None  # Seeking empties the file's buffer.
        for records in self._records(segment):
            kept = keeps(records["line"].astype("uint64"))
            for (file, line, num_tokens, ends), is_kept in zip(
                records.tolist(), kept.tolist(), strict=True
            ):
                if is_kept:
                    if position != first:
                        tokens.seek(first * self._dtype.itemsize)
                    for ids, is_last in self._ids(tokens, num_tokens):
                        yield Piece(file, line, ids, bool(ends and is_last))
                    position = first + num_tokens
                first += num_tokens

    def _ids(self, tokens, num_tokens):
        """Yields the next tokens, int32, and whether these are the last."""
        for start in range(0, max(num_tokens, 1), _PIECE_TOKENS):
            num = min(_PIECE_TOKENS, num_tokens - start)
            data = tokens.read(num * self._dtype.itemsize)
            ids = np.frombuffer(data, self._dtype).astype("int32")
            yield ids, start + num == num_tokens


def _check_digest(path, expected):
    """Raises unless a file is there and has the SHA-256 that it should."""
    digest = hashlib.sha256()
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except tf.errors.NotFoundError:
        raise ValueError(
            "A shard is missing; prepare the text again. Received: "
            f"{path}, which does not exist."
        ) from None
    except tf.errors.OpError as error:
        raise ValueError(
            f"A shard must be readable. Received: {path}: {error.message}."
        ) from error
    if digest.hexdigest() != expected:
        raise ValueError(
            "A shard must be as `prepare` wrote it, this one has been changed "
            f"or damaged; prepare the text again. Received: {path}, whose "
            "SHA-256 is not the manifest's."
        )
