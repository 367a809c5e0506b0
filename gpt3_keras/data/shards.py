"""Tokenises text once, into files that training reads instead of it.

`manifest` describes the files, `prepared` reads them.
"""

import contextlib
import os
import secrets

import numpy as np
import tensorflow as tf

from gpt3_keras.data import manifest as manifests
from gpt3_keras.data.manifest import Manifest
from gpt3_keras.data.manifest import SourceFile
from gpt3_keras.data.prepared import PreparedCorpus
from gpt3_keras.data.shard_writer import ShardWriter
from gpt3_keras.data.text import TextCorpus
from gpt3_keras.data.text import encode

DEFAULT_SHARD_BYTES = 64 << 20
_MAX_SHARD_BYTES = 4 << 30


def prepare(
    source,
    output,
    tokenizer,
    *,
    document="file",
    max_shard_bytes=DEFAULT_SHARD_BYTES,
    overwrite=False,
    progress=None,
):
    """Tokenises text into a folder of shards.

    The folder's path is then a source for `text_dataset`, which gives the
    rows that it gives for the text. The manifest is written last: a
    preparation that fails leaves nothing behind, one that is killed leaves
    files that no reader accepts and that the next preparation removes.

    Args:
        source: text, see `sources.find_files`.
        output: path of a folder that is new, empty, or left unfinished.
        tokenizer: an object with `encode_batch`, `end_token_id`,
            `vocabulary_size()` and `fingerprint()`.
        document: "file" or "line", what one document is.
        max_shard_bytes: int, the most bytes of token ids in a file.
        overwrite: bool, whether the prepared text that is in `output` may be
            replaced; it stays usable until the new one is whole.
        progress: function of (bytes of text read, bytes of text), or None.

    Returns:
        The `Manifest`.

    Raises:
        ValueError: if an argument or a file of the source is wrong, or if
            `output` holds something else.
        OSError: if the shards cannot be written.
    """
    _check_shard_bytes(max_shard_bytes)
    corpus = TextCorpus(source, tokenizer, document)
    output = os.path.expanduser(os.fspath(output))
    is_new = _check_output(output, overwrite)
    run = secrets.token_hex(4)
    with _writing(output):
        tf.io.gfile.makedirs(output)
        if not manifests.is_finished(output):
            _remove_others(output, run)
        try:
            manifest = _write(corpus, output, run, max_shard_bytes, progress)
            _check_whole(manifest, output)
            manifests.save(manifest, output)
        except BaseException:
            _remove_run(output, run, is_new)
            raise
        _remove_others(output, run)
    return manifest


def verify(folder):
    """Reads a folder of prepared text from end to end.

    Returns:
        Its `Manifest`.

    Raises:
        ValueError: which names the file that is missing or damaged.
    """
    corpus = PreparedCorpus(folder)
    corpus.verify()
    return corpus.manifest


def _check_shard_bytes(max_shard_bytes):
    is_count = isinstance(max_shard_bytes, int)
    if not is_count or not 4 <= max_shard_bytes <= _MAX_SHARD_BYTES:
        raise ValueError(
            f"max_shard_bytes must be an int from 4 to {_MAX_SHARD_BYTES}. "
            f"Received: max_shard_bytes={max_shard_bytes!r}."
        )


def _check_output(output, overwrite):
    """Raises if `output` holds something; returns whether it is new."""
    if not tf.io.gfile.exists(output):
        return True
    if not tf.io.gfile.isdir(output):
        raise ValueError(
            f"output must be a folder, not a file. Received: output={output!r}."
        )
    foreign = manifests.foreign_files(output)
    if foreign:
        raise ValueError(
            "output must be a new or empty folder; this one is left as it "
            f"is. Received: output={output!r} with {foreign[0]!r} in it."
        )
    if manifests.is_finished(output) and not overwrite:
        raise ValueError(
            "output must not hold prepared text, unless overwrite=True asks "
            f"to replace it. Received: output={output!r}."
        )
    return False


@contextlib.contextmanager
def _writing(output):
    """Says what could not be written, as an `OSError`."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.split("; ")[-1]
        raise OSError(
            f"Shards cannot be written to {output}: {reason}."
        ) from error


def _write(corpus, output, run, max_shard_bytes, progress):
    """Writes all shards and returns the manifest, which it does not write."""
    tokenizer = corpus.tokenizer
    vocabulary_size = tokenizer.vocabulary_size()
    dtype = manifests.token_dtype(vocabulary_size)
    capacity = max_shard_bytes // np.dtype(dtype).itemsize
    files = [SourceFile(file.key, file.num_bytes) for file in corpus.files]
    texts = (x for file in range(len(files)) for x in corpus.texts(file))
    if progress:
        texts = _reported(texts, sum(x.num_bytes for x in files), progress)
    with contextlib.closing(
        ShardWriter(output, run, dtype, capacity)
    ) as writer:
        for piece in encode(texts, tokenizer):
            _check_ids(piece.content, vocabulary_size)
            is_whole = writer.add(piece)
            files[piece.file].num_tokens += len(piece.content)
            files[piece.file].num_documents += is_whole
        shards = writer.finish()
    return Manifest(
        document=corpus.document,
        tokenizer_fingerprint=tokenizer.fingerprint(),
        vocabulary_size=vocabulary_size,
        end_token_id=tokenizer.end_token_id,
        token_dtype=dtype,
        num_documents=sum(file.num_documents for file in files),
        num_tokens=sum(file.num_tokens for file in files),
        files=files,
        shards=shards,
    )


def _reported(pieces, total_bytes, progress):
    """Yields pieces and reports about a hundred times how far they are."""
    done_bytes = reported_bytes = 0
    for piece in pieces:
        yield piece
        done_bytes += len(piece.content.encode("utf-8"))
        if done_bytes - reported_bytes >= total_bytes / 100:
            reported_bytes = done_bytes
            progress(done_bytes, total_bytes)
    progress(total_bytes, total_bytes)


def _check_whole(manifest, output):
    """Raises if a file has lost bytes, or was removed by another run."""
    for shard in manifest.shards:
        for path, num_bytes in manifests.shard_sizes(manifest, output, shard):
            if tf.io.gfile.stat(path).length != num_bytes:
                raise OSError(f"Not all of {path} was written.")


def _check_ids(ids, vocabulary_size):
    if len(ids) and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise ValueError(
            "A tokenizer must give ids below its vocabulary size. Received: "
            f"ids from {ids.min()} to {ids.max()}, "
            f"vocabulary_size={vocabulary_size}."
        )


def _remove_others(output, run):
    """Removes what earlier preparations have left in the folder."""
    names = manifests.loose_files(output)
    _remove(output, [name for name in names if not name.startswith(run)])


def _remove_run(output, run, is_new):
    """Removes what a failed run has written, as far as that is possible."""
    with contextlib.suppress(tf.errors.OpError):
        names = manifests.loose_files(output)
        own = (run, manifests.PARTIAL)
        _remove(output, [name for name in names if name.startswith(own)])
        if is_new and not tf.io.gfile.listdir(output):
            tf.io.gfile.rmtree(output)


def _remove(folder, names):
    for name in names:
        tf.io.gfile.remove(os.path.join(folder, name))
