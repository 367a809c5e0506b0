"""Progress on the error stream: a live bar on a terminal, else some lines."""

import contextlib
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
    written every ten seconds, and one at the end. Both tell the time left
    where the length is known.

    Args:
        title: str, what is going on.
        total: int, units of work, or None where nobody knows.
        unit: str, of `total`.
        first: int, units that were done before, at what speed nobody knows.
    """

    def __init__(self, title, total=None, unit="steps", first=0):
        self.title = title
        self.total = total
        self.unit = unit
        self.first = first
        self.done = first
        self.detail = ""
        self.live = None
        self.start_secs = time.monotonic()
        self.next_line_secs = self.start_secs + _LINE_EVERY_SECS
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
            self.task = self.live.add_task(title, total=total, completed=first)

    def update(self, done, detail=""):
        """Says that `done` units are behind, and what else there is to say."""
        self.done = done
        self.detail = detail
        if self.live:
            self.live.detail = detail
            self.live.update(self.task, completed=done)
            return
        now_secs = time.monotonic()
        if now_secs >= self.next_line_secs:
            self.next_line_secs = now_secs + _LINE_EVERY_SECS
            self._write_line(self._time_left(now_secs))

    def _time_left(self, now_secs):
        """What is left at the speed so far, in words; "" if nobody knows."""
        num_done = self.done - self.first
        if not self.total or num_done <= 0 or self.done >= self.total:
            return ""
        secs_each = (now_secs - self.start_secs) / num_done
        return f"{duration((self.total - self.done) * secs_each)} left"

    def _write_line(self, time_left=""):
        total = f"/{self.total}" if self.total else ""
        parts = f"{self.title} {self.done}{total} {self.unit}", time_left
        line = "  ".join(filter(None, [*parts, self.detail]))
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
        elif exception_type is None and self.done > self.first:
            self._write_line()


@contextlib.contextmanager
def counting(title, unit, total):
    """Gives a function of (done, total) that shows both."""
    with Progress(title, total, unit) as progress:
        yield lambda done, _: progress.update(done)


class EvaluationProgress(keras.callbacks.Callback):
    """Counts the batches of `evaluate` on a `Progress`."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_test_batch_end(self, batch, logs=None):
        self.progress.update(batch + 1)


def duration(secs):
    """A time in two digits or so, in its natural unit.

    >>> [duration(secs) for secs in (7.4, 700, 8000, 400_000)]
    ['7 s', '12 min', '2.2 h', '4.6 days']
    """
    if secs < 60:
        return f"{secs:.0f} s"
    if secs < 99 * 60:
        return f"{secs / 60:.0f} min"
    if secs < 48 * 3600:
        return f"{secs / 3600:.1f} h"
    return f"{secs / 86400:.1f} days"


def training_detail(record):
    """What a training bar says beside its count, from a window's record."""
    parts = [
        f"{label} {record[name]:z.{digits}f}"
        for label, name, digits in (
            ("loss", "loss", 3),
            ("lm", "language_model_loss", 2),
            ("generator", "generator_loss", 2),
            ("pointer", "pointer_loss", 2),
            ("gate", "gate_loss", 2),
            ("intent", "intent_loss", 2),
            ("slots", "slot_loss", 2),
            ("spans", "span_loss", 2),
            ("asked", "requested_loss", 2),
            ("constraints", "constraint_loss", 2),
        )
        if record.get(name)
    ]
    parts.append(f"lr {record['learning_rate']:.1e}")
    parts.append(f"{record['tokens_per_sec']:,.0f} tokens/s")
    if "flops_utilisation" in record:
        parts.append(f"{record['flops_utilisation']:.0%} of matmul speed")
    return f"{record['phase']}: {'  '.join(parts)}"
