"""A run from its first step, or from where it was interrupted, to its end."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable

from gpt3_keras.backend import NotFiniteError
from gpt3_keras.backend import naming_lost_workers
from gpt3_keras.training import flops
from gpt3_keras.training import phases
from gpt3_keras.training import strategies
from gpt3_keras.training import workdir
from gpt3_keras.training.callbacks import HistoryFile
from gpt3_keras.training.callbacks import read_history
from gpt3_keras.training.checkpoints import CheckpointStore
from gpt3_keras.training.signals import Interrupted
from gpt3_keras.training.signals import StopRequest
from gpt3_keras.training.state import RunState


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a phase calls while it trains.

    Args:
        report: function of a record, see `callbacks`.
        save: function of (state, is_best), which writes a checkpoint.
        show: function of a step, called after each validation.
        stop: the `StopRequest`.
    """

    report: Callable
    save: Callable
    show: Callable
    stop: StopRequest


def train(experiment, folder, watch, stop):
    """Trains through every phase that is not done yet.

    Args:
        experiment: an `Experiment`; its model is trained, and in the end has
            the best weights of the last phase.
        folder: path of the run's folder, new or begun with the same config.
        watch: function of (folder, state), a context manager that gives a
            pair of functions, `report` of a record and `show` of a step:
            what the run shows of itself.
        stop: a `StopRequest` that listens.

    Returns:
        The run's history, a list of the records of `callbacks`.

    Raises:
        Interrupted: after a signal; all is saved.
        NotFiniteError: of a loss or a gradient that is no number.
    """
    is_chief = strategies.is_chief(experiment.strategy)
    folder = workdir.begin(folder, experiment.config, is_chief)
    run = _Run(experiment, folder)
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(run.writing_folder())
        state = run.start(target)
        history = HistoryFile(target / workdir.HISTORY, state.step)
        history = stack.enter_context(history)
        report, show = stack.enter_context(watch(target, state))

        def report_all(record):
            history(record)
            report(record)

        hooks = Hooks(report_all, run.save, show, stop)
        with naming_lost_workers(experiment.strategy):
            while state.phase < len(experiment.config.training.phases):
                state = run.phase(state, hooks)
        phases.set_trainable(experiment.model.backbone)
        return read_history(target / workdir.HISTORY)


class _Run:
    """The model, its checkpoints, and what is still to be restored.

    Args:
        experiment: an `Experiment`.
        folder: path of the run's folder.
    """

    def __init__(self, experiment, folder):
        self.experiment = experiment
        self.config = experiment.config
        self.folder = folder
        self.reader = self._store(folder)
        self.writer = None
        with experiment.strategy.scope():
            self.learners = experiment.learners()
        self.model = next(iter(self.learners.values()))
        self.device_flops_per_sec = flops.matmul_flops_per_sec(
            self.model.backbone.compute_dtype, experiment.strategy
        )

    def _store(self, folder):
        keep = self.config.training.keep_checkpoints
        return CheckpointStore(folder / workdir.CHECKPOINTS, keep)

    @contextlib.contextmanager
    def writing_folder(self):
        """The run's folder for the chief, a scratch one for other workers."""
        if strategies.is_chief(self.experiment.strategy):
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="gpt3_keras_worker_") as path:
            yield pathlib.Path(path)

    def start(self, target):
        """The state to go on from; opens `target` for writing."""
        self.writer = self._store(target)
        self.to_restore = self.reader.latest()
        if self.to_restore is None:
            return RunState.start(self.config)
        state = RunState.from_dict(self.reader.read_state(self.to_restore))
        if target == self.folder:
            self._mark_best(state)
        if state.phase == len(self.config.training.phases):
            self._restore(state)
        return state

    def _mark_best(self, state):
        """Makes good a kill between a best checkpoint and its mark."""
        best = state.best_step
        if best in self.reader.steps() and best != self.reader.best():
            self.reader.mark_best(best)

    def _restore(self, state):
        """Reads the checkpoint to go on from, once."""
        if self.to_restore is not None:
            begins = state.step == state.first_step
            optimizer = None if begins else self.model.optimizer
            model = self.experiment.model
            self.reader.restore(self.to_restore, model, optimizer)
            self.to_restore = None

    def _restore_best(self, step):
        """Reads the weights of the phase's best checkpoint."""
        stores = (self.writer, self.reader)
        (store, *_) = [store for store in stores if step in store.steps()]
        store.restore(step, self.experiment.model, None)

    def _flops_per_token(self, kind, length):
        """What a token costs, as a share of what the device does in 1 s.

        Args:
            kind: "text"; of "task" nobody knows how many tokens are targets.
            length: int, tokens in its row.

        Returns:
            float, or None.
        """
        if kind == "task":
            return None
        num_flops = flops.train_step_flops(self.model.backbone, 1, length)
        return num_flops / length / self.device_flops_per_sec

    def _locate(self, error, state):
        """The message of an error with the run's own step in it."""
        phase = self.config.training.phases[state.phase].name
        step = state.first_step + error.step
        saved = self.writer.latest()
        kept = "There is no checkpoint yet."
        if saved is not None:
            kept = f"The checkpoint of step {saved} is the last good one."
        return f"{error.describe(f'step {step} of phase {phase!r}')} {kept}"

    def save(self, state, is_best=False):
        """Writes a checkpoint of the state, the weights and the optimizer."""
        begins = state.step == state.first_step
        self.writer.save(
            state.step,
            self.experiment.model,
            # A phase begins with a new one.
            None if begins else self.model.optimizer,
            state.as_dict(),
            is_best,
        )

    def phase(self, state, hooks):
        """Makes a phase's remaining steps; returns the next one's state."""
        data = self.experiment.phase_data[state.phase]
        kind = self.config.training.phases[state.phase].data
        self.model = self.learners[kind]
        with self.experiment.strategy.scope():
            schedule = phases.prepare(self.model, self.config, state, data)
        self._restore(state)
        measures = schedule, self._flops_per_token(kind, data.tokens_per_row)
        try:
            phases.run_phase(
                self.model, self.config, state, data, measures, hooks
            )
        except NotFiniteError as error:
            error.args = (self._locate(error, state),)
            raise
        is_over = state.step >= state.first_step + (
            self.config.training.phases[state.phase].steps
        )
        if not (is_over or state.stopping.is_over):
            raise Interrupted(hooks.stop.signal, state.step)
        if state.stopping.best_step != state.step:
            self._restore_best(state.stopping.best_step)
        state = state.next_phase(self.config)
        self.save(state, is_best=state.best_step == state.step)
        return state
