"""From text to batches: nothing lost, and the order that the seed says."""

import itertools
import re
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.data import batch
from gpt3_keras.data import pipeline
from gpt3_keras.data import shards
from gpt3_keras.data import text
from gpt3_keras.data.pipeline import text_dataset
from tests.data.corpora import END
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import assert_same_batches
from tests.data.corpora import batches
from tests.data.corpora import documents
from tests.data.corpora import rows
from tests.data.corpora import stream
from tests.data.corpora import write_corpus
from tests.data.corpora import write_files

TOKENIZER = ByteTokenizer()


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


def dataset(source, **options):
    options = {"sequence_length": 16, "batch_size": 4, **options}
    return text_dataset(source, TOKENIZER, **options)


def test_all_documents_are_there_once(corpus):
    read = dataset(corpus, split="all", shuffle_buffer=0)
    files = {str(x.relative_to(corpus)): x for x in corpus.rglob("*.txt")}
    expected = [files[key].read_bytes() for key in sorted(files)]
    assert documents(read) == expected
    for x in read.as_numpy_iterator():
        batch.check_batch(x, vocabulary_size=257)


def test_lines_are_documents(corpus):
    read = dataset(corpus, split="all", document="line", shuffle_buffer=0)
    lines = [
        line
        for path in sorted(corpus.rglob("*.txt"))
        for line in path.read_bytes().split(b"\n")
        if line.strip()
    ]
    assert sorted(documents(read)) == sorted(lines)


@pytest.mark.parametrize("document", ["file", "line"])
def test_splits_share_out_the_documents(document, corpus):
    def read(split):
        return documents(
            dataset(
                corpus,
                split=split,
                document=document,
                shuffle_buffer=0,
                validation_fraction=0.25,
            )
        )

    train, validation = read("train"), read("validation")
    assert train
    assert validation
    assert sorted(train + validation) == sorted(read("all"))
    if document == "file":
        assert len(validation) == 3


def test_shuffled_rows_are_rows_of_a_permuted_corpus(corpus):
    options = {"split": "all", "shuffle_buffer": 5}
    shuffled = rows(dataset(corpus, **options))
    # Whatever the order, each target is there once.
    targets = sorted(t for row in shuffled for t in row[1:])
    straight = rows(dataset(corpus, split="all", shuffle_buffer=0))
    assert targets == sorted(t for row in straight for t in row[1:])
    assert shuffled != straight


def test_the_same_seed_gives_the_same_rows(corpus):
    def read(seed):
        return batches(dataset(corpus, seed=seed, num_epochs=2))

    assert_same_batches(read(1), read(1))
    tf.random.set_seed(7)
    np.random.seed(7)
    assert_same_batches(read(1), read(1))
    fixed = {"split": "all", "shuffle_buffer": 8}
    one = rows(dataset(corpus, seed=1, **fixed))
    other = rows(dataset(corpus, seed=2, **fixed))
    assert one != other


def test_each_epoch_has_its_order(corpus):
    options = {"split": "all", "shuffle_buffer": 8}
    num_rows = len(rows(dataset(corpus, **options)))
    both = rows(dataset(corpus, num_epochs=2, **options))
    assert len(both) == 2 * num_rows
    first, second = both[:num_rows], both[num_rows:]
    assert first != second
    for epoch in (first, second):
        assert sorted(t for row in epoch for t in row[1:]) == sorted(
            t for row in first for t in row[1:]
        )
    # As `fit` goes through a dataset: once for each of its epochs.
    once = dataset(corpus, **options)
    assert rows(once) == first
    assert rows(once) == second


def test_rows_may_come_forever(corpus):
    options = {"split": "all", "shuffle_buffer": 8}
    endless = dataset(corpus, num_epochs=None, **options)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    three = rows(dataset(corpus, num_epochs=3, **options))
    num_batches = len(three) // 4
    assert rows(endless.take(num_batches)) == three[: 4 * num_batches]
    assert rows(endless.take(2)) == three[:8]


@pytest.mark.parametrize("seed", [0, 1])
def test_validation_is_never_shuffled(seed, corpus):
    options = {"split": "validation", "seed": seed, "validation_fraction": 0.3}
    read = dataset(corpus, shuffle_buffer=100, num_epochs=2, **options)
    straight = rows(dataset(corpus, shuffle_buffer=0, **options))
    assert rows(read) == straight * 2


def test_only_the_last_row_is_padded(corpus):
    read = batches(dataset(corpus, split="all", shuffle_buffer=0))
    masks = np.concatenate([mask for _, mask, *_ in read])
    assert masks[:-1].all()
    num_targets = sum(int(sample_weight.sum()) for *_, sample_weight in read)
    sizes = [path.stat().st_size for path in corpus.rglob("*.txt")]
    assert num_targets == sum(sizes) + len(sizes)
    assert (np.concatenate([ids for ids, *_ in read])[~masks] == END).all()


def test_the_spec_is_static(corpus, tmp_path):
    shards.prepare(corpus, tmp_path / "prepared", TOKENIZER)
    for source in (corpus, tmp_path / "prepared"):
        assert dataset(source).element_spec == batch.element_spec(16)
        endless = dataset(source, num_epochs=None)
        assert endless.element_spec == batch.element_spec(16, 4)


def test_the_order_of_a_list_does_not_matter(corpus):
    files = sorted(map(str, corpus.rglob("*.txt")))
    assert_same_batches(
        batches(dataset(files, seed=4)),
        batches(dataset(files[::-1], seed=4)),
    )


def test_an_empty_file_is_no_document(tmp_path):
    source = write_files(
        tmp_path, {"a.txt": "a", "b.txt": "", "c.txt": b"\xef\xbb\xbf"}
    )
    read = dataset(source, split="all", shuffle_buffer=0)
    assert stream(read) == [END, ord("a"), END]


def test_a_late_mistake_is_told_in_a_line(tmp_path):
    content = b"x " * 300_000 + "é".encode("latin-1")
    source = write_files(tmp_path, {"a.txt": content, "b.txt": "b"})
    read = dataset(source, split="all", sequence_length=1000)
    line = re.compile(
        r"^ValueError: Text must be UTF-8.*a\.txt with byte 0xe9 at offset "
        r"600000\.$",
        re.M,
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=line):
        batches(read)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("sequence_length", 0, 1),
        ("sequence_length", 2.0, 1),
        ("batch_size", -1, 1),
        ("batch_size", True, 1),
        ("shuffle_buffer", -1, 0),
        ("num_epochs", 0, 1),
    ],
)
def test_counts_are_checked(name, value, least, corpus):
    message = re.escape(
        f"{name} must be an int of at least {least}. Received: "
        f"{name}={value!r}."
    )
    with pytest.raises(ValueError, match=message):
        dataset(corpus, **{name: value})


def test_one_document_cannot_be_split(tmp_path):
    source = write_files(tmp_path, {"book.txt": "Call me Ishmael.\n" * 20})
    for split in ("train", "validation"):
        with pytest.raises(ValueError, match="takes two of them"):
            dataset(source, split=split)
        assert rows(dataset(source, split=split, document="line"))


def test_real_novels_are_read_whole(real_data, gpt3_tokenizer):
    source = [real_data("novels_en") / "ENG19*", real_data("novels_fr")]
    source[1] = source[1] / "FRA0[05]*.txt"
    options = {"sequence_length": 256, "batch_size": 8, "shuffle_buffer": 0}
    read = text_dataset(source, gpt3_tokenizer, split="all", **options)
    tokens = stream(read)
    end = gpt3_tokenizer.end_token_id
    ends = [i for i, token in enumerate(tokens) if token == end]
    paths = [p for x in source for p in x.parent.glob(x.name)]
    assert len(ends) == len(paths) + 1 > 8
    for path, (start, stop) in zip(
        sorted(paths, key=lambda path: path.name),
        itertools.pairwise(ends),
        strict=True,
    ):
        text = gpt3_tokenizer.detokenize(tokens[start + 1 : stop])
        assert text == path.read_bytes().decode()


def peak_bytes(source, **options):
    """The most memory that Python and NumPy held while rows were read."""
    corpus = pipeline._open_corpus(source, TOKENIZER, options["document"])
    split = pipeline.split_corpus(corpus, "all", 0.1, 0)
    tracemalloc.start()
    num_tokens = 0
    for piece in corpus.pieces(range(len(corpus.keys)), split):
        num_tokens += len(piece.content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, num_tokens


@pytest.mark.parametrize("document", ["file", "line"])
def test_memory_does_not_grow_with_the_corpus(document, tmp_path, monkeypatch):
    # A small one first: imports and caches are not the corpus.
    monkeypatch.setattr(text, "_GROUP_CHARS", 1 << 14)
    monkeypatch.setattr(text, "_BLOCK_BYTES", 1 << 14)
    line = "The quick brown fox jumps over the lazy dog. " * 4 + "\n"
    peaks = {"text": [], "shards": []}
    for num_lines in (1000, 8000):
        name = str(num_lines)
        source = write_files(
            tmp_path / name, {"a.txt": line * num_lines, "b.txt": line * 9}
        )
        output = tmp_path / f"shards{name}"
        shards.prepare(
            source,
            output,
            TOKENIZER,
            document=document,
            max_shard_bytes=100_000,
        )
        for kind, folder in (("text", source), ("shards", output)):
            peak, num_tokens = peak_bytes(folder, document=document)
            assert num_tokens > 0.9 * len(line) * num_lines
            peaks[kind].append(peak)
    for small, large in peaks.values():
        # Eight times the text, 1.3 MB more: a tenth of it may stay.
        assert large < small + 130_000


# Where an interrupted run goes on.


@pytest.fixture(params=["text", "shards"])
def source(request, corpus, tmp_path):
    if request.param == "text":
        return corpus
    shards.prepare(corpus, tmp_path / "shards", TOKENIZER, max_shard_bytes=600)
    return tmp_path / "shards"


@pytest.mark.parametrize("split", ["train", "all"])
def test_the_rows_of_an_epoch_are_counted(source, split):
    options = {"split": split, "sequence_length": 16}
    number = pipeline.count_rows(source, TOKENIZER, **options)
    assert number == len(rows(dataset(source, split=split)))


def test_a_dataset_goes_on_behind_the_rows_that_were_read(source):
    """In the first epoch, at its end, in the next, and far beyond."""
    number = pipeline.count_rows(source, TOKENIZER, sequence_length=16)
    taken = 3 * number
    endless = dataset(source, num_epochs=None, batch_size=1, shuffle_buffer=8)
    expected = rows(endless.take(taken + 5))
    for first_row in (0, 1, number - 1, number, number + 3, taken):
        resumed = dataset(
            source,
            num_epochs=None,
            batch_size=1,
            shuffle_buffer=8,
            first_row=first_row,
        )
        found = rows(resumed.take(5))
        for row, other in zip(found, expected[first_row:], strict=False):
            np.testing.assert_array_equal(row, other)
        assert len(found) == 5


def test_a_dataset_that_ends_has_the_rest_of_its_rows(source):
    whole = rows(dataset(source, num_epochs=2))
    resumed = dataset(source, num_epochs=2, first_row=7)
    assert len(rows(resumed)) == len(whole) - 7
    # The next pass is whole again.
    assert len(rows(resumed)) == len(whole)


def test_epochs_that_lie_behind_are_not_read(source, monkeypatch):
    """Of raw text the first one is, to learn how many rows there are."""
    number = pipeline.count_rows(source, TOKENIZER, sequence_length=16)
    epochs = []
    order = pipeline.shuffling.file_order

    def note(keys, seed, epoch):
        epochs.append(epoch)
        return order(keys, seed, epoch)

    monkeypatch.setattr(pipeline.shuffling, "file_order", note)
    resumed = dataset(
        source, num_epochs=None, first_row=50 * number + 1, batch_size=1
    )
    next(iter(resumed))
    assert set(epochs) <= {0, 50, 51, 52, 53}
    assert 50 in epochs


@pytest.mark.parametrize("num_hosts", [2, 3, 6])
@pytest.mark.parametrize("is_prepared", [False, True])
def test_hosts_share_out_each_batch(is_prepared, num_hosts, corpus, tmp_path):
    source = corpus
    if is_prepared:
        source = tmp_path / "prepared"
        shards.prepare(corpus, source, TOKENIZER, max_shard_bytes=300)
    options = {"batch_size": 6, "shuffle_buffer": 5, "seed": 3, "first_row": 7}
    whole = batches(dataset(source, **options))
    parts = []
    for host in range(num_hosts):
        part = dataset(source, num_hosts=num_hosts, host=host, **options)
        parts.append(batches(part))
        sizes = [len(x[0]) for x in parts[-1][:-1]]
        assert set(sizes) == {6 // num_hosts}
    assert len(whole[-1][0]) < 6 - 6 // num_hosts  # The last host has no row.
    joined = [
        tuple(np.concatenate(part) for part in zip(*shares, strict=True))
        for shares in zip(*parts, strict=True)
    ]
    assert_same_batches(joined, whole)


def test_a_host_knows_how_many_batches_and_rows_there_are(corpus, tmp_path):
    prepared = tmp_path / "prepared"
    shards.prepare(corpus, prepared, TOKENIZER)
    options = {"num_hosts": 2, "host": 1}
    assert dataset(prepared, **options).cardinality() == (
        dataset(prepared).cardinality()
    )
    endless = dataset(prepared, num_epochs=None, **options)
    assert endless.element_spec[1].shape == (2, 16)
    policy = endless.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.OFF


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_hosts": 3},
            "num_hosts must divide batch_size. Received: num_hosts=3, "
            "batch_size=4.",
        ),
        (
            {"num_hosts": 2, "host": 2},
            "host must be below num_hosts. Received: host=2, num_hosts=2.",
        ),
        ({"num_hosts": 0}, "num_hosts must be an int of at least 1."),
        ({"host": -1}, "host must be an int of at least 0."),
    ],
)
def test_hosts_are_checked(options, message, corpus):
    with pytest.raises(ValueError, match=re.escape(message)):
        dataset(corpus, **options)
