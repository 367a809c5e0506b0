"""The preprocessor: KerasHub's harness, and prompts that do not fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.src.tests.test_case import TestCase

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer

END = 50256
HELLO = [15496, 11, 995, 0]  # "Hello, world!"


class HarnessTest(TestCase):
    def test_preprocessor(self):
        self.init_kwargs = {"tokenizer": GPT3Tokenizer(), "sequence_length": 8}
        self.run_preprocessor_test(
            cls=GPT3CausalLMPreprocessor,
            init_kwargs=self.init_kwargs,
            input_data=["Hello, world!"],
            expected_output=(
                {
                    "token_ids": [[END, *HELLO, END, END, END]],
                    "padding_mask": [[1, 1, 1, 1, 1, 1, 0, 0]],
                },
                [[*HELLO, END, END, END, END]],
                [[1, 1, 1, 1, 1, 0, 0, 0]],
            ),
        )


@pytest.fixture(scope="module")
def tokenizer():
    return GPT3Tokenizer()


def test_text_for_training_is_cut(tokenizer):
    preprocessor = GPT3CausalLMPreprocessor(tokenizer, 3)
    x, y, sample_weight = preprocessor("Hello, world!")
    np.testing.assert_array_equal(x["token_ids"], [END, *HELLO[:2]])
    np.testing.assert_array_equal(y, [*HELLO[:2], END])
    np.testing.assert_array_equal(sample_weight, [True] * 3)


@pytest.mark.parametrize("add_start_token", [True, False])
def test_prompts(tokenizer, add_start_token):
    preprocessor = GPT3CausalLMPreprocessor(
        tokenizer, 6, add_start_token=add_start_token
    )
    start = [END] * add_start_token
    row = [*start, *HELLO]
    padding = [END] * (6 - len(row))
    x = preprocessor.generate_preprocess("Hello, world!")
    np.testing.assert_array_equal(x["token_ids"], row + padding)
    np.testing.assert_array_equal(
        x["padding_mask"], [1] * len(row) + [0] * len(padding)
    )
    texts = ["Hello, world!", ""]
    x = preprocessor.generate_preprocess(texts, sequence_length=9)
    assert x["token_ids"].shape == (2, 9)
    assert preprocessor.generate_postprocess(x) == texts
    dataset = tf.data.Dataset.from_tensors(texts)
    (batch,) = dataset.map(lambda t: preprocessor.generate_preprocess(t, 9))
    np.testing.assert_array_equal(batch["token_ids"], x["token_ids"])


@pytest.mark.parametrize("add_start_token", [True, False])
def test_a_prompt_that_leaves_no_room(tokenizer, add_start_token):
    preprocessor = GPT3CausalLMPreprocessor(
        tokenizer, 4 + add_start_token, add_start_token=add_start_token
    )
    message = (
        "A prompt must leave room for a new token. Received: a prompt of 4 "
        "tokens, room for 3."
    )
    for prompt in ("Hello, world!", ["a", "Hello, world!"]):
        with pytest.raises(ValueError, match=message):
            preprocessor.generate_preprocess(prompt)
        dataset = tf.data.Dataset.from_tensors(prompt)
        dataset = dataset.map(preprocessor.generate_preprocess)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            list(dataset)
    preprocessor.generate_preprocess("Hello, world!", sequence_length=6)
    preprocessor.generate_preprocess("Hello, world")


@pytest.mark.parametrize("sequence_length", [0, 2.5, None])
def test_sequence_length_is_a_count(tokenizer, sequence_length):
    with pytest.raises(
        ValueError,
        match="sequence_length must be a positive integer. Received: "
        f"sequence_length={sequence_length}",
    ):
        GPT3CausalLMPreprocessor(tokenizer, sequence_length)


# Keras saves weights by an array protocol that NumPy 2 has extended.
@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
def test_preset_with_learnt_tables(tmp_path):
    (tmp_path / "text.txt").write_text("the cat and the hat and the bat " * 9)
    tokenizer = GPT3Tokenizer.train(tmp_path / "text.txt", 262)
    preprocessor = GPT3CausalLMPreprocessor(tokenizer, 9, add_end_token=False)
    path = str(tmp_path / "preset")
    GPT3Backbone(262, 1, 2, 4, max_sequence_length=9).save_to_preset(path)
    preprocessor.save_to_preset(path)
    loaded = GPT3CausalLMPreprocessor.from_preset(path)
    assert loaded.tokenizer.fingerprint() == tokenizer.fingerprint()
    assert (loaded.sequence_length, loaded.add_end_token) == (9, False)
    for one, other in zip(
        keras.tree.flatten(loaded("the hat")),
        keras.tree.flatten(preprocessor("the hat")),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
