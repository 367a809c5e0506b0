"""TensorFlow: whole recurrences by cuDNN, in steps of training on a GPU."""

import contextlib
import contextvars
import functools

import tensorflow as tf

# Where cuDNN's gates stand among ours: its GRU begins with the reset gate.
_GATES = {"gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}

_ALLOWED = contextvars.ContextVar("cuDNN is allowed", default=False)


@contextlib.contextmanager
def allowed(is_allowed):
    """A scope of a step whose recurrences may be cuDNN's.

    A graph with cuDNN's operation runs on no other device, nor under XLA. So
    it is for the steps of `fit` and `evaluate`, and whatever else is traced,
    by whichever exporter, has TensorFlow's own operations.
    """
    token = _ALLOWED.set(is_allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def fused_recurrence(cell):
    """The states of whole rows by one operation, or None without cuDNN.

    Args:
        cell: `"gru"` or `"lstm"`.

    Returns:
        A function of the inputs, float (B, T, D_in), of the kernel (D_in, G)
        and the recurrent kernel (D, G), and of the two biases (G,), where G
        is 3D or 4D, with the gates in the order of `functional.gru_cell` and
        `lstm_cell`. It gives the states, (B, T, D).
    """
    if not (_ALLOWED.get() and has_cudnn()):
        return None
    return functools.partial(_states, cell)


def has_cudnn():
    """Whether there is an NVIDIA GPU, and a TensorFlow made for it."""
    is_cuda_build = tf.sysconfig.get_build_info()["is_cuda_build"]
    return is_cuda_build and bool(tf.config.list_logical_devices("GPU"))


def _states(cell, inputs, kernel, recurrent_kernel, bias, recurrent_bias):
    batch, num_steps = tf.unstack(tf.shape(inputs)[:2])
    # cuDNN counts layers on the axis in the middle.
    zero_B1D = tf.zeros((batch, 1, recurrent_kernel.shape[0]), inputs.dtype)
    return tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=zero_B1D,
        input_c=zero_B1D if cell == "lstm" else tf.zeros((), inputs.dtype),
        params=_parameters(
            cell, [kernel, recurrent_kernel], [bias, recurrent_bias]
        ),
        sequence_lengths=tf.fill((batch,), num_steps),
        rnn_mode=cell,
        time_major=False,
    ).output


def _parameters(cell, kernels, biases):
    """All weights in cuDNN's order, float (N,).

    The matrices, each gate's turned to (D, D_in) or (D, D), before the
    biases, and what belongs to the inputs before what belongs to the state.
    Reference: NVIDIA's cuDNN documentation, `cudnnGetRNNWeightParams`.
    """
    order = _GATES[cell]

    parts = []
    for weights in (*kernels, *biases):
        gates = tf.split(weights, len(order), axis=-1)
        parts += [tf.reshape(tf.transpose(gates[i]), [-1]) for i in order]
    return tf.concat(parts, axis=0)
