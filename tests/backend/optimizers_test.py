"""A step asks its schedule for the learning rate once, and the next again."""

import contextlib

import keras
import numpy as np

from gpt3_keras.backend import optimizers

NUM_STEPS = 2


class CountingSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """1 / (step + 1), and the number of times it was asked."""

    num_calls = 0

    def __call__(self, step):
        self.num_calls += 1
        return 1.0 / (keras.ops.cast(step, "float32") + 1.0)


def update(context):
    """The schedule after some steps of three weights, and the weights."""
    schedule = CountingSchedule()
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.1)
    weights = [keras.Variable(np.ones(2, "float32")) for _ in range(3)]
    optimizer.build(weights)
    for _ in range(NUM_STEPS):
        with context(optimizer):
            optimizer.apply([keras.ops.ones(2)] * 3)
    return schedule, [keras.ops.convert_to_numpy(x) for x in weights]


def test_a_schedule_is_asked_once_a_step():
    once, found = update(optimizers.learning_rate_made_once)
    often, expected = update(contextlib.nullcontext)
    assert once.num_calls == NUM_STEPS
    assert often.num_calls > NUM_STEPS
    np.testing.assert_array_equal(found, expected)
