"""From a config to the learning rate of its run."""

from gpt3_keras.schedules import CosineDecayWithNoise


def learning_rate(training, steps_per_epoch=None):
    """The schedule over the steps of all phases.

    Args:
        training: a `TrainingConfig`.
        steps_per_epoch: int, as counted in the training text; a number in the
            config goes before it. With neither there is no decay by epochs.

    Returns:
        A `CosineDecayWithNoise`.
    """
    section = training.learning_rate
    if section.steps_per_epoch is not None:
        steps_per_epoch = section.steps_per_epoch
    return CosineDecayWithNoise(
        decay_steps=training.num_steps,
        start=section.start,
        end=section.end,
        warmup_steps=section.warmup_steps,
        steps_per_epoch=steps_per_epoch,
        epoch_decay=section.epoch_decay,
        decay_epochs=section.decay_epochs,
        noise_probability=section.noise_probability,
        noise_scale=section.noise_scale,
        seed=training.seed,
    )
