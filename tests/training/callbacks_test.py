"""What is measured while a model trains, and what is due at which step."""

import json

import keras
import numpy as np
import pytest

from gpt3_keras.training.callbacks import HistoryFile
from gpt3_keras.training.callbacks import StepMonitor
from gpt3_keras.training.callbacks import StepPlan
from gpt3_keras.training.callbacks import read_history

EVERY = {"window": 2, "validation": 6, "checkpoint": 5}


class Line(keras.Model):
    """y = a x, whose only metric is the loss of what it has just seen."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False)

    def call(self, x):
        return self.dense(x)


def fit(first_step, last_step, values=None, flops_per_token=None):
    """The records of a fit."""
    records = []
    model = Line()
    model.compile("sgd", "mse")
    plan = StepPlan("all", first_step, last_step, 1, EVERY)
    monitor = StepMonitor(
        plan,
        learning_rate=lambda step: step / 100,
        tokens_per_step=5,
        flops_per_token=flops_per_token,
        report=records.append,
    )
    values = np.ones((64, 1)) if values is None else values
    model.fit(
        values,
        values,
        batch_size=1,
        steps_per_epoch=last_step - first_step,
        callbacks=[monitor],
        shuffle=False,
        verbose=0,
    )
    return records


def test_windows_end_where_something_happens():
    records = fit(0, 13)
    steps = [record["step"] for record in records]
    assert steps == [2, 4, 5, 6, 8, 10, 12, 13]
    rates = [record["learning_rate"] for record in records]
    assert rates == [(step - 1) / 100 for step in steps]
    assert all(record["tokens_per_sec"] > 0 for record in records)
    assert all(record["phase"] == "all" for record in records)


def test_windows_do_not_depend_on_where_a_run_goes_on():
    assert [r["step"] for r in fit(5, 13)] == [6, 8, 10, 12, 13]


def test_a_window_holds_its_own_steps_only():
    first, second = fit(0, 4, np.array([[1.0], [1.0], [0.0], [0.0]]))
    assert first["loss"] > 0
    assert second["loss"] == 0


def test_the_share_of_the_device_s_speed():
    for record in fit(0, 4, flops_per_token=1e-6):
        share = 1e-6 * record["tokens_per_sec"]
        assert record["flops_utilisation"] == pytest.approx(share)
    assert "flops_utilisation" not in fit(0, 2)[0]


@pytest.mark.parametrize("together", [1, 2, 3])
def test_what_is_due_when(together):
    plan = StepPlan("all", 0, 30, together, dict(EVERY, checkpoint=12))
    due = {"validates": [], "saves": [], "is_last": []}
    while not plan.is_last:
        plan.advance()
        for name, steps in due.items():
            if getattr(plan, name):
                steps.append(plan.step)
    assert due == {
        "validates": [6, 12, 18, 24, 30],
        "saves": [12, 24],
        "is_last": [30],
    }


def test_history_is_on_disk_at_once(tmp_path):
    path = tmp_path / "history.jsonl"
    with HistoryFile(path) as history:
        history({"step": 1, "loss": 0.5})
        assert json.loads(path.read_text("utf-8")) == {"step": 1, "loss": 0.5}
        history({"step": 2, "loss": 0.25})
    assert [record["step"] for record in read_history(path)] == [1, 2]


def test_a_history_goes_on_from_a_step(tmp_path):
    path = tmp_path / "history.jsonl"
    records = [{"step": step, "loss": 1.0} for step in (1, 2, 3)]
    lines = [json.dumps(record) for record in records]
    path.write_text("\n".join([*lines, '{"step": 4, "lo']), "utf-8")
    assert read_history(path) == records
    with HistoryFile(path, last_step=2) as history:
        history({"step": 3, "loss": 2.0})
    assert read_history(path) == [*records[:2], {"step": 3, "loss": 2.0}]
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]


@pytest.mark.parametrize("line", ["no json", "[1]", '{"loss": 1}', '"a"'])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a line\. Received: line 2"):
        read_history(path)
