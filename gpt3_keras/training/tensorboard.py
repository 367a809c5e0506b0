"""A run's curves, texts and pictures for TensorBoard."""

import contextlib
import pathlib
import sys
import time

import tensorflow as tf
from tensorboard.compat.proto import event_pb2

# TensorBoard keeps charts together whose tags begin alike.
_TAGS = {
    "loss": "loss/objective",
    "language_model_loss": "loss/language_model",
    "generator_loss": "loss/generator",
    "pointer_loss": "loss/pointer",
    "gate_loss": "loss/gate",
    "perplexity": "quality/perplexity",
    "pointer_mrr": "quality/pointer_mrr",
    "copied_share": "quality/copied_share",
    "tokens_per_sec": "speed/tokens_per_sec",
    "flops_utilisation": "speed/flops_utilisation",
}
_NOT_CURVES = ("phase", "step")


class TensorBoardWriter:
    """Writes records as curves, and texts and pictures, while it is open.

    There are two runs side by side, `train` and `validation`. Their tags are
    the same, so that a chart has both: `loss/objective` and one for each
    term, `quality/perplexity` and the like, `speed/tokens_per_sec`; and in
    `training/` the learning rate, the gradient norm and what else a record
    tells. Texts and pictures are of `validation`.

    Curves are no reason to end a training run. When they cannot be written,
    as on a full disk, one line on the error stream says so, and no more is
    written; the history file has the same numbers.

    Args:
        folder: path; a run that goes on does so in the same one.
        first_step: int, how many steps lie behind. What was written of later
            ones, before an interruption, is not shown any more: those steps
            are made again.
    """

    def __init__(self, folder, first_step=0):
        self.folder = pathlib.Path(folder)
        self.first_step = first_step
        self.writers = {}

    def __enter__(self):
        with self._or_stop():
            for run in ("train", "validation"):
                writer = tf.summary.create_file_writer(str(self.folder / run))
                self.writers[run] = writer
                _start(writer, self.first_step + 1)
        return self

    def __exit__(self, *exception):
        with self._or_stop():
            for writer in self.writers.values():
                writer.close()
        self.writers = {}

    def __call__(self, record):
        """Adds the numbers of a record, see `callbacks.StepMonitor`."""
        run = "validation" if "val_loss" in record else "train"
        curves = {
            name.removeprefix("val_"): value
            for name, value in record.items()
            if name not in _NOT_CURVES
        }

        def write():
            for name, value in curves.items():
                tf.summary.scalar(_TAGS.get(name, f"training/{name}"), value)

        self._write(run, record["step"], write)

    def text(self, step, tag, text):
        """Adds a text, shown letter by letter as it is."""
        # To TensorBoard it is Markdown, where what is indented is code.
        indented = "".join(f"    {line}\n" for line in text.split("\n"))
        self._write("validation", step, lambda: tf.summary.text(tag, indented))

    def image(self, step, tag, png):
        """Adds a picture: the bytes of a PNG, or its path."""
        if not isinstance(png, bytes):
            png = pathlib.Path(png).read_bytes()
        pixels = tf.io.decode_png(png)
        self._write(
            "validation", step, lambda: tf.summary.image(tag, pixels[None])
        )

    def _write(self, run, step, write):
        """Calls `write`, whose summaries are of `run` at `step`."""
        with self._or_stop():
            if run in self.writers:
                with self.writers[run].as_default(step):
                    write()
                self.writers[run].flush()

    @contextlib.contextmanager
    def _or_stop(self):
        """No more is written after a failure to write."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            self.writers = {}
            reason = " ".join(str(error).split())
            print(
                f"TensorBoard's files in {self.folder} cannot be written; "
                f"training goes on without them. Reason: {reason}",
                file=sys.stderr,
                flush=True,
            )


def _start(writer, step):
    """Lets readers forget what they have read of `step` and later ones.

    `tf.summary` has no function for it in TensorFlow 2, nor a public name for
    the resource that this needs.
    """
    event = event_pb2.Event(
        wall_time=time.time(),
        step=step,
        session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
    )
    with tf.device("CPU:0"):
        tf.raw_ops.ImportEvent(
            writer=writer._resource, event=event.SerializeToString()
        )
    writer.flush()
