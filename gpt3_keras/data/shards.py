"""Tokenises text once, into files that training reads instead of it.

`manifest` describes the files, `prepared` reads them.
"""

import contextlib
import os
import secrets

import numpy as np
import tensorflow as tf

from gpt3_keras.data import beam_pipeline
from gpt3_keras.data import manifest as manifests
from gpt3_keras.data import runners
from gpt3_keras.data.manifest import Manifest
from gpt3_keras.data.manifest import SourceFile
from gpt3_keras.data.prepared import PreparedCorpus
from gpt3_keras.data.shard_parts import Job
from gpt3_keras.data.shard_writer import ShardWriter
from gpt3_keras.data.shard_writer import check_ids
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
    runner=runners.LOCAL,
    runner_options=(),
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
        runner: "local", or one of `runners.BEAM`: Apache Beam, which
            the extra `beam` installs, then does the work, on many machines.
            The shards are the same.
        runner_options: strings "key=value", what the runner is told.

    Returns:
        The `Manifest`.

    Raises:
        ValueError: if an argument or a file of the source is wrong, or if
            `output` holds something else.
        OSError: if the shards cannot be written.
    """
    _check_shard_bytes(max_shard_bytes)
    options = _check_runner(runner, runner_options)
    corpus = TextCorpus(source, tokenizer, document)
    output = os.path.expanduser(os.fspath(output))
    is_new = _check_output(output, overwrite)
    run = secrets.token_hex(4)
    dtype = manifests.token_dtype(tokenizer.vocabulary_size())
    capacity = max_shard_bytes // np.dtype(dtype).itemsize
    job = Job(output, run, document, dtype, capacity)
    with _writing(output):
        tf.io.gfile.makedirs(output)
        if not manifests.is_finished(output):
            _remove_others(output, run)
        try:
            if options is None:
                files, shards = _write(corpus, job, progress)
            else:
                files, shards = beam_pipeline.write(
                    corpus, job, runner, options, progress
                )
            manifest = _manifest(corpus, job, files, shards)
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


def _check_runner(runner, options):
    """What Beam is told; None where this process does the work."""
    if runner != runners.LOCAL:
        return beam_pipeline.pipeline_options(runner, options)
    if options:
        raise ValueError(
            "runner_options are for a runner of Apache Beam. Received: "
            f"runner={runner!r}, runner_options={[*options]}."
        )
    return None


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


def _write(corpus, job, progress):
    """Writes all shards; returns the `SourceFile`s and the `Shard`s."""
    tokenizer = corpus.tokenizer
    vocabulary_size = tokenizer.vocabulary_size()
    files = [SourceFile(file.key, file.num_bytes) for file in corpus.files]
    texts = (x for file in range(len(files)) for x in corpus.texts(file))
    if progress:
        texts = _reported(texts, sum(x.num_bytes for x in files), progress)
    with contextlib.closing(
        ShardWriter(job.output, job.run, job.dtype, job.capacity)
    ) as writer:
        for piece in encode(texts, tokenizer):
            check_ids(piece.content, vocabulary_size)
            is_whole = writer.add(piece)
            files[piece.file].num_tokens += len(piece.content)
            files[piece.file].num_documents += is_whole
        return files, writer.finish()


def _manifest(corpus, job, files, shards):
    return Manifest(
        document=corpus.document,
        tokenizer_fingerprint=corpus.tokenizer.fingerprint(),
        vocabulary_size=corpus.tokenizer.vocabulary_size(),
        end_token_id=corpus.tokenizer.end_token_id,
        token_dtype=job.dtype,
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
        path = os.path.join(folder, name)
        is_folder = tf.io.gfile.isdir(path)
        (tf.io.gfile.rmtree if is_folder else tf.io.gfile.remove)(path)
