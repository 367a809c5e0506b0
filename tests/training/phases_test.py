"""Phases: who learns when, and how a phase is compiled."""

import keras
import pytest

from gpt3_keras import config as configs
from gpt3_keras.config_training import MODULES
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.training import phases
from gpt3_keras.training.datasets import PhaseData
from gpt3_keras.training.learning_rate import learning_rate
from gpt3_keras.training.state import RunState

PHASES = (
    "training.phases=["
    "{name: encoder, steps: 6, trainable: [encoder, generator],"
    " loss_weights: {language_model: 0, generator: 2, pointer: 0, gate: 0}},"
    "{name: all, steps: 6}]"
)

DATA = PhaseData(None, None, 4, 6, steps_per_epoch=100)


def test_a_shifted_schedule_goes_on_where_the_phase_starts():
    rate = learning_rate(configs.load_config("base").training)
    shifted = phases.ShiftedSchedule(rate, 40)
    assert float(shifted(3)) == float(rate(43))
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(shifted)
    )
    assert float(again(3)) == float(rate(43))


def make_model(share=False, num_layers=1):
    keras.utils.set_random_seed(1)
    return GPT3CausalLM(
        GPT3Backbone(
            vocabulary_size=13,
            num_heads=2,
            hidden_dim=8,
            max_sequence_length=6,
            pointer_hidden_dims=(4, 4),
            share_pointer_parameters=share,
            num_layers=num_layers,
        )
    )


def module_of(weight):
    layer = weight.path.split("/")[0]
    return "embeddings" if layer.endswith("_embedding") else layer


@pytest.mark.parametrize("module", MODULES)
def test_only_what_is_named_may_learn(module):
    backbone = make_model().backbone
    phases.set_trainable(backbone, [module])
    names = {module_of(weight) for weight in backbone.trainable_weights}
    assert names == {module}
    phases.set_trainable(backbone, MODULES)
    names = {module_of(weight) for weight in backbone.trainable_weights}
    assert names == set(MODULES)


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


def learning(backbone):
    """Parts of the encoder that learn, and the other modules."""
    paths = [weight.path for weight in backbone.trainable_weights]
    return {
        path.split("/")[1] if path.startswith("encoder/") else "others"
        for path in paths
    }


def test_only_the_first_layers_learn():
    backbone = make_model(num_layers=3).backbone
    phases.set_trainable(backbone, MODULES, trainable_layers=2)
    assert learning(backbone) == {"block_0", "block_1", "others"}
    phases.set_trainable(backbone, ["encoder"], trainable_layers=1)
    assert learning(backbone) == {"block_0"}
    phases.set_trainable(backbone, ["pointer"], trainable_layers=1)
    assert learning(backbone) == {"others"}
    phases.set_trainable(backbone, MODULES, trainable_layers=3)
    assert learning(backbone) == {
        "block_0",
        "block_1",
        "block_2",
        "norm",
        "others",
    }
    phases.set_trainable(backbone)
    assert all(weight.trainable for weight in backbone.weights)


def test_a_phase_is_compiled_as_the_config_says():
    config = configs.load_config(
        "base",
        [
            PHASES,
            "training.clipping.value=0.5",
            "training.micro_batches=2",
            "training.weight_decay=0.25",
            "training.seed=7",
        ],
    )
    model = make_model()
    schedule = phases.prepare(model, config, RunState(), DATA)
    optimizer = model.optimizer
    assert optimizer.built
    assert optimizer.clipvalue == 0.5
    assert optimizer.weight_decay == 0.25
    assert model.micro_batches == 2
    weights = model.get_compile_config()["loss_weights"]
    assert weights["generator"] == 2.0
    assert weights["language_model"] == 0.0
    assert learning(model.backbone) == {"block_0", "norm", "others"}
    first_key = int(model.dropout_key())
    phases.prepare(model, config, RunState(step=6, phase=1, first_step=6), DATA)
    # A new optimizer, whose rate goes on, and other dropout.
    assert model.optimizer is not optimizer
    rate = float(model.optimizer.learning_rate)
    assert rate == pytest.approx(float(schedule(6)), rel=1e-6)
    assert model.get_compile_config()["loss_weights"]["generator"] == 0.0
    assert int(model.dropout_key()) != first_key
    phases.prepare(model, config, RunState(), DATA)
    assert int(model.dropout_key()) == first_key
