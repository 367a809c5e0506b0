"""PyTorch's devices: the one that Keras chose; see `strategies`."""

import contextlib

import torch
from keras import ops


class OneDevice:
    """A strategy that spreads nothing."""

    num_replicas_in_sync = 1

    def scope(self):
        return contextlib.nullcontext()


def make_strategy(runtime):
    """The `OneDevice`.

    Args:
        runtime: a `RuntimeConfig`.

    Raises:
        ValueError: if it asks for more.
    """
    if runtime.strategy != "off":
        raise ValueError(
            "runtime.strategy must be off on PyTorch, which trains on one "
            "device here; KERAS_BACKEND=tensorflow or jax have more. "
            f"Received: runtime.strategy={runtime.strategy}."
        )
    if runtime.steps_per_execution != 1:
        raise ValueError(
            "runtime.steps_per_execution must be 1 on PyTorch. Received: "
            f"runtime.steps_per_execution={runtime.steps_per_execution}."
        )
    if runtime.deterministic:
        torch.use_deterministic_algorithms(True)
    return OneDevice()


def default_strategy():
    """The `OneDevice`."""
    return OneDevice()


@contextlib.contextmanager
def waiting_for_workers(runtime):
    """Nothing: there are no others."""
    del runtime
    yield


def is_chief(strategy):
    """Whether this process is the one of its job that writes: it is alone."""
    del strategy
    return True


def found_by_all(strategy, number):
    """The set of the numbers that all have: this process is alone."""
    del strategy
    return {number}


def platform(strategy):
    """What kind of device is computed on."""
    del strategy
    return "gpu" if torch.cuda.is_available() else "cpu"


def on_every_replica(function, strategy):
    """A function that runs another, of a scalar, on the device, and waits."""
    del strategy

    @torch.no_grad()
    def waiting(number):
        float(function(ops.convert_to_tensor(number)))

    return waiting
