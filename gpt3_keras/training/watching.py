"""What a run shows of itself while it goes on."""

import contextlib

from gpt3_keras.training.progress import Progress
from gpt3_keras.training.progress import training_detail
from gpt3_keras.training.samples import SampleWriter
from gpt3_keras.training.tensorboard import TensorBoardWriter

TENSORBOARD = "tensorboard"


class Watch:
    """A progress line, TensorBoard, and samples of what the model writes.

    Args:
        experiment: the `Experiment` that is trained.
        draw: function of (attention, tokens, path), which draws the pointer.
    """

    def __init__(self, experiment, draw):
        self.experiment = experiment
        self.draw = draw

    @contextlib.contextmanager
    def __call__(self, folder, state):
        """Opens all of it for a run in `folder` that goes on from `state`.

        Gives a pair of functions: `report` of a record and `show` of a step.
        """
        num_steps = self.experiment.config.training.num_steps
        progress = Progress("training", num_steps, first=state.step)
        board = TensorBoardWriter(folder / TENSORBOARD, state.step)
        samples = _nothing
        if self.experiment.text_data():
            samples = SampleWriter(self.experiment, board, self.draw)
        with board, progress:

            def report(record):
                board(record)
                if "loss" in record:
                    progress.update(record["step"], training_detail(record))

            yield report, samples


def _nothing(step):
    """What a model shows that writes no text."""
