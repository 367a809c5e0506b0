"""What a config describes: vocabularies and splits of the text."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import config as configs
from gpt3_keras import config_sections as sections
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import datasets
from gpt3_keras.training import experiment


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Lines of which each has a word of its own."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    words = [f"w{number:03d}" for number in range(100)]
    path.write_text("".join(f"{w} {w} {w} and so on\n" for w in words))
    return path


def make_config(text, **data):
    return configs.ExperimentConfig(
        tokenizer=sections.TokenizerConfig(trained_vocabulary_size=280),
        data=sections.DataConfig(
            train=str(text),
            document="line",
            sequence_length=32,
            batch_size=4,
            **data,
        ),
    )


def both(config, tokenizer):
    """The training text, a function, and the text held out."""
    data = datasets.text_data(config, tokenizer)
    return data.train, data.validation


def words(dataset, tokenizer):
    """The different words of a dataset that ends."""
    rows = [np.asarray(x["token_ids"]).ravel() for x, _, _ in dataset]
    text = tokenizer.detokenize(np.concatenate(rows).tolist())
    return {
        word for word in text.replace("<|", " <|").split() if word[0] == "w"
    }


def test_held_out_documents_are_not_trained_on(text):
    config = make_config(text)
    tokenizer = GPT3Tokenizer()
    train, validation = both(config, tokenizer)
    once = datasets.build_dataset(config, tokenizer, str(text), "train")
    held_out = words(validation, tokenizer)
    assert 3 <= len(held_out) <= 20
    assert not held_out & words(once, tokenizer)
    # The training text goes on after its end.
    num_batches = sum(1 for _ in once)
    assert sum(1 for _ in train().take(2 * num_batches + 1)) > 2 * num_batches


def test_a_validation_source_of_its_own_leaves_all_to_training(text):
    config = make_config(text, validation=str(text))
    tokenizer = GPT3Tokenizer()
    _, validation = both(config, tokenizer)
    assert len(words(validation, tokenizer)) == 100


def test_the_vocabulary_is_learnt_from_the_training_text(text):
    config = make_config(text, validation_fraction=0.5)
    tokenizer = experiment.build_tokenizer(config)
    assert tokenizer.vocabulary_size() == 280
    held_out = datasets.build_dataset(
        config, tokenizer, str(text), "validation"
    )
    for word in words(held_out, tokenizer):
        assert len(tokenizer.tokenize(f" {word}")) > 1, word


def test_a_saved_vocabulary_is_used(text, tmp_path):
    config = make_config(text)
    tokenizer = experiment.build_tokenizer(config)
    tokenizer.save_to_preset(str(tmp_path / "saved"))
    config = config.replace(
        tokenizer={
            "path": str(tmp_path / "saved"),
            "trained_vocabulary_size": None,
        }
    )
    again = experiment.build_tokenizer(config)
    assert again.fingerprint() == tokenizer.fingerprint()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="looks at what Keras asks of TensorFlow",
)
@pytest.mark.parametrize(("is_asked", "number"), [(True, 3), (False, 0)])
def test_what_the_config_says_is_rematerialised(
    text, monkeypatch, is_asked, number
):
    """The encoder's block, the pointer and the generator's block."""
    recompute_grad, asked = tf.recompute_grad, []

    def record(function):
        asked.append(function)
        return recompute_grad(function)

    monkeypatch.setattr(tf, "recompute_grad", record)
    config = make_config(text).replace(
        runtime={"rematerialize": is_asked},
        training={"precision": "float32"},
    )
    tokenizer = experiment.build_tokenizer(config)
    model = experiment.build_model(config, tokenizer)
    ones = np.ones((1, 4), "int32")
    model.backbone({"token_ids": ones, "padding_mask": ones})
    assert len(asked) == number


def test_a_small_text_gives_the_vocabulary_that_it_can(text):
    config = make_config(text).replace(
        tokenizer={"trained_vocabulary_size": 8192}
    )
    size = experiment.build_tokenizer(config).vocabulary_size()
    assert 257 < size < 8192


def test_the_vocabulary_is_gpt_3_s_otherwise(text):
    config = make_config(text).replace(
        tokenizer={"trained_vocabulary_size": None}
    )
    assert experiment.build_tokenizer(config).vocabulary_size() == 50257
