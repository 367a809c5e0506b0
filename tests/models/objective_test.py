"""The objective and its metrics against NumPy, and what training keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import losses
from gpt3_keras.backend.tensorflow import head as kernels
from gpt3_keras.models import objective
from tests import graphs
from tests import oracles
from tests.models import small

WEIGHTS = {
    "language_model": 1.0,
    "generator": 0.3,
    "pointer": 0.7,
    "gate": 0.2,
}
TEMPERATURE = 0.6


def sums_by_hand(model, x, y, sample_weight):
    """(sum, count) of every term, a target at a time, from the outputs."""
    backbone = model.backbone
    outputs = {k: np.asarray(v, "float64") for k, v in backbone(x).items()}
    kernel = np.asarray(backbone.output_kernel(), "float64")
    readable = oracles.causal(x["padding_mask"])
    names = (*losses.TERMS, "pointer_mrr", "copied_share")
    sums = {name: np.zeros(2) for name in names}
    for b, t in np.ndindex(y.shape):
        weight, target = sample_weight[b, t], y[b, t]
        sources = np.flatnonzero(readable[b, t])
        scores = outputs["pointer_logits"][b, t, sources]
        here = x["token_ids"][b, sources] == target
        gate = oracles.sigmoid(outputs["gate_logits"][b, t])
        states = outputs["generator_states"][b, t]
        generated = oracles.softmax(kernel @ states)[target]
        copied = oracles.softmax(scores)[here].sum()
        mixed = gate * generated + (1.0 - gate) * copied

        def add(name, value, weight=weight):
            sums[name] += weight * np.array([value, 1.0])

        add("language_model", -np.log(mixed))
        add("generator", -np.log(generated))
        add("copied_share", (1.0 - gate) * copied / mixed)
        if here.any():
            ahead = scores[~here] - scores[here].max()
            rank = 1.0 + oracles.sigmoid(ahead / TEMPERATURE).sum()
            add("pointer", 1.0 - 1.0 / rank)
            add("pointer_mrr", 1.0 / (1.0 + (ahead > 0).sum()))
        else:
            add("gate", -np.log(gate))
    return sums


@pytest.fixture(
    scope="module", params=[{}, small.OTHER_CHOICES], ids=["", "other"]
)
def model(request):
    return small.model(**request.param)


@pytest.fixture(params=[512, 5], ids=["one_chunk", "many_chunks"])
def chunk_tokens(request, monkeypatch):
    monkeypatch.setattr(kernels, "CHUNK_TOKENS", request.param)


def weighted_batch():
    x, y, sample_weight = small.batch(9, 4, 7)
    sample_weight[0, 3:6] = 0.0
    sample_weight[2, 1] = 0.5
    return x, y, sample_weight


@pytest.mark.usefixtures("chunk_tokens")
@pytest.mark.parametrize("training", [False, True])
def test_every_sum_is_the_one_made_by_hand(model, training):
    batch = weighted_batch()
    expected = sums_by_hand(model, *batch)
    assert all(count > 1 for _, count in expected.values())
    sums = objective.loss_sums(
        model.backbone, *batch, WEIGHTS, TEMPERATURE, training
    )
    for name, pair in expected.items():
        np.testing.assert_allclose(sums[name], pair, rtol=1e-4, err_msg=name)
    total = sum(WEIGHTS[term] * expected[term][0] for term in losses.TERMS)
    np.testing.assert_allclose(sums["objective"], total, rtol=1e-4)
    np.testing.assert_allclose(sums["num_targets"], batch[2].sum(), rtol=1e-6)


@pytest.mark.usefixtures("chunk_tokens")
def test_target_log_probs_are_those_of_a_call(model):
    x, y, _ = weighted_batch()
    expected = np.take_along_axis(np.asarray(model(x)), y[..., None], axis=-1)
    np.testing.assert_allclose(
        objective.token_log_probs(model, x, y),
        expected[..., 0],
        rtol=1e-4,
        atol=1e-5,
    )


def gradients(function, variables):
    with tf.GradientTape() as tape:
        value = function()
    return [
        np.zeros(v.shape) if g is None else np.asarray(tf.convert_to_tensor(g))
        for g, v in zip(tape.gradient(value, variables), variables, strict=True)
    ]


@pytest.mark.usefixtures("chunk_tokens")
def test_the_objective_s_gradient_is_that_of_a_call(model):
    """The hand-made gradient against the one through (B, T, V)."""
    x, y, sample_weight = weighted_batch()
    variables = [v.value for v in model.backbone.trainable_variables]
    weights = dict.fromkeys(losses.TERMS, 0.0) | {"language_model": 1.0}

    def through_the_whole():
        log_probs = tf.gather(model(x), y, batch_dims=2)
        return -tf.reduce_sum(log_probs * sample_weight)

    def through_chunks():
        return objective.loss_sums(
            model.backbone, x, y, sample_weight, weights, 1.0, True
        )["objective"]

    for expected, gradient, variable in zip(
        gradients(through_the_whole, variables),
        gradients(through_chunks, variables),
        model.backbone.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(
            gradient,
            expected,
            atol=1e-3 * max(1.0, np.abs(expected).max()),
            err_msg=variable.path,
        )


@pytest.mark.parametrize(
    "choices", [{}, small.OTHER_CHOICES], ids=["", "other"]
)
def test_training_never_holds_the_whole_vocabulary_for_all_tokens(
    choices, monkeypatch
):
    """No tensor of the train step is as large as (B, T, V), or (n, V)."""
    batch_size, length, vocabulary_size, chunk = 4, 13, 1009, 16
    monkeypatch.setattr(kernels, "CHUNK_TOKENS", chunk)
    model = small.model(vocabulary_size=vocabulary_size, **choices)
    model.compile(loss_weights=WEIGHTS)
    model.optimizer.build(model.trainable_variables)
    tokens = tf.TensorSpec((batch_size, length), "int32")
    weights = tf.TensorSpec((batch_size, length), "float32")
    step = tf.function(
        lambda x, y, w: model.train_step((x, y, w))
    ).get_concrete_function(
        {"token_ids": tokens, "padding_mask": tokens}, tokens, weights
    )
    of_the_vocabulary = [
        tensor
        for operation in graphs.operations(step.graph)
        for tensor in operation.outputs
        if vocabulary_size in list(tensor.shape or [])
    ]
    rows = {
        tuple(n for n in tensor.shape if n != vocabulary_size)
        for tensor in of_the_vocabulary
    }
    # Chunks of logits, and what is as large as a weight: no other.
    assert (chunk,) in rows
    assert rows <= {(), (1,), (8,), (chunk,), (1, 8)}


def test_padding_and_order_change_no_sum(model):
    x, y, sample_weight = small.batch(9, 4, 7)
    expected = objective.loss_sums(
        model.backbone, x, y, sample_weight, WEIGHTS, TEMPERATURE, True
    )

    def turned(array):
        return np.pad(array[::-1], ((0, 0), (0, 3)), constant_values=0)

    x = {name: turned(array) for name, array in x.items()}
    x["token_ids"][~x["padding_mask"]] = 11
    sums = objective.loss_sums(
        model.backbone,
        x,
        turned(y),
        turned(sample_weight),
        WEIGHTS,
        TEMPERATURE,
        True,
    )
    for name, value in keras.tree.flatten_with_path(expected):
        np.testing.assert_allclose(
            dict(keras.tree.flatten_with_path(sums))[name],
            value,
            rtol=1e-4,
            err_msg=str(name),
        )
