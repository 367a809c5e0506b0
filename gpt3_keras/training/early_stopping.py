"""When a phase has learnt what it can."""

import dataclasses
import math


@dataclasses.dataclass
class EarlyStopping:
    """Compares the losses of a phase's validations.

    The article stops while the loss still falls; here a phase ends when it no
    longer does.

    Args:
        patience: int, validations without a better loss that are waited for;
            None never stops.
        min_delta: float, by how much a loss must be lower to be better.
        best_loss: float, the lowest one so far.
        best_step: int, the run's step that it belongs to, or None.
        num_worse: int, validations since then.
    """

    patience: int | None = None
    min_delta: float = 0.0
    best_loss: float = math.inf
    best_step: int | None = None
    num_worse: int = 0

    def add(self, step, loss):
        """Takes the loss of a validation.

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
