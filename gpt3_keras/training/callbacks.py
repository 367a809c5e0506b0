"""What a run tells while it goes on."""

import json
import math
import time

import keras


class StepMonitor(keras.callbacks.Callback):
    """Measures training in windows of steps and ends a phase on its step.

    A record is a flat dict. Every window gives one with `phase`, `step` (over
    the whole run), `learning_rate`, `tokens_per_sec` and the model's metrics
    over the window; every validation one with `phase`, `step` and `val_*`.

    Args:
        phase: str, the phase's name.
        first_step: int, the run's updates before this phase.
        num_steps: int, the phase's own updates.
        learning_rate: function of a step, over the whole run.
        tokens_per_step: int, target tokens in a batch.
        window_steps: int.
        report: function of a record.

    Raises:
        FloatingPointError: when the loss is no longer a finite number.
    """

    def __init__(
        self,
        phase,
        first_step,
        num_steps,
        learning_rate,
        tokens_per_step,
        window_steps,
        report,
    ):
        super().__init__()
        self.phase = phase
        self.first_step = self.step = first_step
        self.last_step = first_step + num_steps
        self.learning_rate = learning_rate
        self.tokens_per_step = tokens_per_step
        self.window_steps = window_steps
        self.report = report
        self._restart()

    def _restart(self):
        self.window_start_secs = time.perf_counter()
        self.window_first_step = self.step

    def on_epoch_begin(self, epoch, logs=None):
        # A validation lies behind: its time is not training's.
        self._restart()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        is_last = self.step == self.last_step
        if is_last or self.step % self.window_steps == 0:
            self._report_window(logs)
        elif self.step == self.first_step + 1:
            # The first step was compiled: its time is not training's either.
            self._restart()
        if is_last:
            self.model.stop_training = True

    def _report_window(self, metrics):
        metrics = {name: float(value) for name, value in metrics.items()}
        if not math.isfinite(metrics["loss"]):
            raise FloatingPointError(
                f"The loss is {metrics['loss']} at step {self.step} of phase "
                f"{self.phase!r}; a lower learning rate may help."
            )
        secs = time.perf_counter() - self.window_start_secs
        steps = self.step - self.window_first_step
        self.report(
            {
                "phase": self.phase,
                "step": self.step,
                "learning_rate": float(self.learning_rate(self.step - 1)),
                **metrics,
                "tokens_per_sec": steps * self.tokens_per_step / secs,
            }
        )
        self.model.reset_metrics()
        self._restart()

    def on_epoch_end(self, epoch, logs=None):
        validation = {
            name: float(value)
            for name, value in logs.items()
            if name.startswith("val_")
        }
        if validation:
            self.report({"phase": self.phase, "step": self.step, **validation})


class HistoryFile:
    """Appends records to a file, one JSON object a line, at once."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, record):
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()
