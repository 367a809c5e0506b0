"""Keras' optimizers, changed for one `apply` where they have no argument."""

import contextlib
import functools


@contextlib.contextmanager
def overridden(optimizer, name, method):
    """Gives an optimizer another method for a while.

    Under a strategy replicas enter one after the other, and leave when all
    have passed the place that calls it.
    """
    setattr(optimizer, name, method)
    try:
        yield
    finally:
        vars(optimizer).pop(name, None)


def learning_rate_made_once(optimizer):
    """Has the optimizer ask its schedule once in one `apply`.

    Keras asks again for each matrix that decays: with this package's schedule
    a third of the operations of a small model's step.
    """
    name = "_get_current_learning_rate"
    once = functools.cache(getattr(optimizer, name))
    return overridden(optimizer, name, once)
