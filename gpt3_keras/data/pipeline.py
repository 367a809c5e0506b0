"""From a source of text to a `tf.data.Dataset` of batches."""

import itertools

import tensorflow as tf

from gpt3_keras.data import batch
from gpt3_keras.data import manifest
from gpt3_keras.data import packing
from gpt3_keras.data import shuffling
from gpt3_keras.data.prepared import PreparedCorpus
from gpt3_keras.data.splits import split_corpus
from gpt3_keras.data.text import TextCorpus


def text_dataset(
    source,
    tokenizer,
    *,
    sequence_length,
    batch_size,
    split="train",
    document="file",
    validation_fraction=0.1,
    seed=0,
    shuffle_buffer=1024,
    num_epochs=1,
    first_row=0,
):
    """Batches of training data from text, or from prepared text.

    Documents are tokenised as they are read and packed into rows, see
    `packing`; memory does not grow with the corpus. Prepared text (see
    `shards.prepare`) gives the same rows in the same order, and its dataset
    knows its `cardinality()`, so that progress bars have an end.

    In each epoch files come in an order of their own, and each row is drawn
    from a buffer of the next ones. Which depends on `seed` and the epoch
    only. Going through the dataset again, as each epoch of `fit` does, goes
    on to the next epoch, unless `num_epochs` is None: then it starts anew.
    `split="validation"` is never shuffled.

    With several epochs, a batch may end one and begin the next, so that only
    the very last batch may be smaller, and none if `num_epochs` is None.

    Args:
        source: a folder, file or glob of UTF-8 text, or a list of those, see
            `sources.find_files`; or a folder of prepared text.
        tokenizer: a `GPT3Tokenizer`, or an object with its `encode_batch`,
            `end_token_id`, `vocabulary_size()` and `fingerprint()`.
        sequence_length: int, T, tokens in a row.
        batch_size: int, B, rows in a batch.
        split: "train", "validation" or "all". The first two share out the
            documents, see `splits.split_corpus`.
        document: "file" or "line", what one document is.
        validation_fraction: float, how many of the documents are held out.
        seed: int, of the split and of the order.
        shuffle_buffer: int, rows among which the next is drawn; 0 leaves
            files and rows in order.
        num_epochs: int, how often to go through the text; None: forever.
        first_row: int, how many rows of all these epochs are left out at the
            start of the first pass: where a run goes on that has been
            interrupted. Epochs that it lies beyond are not read, but for the
            first one of raw text, to learn how many rows there are.

    Returns:
        A `tf.data.Dataset` of the triple that `batch` describes.

    Raises:
        ValueError: if an argument is wrong, or text is missing or not UTF-8.
            A mistake further inside of a file comes to light when it is read:
            then the dataset raises `tf.errors.InvalidArgumentError`, whose
            text holds the line that the `ValueError` would have.
    """
    for name, value, least in (
        ("sequence_length", sequence_length, 1),
        ("batch_size", batch_size, 1),
        ("shuffle_buffer", shuffle_buffer, 0),
        ("num_epochs", 1 if num_epochs is None else num_epochs, 1),
        ("first_row", first_row, 0),
    ):
        _check_count(name, value, least)
    corpus = _open_corpus(source, tokenizer, document)
    chosen = split_corpus(corpus, split, validation_fraction, seed)
    if split == "validation":
        shuffle_buffer = 0

    def rows(epoch):
        order = range(len(corpus.keys))
        if shuffle_buffer:
            order = shuffling.file_order(corpus.keys, seed, epoch)
        pieces = corpus.pieces(order, chosen)
        stream = packing.token_stream(pieces, tokenizer.end_token_id)
        packed = packing.pack(stream, sequence_length)
        if not shuffle_buffer:
            return packed
        return shuffling.shuffle_rows(packed, shuffle_buffer, seed, epoch)

    def make_batch(rows):
        return batch.make_batch(rows, sequence_length, tokenizer.end_token_id)

    num_rows = None
    num_targets = corpus.num_targets(chosen)
    if num_targets is not None:
        num_rows = packing.num_rows(num_targets, sequence_length)
    return _as_dataset(
        _Epochs(rows, num_rows, num_epochs, first_row),
        make_batch,
        batch.element_spec(
            sequence_length, batch_size if num_epochs is None else None
        ),
        batch_size,
    )


def count_rows(
    source,
    tokenizer,
    *,
    sequence_length,
    split="train",
    document="file",
    validation_fraction=0.1,
    seed=0,
):
    """How many rows an epoch of `text_dataset` has; arguments as there.

    Prepared text knows it; other text is tokenised to find out.
    """
    corpus = _open_corpus(source, tokenizer, document)
    chosen = split_corpus(corpus, split, validation_fraction, seed)
    num_targets = corpus.num_targets(chosen)
    if num_targets is None:
        pieces = corpus.pieces(range(len(corpus.keys)), chosen)
        stream = packing.token_stream(pieces, tokenizer.end_token_id)
        num_targets = sum(map(len, stream)) - 1
    return packing.num_rows(num_targets, sequence_length)


def _open_corpus(source, tokenizer, document):
    if isinstance(source, list | tuple):
        if len(source) > 1 and any(map(manifest.is_prepared, source)):
            raise ValueError(
                "Prepared text must be the only source; prepare all the text "
                f"together. Received: source={[*map(str, source)]}."
            )
        if len(source) == 1:
            (source,) = source
    if manifest.is_prepared(source):
        return PreparedCorpus(source, tokenizer, document)
    return TextCorpus(source, tokenizer, document)


class _Epochs:
    """The rows of all epochs, one after the other.

    Args:
        rows: function from an epoch to an iterable of its rows.
        num_rows: int, of an epoch, or None where nobody knows.
        num_epochs: int, or None for no end.
        first_row: int, how many rows are left out at the start.
    """

    def __init__(self, rows, num_rows, num_epochs, first_row):
        self.rows = rows
        self.num_rows = num_rows
        self.num_epochs = num_epochs
        self.first_row = first_row
        self.passes = itertools.count()

    def num_batches(self, batch_size):
        """How many batches come; None where nobody knows."""
        if self.num_epochs is None:
            return tf.data.INFINITE_CARDINALITY
        if self.num_rows is None or self.first_row:  # Only the first pass.
            return None
        return -(-self.num_rows * self.num_epochs // batch_size)

    def __iter__(self):
        """Yields the rows of one pass through the dataset."""
        epoch, last, skipped = 0, None, self.first_row
        if self.num_epochs is not None:
            epoch = next(self.passes) * self.num_epochs
            last = epoch + self.num_epochs
            skipped = 0 if epoch else self.first_row
        while last is None or epoch < last:
            if self.num_rows is not None:
                num_epochs, skipped = divmod(skipped, self.num_rows)
                epoch += num_epochs
                if last is not None and epoch >= last:
                    return
            num_rows = 0
            for row in self.rows(epoch):
                num_rows += 1
                if num_rows > skipped:
                    yield row
            self.num_rows = num_rows
            skipped = max(skipped - num_rows, 0)
            epoch += 1


def _as_dataset(epochs, make_batch, element_spec, batch_size):
    """The dataset of batches of the rows that `epochs` gives."""

    def batches():
        rows = iter(epochs)
        while taken := list(itertools.islice(rows, batch_size)):
            yield make_batch(taken)

    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=element_spec
    )
    num_batches = epochs.num_batches(batch_size)
    if num_batches is not None:
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(num_batches)
        )
    options = tf.data.Options()
    # Nothing to share out by file: each worker takes its part of every batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _check_count(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"{name} must be an int of at least {least}. Received: "
            f"{name}={value!r}."
        )
