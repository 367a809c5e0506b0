"""JAX: functions of a model as compiled programs."""

import functools

import jax
import keras

# Rows are as long as the next multiple of it.
_LENGTH_STEP = 64


def padded_sizes(num_rows, length, max_length):
    """The next sizes of a few, so that few programs are compiled.

    Args:
        num_rows, length: ints, of what is to be written.
        max_length: int, the longest row.

    Returns:
        The next power of two, and the next multiple of 64 up to `max_length`.
    """
    rows = 1 << (num_rows - 1).bit_length()
    return rows, min(-(-length // _LENGTH_STEP) * _LENGTH_STEP, max_length)


def compiled(function, model):
    """`function` of arrays under `jax.jit`.

    Args:
        function: of arrays, and of Python numbers, for each of which it is
            compiled anew.
        model: the Keras model whose variables it reads.
    """

    @functools.partial(jax.jit, static_argnums=0)
    def run(numbers, values, arrays):
        arguments = [
            array if number is None else number
            for number, array in zip(numbers, arrays, strict=True)
        ]
        mapping = zip(model.variables, values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            return function(*arguments)

    def call(*arguments):
        is_number = [isinstance(x, int | float) for x in arguments]
        parts = list(zip(is_number, arguments, strict=True))
        return run(
            tuple(x if number else None for number, x in parts),
            [variable.value for variable in model.variables],
            tuple(None if number else x for number, x in parts),
        )

    return call
