"""PyTorch: the two recurrences with their gradients."""

import torch

from gpt3_keras import functional_recurrence as equations
from gpt3_keras.functional_recurrence import time_first


def gru(projection, recurrent_kernel, recurrent_bias):
    """States of a GRU, float (B, T, D); arguments as on TensorFlow."""
    return _Gru.apply(projection, recurrent_kernel, recurrent_bias)


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(context, projection, recurrent_kernel, recurrent_bias):
        states_TBD, saved_TBG = equations.gru_states(
            _scan, time_first(projection), recurrent_kernel, recurrent_bias
        )
        context.save_for_backward(states_TBD, saved_TBG, recurrent_kernel)
        return time_first(states_TBD)

    @staticmethod
    def backward(context, upstream):
        d_projection_TBG, d_kernel, d_bias = equations.gru_gradient(
            _scan, *context.saved_tensors, time_first(upstream)
        )
        return time_first(d_projection_TBG), d_kernel, d_bias


def lstm(projection, recurrent_kernel):
    """States and cells of an LSTM; arguments as on TensorFlow."""
    return _Lstm.apply(projection, recurrent_kernel)


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(context, projection, recurrent_kernel):
        forward = equations.lstm_states(
            _scan, time_first(projection), recurrent_kernel
        )
        context.save_for_backward(*forward, recurrent_kernel)
        return tuple(time_first(x) for x in forward[:2])

    @staticmethod
    def backward(context, *upstream):
        *forward, recurrent_kernel = context.saved_tensors
        d_projection_TBG, d_kernel = equations.lstm_gradient(
            _scan, forward, recurrent_kernel, [time_first(u) for u in upstream]
        )
        return time_first(d_projection_TBG), d_kernel


def _scan(step, inputs, carry, num_outputs, reverse=False):
    """The loop that `functional_recurrence` wants."""
    places = range(inputs[0].shape[0])
    sinks = [[] for _ in range(num_outputs)]
    for place in reversed(places) if reverse else places:
        carry, outputs = step([x[place] for x in inputs], carry)
        for sink, output in zip(sinks, outputs, strict=True):
            sink.append(output)
    if reverse:
        sinks = [sink[::-1] for sink in sinks]
    return [torch.stack(sink) for sink in sinks]
