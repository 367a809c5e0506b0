"""Training in phases: which modules learn, from which losses, how long."""

import math
import warnings

import keras

from gpt3_keras.training.callbacks import StepMonitor

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


def learning_rate(training):
    """A linear warm-up, then half a cosine down to the last step.

    Args:
        training: a `TrainingConfig`.
    """
    start, end = training.learning_rate_start, training.learning_rate_end
    warmup_steps = training.warmup_steps
    decay_steps = max(training.num_steps - 1 - warmup_steps, 1)
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(
            start, decay_steps, alpha=end / start
        )
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps,
        alpha=end / start,
        warmup_target=start,
        warmup_steps=warmup_steps,
    )


def set_trainable(backbone, modules):
    """Lets `modules` learn and keeps the backbone's other ones as they are."""
    for module, names in _LAYERS.items():
        for name in names:
            layer = getattr(backbone, name)
            # An attribute that has the value already is not set again, nor
            # are those of shared sublayers, which another module has set.
            layer.trainable = module not in modules
            layer.trainable = module in modules


def run_phase(model, phase, first_step, config, datasets, report):
    """Trains `model` through one phase.

    Args:
        model: a `GPT3CausalLM`.
        phase: a `PhaseConfig`.
        first_step: int, the run's updates before this phase.
        config: the `ExperimentConfig`.
        datasets: (train, validation), batches of the triple; `train` does
            not end.
        report: function of a record, see `StepMonitor`.
    """
    train, validation = datasets
    schedule = learning_rate(config.training)
    optimizer = keras.optimizers.AdamW(
        ShiftedSchedule(schedule, first_step),
        weight_decay=config.training.weight_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    weights = (phase.loss_weights or config.losses).weights()
    set_trainable(model.backbone, phase.trainable)
    model.compile(
        optimizer=optimizer,
        loss_weights=weights,
        pointer_temperature=config.losses.pointer_temperature,
    )
    # Made inside the first step, its variables would have it traced twice.
    optimizer.build(model.trainable_variables)
    monitor = StepMonitor(
        phase.name,
        first_step,
        phase.steps,
        schedule,
        config.data.batch_size * config.data.sequence_length,
        max(1, min(10, phase.steps // 20)),
        report,
    )
    every = min(config.training.validation_steps, phase.steps)
    with warnings.catch_warnings():
        # Keras warns at the end of a dataset whose length nobody knew.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        # The last epoch may be short: the monitor ends it at its step.
        model.fit(
            train.skip(first_step),
            validation_data=validation,
            steps_per_epoch=every,
            epochs=math.ceil(phase.steps / every),
            callbacks=[monitor],
            shuffle=False,
            verbose=0,
        )


def run_phases(model, config, datasets, report, checkpoint):
    """Trains `model` through every phase of `config`.

    Args:
        model: a `GPT3CausalLM`.
        config: the `ExperimentConfig`.
        datasets: (train, validation), see `run_phase`.
        report: function of a record, see `StepMonitor`.
        checkpoint: function without arguments, called after each phase.
    """
    first_step = 0
    for phase in config.training.phases:
        run_phase(model, phase, first_step, config, datasets, report)
        checkpoint()
        first_step += phase.steps
    set_trainable(model.backbone, _LAYERS)
