"""generate: what goes in, what comes out, how long, and what is refused."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.models import small

PROMPTS = small.rows(4, 7, 1)


@pytest.fixture(scope="module")
def model():
    made = small.model()
    made.compile(sampler="greedy", run_eagerly=True)
    return made


@pytest.fixture(scope="module")
def text_model():
    made = small.text_model(sequence_length=12)
    made.compile(sampler="greedy", run_eagerly=True)
    return made


def rows_of(outputs):
    """The real tokens of each row."""
    return [
        ids[mask].tolist()
        for ids, mask in zip(
            outputs["token_ids"], outputs["padding_mask"], strict=True
        )
    ]


@pytest.fixture(scope="module")
def expected(model):
    """The prompts, each written on to 12 tokens."""
    return rows_of(model.generate(PROMPTS, max_length=12, stop_token_ids=None))


def test_rows_are_written_on_to_max_length(expected):
    assert [len(row) for row in expected] == [12, 12, 12]
    for prompt, row in zip(PROMPTS, expected, strict=True):
        assert row[: len(prompt)] == prompt


def test_max_new_tokens_counts_from_each_prompt(model, expected):
    outputs = model.generate(PROMPTS, max_new_tokens=5, stop_token_ids=None)
    assert outputs["token_ids"].shape == (3, 12)
    assert outputs["token_ids"].dtype == np.int32
    assert outputs["padding_mask"].dtype == bool
    assert rows_of(outputs) == [
        row[: len(prompt) + 5]
        for prompt, row in zip(PROMPTS, expected, strict=True)
    ]


def test_the_prompt_may_be_stripped(model, expected):
    stripped = [
        row[len(prompt) :]
        for prompt, row in zip(PROMPTS, expected, strict=True)
    ]
    outputs = model.generate(
        PROMPTS, max_length=12, stop_token_ids=None, strip_prompt=True
    )
    assert rows_of(outputs) == stripped
    outputs = model.generate(
        PROMPTS, max_new_tokens=5, stop_token_ids=None, strip_prompt=True
    )
    assert rows_of(outputs) == [row[:5] for row in stripped]


def test_a_row_ends_with_its_first_new_stop_token(model, expected):
    # Each row's second new token; a stop token in a prompt stops nothing.
    stops = [row[len(p) + 1] for p, row in zip(PROMPTS, expected, strict=True)]
    stops.append(PROMPTS[0][0])
    outputs = model.generate(PROMPTS, max_length=12, stop_token_ids=stops)
    for prompt, row, whole in zip(
        PROMPTS, rows_of(outputs), expected, strict=True
    ):
        new = whole[len(prompt) :]
        end = min(new.index(stop) for stop in stops if stop in new)
        assert row == whole[: len(prompt) + end + 1]
        assert end <= 1


@pytest.mark.parametrize("form", ["arrays", "dict", "padded_dict"])
def test_all_forms_of_ids_are_written_on_alike(model, expected, form):
    inputs = {
        "arrays": [np.array(prompt) for prompt in PROMPTS],
        "dict": small.padded(PROMPTS),
        "padded_dict": small.padded(PROMPTS, length=12, pad_id=5),
    }[form]
    length = None if form == "padded_dict" else 12
    outputs = model.generate(inputs, max_length=length, stop_token_ids=None)
    assert rows_of(outputs) == expected


def test_a_single_row_is_a_batch_of_one(model, expected):
    outputs = model.generate(PROMPTS[1], max_length=12, stop_token_ids=None)
    assert rows_of(outputs) == [expected[1]]


def test_ids_are_written_on_to_the_end_of_the_model(model):
    outputs = model.generate(PROMPTS, stop_token_ids=None)
    assert outputs["token_ids"].shape == (3, small.MAX_SEQUENCE_LENGTH)


def test_a_dataset_of_padded_ids_is_written_on(model, expected):
    x = small.padded(PROMPTS, length=12)
    batches = tf.data.Dataset.from_tensor_slices(x).batch(2)
    outputs = model.generate(batches, stop_token_ids=None)
    assert outputs["token_ids"].tolist() == expected


def test_text_in_text_out(text_model):
    text = " airport"
    written = text_model.generate(text, max_length=12, stop_token_ids=None)
    assert isinstance(written, str)
    assert written.startswith(text)
    new = text_model.generate(
        text, max_length=12, stop_token_ids=None, strip_prompt=True
    )
    assert text + new == written
    assert "<|endoftext|>" not in written
    several = text_model.generate(
        [text, " at"], max_length=12, stop_token_ids=None
    )
    assert isinstance(several, list)
    assert several[0] == written
    assert several[1].startswith(" at")


def test_text_is_read_with_its_start_token(text_model):
    tokenizer = text_model.preprocessor.tokenizer
    text = " airport"
    row = [tokenizer.start_token_id, *tokenizer.tokenize([text])[0]]
    outputs = text_model.generate([row], max_length=12, stop_token_ids=None)
    (ids,) = rows_of(outputs)
    ids = [i for i in ids if i != tokenizer.end_token_id]
    written = text_model.generate(text, max_length=12, stop_token_ids=None)
    assert tokenizer.detokenize([ids]) == [written]


def test_text_fills_the_preprocessor_s_length(text_model):
    text = " at"
    assert text_model.generate(text, stop_token_ids=None) == (
        text_model.generate(text, max_length=12, stop_token_ids=None)
    )
    tokenizer = text_model.preprocessor.tokenizer
    new = text_model.generate(
        text, max_new_tokens=1, stop_token_ids=None, strip_prompt=True
    )
    assert len(tokenizer.tokenize([new])[0]) <= 1


def test_text_stops_at_the_end_of_text(text_model):
    """Where the model surely ends, one step is all there is."""
    tokenizer = text_model.preprocessor.tokenizer
    generator = text_model.backbone.generator.norm
    gate = text_model.backbone.pointer.gate_output
    kept = text_model.get_weights()
    embeddings = text_model.backbone.token_embedding.embeddings
    outshone = 0.01 * np.array(embeddings)
    outshone[tokenizer.end_token_id] = 1.0
    embeddings.assign(outshone)
    generator.gamma.assign(0.0 * generator.gamma)
    generator.beta.assign(0.0 * generator.beta + 100.0)
    gate.kernel.assign(0.0 * gate.kernel)
    gate.bias.assign([50.0])
    assert text_model.generate(" air") == " air"
    outputs = text_model.generate([[1, 2], [3]], max_length=9)
    assert rows_of(outputs) == [[1, 2, 0], [3, 0]]
    assert outputs["token_ids"].shape == (2, 3)
    text_model.set_weights(kept)


def test_a_dataset_of_text_is_written_on(text_model):
    texts = [" airport", " at", " plane"]
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(2)
    assert text_model.generate(batches, max_length=12, stop_token_ids=None) == (
        text_model.generate(texts, max_length=12, stop_token_ids=None)
    )


def test_text_scores_from_its_start_token(text_model):
    tokenizer = text_model.preprocessor.tokenizer
    rows = tokenizer.tokenize([" airport", " at"])
    scores = text_model.score([" airport", " at"])
    start = tokenizer.start_token_id
    assert scores["num_tokens"].tolist() == [len(row) for row in rows]
    for i, row in enumerate(rows):
        log_probs = small.log_probs(text_model, [start, *row])
        np.testing.assert_allclose(
            scores["token_log_probs"][i, : len(row)],
            log_probs[np.arange(len(row)), row],
            rtol=1e-4,
        )
    single = text_model.score(" airport")
    np.testing.assert_allclose(
        single["log_prob"], scores["log_prob"][:1], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            PROMPTS,
            {"max_length": 9, "max_new_tokens": 3},
            "Only one of max_length and max_new_tokens can be given. Received: "
            "max_length=9, max_new_tokens=3.",
        ),
        (
            PROMPTS,
            {"max_length": 6},
            "A prompt must not be longer than max_length. Received: a prompt "
            "of 7 tokens, max_length=6.",
        ),
        (
            PROMPTS,
            {"max_length": 17},
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: 17 tokens in all, prompts of up to 7, "
            "max_sequence_length=16.",
        ),
        (
            PROMPTS,
            {"max_new_tokens": 10},
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: 17 tokens in all, prompts of up to 7, "
            "max_sequence_length=16.",
        ),
        (
            PROMPTS,
            {"max_new_tokens": 0},
            "max_new_tokens must be positive. Received: max_new_tokens=0.",
        ),
        (
            [[1, 2], []],
            {},
            "Every prompt must have at least one token. Received: prompts of "
            "[2, 0] tokens.",
        ),
        (
            [],
            {},
            "Every prompt must have at least one token. Received: prompts of "
            "[] tokens.",
        ),
        (
            [[1, 30]],
            {},
            "Token ids must be in [0, vocabulary_size). Received: 30, "
            "vocabulary_size=30.",
        ),
        (
            "text",
            {},
            "inputs must be token ids where the model has no preprocessor. "
            "Received: inputs='text'.",
        ),
        (
            PROMPTS,
            {"stop_token_ids": "auto"},
            'stop_token_ids="auto" needs a preprocessor. Pass ids, or None to '
            "write until the length is reached. Received: preprocessor=None.",
        ),
        (
            tf.data.Dataset.from_tensor_slices(small.padded(PROMPTS)).batch(2),
            {"max_new_tokens": 3},
            "max_new_tokens needs prompts, not a dataset; pass max_length. "
            "Received: max_new_tokens=3.",
        ),
    ],
)
def test_what_cannot_be_written_on_is_refused(model, inputs, options, message):
    options = {"stop_token_ids": None, **options}
    with pytest.raises(ValueError, match=re.escape(message)):
        model.generate(inputs, **options)
