"""Numbers that are none: found in the graph, named outside of it."""

import contextlib
import re

import keras
import tensorflow as tf
from keras import tree

from gpt3_keras.backend.errors import IS_BAD
from gpt3_keras.backend.errors import WorkerLostError
from gpt3_keras.backend.errors import not_finite

# What a collective raises in those that are left, when a worker is gone.
_NETWORK_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)
_MARK = "gpt3_keras_not_finite"


def assert_finite(holds, iterations, is_bad):
    """An operation that fails unless `holds`, and then tells what is bad.

    Args:
        holds: bool scalar.
        iterations: int scalar, the optimizer's updates so far.
        is_bad: bool (N,), for the sums of the losses and for each variable.
    """
    step = tf.cast(tf.convert_to_tensor(iterations), "int64") + 1
    bits = tf.cast(is_bad, "int32")
    return tf.debugging.Assert(holds, [_MARK, step, bits], summarize=1 << 20)


def named(error, model):
    """The `NotFiniteError` that an operation's error stands for, or itself."""
    found = re.search(rf"{_MARK}\W+(\d+)\W+([01][01, ]*)", error.message)
    if not found:
        return error
    is_bad = [bit == "1" for bit in re.findall("[01]", found[2])]
    return not_finite(model, int(found[1]), is_bad)


def raise_if_bad(logs, model):
    """Takes the mark of a step that was undone out of its logs.

    Raises:
        NotFiniteError: the mark is set; no weight has changed.
    """
    is_bad = logs.pop(IS_BAD, None)
    if is_bad is None or not is_bad.numpy().any():
        return
    step = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) + 1
    raise not_finite(model, step, is_bad.numpy())


def local(values, strategy):
    """This process's first replica's part of `values`."""
    return tree.map_structure(
        lambda x: strategy.experimental_local_results(x)[0], values
    )


@contextlib.contextmanager
def naming_lost_workers(strategy):
    """Raises `WorkerLostError` for what the network raises inside.

    Args:
        strategy: the `tf.distribute.Strategy`; without other workers errors
            stay what they are.
    """
    try:
        yield
    except _NETWORK_ERRORS as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        reason = error.message.splitlines()[0]
        # What comes before names an operation of TensorFlow's.
        reason = re.sub(r"^\{\{.*?\}\}\s*", "", reason).rstrip(". ")
        raise WorkerLostError(reason) from None
