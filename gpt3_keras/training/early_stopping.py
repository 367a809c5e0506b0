"""When a phase has learnt what it can."""

import dataclasses
import math


def judge(metrics, metric, prefix=""):
    """The number by which validations are compared; the lower, the better.

    The loss, or less the metric, whose best is its largest.

    >>> judge({"loss": 2.0, "slot_accuracy": 0.5}, "slot_accuracy")
    -0.5

    Args:
        metrics: dict from name to float.
        metric: str, a name; the loss is taken where there is no such metric.
        prefix: str, what the names begin with.
    """
    if metric == "loss" or f"{prefix}{metric}" not in metrics:
        return float(metrics[f"{prefix}loss"])
    return -float(metrics[f"{prefix}{metric}"])


@dataclasses.dataclass
class EarlyStopping:
    """Compares a phase's validations, by their loss or by another metric.

    The article stops while the loss still falls; here a phase ends when it no
    longer does.

    Args:
        patience: int, validations without a better loss that are waited for;
            None never stops.
        min_delta: float, by how much a loss must be lower to be better.
        best_loss: float, the lowest one so far, see `judge`.
        best_step: int, the run's step that it belongs to, or None.
        num_worse: int, validations since then.
        metric: str, see `judge`.
    """

    patience: int | None = None
    min_delta: float = 0.0
    best_loss: float = math.inf
    best_step: int | None = None
    num_worse: int = 0
    metric: str = "loss"

    def add(self, step, loss):
        """Takes what `judge` makes of a validation.

        Returns:
            Whether it is the best so far.
        """
        if self.best_step is None or loss < self.best_loss - self.min_delta:
            self.best_loss, self.best_step, self.num_worse = loss, step, 0
            return True
        self.num_worse += 1
        return False

    @property
    def is_over(self):
        """Whether the patience is used up."""
        return self.patience is not None and self.num_worse >= self.patience
