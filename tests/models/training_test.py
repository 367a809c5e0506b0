"""compile, fit and evaluate: what they accept, report and learn."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.models import objective
from gpt3_keras.models.objective import LOSS_WEIGHTS
from tests.models import small

METRICS = {
    "loss",
    "perplexity",
    "language_model_loss",
    "generator_loss",
    "pointer_loss",
    "gate_loss",
    "pointer_mrr",
    "copied_share",
}


def negative_log_probs(model, x, y):
    """-log p(y), of every position, through a call."""
    log_probs = np.asarray(model(x), "float64")
    return -np.take_along_axis(log_probs, y[..., None], axis=-1)[..., 0]


def eager_model(optimizer=None, **arguments):
    """A model whose steps are not traced: each test runs one or two."""
    model = small.model()
    model.compile(
        optimizer or keras.optimizers.SGD(1.0), run_eagerly=True, **arguments
    )
    return model


def evaluate(model, *batches):
    return model.evaluate(small.dataset(batches), verbose=0, return_dict=True)


def test_a_plain_compile_trains():
    model = small.model()
    batches = [small.batch(*[12] * 4, seed=seed) for seed in range(2)]
    data = small.dataset(batches)
    history = model.fit(data, epochs=8, shuffle=False, verbose=0).history
    assert set(history) == METRICS | {"gradient_norm", "tokens_per_sec"}
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert all(np.isfinite(values).all() for values in history.values())
    assert model.optimizer.iterations == 16


def test_evaluate_reports_the_corpus_not_the_mean_of_its_batches():
    model = small.model()
    weights = {"generator": 0.5, "pointer": 0.25, "gate": 0.125}
    model.compile(loss_weights=weights)
    batches = [
        small.batch(9, 7, 8, seed=1),
        small.batch(2, seed=2, vocabulary_size=6),
        small.batch(12, 1, seed=3),
    ]
    report = evaluate(model, *batches)
    sums = [
        (
            (negative_log_probs(model, x, y) * sample_weight).sum(),
            sample_weight.sum(),
        )
        for x, y, sample_weight in batches
    ]
    total, count = np.sum(sums, axis=0)
    mean_of_means = np.mean([s / n for s, n in sums])
    assert abs(mean_of_means - total / count) > 0.05
    assert report["language_model_loss"] == pytest.approx(total / count, 1e-5)
    assert report["perplexity"] == pytest.approx(np.exp(total / count), 1e-5)
    assert set(report) == METRICS


def test_the_loss_is_the_weighted_terms_over_the_targets():
    weights = {
        "language_model": 0.5,
        "generator": 2.0,
        "pointer": 3.0,
        "gate": 5.0,
    }
    model = eager_model(loss_weights=weights)
    x, y, sample_weight = small.batch(9, 4)
    report = evaluate(model, (x, y, sample_weight))
    sums = objective.loss_sums(
        model.backbone, x, y, sample_weight, weights, 1.0, training=False
    )
    total = sum(
        weight * float(sums[term][0]) for term, weight in weights.items()
    )
    assert report["loss"] == pytest.approx(total / 13.0, rel=1e-5)
    for term in weights:
        mean = float(sums[term][0]) / float(sums[term][1])
        assert report[f"{term}_loss"] == pytest.approx(mean, rel=1e-5)


def test_evaluate_does_not_depend_on_the_cut_into_batches():
    model = eager_model()
    x, y, sample_weight = small.batch(12, 2, 9, 5, 7, 3)

    def rows(start, stop):
        part = slice(start, stop)
        return {k: v[part] for k, v in x.items()}, y[part], sample_weight[part]

    whole = evaluate(model, rows(0, 6))
    cut = evaluate(model, rows(0, 1), rows(1, 5), rows(5, 6))
    assert cut == pytest.approx(whole, rel=1e-5)


def test_evaluate_takes_arrays_too():
    model = eager_model()
    x, y, sample_weight = small.batch(12, 2, 9)
    report = model.evaluate(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=2,
        verbose=0,
        return_dict=True,
    )
    expected = evaluate(model, (x, y, sample_weight))
    assert report == pytest.approx(expected, rel=1e-5)


def test_a_sharper_temperature_brings_the_loss_to_the_exact_rank():
    model = eager_model(pointer_temperature=1e-3)
    x, y, sample_weight = small.batch(9, 4)
    report = evaluate(model, (x, y, sample_weight))
    assert report["pointer_loss"] == pytest.approx(
        1.0 - report["pointer_mrr"], abs=0.02
    )


def test_without_weights_every_real_position_counts():
    model = eager_model()
    x, y, sample_weight = small.batch(9, 4, 6)
    report = model.test_on_batch(x, y, return_dict=True)
    expected = evaluate(model, (x, y, sample_weight))
    assert report == pytest.approx(expected)


def test_a_step_is_one_update_by_the_mean_gradient():
    """Plain gradient descent, against the gradient through (B, T, V)."""
    others = dict.fromkeys(("generator", "pointer", "gate"), 0.0)
    model = eager_model(loss_weights={"language_model": 1.0, **others})
    x, y, sample_weight = small.batch(9, 4)
    variables = model.trainable_variables
    before = [np.asarray(v) for v in variables]
    with tf.GradientTape() as tape:
        log_probs = tf.gather(model(x), y, batch_dims=2)
        loss = -tf.reduce_sum(log_probs * sample_weight) / sample_weight.sum()
    gradients = tape.gradient(loss, [v.value for v in variables])
    model.train_on_batch(x, y, sample_weight=sample_weight)
    for variable, old, gradient in zip(
        variables, before, gradients, strict=True
    ):
        gradient = np.asarray(tf.convert_to_tensor(gradient))
        np.testing.assert_allclose(
            np.asarray(variable),
            old - gradient,
            atol=1e-4 * max(1.0, np.abs(gradient).max()),
            err_msg=variable.path,
        )


def test_a_batch_without_targets_changes_nothing():
    model = eager_model()
    x, y, sample_weight = small.batch(5, 4)
    before = model.get_weights()
    report = model.train_on_batch(
        x, y, sample_weight=0.0 * sample_weight, return_dict=True
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert report["loss"] == 0.0


def test_a_batch_without_next_tokens_is_refused():
    model = eager_model()
    message = (
        "A batch must have targets: (x, y) or (x, y, sample_weight). "
        "Received: y=None."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        model.train_on_batch(small.batch(5)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"loss": "mse"},
            'loss must be "auto": the model brings its own; weigh its terms '
            "with loss_weights. Received: loss='mse'.",
        ),
        (
            {"weighted_metrics": ["accuracy"]},
            'weighted_metrics must be "auto": the model brings its own; weigh '
            "its terms with loss_weights. Received: "
            "weighted_metrics=['accuracy'].",
        ),
        (
            {"loss_weights": {"pointers": 1.0}},
            "loss_weights must only have the keys ['language_model', "
            "'generator', 'pointer', 'gate']. Received: "
            "loss_weights={'pointers': 1.0}.",
        ),
        *(
            (
                {"micro_batches": value},
                "micro_batches must be a positive integer. Received: "
                f"micro_batches={value!r}.",
            )
            for value in (0, -1, 2.0, "2")
        ),
        *(
            (
                {"seed": value},
                "seed must be an integer in [0, 2**32). Received: "
                f"seed={value!r}.",
            )
            for value in (-1, 2**32, 0.5)
        ),
        (
            {"optimizer": keras.optimizers.SGD(gradient_accumulation_steps=2)},
            "The optimizer's gradient_accumulation_steps must be None: "
            "micro_batches in compile accumulates, and weighs every token "
            "alike. Received: gradient_accumulation_steps=2.",
        ),
        (
            {"pointer_temperature": 0},
            "pointer_temperature must be positive. Received: "
            "pointer_temperature=0.",
        ),
    ],
)
def test_compile_refuses_what_breaks_a_rule(arguments, message):
    model = small.model()
    with pytest.raises(ValueError, match=re.escape(message)):
        model.compile(**arguments)


def test_every_term_has_a_default_weight():
    assert set(LOSS_WEIGHTS) == {
        "language_model",
        "generator",
        "pointer",
        "gate",
    }
    assert LOSS_WEIGHTS["language_model"] == 1.0
