"""No update where a number is none, in every precision; half its curve."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import backend
from gpt3_keras.backend.loss_scaling import LEAST_LOSS_SCALE
from gpt3_keras.backend.tensorflow import training
from gpt3_keras.models import objective
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from tests import sweep
from tests.models import small


def make_model(optimizer=None, dtype="float32", **options):
    keras.utils.set_random_seed(0)
    arguments = small.backbone_arguments(dropout=0.2)
    model = GPT3CausalLM(GPT3Backbone(**arguments, dtype=dtype))
    optimizer = optimizer or keras.optimizers.AdamW(1e-3)
    model.compile(optimizer, seed=3, **options)
    return model


def step(model, seed=0, spoil=False):
    """The logs of one step, on a batch that a weight may spoil."""
    x, y, weight = small.batch(9, 1, 12, 4, seed=seed)
    if spoil:
        weight[2, 0] = np.nan
    return model.train_on_batch(x, y, sample_weight=weight, return_dict=True)


def state(model):
    """The model's and the optimizer's variables."""
    variables = [*model.backbone.variables, *model.optimizer.variables]
    return [np.array(variable) for variable in variables]


def assert_same(before, after):
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("dtype", "micro_batches"),
    [
        ("float32", 3),
        ("mixed_bfloat16", 1),
        sweep.case("float32", 1),
        sweep.case("mixed_bfloat16", 3),
    ],
)
def test_a_batch_with_nan_changes_nothing(dtype, micro_batches):
    model = make_model(dtype=dtype, micro_batches=micro_batches)
    step(model)
    step(model)
    before = state(model)
    with pytest.raises(
        backend.NotFiniteError,
        match=r"^At step 3 the gradient of token_embedding/embeddings \(and "
        r"of \d+ more\) and the sum of num_targets \(and of \d+ more\) is not",
    ) as found:
        step(model, spoil=True)
    assert found.value.step == 3
    assert found.value.losses[0] == "num_targets"
    assert len(found.value.variables) == len(model.trainable_variables)
    assert_same(before, state(model))
    assert float(model.metrics[0].count) == 0.0
    # The next batch is a good one.
    assert np.isfinite(step(model)["loss"])
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("dtype", ["float32", sweep.case("mixed_bfloat16")])
def test_a_nan_in_one_gradient_names_its_variable(dtype, monkeypatch):
    """Of a loss that is a number."""
    model = make_model(dtype=dtype)
    before = state(model) if model.optimizer.built else None
    losses = objective.loss_sums

    def spoilt(backbone, *arguments, **options):
        sums = losses(backbone, *arguments, **options)
        share = tf.convert_to_tensor(backbone.pointer.predecessor_share)
        # A square root is 0 at 0, and infinitely steep.
        zero = tf.reduce_sum(tf.sqrt(share - share))
        return {**sums, "objective": sums["objective"] + zero}

    monkeypatch.setattr(objective, "loss_sums", spoilt)
    backend.build_optimizer(model)
    before = state(model)
    with pytest.raises(
        backend.NotFiniteError,
        match=r"^At step 1 the gradient of pointer/predecessor_share is not a",
    ) as found:
        step(model)
    assert found.value.losses == []
    assert_same(before, state(model))


@pytest.mark.parametrize("value", [np.nan, sweep.case(np.inf)])
def test_a_loss_that_is_none_is_named(value, monkeypatch):
    model = make_model()
    losses = objective.loss_sums

    def spoilt(*arguments, **options):
        sums = losses(*arguments, **options)
        total, count = sums["gate"]
        return {**sums, "gate": (total + value, count)}

    monkeypatch.setattr(objective, "loss_sums", spoilt)
    with pytest.raises(
        backend.NotFiniteError, match=r"^At step 1 the sum of gate is not a"
    ):
        step(model)


@pytest.mark.parametrize(
    "undoes", sweep.cases([False, True], [True]), ids=["fails", "undoes"]
)
def test_steps_in_one_execution_stop_at_the_bad_one(undoes, monkeypatch):
    """On a TPU no operation can fail: there the step is undone."""
    if undoes:
        monkeypatch.setattr(training, "on_tpu", lambda: True)
    model = make_model(steps_per_execution=4)
    batches = [small.batch(9, 4, seed=seed) for seed in range(4)]
    batches[2][2][0, 0] = np.nan
    with pytest.raises(backend.NotFiniteError, match="At step 3"):
        model.fit(small.dataset(batches), shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 2
    twin = make_model(steps_per_execution=2)
    twin.fit(small.dataset(batches[:2]), shuffle=False, verbose=0)
    for weight, other in zip(state(model), state(twin), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)


def test_a_step_that_is_undone_logs_what_any_step_logs(monkeypatch):
    expected = step(make_model(run_eagerly=True))
    monkeypatch.setattr(training, "on_tpu", lambda: True)
    found = step(make_model(run_eagerly=True))
    assert found == pytest.approx(expected, rel=1e-6)


def test_float16_lowers_its_scale_and_goes_on():
    model = make_model(dtype="mixed_float16")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert step(model)["loss_scale"] == 2.0**15
    before = state(model)
    logs = step(model, spoil=True)
    assert logs["loss_scale"] == 2.0**14
    assert logs["loss"] == 0.0
    assert float(model.optimizer.dynamic_scale) == 2.0**14
    assert int(model.optimizer.step_counter) == 0
    # But for those two nothing has changed.
    model.optimizer.dynamic_scale.assign(2.0**15)
    model.optimizer.step_counter.assign(1)
    assert_same(before, state(model))
    assert step(model)["loss"] > 0
    assert int(model.optimizer.iterations) == 2


def test_float16_raises_its_scale_after_a_long_peace():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=4.0, dynamic_growth_steps=2
    )
    model = make_model(optimizer, "mixed_float16")
    scales = [step(model, seed)["loss_scale"] for seed in range(5)]
    assert scales == [4.0, 8.0, 8.0, 16.0, 16.0]


def test_float16_gives_up_where_the_scale_is_not_the_reason():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2 * LEAST_LOSS_SCALE
    )
    model = make_model(optimizer, "mixed_float16")
    before = model.get_weights()
    step(model, spoil=True)
    with pytest.raises(backend.NotFiniteError, match="num_targets"):
        step(model, spoil=True)
    assert_same(before, model.get_weights())


@pytest.mark.parametrize(
    "dtype", [sweep.case("mixed_bfloat16"), "mixed_float16"]
)
def test_half_precision_has_the_curve_of_float32(dtype):
    """Within half a per cent at each of ten steps on one batch."""
    curves = []
    for policy in ("float32", dtype):
        model = make_model(keras.optimizers.AdamW(1e-2), policy)
        curves.append([step(model)["loss"] for _ in range(10)])
        assert all(w.dtype == "float32" for w in model.trainable_weights)
    assert curves[0][-1] < 0.9 * curves[0][0]
    np.testing.assert_allclose(curves[1], curves[0], rtol=5e-3)
