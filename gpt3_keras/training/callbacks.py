"""What happens at the steps of a run: records, validations, checkpoints."""

import json
import os
import sys
import time

import keras

from gpt3_keras import backend
from gpt3_keras.training.early_stopping import judge


class StepMonitor(keras.callbacks.Callback):
    """Measures training in windows of steps.

    A record is a flat dict. Every window gives one with `phase`, `step` (over
    the whole run), `learning_rate`, `tokens_per_sec`, the model's metrics
    over the window and what its last step said of its gradient. A window ends
    where its length says and at every step of `RunMonitor`, so that a run
    that continues from a checkpoint has the windows of one that never
    stopped.

    Args:
        plan: a `StepPlan`.
        learning_rate: function of a step, over the whole run.
        tokens_per_step: int, target tokens in a batch.
        flops_per_token: float, what a token costs as a share of what the
            device computes in a second, or None where nobody has measured.
        report: function of a record.
    """

    def __init__(
        self, plan, learning_rate, tokens_per_step, flops_per_token, report
    ):
        super().__init__()
        self.plan = plan
        self.learning_rate = learning_rate
        self.tokens_per_step = tokens_per_step
        self.flops_per_token = flops_per_token
        self.report = report
        self.num_steps_seen = 0
        self.loss_scale = None
        self._restart()

    def on_train_batch_begin(self, batch, logs=None):
        # What came before, be it a validation or a checkpoint, is not
        # training; nor is the first step, which is compiled, if others follow.
        if self.plan.step == self.start_step or self.num_steps_seen == 1:
            self._restart()

    def on_train_batch_end(self, batch, logs=None):
        self.plan.advance()
        self.num_steps_seen += 1
        if "loss_scale" in logs:
            self._watch_loss_scale(float(logs["loss_scale"]))
        if self.plan.ends_window:
            self._report(logs)

    def _watch_loss_scale(self, scale):
        """Tells of a float16 step that was not made."""
        if self.loss_scale is not None and scale < self.loss_scale:
            print(
                f"step {self.plan.step}: a gradient was beyond float16 and "
                f"changed nothing; the loss scale is now {scale:g}",
                file=sys.stderr,
                flush=True,
            )
        self.loss_scale = scale

    def _restart(self):
        self.start_secs = time.perf_counter()
        self.start_step = self.plan.step

    def _report(self, logs):
        secs = time.perf_counter() - self.start_secs
        num_tokens = (self.plan.step - self.start_step) * self.tokens_per_step
        speed = num_tokens / secs
        record = {
            "phase": self.plan.phase,
            "step": self.plan.step,
            "learning_rate": float(self.learning_rate(self.plan.step - 1)),
            **{name: float(value) for name, value in logs.items()},
            "tokens_per_sec": speed,
        }
        if self.flops_per_token is not None:
            record["flops_utilisation"] = speed * self.flops_per_token
        self.report(record)
        backend.sync_variables(self.model)
        self.model.reset_metrics()
        self._restart()


class StepPlan:
    """Which steps of a phase are followed by what.

    Args:
        phase: str, the phase's name.
        step: int, over the whole run: how many lie behind.
        last_step: int, the phase's.
        steps_together: int, steps that one call of the device makes.
        every: dict of ints, from "window", "validation" and "checkpoint" to
            the number of steps from one to the next.
    """

    def __init__(self, phase, step, last_step, steps_together, every):
        self.phase = phase
        self.step = step
        self.last_step = last_step
        self.steps_together = steps_together
        self.every = every

    def advance(self):
        """Counts what the device has just done."""
        self.step += self.steps_together

    def _is_due(self, kind):
        # Steps made together may pass over one that something is due at.
        return self.step % self.every[kind] < self.steps_together

    @property
    def is_last(self):
        return self.step >= self.last_step

    @property
    def validates(self):
        return self.is_last or self._is_due("validation")

    @property
    def saves(self):
        return self._is_due("checkpoint")

    @property
    def ends_window(self):
        return self._is_due("window") or self.validates or self.saves


class RunMonitor(keras.callbacks.Callback):
    """Validates, saves and ends a phase, at the steps of its plan.

    Args:
        plan: the `StepPlan` that a `StepMonitor` before this one advances.
        state: the `RunState`; its step and its early stopping go along.
        validation: batches of held-out text.
        save: function of (state, is_best), which writes a checkpoint.
        stop: the `StopRequest`.
        report: function of a record; a validation's has `phase`, `step` and
            `val_*`.
        show: function of a step, called after each validation.
    """

    def __init__(self, plan, state, validation, save, stop, report, show):
        super().__init__()
        self.plan = plan
        self.state = state
        self.validation = validation
        self.save = save
        self.stop = stop
        self.report = report
        self.show = show

    def on_train_batch_end(self, batch, logs=None):
        self.state.step = self.plan.step
        if self.plan.ends_window:
            backend.sync_variables(self.model)
        is_best = self.plan.validates and self._validate()
        is_over = self.plan.is_last or self.state.stopping.is_over
        # The end of a phase is saved by whoever began it.
        if not is_over and (is_best or self.plan.saves or self.stop.signal):
            self.save(self.state, is_best)
        if is_over or self.stop.signal:
            self.model.stop_training = True

    def _validate(self):
        """Measures the held-out text; returns whether it was never better."""
        metrics = self.model.evaluate(
            self.validation, verbose=0, return_dict=True
        )
        self.report(
            {
                "phase": self.plan.phase,
                "step": self.plan.step,
                **{f"val_{name}": float(x) for name, x in metrics.items()},
            }
        )
        self.model.reset_metrics()
        stopping = self.state.stopping
        is_best = stopping.add(self.plan.step, judge(metrics, stopping.metric))
        self.show(self.plan.step)
        return is_best


class HistoryFile:
    """Appends records to a file, one JSON object a line, at once.

    Args:
        path: of the file.
        last_step: int; records of later steps, from before an interruption,
            are removed: they will be made again.
    """

    def __init__(self, path, last_step=0):
        kept = [r for r in read_history(path) if r["step"] <= last_step]
        scratch = path.with_name(f".{path.name}")
        scratch.write_text("".join(map(_line, kept)), encoding="utf-8")
        os.replace(scratch, path)
        self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, record):
        self.file.write(_line(record))
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()


def _line(record):
    return json.dumps(record) + "\n"


def read_history(path):
    """The records of a history, in order.

    A last line that was cut off when its process was killed is left out.

    Raises:
        ValueError: if another line is no record.
    """
    if not path.exists():
        return []
    lines = path.read_text("utf-8", errors="replace").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            record["step"] + 0
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path} must hold one record a line. Received: line "
                f"{number}: {line.strip()[:60]!r}."
            ) from None
        records.append(record)
    return records
