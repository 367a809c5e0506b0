"""What is measured while a model trains, and where a phase ends."""

import json

import keras
import numpy as np
import pytest

from gpt3_keras.training.callbacks import HistoryFile
from gpt3_keras.training.callbacks import StepMonitor


class Line(keras.Model):
    """y = a x, whose only metric is the loss of what it has just seen."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False)

    def call(self, x):
        return self.dense(x)


def fit(records, *, num_steps, every, first_step=0, values=None, **options):
    model = Line()
    model.compile("sgd", "mse")
    monitor = StepMonitor(
        phase="all",
        first_step=first_step,
        num_steps=num_steps,
        learning_rate=lambda step: step / 100,
        tokens_per_step=5,
        window_steps=2,
        report=records.append,
    )
    values = np.ones((64, 1)) if values is None else values
    model.fit(
        values,
        values,
        batch_size=1,
        steps_per_epoch=every,
        epochs=-(-num_steps // every),
        callbacks=[monitor],
        verbose=0,
        **options,
    )
    return model


def test_windows_go_through_the_run_and_end_with_the_phase():
    records = []
    model = fit(records, num_steps=5, every=3, first_step=10)
    assert [record["step"] for record in records] == [12, 14, 15]
    assert [record["learning_rate"] for record in records] == [
        0.11,
        0.13,
        0.14,
    ]
    assert int(model.optimizer.iterations) == 5
    assert all(record["tokens_per_sec"] > 0 for record in records)
    assert all(record["phase"] == "all" for record in records)


def test_a_window_holds_its_own_steps_only():
    records = []
    values = np.array([[1.0], [1.0], [0.0], [0.0]])
    fit(records, num_steps=4, every=4, values=values, shuffle=False)
    first, second = records
    assert first["loss"] > 0
    assert second["loss"] == 0


def test_validations_are_reported():
    records = []
    data = (np.ones((2, 1)), np.ones((2, 1)))
    fit(records, num_steps=4, every=2, validation_data=data)
    validations = [record for record in records if "val_loss" in record]
    assert [record["step"] for record in validations] == [2, 4]
    assert set(validations[0]) == {"phase", "step", "val_loss"}


def test_a_loss_that_is_no_number_ends_training():
    with pytest.raises(
        FloatingPointError, match="The loss is nan at step 2 of phase 'all'"
    ):
        fit([], num_steps=4, every=4, values=np.full((8, 1), np.nan))


def test_history_is_on_disk_at_once(tmp_path):
    path = tmp_path / "history.jsonl"
    with HistoryFile(path) as history:
        history({"step": 1, "loss": 0.5})
        assert json.loads(path.read_text("utf-8")) == {"step": 1, "loss": 0.5}
        history({"step": 2, "loss": 0.25})
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
