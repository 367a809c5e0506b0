"""The table of contents of a folder of prepared text.

    folder/
      manifest.json                 written last, so its presence means whole
      1f0c9a7e-00000.tokens         token ids, little-endian uint16 or uint32
      1f0c9a7e-00000.documents      records of four little-endian uint32
      1f0c9a7e-00001.tokens         ...
      1f0c9a7e.parts/               while `shard_parts` is at work

All documents' ids stand one after the other, with nothing in between, in as
many `.tokens` files as it takes. A record of `.documents` says of the next
`num_tokens` ids of its `.tokens` file which file of the source (its place in
the manifest) and which line (0: the whole file) they come from, and whether
the document ends with them; one that does not goes on in the next shard.
`manifest.json` holds the fields of `Manifest` and its own checksum. The first
part of the names tells the files of one run from those of another.
"""

import dataclasses
import hashlib
import json
import os
import re

import numpy as np
import tensorflow as tf

from gpt3_keras.data import sources

FORMAT = "gpt3_keras prepared text 1"
PARTIAL = "manifest.json.partial"
DOCUMENT_RECORD = np.dtype(
    [(name, "<u4") for name in ("file", "line", "num_tokens", "ends")]
)

_NAME = "manifest.json"
_SHARD = re.compile(r"[0-9a-f]{8}-[0-9]{5,}")
_SHARD_FILE = re.compile(rf"{_SHARD.pattern}\.(tokens|documents)")
_SCRATCH = re.compile(r"[0-9a-f]{8}\.parts")


@dataclasses.dataclass
class SourceFile:
    """What became of one file of the source: its key and what was in it."""

    key: str
    num_bytes: int
    num_documents: int = 0
    num_tokens: int = 0


@dataclasses.dataclass(frozen=True)
class Shard:
    """A pair of files; `num_documents` counts those that end in it."""

    name: str
    num_documents: int
    num_records: int
    num_tokens: int
    tokens_sha256: str
    documents_sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of prepared text holds, and how it was made."""

    document: str
    tokenizer_fingerprint: str
    vocabulary_size: int
    end_token_id: int
    token_dtype: str
    num_documents: int
    num_tokens: int
    files: list[SourceFile]
    shards: list[Shard]
    format: str = FORMAT


def token_dtype(vocabulary_size):
    """The narrowest type that holds every id.

    >>> token_dtype(50257)
    'uint16'
    """
    return "uint16" if vocabulary_size <= 1 << 16 else "uint32"


def is_prepared(folder):
    """Whether a folder holds prepared text, be it unfinished or damaged."""
    if not isinstance(folder, str | os.PathLike):
        return False
    folder = os.fspath(folder)
    if not folder or not tf.io.gfile.isdir(folder):
        return False
    return bool(_shards_and_parts(folder)) or FORMAT in _read(folder)


def loose_files(folder):
    """The names of what `prepare` writes before the manifest is there.

    One may be a folder's.
    """
    partial = [PARTIAL] if _exists(folder, PARTIAL) else []
    return _shards_and_parts(folder) + partial


def foreign_files(folder):
    """The names of what is in a folder and was not put there by `prepare`."""
    own = {*_shards_and_parts(folder), PARTIAL}
    if FORMAT in _read(folder):
        own.add(_NAME)
    return sorted(name for name in _names(folder) if name not in own)


def is_finished(folder):
    """Whether the folder has a manifest."""
    return _exists(folder, _NAME)


def save(manifest, folder):
    """Writes the manifest, all of it or nothing."""
    contents = dataclasses.asdict(manifest)
    contents["sha256"] = _checksum(contents)
    partial = os.path.join(folder, PARTIAL)
    with tf.io.gfile.GFile(partial, "w") as file:
        file.write(json.dumps(contents, indent=1) + "\n")
    tf.io.gfile.rename(partial, os.path.join(folder, _NAME), overwrite=True)


def load(folder):
    """Reads the manifest of a folder.

    Raises:
        ValueError: if there is none, or it is damaged or of another format.
    """
    text = _read(folder)
    if not text:
        raise ValueError(
            "A prepared folder must hold manifest.json, without which its "
            "preparation did not finish; prepare the text again. Received: "
            f"{os.fspath(folder)}."
        )
    try:
        contents = json.loads(text)
        checksum = contents.pop("sha256")
        if contents["format"] != FORMAT:
            raise ValueError(
                f"The format of prepared text must be {FORMAT!r}; prepare it "
                f"again. Received: {os.path.join(folder, _NAME)} of the "
                f"format {contents['format']!r}."
            )
        if checksum != _checksum(contents):
            raise KeyError("sha256")
        contents["files"] = [SourceFile(**x) for x in contents["files"]]
        contents["shards"] = [Shard(**x) for x in contents["shards"]]
        manifest = Manifest(**contents)
        if not all(_SHARD.fullmatch(x.name) for x in manifest.shards):
            raise KeyError("name")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(
            "A manifest must be as `prepare` wrote it, this one has been "
            "changed or damaged; prepare the text again. Received: "
            f"{os.path.join(folder, _NAME)}."
        ) from None
    return manifest


def scratch_folder(folder, run):
    """Path of a run's folder of parts."""
    return os.path.join(folder, f"{run}.parts")


def tokens_path(folder, shard):
    """Path of a shard's token ids."""
    return os.path.join(folder, f"{shard.name}.tokens")


def documents_path(folder, shard):
    """Path of a shard's records of documents."""
    return os.path.join(folder, f"{shard.name}.documents")


def shard_sizes(manifest, folder, shard):
    """The (path, number of bytes) of a shard's two files."""
    token_bytes = np.dtype(manifest.token_dtype).itemsize
    return (
        (tokens_path(folder, shard), shard.num_tokens * token_bytes),
        (
            documents_path(folder, shard),
            shard.num_records * DOCUMENT_RECORD.itemsize,
        ),
    )


def _shards_and_parts(folder):
    """The names of shards and of folders of parts, of whichever run."""
    return sorted(
        name
        for name in _names(folder)
        if _SHARD_FILE.fullmatch(name) or _SCRATCH.fullmatch(name)
    )


def _names(folder):
    """What is in a folder; some file systems end a folder's name in "/"."""
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return [name for name in names if name]


def _exists(folder, name):
    return tf.io.gfile.exists(os.path.join(folder, name))


def _read(folder):
    """The manifest's text, empty where there is none."""
    path = os.path.join(folder, _NAME)
    if not tf.io.gfile.exists(path):
        return ""
    with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _checksum(contents):
    text = json.dumps(contents, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
