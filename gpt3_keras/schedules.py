"""The learning rate over the steps of a run."""

import math

import keras
from keras import ops

from gpt3_keras import functional_random


@keras.saving.register_keras_serializable(package="gpt3_keras")
class CosineDecayWithNoise(keras.optimizers.schedules.LearningRateSchedule):
    """Half a cosine, a factor on it every few epochs, and sparse noise.

    lr(s) = max(end, [end + (start - end) (1 + cos(pi u)) / 2]
                     * epoch_decay ^ floor(epoch / decay_epochs))
            * (1 + b noise_scale n)

    u goes from 0, at the first step after the warm-up, to 1 at the last step,
    decay_steps - 1. b is 1 with `noise_probability`, else 0; n is standard
    normal. Both are hashes of the seed and the step: the same on every
    replica and after every restart, whatever was asked before. A rate that
    the noise would make negative is 0.

    In warm-up, step s has the rate start (s + 1) / warmup_steps, with the
    epochs' factor and the noise, and may be below `end`.

    Args:
        decay_steps: int, the steps of the whole run.
        start: float, the rate at the start of the cosine.
        end: float, the rate at the last step; in [0, start].
        warmup_steps: int, steps of linear rise, of `decay_steps`.
        steps_per_epoch: int; None for no decay by epochs.
        epoch_decay: float in (0, 1], the factor.
        decay_epochs: int, epochs from one factor to the next.
        noise_probability: float in [0, 1], the share of disturbed steps.
        noise_scale: float, the noise's standard deviation as a share of the
            rate.
        seed: int in [0, 2**32), of the noise.

    Call arguments:
        step: int, or a tensor or variable of any shape and number type; a
            step is what `optimizer.iterations` counts, from 0.

    Returns:
        float32, the shape of `step`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:

    ```python
    >>> schedule = CosineDecayWithNoise(decay_steps=101, start=0.5, end=0.25)
    >>> [round(float(schedule(step)), 3) for step in (0, 50, 100, 200)]
    [0.5, 0.375, 0.25, 0.25]

    ```

    Reference: Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5 without
    restarts; the epochs' factor and the noise are this package's own.
    """

    def __init__(
        self,
        decay_steps,
        start=1e-4,
        end=5e-5,
        warmup_steps=0,
        steps_per_epoch=None,
        epoch_decay=0.99,
        decay_epochs=10,
        noise_probability=0.0,
        noise_scale=0.0,
        seed=0,
    ):
        super().__init__()
        self.decay_steps = decay_steps
        self.start = start
        self.end = end
        self.warmup_steps = warmup_steps
        self.steps_per_epoch = steps_per_epoch
        self.epoch_decay = epoch_decay
        self.decay_epochs = decay_epochs
        self.noise_probability = noise_probability
        self.noise_scale = noise_scale
        self.seed = seed
        self._check_counts()
        self._check_rates()

    def __call__(self, step):
        step = ops.cast(ops.convert_to_tensor(step), "int32")
        rate = self._clean_rate(step)
        if not (self.noise_probability and self.noise_scale):
            return rate
        is_disturbed = ops.less(
            functional_random.uniform(self._key(0), step),
            self.noise_probability,
        )
        noise = functional_random.normal(self._key(1), step)
        noise = ops.where(is_disturbed, noise, ops.zeros_like(noise))
        return ops.maximum(rate * (1.0 + self.noise_scale * noise), 0.0)

    def without_noise(self):
        """The same schedule, undisturbed."""
        return type(self)(**{**self.get_config(), "noise_scale": 0.0})

    def _clean_rate(self, step):
        """The rate without noise; `step` is int32."""
        last_step = self.decay_steps - 1
        num_steps = max(last_step - self.warmup_steps, 1)
        left = ops.cast(ops.clip(last_step - step, 0, num_steps), "float32")
        # (1 + cos(pi u)) / 2, written so that it is exact near u = 1.
        share = ops.square(ops.sin(left * (0.5 * math.pi / num_steps)))
        decay = self._epochs_factor(step)
        rate = ops.maximum(
            (self.end + (self.start - self.end) * share) * decay, self.end
        )
        if not self.warmup_steps:
            return rate
        risen = ops.cast(step + 1, "float32") / self.warmup_steps
        return ops.where(
            ops.less(step, self.warmup_steps), self.start * risen * decay, rate
        )

    def _epochs_factor(self, step):
        if self.steps_per_epoch is None or self.epoch_decay == 1:
            return 1.0
        # Floor after floor: the product of the two may not fit int32.
        epoch = ops.floor_divide(step, self.steps_per_epoch)
        times = ops.floor_divide(epoch, self.decay_epochs)
        return ops.exp(ops.cast(times, "float32") * math.log(self.epoch_decay))

    def _key(self, number):
        return functional_random.fold_in(self.seed, number)

    def _check_counts(self):
        if not _is_count(self.decay_steps, 1):
            self._refuse(
                "decay_steps must be an integer in [1, 2**31)", "decay_steps"
            )
        if (
            not _is_count(self.warmup_steps, 0)
            or self.warmup_steps >= self.decay_steps
        ):
            self._refuse(
                "warmup_steps must be an integer in [0, decay_steps)",
                "warmup_steps",
                "decay_steps",
            )
        if self.steps_per_epoch is not None and not _is_count(
            self.steps_per_epoch, 1
        ):
            self._refuse(
                "steps_per_epoch must be None or an integer in [1, 2**31)",
                "steps_per_epoch",
            )
        if not _is_count(self.decay_epochs, 1):
            self._refuse(
                "decay_epochs must be an integer in [1, 2**31)", "decay_epochs"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            self._refuse("seed must be an integer in [0, 2**32)", "seed")

    def _check_rates(self):
        if not 0 < self.start < math.inf:
            self._refuse("start must be positive", "start")
        if not 0 <= self.end <= self.start:
            self._refuse("end must be in [0, start]", "end", "start")
        if not 0 < self.epoch_decay <= 1:
            self._refuse("epoch_decay must be in (0, 1]", "epoch_decay")
        if not 0 <= self.noise_probability <= 1:
            self._refuse(
                "noise_probability must be in [0, 1]", "noise_probability"
            )
        if not 0 <= self.noise_scale < math.inf:
            self._refuse("noise_scale must be at least 0", "noise_scale")

    def _refuse(self, rule, *names):
        values = (f"{name}={getattr(self, name)!r}" for name in names)
        raise ValueError(f"{rule}. Received: {', '.join(values)}.")

    def get_config(self):
        return {
            "decay_steps": self.decay_steps,
            "start": self.start,
            "end": self.end,
            "warmup_steps": self.warmup_steps,
            "steps_per_epoch": self.steps_per_epoch,
            "epoch_decay": self.epoch_decay,
            "decay_epochs": self.decay_epochs,
            "noise_probability": self.noise_probability,
            "noise_scale": self.noise_scale,
            "seed": self.seed,
        }


def _is_count(value, lowest):
    return isinstance(value, int) and lowest <= value < 2**31
