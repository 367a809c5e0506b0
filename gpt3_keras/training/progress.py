"""Progress on the error stream: a live bar on a terminal, else some lines."""

import sys
import time

import keras
import rich.console
import rich.progress
import rich.text

_LINE_EVERY_SECS = 10.0


class _Bar(rich.progress.Progress):
    """A bar with a line of text under it."""

    detail = ""

    def get_renderables(self):
        yield from super().get_renderables()
        yield rich.text.Text(self.detail, style="dim")


class Progress:
    """A bar for work of known or unknown length.

    On a terminal the bar moves; elsewhere (a file, a CI log) a line is
    written every ten seconds, and one at the end.

    Args:
        title: str, what is going on.
        total: int, units of work, or None where nobody knows.
        unit: str, of `total`.
    """

    def __init__(self, title, total=None, unit="steps"):
        self.title = title
        self.total = total
        self.unit = unit
        self.done = 0
        self.detail = ""
        self.live = None
        self.next_line_secs = time.monotonic() + _LINE_EVERY_SECS
        console = rich.console.Console(stderr=True)
        if console.is_terminal:
            self.live = _Bar(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeElapsedColumn(),
                rich.progress.TimeRemainingColumn(),
                console=console,
            )
            self.task = self.live.add_task(title, total=total)

    def update(self, done, detail=""):
        """Says that `done` units are behind, and what else there is to say."""
        self.done = done
        self.detail = detail
        if self.live:
            self.live.detail = detail
            self.live.update(self.task, completed=done)
        elif time.monotonic() >= self.next_line_secs:
            self._write_line()

    def _write_line(self):
        self.next_line_secs = time.monotonic() + _LINE_EVERY_SECS
        total = f"/{self.total}" if self.total else ""
        detail = f"  {self.detail}" if self.detail else ""
        line = f"{self.title} {self.done}{total} {self.unit}{detail}"
        print(line, file=sys.stderr, flush=True)

    def track(self, items):
        """Yields `items`, counting them."""
        with self:
            for item in items:
                yield item
                self.update(self.done + 1)

    def __enter__(self):
        if self.live:
            self.live.start()
        return self

    def __exit__(self, exception_type, *exception):
        if self.live:
            self.live.stop()
        elif exception_type is None and self.done:
            self._write_line()


class EvaluationProgress(keras.callbacks.Callback):
    """Counts the batches of `evaluate` on a `Progress`."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_test_batch_end(self, batch, logs=None):
        self.progress.update(batch + 1)


def training_detail(record):
    """What a training bar says beside its count, from a monitor's record."""
    losses = "  ".join(
        f"{label} {record[name]:.3f}"
        for label, name in (
            ("loss", "loss"),
            ("lm", "language_model_loss"),
            ("generator", "generator_loss"),
            ("pointer", "pointer_loss"),
            ("gate", "gate_loss"),
        )
    )
    return (
        f"{record['phase']}: {losses}  lr {record['learning_rate']:.1e}  "
        f"{record['tokens_per_sec']:,.0f} tokens/s"
    )
