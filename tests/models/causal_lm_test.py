"""The language model's call: a causal mixture that is a distribution."""

import numpy as np
import pytest
import tensorflow as tf

from tests import oracles
from tests.models import small

BOTH = pytest.mark.parametrize(
    "choices", [{}, small.OTHER_CHOICES], ids=["", "other"]
)


def generation_logits(model, outputs):
    embedding = model.backbone.token_embedding
    return embedding(outputs["generator_states"], reverse=True)


@BOTH
def test_a_call_is_the_mixture_of_the_backbone_s_outputs(choices):
    model = small.model(**choices)
    x = small.padded([[1, 2, 1, 1, 3, 2], [4, 4, 4], [5]])
    outputs = model.backbone(x)
    expected = oracles.mixture(
        np.asarray(generation_logits(model, outputs), "float64"),
        np.asarray(outputs["pointer_logits"], "float64"),
        np.asarray(outputs["gate_logits"], "float64"),
        x["token_ids"],
    )
    log_probs = model(x)
    assert log_probs.dtype == tf.float32
    np.testing.assert_allclose(
        np.exp(log_probs, dtype="float64"), expected, rtol=1e-4, atol=1e-8
    )


@BOTH
@pytest.mark.parametrize("gate_bias", [-60.0, 0.0, 60.0])
def test_the_mixture_sums_to_one(choices, gate_bias):
    model = small.model(**choices)
    gate = model.backbone.pointer.gate_output
    gate.bias.assign(gate.bias + gate_bias)
    # Repeated tokens, a context of one token, and padding.
    log_probs = np.asarray(
        model(small.padded([[1, 1, 1, 1, 2], [3, 4, 3], [5]]))
    )
    assert np.isfinite(log_probs).all()
    sums = np.exp(log_probs, dtype="float64").sum(axis=-1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)


@BOTH
def test_a_call_does_not_look_ahead(choices):
    model = small.model(**choices)
    (row,) = small.rows(9)
    # Row t of the batch differs from the first one from position t on.
    others = [
        row[:t] + [(i + 1) % small.VOCABULARY_SIZE for i in row[t:]]
        for t in range(1, 9)
    ]
    expected, *log_probs = np.asarray(model(small.padded([row, *others])))
    for t, changed in enumerate(log_probs, start=1):
        np.testing.assert_allclose(changed[:t], expected[:t], rtol=1e-6)
        assert np.abs(changed[t:] - expected[t:]).max() > 1e-3


def test_the_loss_of_one_target_pulls_no_later_token():
    """d log p(x_{t+1}) / d embedding is 0 for tokens that come after t."""
    model = small.model(tie_word_embeddings=False)
    x = small.padded([[1, 2, 3, 4, 5, 6]])
    embeddings = model.backbone.token_embedding.embeddings
    with tf.GradientTape() as tape:
        log_prob = model(x)[0, 2, 9]
    gradient = tf.convert_to_tensor(tape.gradient(log_prob, embeddings.value))
    pulled = np.abs(gradient).max(axis=-1) > 0
    assert np.flatnonzero(pulled).tolist() == [1, 2, 3]


@BOTH
def test_attend_shows_the_pointer(choices):
    model = small.model(**choices)
    x = small.padded(small.rows(6, 4))
    shown = model.attend(x["token_ids"], x["padding_mask"])
    probs, gate = shown["pointer_probs"], shown["gate"]
    assert probs.shape == (2, 6, 6)
    assert gate.shape == (2, 6)
    assert probs.dtype == gate.dtype == np.float32
    np.testing.assert_allclose(probs.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.all(probs[:, ~np.tri(6, dtype=bool)] == 0.0)
    outputs = model.backbone(x)
    np.testing.assert_allclose(
        probs, oracles.softmax(outputs["pointer_logits"]), atol=1e-6
    )
    np.testing.assert_allclose(
        gate, oracles.sigmoid(outputs["gate_logits"]), rtol=1e-5
    )
    alone = model.attend([x["token_ids"][0].tolist()])
    np.testing.assert_allclose(alone["gate"][0], gate[0], rtol=1e-4)


def test_predict_is_call():
    model = small.model()
    x = small.padded(small.rows(6, 4))
    np.testing.assert_allclose(
        model.predict(x, verbose=0), model(x), rtol=1e-5, atol=1e-5
    )


def test_the_summary_names_the_three_modules():
    lines = []
    small.model().backbone.summary(print_fn=lines.append)
    summary = "\n".join(lines)
    for module in ("Encoder", "Pointer", "Generator"):
        assert module in summary
