"""GRU and LSTM over time, on the backend's own kernels."""

import keras
from keras import ops

from gpt3_keras import backend
from gpt3_keras import functional

CELLS = ("gru", "lstm")


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Recurrent(keras.layers.Layer):
    """A recurrence over time that starts from zeros.

    `functional.gru_cell` or `functional.lstm_cell`, step after step. The
    input products of all steps are one matrix product before the loop. Steps
    of `fit` and `evaluate` on an NVIDIA GPU leave whole rows to cuDNN, on
    TensorFlow (not under XLA) and PyTorch.

    Args:
        units: int, D.
        cell: `"gru"` or `"lstm"`.

    Call arguments:
        inputs: float (B, T, D_in).

    Returns:
        float (B, T, D), the state after each step.

    Raises:
        ValueError: `cell` is not one of the two.

    Example:

    ```python
    >>> Recurrent(4, cell="lstm")(keras.ops.ones((2, 3, 8))).shape
    TensorShape([2, 3, 4])

    ```

    Reference: Cho et al. 2014 (arXiv:1406.1078), eqs. 5-8, with the reset gate
    after the product; Hochreiter & Schmidhuber 1997. The LSTM's forget gate
    starts at a bias of one (Jozefowicz et al. 2015, section 2.2).
    """

    def __init__(self, units, cell="gru", **kwargs):
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(
                f"cell must be one of {CELLS}. Received: cell={cell!r}."
            )
        self.units = units
        self.cell = cell
        self.num_gates = 3 if cell == "gru" else 4
        self.input_dense = keras.layers.Dense(
            self.num_gates * units, dtype=self.dtype_policy, name="input"
        )

    def build(self, input_shape):
        self.input_dense.build(input_shape)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.num_gates * self.units),
            initializer=_orthogonal,
            name="recurrent_kernel",
        )
        bias_initializer = "zeros" if self.cell == "gru" else _forget_gate_open
        self.recurrent_bias = self.add_weight(
            shape=(self.num_gates * self.units,),
            initializer=bias_initializer,
            name="recurrent_bias",
        )
        self.built = True

    def call(self, inputs):
        fused = backend.fused_recurrence(self.cell)
        if fused is None or self.input_dense.quantization_mode:
            return self.prefill(inputs)[0]
        kernel, bias = self.input_dense.kernel, self.input_dense.bias
        return fused(
            inputs,
            ops.cast(kernel, self.compute_dtype),
            ops.cast(self.recurrent_kernel, self.compute_dtype),
            ops.cast(bias, self.compute_dtype),
            ops.cast(self.recurrent_bias, self.compute_dtype),
        )

    def prefill(self, inputs):
        """All states, and the memory that `decode` continues from.

        Returns:
            The states, float (B, T, D), and a dict of tensors (B, T, D).
        """
        projection = self.input_dense(inputs)
        kernel = ops.cast(self.recurrent_kernel, self.compute_dtype)
        bias = ops.cast(self.recurrent_bias, self.compute_dtype)
        if self.cell == "gru":
            states = backend.gru(projection, kernel, bias)
            return states, {"states": states}
        states, cells = backend.lstm(projection + bias, kernel)
        return states, {"states": states, "cells": cells}

    def decode(
        self, inputs, memory, index, set_position=functional.set_position
    ):
        """The state at position `index`, from the memory before it.

        Args:
            inputs: float (B, 1, D_in).
            memory: what `prefill` returned, or an earlier `decode`.
            index: int scalar tensor.
            set_position: puts what belongs to `index` into the memory.

        Returns:
            The state, float (B, 1, D), and the memory with it in its place.
        """
        kernel = ops.cast(self.recurrent_kernel, self.compute_dtype)
        bias = ops.cast(self.recurrent_bias, self.compute_dtype)
        projection = self.input_dense(inputs)
        previous = {
            name: functional.position_before(values, index)
            for name, values in memory.items()
        }
        product = ops.matmul(previous["states"], kernel) + bias
        if self.cell == "gru":
            state, _ = functional.gru_cell(
                projection, product, previous["states"]
            )
            new = {"states": state}
        else:
            state, cell, _ = functional.lstm_cell(
                projection, product, previous["cells"]
            )
            new = {"states": state, "cells": cell}
        memory = {
            name: set_position(memory[name], new[name], index)
            for name in memory
        }
        return state, memory

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "cell": self.cell}


def _orthogonal(shape, dtype=None):
    """A random matrix with orthogonal rows.

    Made in float32: TensorFlow has no QR decomposition in bfloat16.
    """
    matrix = keras.initializers.Orthogonal()(shape, "float32")
    return ops.cast(matrix, dtype or "float32")


def _forget_gate_open(shape, dtype=None):
    """Ones for the second of four gates, zeros elsewhere."""
    zeros, ones = (
        ops.zeros((shape[0] // 4,), dtype),
        ops.ones((shape[0] // 4,), dtype),
    )
    return ops.concatenate([zeros, ones, zeros, zeros])
