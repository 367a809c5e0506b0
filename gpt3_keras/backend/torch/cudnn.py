"""PyTorch: whole rows of a recurrence by cuDNN, on a GPU."""

import functools

import torch

# Where PyTorch's gates stand among ours: its GRU begins with the reset gate.
_GATES = {"gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}


def fused_recurrence(cell):
    """The states of whole rows by one operation, or None without cuDNN.

    Arguments and result as on TensorFlow. PyTorch has the same operation on a
    CPU, but not always a faster one than a loop of our own.
    """
    if not (torch.cuda.is_available() and torch.backends.cudnn.is_available()):
        return None
    return functools.partial(states, cell)


def states(cell, inputs, kernel, recurrent_kernel, bias, recurrent_bias):
    """What `fused_recurrence` gives, on whichever device the inputs are."""
    order = _GATES[cell]

    def by_gate(x):
        gates = x.chunk(len(order), dim=-1)
        return torch.cat([gates[i] for i in order], dim=-1)

    weights = [by_gate(x).t().contiguous() for x in (kernel, recurrent_kernel)]
    biases = [by_gate(x) for x in (bias, recurrent_bias)]
    zero_1BD = inputs.new_zeros(1, len(inputs), recurrent_kernel.shape[0])
    is_lstm = cell == "lstm"
    return (torch.lstm if is_lstm else torch.gru)(
        inputs,
        (zero_1BD, zero_1BD) if is_lstm else zero_1BD,
        [*weights, *biases],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=True,
    )[0]
