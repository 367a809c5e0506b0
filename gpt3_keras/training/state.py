"""Where a run stands: with the weights, all that it takes to go on."""

import dataclasses
import math

from gpt3_keras.training.early_stopping import EarlyStopping


@dataclasses.dataclass
class RunState:
    """What a checkpoint says of the training, beside weights and optimizer.

    The learning rate, the dropout and the order of the data are functions of
    the config and of these numbers; there is no other random state.

    Args:
        step: int, batches of the training data that have been used.
        phase: int, the place of the phase under way; the number of phases
            when all are done.
        first_step: int, the step at which that phase began.
        stopping: the `EarlyStopping` of that phase.
        earlier_best: int, the step of the best checkpoint of the phase
            before, or None.
    """

    step: int = 0
    phase: int = 0
    first_step: int = 0
    stopping: EarlyStopping = dataclasses.field(default_factory=EarlyStopping)
    earlier_best: int | None = None

    @property
    def best_step(self):
        """The step of the checkpoint that is the best by now, or None."""
        if self.stopping.best_step is not None:
            return self.stopping.best_step
        return self.earlier_best

    @classmethod
    def start(cls, config):
        """The state before the first step."""
        return cls(stopping=_stopping(config))

    def next_phase(self, config):
        """The state at the start of the next phase, after this one's end."""
        return RunState(
            self.step,
            self.phase + 1,
            self.step,
            _stopping(config),
            earlier_best=self.best_step,
        )

    def as_dict(self):
        """Plain JSON."""
        state = dataclasses.asdict(self)
        if math.isinf(self.stopping.best_loss):  # JSON has no infinity.
            state["stopping"]["best_loss"] = None
        return state

    @classmethod
    def from_dict(cls, state):
        stopping = dict(state["stopping"])
        if stopping["best_loss"] is None:
            stopping["best_loss"] = math.inf
        return cls(
            step=state["step"],
            phase=state["phase"],
            first_step=state["first_step"],
            stopping=EarlyStopping(**stopping),
            earlier_best=state["earlier_best"],
        )


def _stopping(config):
    section = config.training.early_stopping
    return EarlyStopping(
        section.patience, section.min_delta, metric=section.metric
    )
