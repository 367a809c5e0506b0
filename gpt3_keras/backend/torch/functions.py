"""PyTorch: functions of a model without gradients."""

import torch
from keras import ops
from keras import tree


def compiled(function, model):
    """`function` of arrays and numbers, without gradients.

    Args:
        function: of arrays, or of dicts of them, and of Python numbers.
        model: the Keras model whose variables it reads.
    """
    del model  # They are read as they are.

    @torch.no_grad()
    def run(*arguments):
        return function(*tree.map_structure(_as_tensor, arguments))

    return run


def _as_tensor(x):
    return x if isinstance(x, int | float) else ops.convert_to_tensor(x)
