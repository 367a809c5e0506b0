"""Gradients of kernels, in each way they may run, against differences.

The differences are taken of a NumPy oracle, in float64: they say what the
gradient should be, and not only that it fits the kernel's own value.
"""

import numpy as np
import tensorflow as tf

MODES = ("eager", "graph", "XLA")


def in_mode(mode, function, shapes):
    """`function` as it is, or traced with the unknown sizes in `shapes`."""
    if mode == "eager":
        return function
    signature = [tf.TensorSpec(shape, tf.float64) for shape in shapes]
    return tf.function(
        function, input_signature=signature, jit_compile=mode == "XLA"
    )


def value_and_gradients(mode, function, arrays, shapes):
    def run(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return value, tape.gradient(
            value, tensors, unconnected_gradients="zero"
        )

    return in_mode(mode, run, shapes)(*map(tf.constant, arrays))


def check(mode, function, oracle, arrays, shapes, **tolerance):
    """Compares a scalar function and its gradients with an oracle's."""
    value, gradients = value_and_gradients(mode, function, arrays, shapes)
    np.testing.assert_allclose(value, oracle(*arrays), **tolerance)
    expected = differences(oracle, arrays)
    for gradient, difference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, difference, **tolerance)


def differences(function, arrays, step=1e-5):
    """Central differences of a scalar function of float64 arrays."""
    arrays = [np.array(array, "float64") for array in arrays]
    results = []
    for array in arrays:
        result = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = function(*arrays)
            array[place] = kept - step
            below = function(*arrays)
            array[place] = kept
            result[place] = (above - below) / (2.0 * step)
        results.append(result)
    return results
