"""Phases: the schedule through the run, and who learns when."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import config as configs
from gpt3_keras import config_sections as sections
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.training import phases


def schedule(num_steps, **options):
    return phases.learning_rate(
        sections.TrainingConfig(
            learning_rate_start=1e-3,
            learning_rate_end=2e-4,
            phases=[sections.PhaseConfig(steps=num_steps)],
            **options,
        )
    )


def test_the_rate_falls_along_half_a_cosine():
    rate = schedule(101)
    steps = np.arange(101)
    expected = 2e-4 + 0.5 * (1e-3 - 2e-4) * (1 + np.cos(np.pi * steps / 100))
    np.testing.assert_allclose(
        [float(rate(step)) for step in steps], expected, rtol=1e-5
    )


def test_the_rate_warms_up_first():
    rate = schedule(30, warmup_steps=10)
    warm_up = [float(rate(step)) for step in range(11)]
    np.testing.assert_allclose(warm_up, np.linspace(0, 1e-3, 11), atol=1e-9)
    assert float(rate(29)) == pytest.approx(2e-4)


def test_a_shifted_schedule_goes_on_where_the_phase_starts():
    rate = schedule(101)
    shifted = phases.ShiftedSchedule(rate, 40)
    assert float(shifted(3)) == float(rate(43))
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(shifted)
    )
    assert float(again(3)) == float(rate(43))


def make_model(share=False):
    keras.utils.set_random_seed(1)
    return GPT3CausalLM(
        GPT3Backbone(
            vocabulary_size=13,
            num_heads=2,
            hidden_dim=8,
            max_sequence_length=6,
            pointer_hidden_dims=(4, 4),
            share_pointer_parameters=share,
        )
    )


def module_of(weight):
    layer = weight.path.split("/")[0]
    return "embeddings" if layer.endswith("_embedding") else layer


@pytest.mark.parametrize("module", sections.MODULES)
def test_only_what_is_named_may_learn(module):
    backbone = make_model().backbone
    phases.set_trainable(backbone, [module])
    names = {module_of(weight) for weight in backbone.trainable_weights}
    assert names == {module}
    phases.set_trainable(backbone, sections.MODULES)
    names = {module_of(weight) for weight in backbone.trainable_weights}
    assert names == set(sections.MODULES)


@pytest.mark.parametrize(
    ("modules", "is_trainable"),
    [(["pointer"], False), (["encoder"], True), (["encoder", "pointer"], True)],
)
def test_shared_parameters_are_the_encoder_s(modules, is_trainable):
    backbone = make_model(share=True).backbone
    phases.set_trainable(backbone, modules)
    attention = backbone.encoder.blocks[-1].attention
    assert bool(attention.trainable_weights) == is_trainable
    shared = attention.query_dense.kernel.path
    paths = {weight.path for weight in backbone.trainable_weights}
    assert (shared in paths) == is_trainable


@pytest.fixture(scope="module")
def run():
    """A run of three phases: records, and the weights after each phase."""
    ids = np.random.default_rng(0).integers(0, 13, (2, 7), "int32")
    x = {"token_ids": ids[:, :-1], "padding_mask": np.ones((2, 6), bool)}
    dataset = tf.data.Dataset.from_tensors(
        (x, ids[:, 1:], np.ones((2, 6), "float32"))
    )
    model = make_model()
    config = configs.ExperimentConfig(
        data=sections.DataConfig(sequence_length=6, batch_size=2),
        training=sections.TrainingConfig(
            learning_rate_start=1e-2,
            learning_rate_end=1e-3,
            validation_steps=2,
            phases=[
                sections.PhaseConfig(
                    name="encoder",
                    steps=3,
                    trainable=["embeddings", "encoder", "generator"],
                    loss_weights=sections.LossWeights(
                        language_model=0.0,
                        generator=1.0,
                        pointer=0.0,
                        gate=0.0,
                    ),
                ),
                sections.PhaseConfig(
                    name="pointer", steps=2, trainable=["pointer"]
                ),
                sections.PhaseConfig(name="all", steps=80),
            ],
        ),
    )
    records, snapshots = [], []

    def snapshot():
        snapshots.append(
            {w.path: (module_of(w), w.numpy()) for w in model.backbone.weights}
        )

    snapshot()
    phases.run_phases(
        model, config, (dataset.repeat(), dataset), records.append, snapshot
    )
    return model, records, snapshots


def windows(records, phase):
    return [r for r in records if "loss" in r and r["phase"] == phase]


def test_what_is_not_trainable_stands_still(run):
    _, _, snapshots = run
    learnt = [
        {
            module
            for path, (module, value) in after.items()
            if not np.array_equal(value, before[path][1])
        }
        for before, after in itertools.pairwise(snapshots)
    ]
    assert learnt == [
        {"embeddings", "encoder", "generator"},
        {"pointer"},
        set(sections.MODULES),
    ]


def test_a_phase_takes_its_steps_and_the_rate_falls_through_all(run):
    _, records, _ = run
    last_steps = {record["phase"]: record["step"] for record in records}
    assert last_steps == {"encoder": 3, "pointer": 5, "all": 85}
    rates = [r["learning_rate"] for r in records if "loss" in r]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-3)


def test_the_first_phase_trains_the_generator_alone(run):
    _, records, _ = run
    for record in windows(records, "encoder"):
        assert record["loss"] == pytest.approx(
            record["generator_loss"], rel=1e-5
        )


def test_validation_keeps_its_own_rhythm(run):
    _, records, _ = run
    steps = [record["step"] for record in records if "val_loss" in record]
    assert steps[:4] == [2, 3, 5, 7]
    assert steps[-1] == 85


def test_training_lowers_the_loss(run):
    _, records, _ = run
    first, *_, last = windows(records, "all")
    assert last["language_model_loss"] < 0.5 * first["language_model_loss"]


def test_after_a_run_everything_may_learn_again(run):
    model, _, _ = run
    assert {module_of(w) for w in model.backbone.trainable_weights} == set(
        sections.MODULES
    )
