"""The model whose training step is checked, as training would make it."""

import keras

from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import datasets
from gpt3_keras.training import experiment
from gpt3_keras.training import phases
from gpt3_keras.training.state import RunState


def for_tpu(config):
    """A config in the precision that "auto" is on a TPU."""
    precision = config.training.precision
    if precision == "auto":
        precision = "mixed_bfloat16"
    return config.replace(training={"precision": precision})


def build(config):
    """The compiled model of a config's last phase, in which all learns.

    Args:
        config: an `ExperimentConfig`; its weights are drawn, nothing is read.

    Returns:
        A `GPT3CausalLM` on batches of token ids, its optimizer built.
    """
    keras.utils.set_random_seed(0)
    model = experiment.build_model(config, GPT3Tokenizer())
    model = experiment.on_token_ids(model)
    last = len(config.training.phases) - 1
    data = datasets.PhaseData(
        train=None,
        validation=None,
        batch_size=config.data.batch_size,
        tokens_per_row=config.data.sequence_length,
        steps_per_epoch=1,  # Of no account: nothing runs.
    )
    phases.prepare(model, config, RunState(phase=last), data)
    return model


def variable_groups(model):
    """The trainer's state: a list of Keras variables for each kind."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
