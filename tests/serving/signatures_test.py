import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.signatures import servable
from tests.serving import small

OPTIONS = {
    "max_new_tokens": 6,
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 0,
}
SAMPLERS = [
    {"temperature": 0.0},
    {"temperature": 0.7, "seed": 3},
    {"temperature": 1.3, "top_k": 5, "seed": 1},
    {"temperature": 1.0, "top_p": 0.8, "seed": -2},
    {"temperature": 1.0, "top_k": 9, "top_p": 0.9, "seed": 7},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small.model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def served(model):
    return servable(model, OPTIONS)[0]


def texts(tensor):
    return [text.decode() for text in tensor.numpy()]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_generate_writes_what_python_writes(model, served, sampler):
    model.compile(sampler=SeededSampler(**sampler))
    expected = model.generate(small.PROMPTS, max_new_tokens=9)
    completions = model.generate(
        small.PROMPTS, max_new_tokens=9, strip_prompt=True
    )
    outputs = served.generate(small.PROMPTS, max_new_tokens=9, **sampler)
    assert texts(outputs["generated_text"]) == expected
    assert texts(outputs["completion"]) == completions
    assert any(completions)
    for text, prompt in zip(expected, small.PROMPTS, strict=True):
        assert text.startswith(prompt)


def test_options_left_out_have_their_defaults(model, served):
    model.compile(sampler=SeededSampler(temperature=0.0))
    outputs = served.generate(small.PROMPTS)
    assert texts(outputs["generated_text"]) == model.generate(
        small.PROMPTS, max_new_tokens=6
    )


def test_a_seed_decides(served):
    def write(seed):
        outputs = served.generate(small.PROMPTS, temperature=1.0, seed=seed)
        return texts(outputs["generated_text"])

    assert write(1) == write(1)
    assert len({tuple(write(seed)) for seed in range(4)}) > 1


def test_greedy_text_does_not_depend_on_the_batch(served):
    alone = [
        texts(served.generate([prompt])["generated_text"])[0]
        for prompt in small.PROMPTS
    ]
    assert texts(served.generate(small.PROMPTS)["generated_text"]) == alone


def test_generate_ids_writes_what_python_writes(model, served):
    sampler = {"temperature": 1.0, "top_k": 40, "seed": 5}
    model.compile(sampler=SeededSampler(**sampler))
    # Holes in a mask are left out, as in Python.
    prompts = {
        "token_ids": np.array([[5, 6, 7, 8, 9], [3, 2, 1, 0, 0]], "int32"),
        "padding_mask": np.array([[1, 0, 1, 1, 1], [1, 1, 0, 0, 0]], bool),
    }
    expected = model.generate(prompts, max_new_tokens=7)
    outputs = served.generate_ids(**prompts, max_new_tokens=7, **sampler)
    for name, values in expected.items():
        np.testing.assert_array_equal(outputs[name], values)
    new = expected["padding_mask"].sum(axis=1) - [4, 2]
    assert max(new) > 1
    assert max(new) <= 7


def test_the_end_token_ends_a_row_and_is_not_text(model, served):
    end_id = model.preprocessor.tokenizer.end_token_id
    ended = 0
    for seed in range(40):
        outputs = served.generate_ids(
            [[1, 2, 3]], [[True] * 3], 20, temperature=1.5, seed=seed
        )
        row = outputs["token_ids"].numpy()[0].tolist()
        assert end_id not in row[:-1]
        ended += row[-1] == end_id
    assert ended, "no seed of 40 drew the end token"


def test_score_is_that_of_python(model, served):
    rows = ["the cat sat on the mat", "", "😀", "<|endoftext|>the cat"]
    expected = model.score(rows)
    outputs = served.score(rows)
    np.testing.assert_array_equal(outputs["num_tokens"], expected["num_tokens"])
    np.testing.assert_allclose(
        outputs["log_prob"], expected["log_prob"], rtol=1e-5
    )
    num_tokens = np.maximum(expected["num_tokens"], 1)
    np.testing.assert_allclose(
        outputs["perplexity"],
        np.exp(-expected["log_prob"] / num_tokens),
        rtol=1e-5,
    )
    assert served.score([""])["perplexity"].numpy() == 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        {
            "num_layers": 2,
            "rnn": "lstm",
            "position_encoding": "sinusoidal",
            "share_pointer_parameters": True,
            "tie_word_embeddings": False,
        }
    ],
    ids=["the other choices"],
)
def test_every_architecture_is_served(tmp_path, arguments):
    model = small.model(tmp_path, seed=1, **arguments)
    served, _ = servable(model, OPTIONS)
    sampler = {"temperature": 1.0, "seed": 2}
    model.compile(sampler=SeededSampler(**sampler))
    completions = model.generate(
        small.PROMPTS, max_new_tokens=6, strip_prompt=True
    )
    outputs = served.generate(small.PROMPTS, **sampler)
    assert texts(outputs["completion"]) == completions
    assert any(completions)


LIMIT = f"max_sequence_length={small.MAX_SEQUENCE_LENGTH}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"max_new_tokens": 0},
            "max_new_tokens must be positive. Received: max_new_tokens=0.",
        ),
        (
            {"max_new_tokens": small.MAX_SEQUENCE_LENGTH},
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: prompts of up to 1 tokens, max_new_tokens=48, " + LIMIT,
        ),
        (
            {"max_new_tokens": 2**31 - 1},
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: prompts of up to 1 tokens, max_new_tokens=2147483647",
        ),
        (
            {"temperature": -1.0},
            "temperature must be at least 0. Received: temperature=-1.",
        ),
        (
            {"temperature": float("nan")},
            "temperature must be at least 0. Received: temperature=nan.",
        ),
        ({"top_k": -1}, "top_k must be at least 0. Received: top_k=-1."),
        ({"top_p": 0.0}, "top_p must be in (0, 1]. Received: top_p=0."),
        ({"top_p": 1.5}, "top_p must be in (0, 1]. Received: top_p=1.5."),
    ],
    ids=str,
)
def test_a_wrong_option_is_named(served, options, message):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        served.generate([""], **options)
    assert message in caught.value.message.replace("\\'", "'")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            lambda served: served.generate(["cat", "z" * 60]),
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: prompts of up to 61 tokens, max_new_tokens=6, " + LIMIT,
        ),
        (
            lambda served: served.score(["cat", "z" * 60]),
            "A sequence to score must fit max_sequence_length. Received: 60 "
            "tokens, " + LIMIT,
        ),
        (
            lambda served: served.generate([b"caf\xe9"]),
            "UTF-8",
        ),
        (
            lambda served: served.score([b"caf\xe9"]),
            "UTF-8",
        ),
        (
            lambda served: served.generate(tf.zeros([0], "string")),
            "Every prompt must have at least one token. Received: prompts of "
            "[] tokens.",
        ),
        (
            lambda served: served.generate_ids([[1], [1]], [[True], [False]]),
            "Every prompt must have at least one token. Received: prompts of "
            "[1 0] tokens.",
        ),
        (
            lambda served: served.generate_ids([[1, 300]], [[True, True]]),
            "Token ids must be in [0, vocabulary_size). Received: [300], "
            "vocabulary_size=290.",
        ),
    ],
)
def test_a_wrong_request_is_named(served, request_, message):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        request_(served)
    assert message in caught.value.message.replace("\\'", "'")


def test_python_refuses_the_same_prompt(model):
    with pytest.raises(ValueError, match="must fit the model's max_sequence"):
        model.generate(["z" * 60], max_new_tokens=6)
