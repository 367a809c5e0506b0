"""The schedule of a config: each of its keys arrives."""

import pytest

from gpt3_keras import config_training
from gpt3_keras.training.learning_rate import learning_rate


def training(**keys):
    return config_training.TrainingConfig(
        seed=3,
        learning_rate=config_training.ScheduleConfig(
            start=0.5,
            end=0.25,
            warmup_steps=4,
            epoch_decay=0.9,
            decay_epochs=2,
            noise_probability=0.1,
            noise_scale=0.2,
            **keys,
        ),
        phases=[
            config_training.PhaseConfig(name="one", steps=10),
            config_training.PhaseConfig(name="two", steps=20),
        ],
    )


def test_every_key_arrives():
    assert learning_rate(training(steps_per_epoch=5)).get_config() == {
        "decay_steps": 30,
        "start": 0.5,
        "end": 0.25,
        "warmup_steps": 4,
        "steps_per_epoch": 5,
        "epoch_decay": 0.9,
        "decay_epochs": 2,
        "noise_probability": 0.1,
        "noise_scale": 0.2,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("own", "counted", "used"),
    [(None, None, None), (None, 7, 7), (5, 7, 5), (5, None, 5)],
)
def test_the_config_s_own_epoch_goes_first(own, counted, used):
    schedule = learning_rate(training(steps_per_epoch=own), counted)
    assert schedule.steps_per_epoch == used
