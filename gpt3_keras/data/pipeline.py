"""From a source of text to a `tf.data.Dataset` of batches."""

from gpt3_keras.data import batch
from gpt3_keras.data import manifest
from gpt3_keras.data import packing
from gpt3_keras.data import shuffling
from gpt3_keras.data.augmented_rows import augmented_pieces
from gpt3_keras.data.epochs import Epochs
from gpt3_keras.data.epochs import as_dataset
from gpt3_keras.data.epochs import check_count
from gpt3_keras.data.epochs import check_hosts
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
    augmentation=(),
    num_hosts=1,
    host=0,
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
        augmentation: steps, see `augmentation.apply_steps`, that change the
            text of each epoch in another way. Not for prepared text, whose
            words are tokens already.
        num_hosts: int, how many processes share each batch out.
        host: int, which of them this one is: it gets its part of each
            batch's rows, in their order.

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
        check_count(name, value, least)
    check_hosts(batch_size, num_hosts, host)
    corpus = _open_corpus(source, tokenizer, document, augmentation)
    chosen = split_corpus(corpus, split, validation_fraction, seed)
    if split == "validation":
        shuffle_buffer = 0

    def rows(epoch):
        order = range(len(corpus.keys))
        if shuffle_buffer:
            order = shuffling.file_order(corpus.keys, seed, epoch)
        pieces = _pieces(corpus, chosen, order, augmentation, epoch)
        stream = packing.token_stream(pieces, tokenizer.end_token_id)
        packed = packing.pack(stream, sequence_length)
        if not shuffle_buffer:
            return packed
        return shuffling.shuffle_rows(packed, shuffle_buffer, seed, epoch)

    def make_batch(rows):
        return batch.make_batch(rows, sequence_length, tokenizer.end_token_id)

    num_rows = _num_rows(corpus, chosen, sequence_length)
    host_rows = batch_size // num_hosts if num_epochs is None else None
    return as_dataset(
        Epochs(rows, num_rows, num_epochs, first_row, bool(augmentation)),
        make_batch,
        batch.element_spec(sequence_length, host_rows),
        batch_size,
        num_hosts,
        host,
    )


def _pieces(corpus, chosen, order, augmentation, epoch):
    """The pieces of an epoch, their files in an order, augmented."""
    augment = None
    if augmentation:

        def augment(pieces):
            return augmented_pieces(pieces, augmentation, epoch)

    return corpus.pieces(order, chosen, augment)


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
    num_rows = _num_rows(corpus, chosen, sequence_length)
    if num_rows is not None:
        return num_rows
    pieces = corpus.pieces(range(len(corpus.keys)), chosen)
    stream = packing.token_stream(pieces, tokenizer.end_token_id)
    return packing.num_rows(sum(map(len, stream)) - 1, sequence_length)


def _num_rows(corpus, chosen, sequence_length):
    """How many rows an epoch has; None where nobody knows yet."""
    num_targets = corpus.num_targets(chosen)
    if num_targets is None:
        return None
    return packing.num_rows(num_targets, sequence_length)


def _open_corpus(source, tokenizer, document, augmentation=()):
    if isinstance(source, list | tuple):
        if len(source) > 1 and any(map(manifest.is_prepared, source)):
            raise ValueError(
                "Prepared text must be the only source; prepare all the text "
                f"together. Received: source={[*map(str, source)]}."
            )
        if len(source) == 1:
            (source,) = source
    if manifest.is_prepared(source):
        if augmentation:
            raise ValueError(
                "Prepared text cannot be augmented; name the text that it was "
                f"made from. Received: source={source!r}."
            )
        return PreparedCorpus(source, tokenizer, document)
    return TextCorpus(source, tokenizer, document)
