"""Writes token ids and where they come from, see `manifest`."""

import array
import hashlib
import os

import numpy as np
import tensorflow as tf

from gpt3_keras.data.manifest import DOCUMENT_RECORD
from gpt3_keras.data.manifest import Shard


class ShardWriter:
    """Writes pieces one after the other, a new shard whenever one is full.

    Args:
        folder: path.
        run: str, first part of the files' names.
        dtype: str, of the token ids.
        capacity: int, token ids in a shard.
    """

    def __init__(self, folder, run, dtype, capacity):
        self.folder = folder
        self.run = run
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.capacity = capacity
        self.shards = []
        self.file = None
        self.has_begun = False  # Whether the document has a token.
        self._start()

    def _start(self):
        self.name = f"{self.run}-{len(self.shards):05d}"
        self.sha256 = hashlib.sha256()
        self.num_tokens = 0
        self.records = array.array("I")  # Flat: a list would be ten times it.

    def add(self, piece):
        """Writes a piece; returns whether a document with tokens ends."""
        ids = piece.content.astype(self.dtype)
        self.has_begun |= len(ids) > 0
        while len(ids) > self.capacity - self.num_tokens:
            room = self.capacity - self.num_tokens
            self._append(piece, ids[:room], ends=False)
            self._finish_shard()
            ids = ids[room:]
        ends = piece.ends and self.has_begun
        if ends:
            self.has_begun = False
        self._append(piece, ids, ends)
        return ends

    def _append(self, piece, ids, ends):
        """Writes ids that there is room for, and what document they are of."""
        if not len(ids) and not ends:
            return
        if self.file is None:
            path = os.path.join(self.folder, f"{self.name}.tokens")
            self.file = tf.io.gfile.GFile(path, "wb")
        data = ids.tobytes()
        self.file.write(data)
        self.sha256.update(data)
        self.num_tokens += len(ids)
        records = self.records
        if records and not records[-1]:  # The document goes on.
            records[-2] += len(ids)
            records[-1] = ends
        else:
            records.extend((piece.file, piece.line, len(ids), ends))

    def _finish_shard(self):
        self.close()
        records = np.array(self.records, "<u4").view(DOCUMENT_RECORD)
        data = records.tobytes()
        path = os.path.join(self.folder, f"{self.name}.documents")
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(data)
        shard = Shard(
            name=self.name,
            num_documents=int(records["ends"].sum()),
            num_records=len(records),
            num_tokens=self.num_tokens,
            tokens_sha256=self.sha256.hexdigest(),
            documents_sha256=hashlib.sha256(data).hexdigest(),
        )
        self.shards.append(shard)
        self._start()

    def finish(self):
        """Finishes the last shard; returns the `Shard`s."""
        if self.records:
            self._finish_shard()
        return self.shards

    def close(self):
        """Closes the open file, so that what it holds is written."""
        if self.file is not None:
            file, self.file = self.file, None
            file.close()


def check_ids(ids, vocabulary_size):
    """Raises unless a tokenizer's ids are below its vocabulary size."""
    if len(ids) and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise ValueError(
            "A tokenizer must give ids below its vocabulary size. Received: "
            f"ids from {ids.min()} to {ids.max()}, "
            f"vocabulary_size={vocabulary_size}."
        )
