"""Training in phases: which modules learn, from which losses, how long."""

import warnings

import keras

from gpt3_keras import functional_random
from gpt3_keras.config_training import MODULES
from gpt3_keras.training import learning_rate
from gpt3_keras.training.callbacks import RunMonitor
from gpt3_keras.training.callbacks import StepMonitor
from gpt3_keras.training.callbacks import StepPlan

# The encoder comes last: parameters that the pointer shares with it are its.
_LAYERS = {
    "embeddings": ("token_embedding", "position_embedding"),
    "generator": ("generator",),
    "pointer": ("pointer",),
    "encoder": ("encoder",),
}
# AdamW shrinks matrices; these are what centres and scales.
_NOT_DECAYED = ("bias", "gamma", "beta", "embeddings")


@keras.saving.register_keras_serializable(package="gpt3_keras")
class ShiftedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """lr(step) = schedule(first_step + step).

    Each phase has an optimizer of its own, which counts from 0; the schedule
    goes through the whole run.

    Args:
        schedule: a `LearningRateSchedule`, of the run's steps.
        first_step: int, the run's updates before this phase.
    """

    def __init__(self, schedule, first_step):
        self.schedule = schedule
        self.first_step = first_step

    def __call__(self, step):
        return self.schedule(step + self.first_step)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "first_step": self.first_step}

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["first_step"])


def set_trainable(backbone, modules=MODULES, trainable_layers=None):
    """Lets `modules` learn and keeps the backbone's other ones as they are.

    Args:
        backbone: a `GPT3Backbone`.
        modules: names, some of `MODULES`.
        trainable_layers: int. Of the encoder, its first blocks alone learn;
            None: all of it.
    """
    for module, names in _LAYERS.items():
        for name in names:
            _set(getattr(backbone, name), module in modules)
    if trainable_layers is not None and "encoder" in modules:
        for block in backbone.encoder.blocks[trainable_layers:]:
            _set(block, False)
        if trainable_layers < len(backbone.encoder.blocks):
            _set(backbone.encoder.norm, False)


def _set(layer, is_trainable):
    # An attribute that has the value already is not set again, nor are those
    # of shared sublayers, which another module has set.
    layer.trainable = not is_trainable
    layer.trainable = is_trainable


def prepare(model, config, state, data):
    """Compiles `model` for the phase that `state` says is under way.

    Args:
        model: one of `Experiment.learners`.
        config: the `ExperimentConfig`.
        state: a `RunState`.
        data: the phase's `datasets.PhaseData`.

    Returns:
        The schedule of the learning rate, over the whole run.
    """
    training, phase = config.training, config.training.phases[state.phase]
    schedule = learning_rate.learning_rate(training, data.steps_per_epoch)
    clipping = training.clipping
    optimizer = keras.optimizers.AdamW(
        ShiftedSchedule(schedule, state.first_step),
        weight_decay=training.weight_decay,
        clipvalue=clipping.value,
        clipnorm=clipping.norm,
        global_clipnorm=clipping.global_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    set_trainable(model.backbone, phase.trainable, training.trainable_layers)
    seed = functional_random.fold_in(training.seed, state.phase)
    is_dialogue = phase.data == "task" and config.task.name == "dialogue"
    objective = _dialogue_objective if is_dialogue else _text_objective
    model.compile(
        optimizer=optimizer,
        **objective(config, phase, data),
        micro_batches=training.micro_batches,
        seed=int(seed) % 2**32,
        jit_compile=config.runtime.jit_compile,
        steps_per_execution=config.runtime.steps_per_execution,
    )
    # Builds the optimizer, whose variables a checkpoint may be read into.
    model.make_train_function()
    return schedule


def _text_objective(config, phase, data):
    """What a `GPT3CausalLM` is compiled with."""
    return {
        "loss_weights": (phase.loss_weights or config.losses).weights(),
        "pointer_temperature": config.losses.pointer_temperature,
        "sparse_targets": data.sparse_targets,
    }


def _dialogue_objective(config, phase, data):
    """What a `GPT3DialogueModel` is compiled with."""
    section = config.task.dialogue
    return {
        "loss_weights": section.loss_weights.weights(),
        "label_smoothing": section.label_smoothing,
        "similarity_form": section.similarity_form,
        "similarity_temperature": section.similarity_temperature,
    }


def run_phase(model, config, state, data, measures, hooks):
    """Trains a prepared `model` to the end of its phase, or to a stop.

    Args:
        model: one of `Experiment.learners`, after `prepare`.
        config: the `ExperimentConfig`.
        state: the `RunState`; it goes along.
        data: the phase's `datasets.PhaseData`.
        measures: (schedule, flops_per_token): the former from `prepare`, the
            latter as `callbacks.StepMonitor` takes it.
        hooks: a `Hooks`.
    """
    schedule, flops_per_token = measures
    phase = config.training.phases[state.phase]
    last_step = state.first_step + phase.steps
    validation_steps = config.training.validation_steps
    plan = StepPlan(
        phase.name,
        state.step,
        last_step,
        config.runtime.steps_per_execution,
        {
            "window": max(1, min(10, phase.steps // 20)),
            "validation": validation_steps or data.steps_per_epoch,
            "checkpoint": config.training.checkpoint_steps,
        },
    )
    monitors = [
        StepMonitor(
            plan,
            schedule,
            data.batch_size * data.tokens_per_row,
            flops_per_token,
            hooks.report,
        ),
        RunMonitor(
            plan,
            state,
            data.validation,
            hooks.save,
            hooks.stop,
            hooks.report,
            hooks.show,
        ),
    ]
    with warnings.catch_warnings():
        # Keras warns at the end of a dataset whose length nobody knew.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        model.fit(
            data.train(state.step * data.batch_size),
            steps_per_epoch=last_step - state.step,
            callbacks=monitors,
            shuffle=False,
            verbose=0,
        )
