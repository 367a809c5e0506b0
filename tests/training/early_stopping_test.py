"""When the validations end a phase, and that a state survives being saved."""

import dataclasses
import json
import math

import pytest

from gpt3_keras import config as configs
from gpt3_keras.training.early_stopping import EarlyStopping
from gpt3_keras.training.early_stopping import judge
from gpt3_keras.training.state import RunState


def test_it_stops_when_the_loss_falls_no_longer():
    stopping = EarlyStopping(patience=2)
    found = []
    for step, loss in enumerate((3.0, 2.0, 2.5, 1.0, 1.0, 1.5), start=1):
        assert not stopping.is_over
        found.append(stopping.add(step, loss))
    assert found == [True, True, False, True, False, False]
    assert stopping.is_over
    assert (stopping.best_step, stopping.best_loss) == (4, 1.0)


def test_a_smaller_gain_than_min_delta_is_none():
    stopping = EarlyStopping(patience=1, min_delta=0.5)
    assert stopping.add(1, 2.0)
    assert not stopping.add(2, 1.6)
    assert stopping.is_over
    assert stopping.add(3, 1.4)
    assert not stopping.is_over


def test_without_patience_it_goes_on():
    stopping = EarlyStopping()
    for step in range(100):
        stopping.add(step, float(step))
    assert not stopping.is_over
    assert stopping.best_step == 0


def test_the_first_loss_is_the_best_even_if_it_is_none():
    stopping = EarlyStopping(patience=1)
    assert stopping.add(1, math.inf)
    assert stopping.add(2, 5.0)


@pytest.mark.parametrize("best_loss", [math.inf, 0.1 + 0.2])
def test_a_state_survives_json(best_loss):
    stopping = EarlyStopping(3, 0.1, best_loss, 40, 2)
    state = RunState(50, 1, 30, stopping, earlier_best=20)
    text = json.dumps(state.as_dict(), allow_nan=False)
    assert RunState.from_dict(json.loads(text)) == state


def test_a_phase_begins_anew():
    config = configs.load_config(
        "base",
        [
            "training.early_stopping.patience=4",
            "training.early_stopping.min_delta=0.25",
        ],
    )
    state = RunState.start(config)
    assert state == RunState(0, 0, 0, EarlyStopping(4, 0.25))
    state.step = 70
    state.stopping.add(60, 1.0)
    following = state.next_phase(config)
    assert following == RunState(70, 1, 70, EarlyStopping(4, 0.25), 60)
    assert following.best_step == 60
    following.stopping.add(80, 5.0)
    assert following.best_step == 80
    assert dataclasses.asdict(state)["stopping"]["best_step"] == 60


def test_validations_may_be_judged_by_another_metric():
    metrics = {"val_loss": 2.0, "val_joint_accuracy": 0.75}
    assert judge(metrics, "loss", "val_") == 2.0
    assert judge(metrics, "joint_accuracy", "val_") == -0.75
    # A phase whose model has no such metric goes by the loss.
    assert judge(metrics, "pointer_mrr", "val_") == 2.0
    stopping = EarlyStopping(patience=1, metric="joint_accuracy")
    found = [
        stopping.add(
            step, judge({"loss": 1.0, "joint_accuracy": x}, "joint_accuracy")
        )
        for step, x in enumerate((0.5, 0.7, 0.6))
    ]
    assert found == [True, True, False]
    assert (stopping.best_step, stopping.is_over) == (1, True)
