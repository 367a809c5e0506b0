"""Perplexity against counts made by hand and against the model's own call."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.evaluation import perplexity
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM

VOCABULARY_SIZE = 11


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    backbone = GPT3Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_heads=2,
        hidden_dim=8,
        max_sequence_length=6,
        pointer_hidden_dims=(4, 4),
    )
    return GPT3CausalLM(backbone)


def rows(num_real):
    """A batch of rows of 6, of which the first `num_real[i]` count."""
    generator = np.random.default_rng(sum(num_real))
    ids = generator.integers(0, VOCABULARY_SIZE, (len(num_real), 7), "int32")
    real = np.arange(6)[None] < np.array(num_real)[:, None]
    x = {"token_ids": ids[:, :-1] * real, "padding_mask": real}
    return x, ids[:, 1:], real.astype("float32")


def as_dataset(*batches):
    return tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            {
                "token_ids": tf.TensorSpec((None, 6), tf.int32),
                "padding_mask": tf.TensorSpec((None, 6), tf.bool),
            },
            tf.TensorSpec((None, 6), tf.int32),
            tf.TensorSpec((None, 6), tf.float32),
        ),
    )


def test_it_is_over_the_corpus_and_not_a_mean_over_batches(model):
    batches = [rows([6, 6]), rows([1])]
    figures = perplexity.corpus_perplexity(model, as_dataset(*batches))

    nats = 0.0
    for x, y, weights in batches:
        log_probs = keras.ops.convert_to_numpy(model(x))
        of_targets = np.take_along_axis(log_probs, y[..., None], -1)[..., 0]
        nats -= float((of_targets * weights).sum())
    assert figures["num_tokens"] == 13
    assert figures["perplexity"] == pytest.approx(math.exp(nats / 13), rel=1e-5)
    assert figures["language_model_loss"] == pytest.approx(nats / 13, rel=1e-5)
    assert {"pointer_mrr", "copied_share"} <= set(figures)


def test_a_corpus_without_targets_has_none(model):
    x, y, weights = rows([3])
    dataset = as_dataset((x, y, np.zeros_like(weights)))
    with pytest.raises(ValueError, match=r"no token to predict\. Received: "):
        perplexity.corpus_perplexity(model, dataset)


def test_targets_are_counted_where_they_count():
    y = np.array([[1, 1, 2, 0]], "int32")
    weights = np.array([[1, 1, 1, 0]], "float32")
    counts = perplexity.target_counts([({}, y, weights)] * 2, 4)
    assert counts.tolist() == [0, 4, 2, 0]


def test_unigram_perplexity_by_hand():
    # p = 3/6, 1/6, 2/6; the text is one token of the first two kinds.
    value = perplexity.unigram_perplexity([2, 0, 1], [1, 1, 0])
    assert value == pytest.approx(math.sqrt(12))


def test_unigram_perplexity_without_training_is_the_vocabulary():
    assert perplexity.unigram_perplexity([0] * 7, [3] * 7) == pytest.approx(7)
