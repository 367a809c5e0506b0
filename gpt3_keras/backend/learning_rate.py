"""The learning rate of a step, made once."""

import contextlib
import functools


@contextlib.contextmanager
def made_once(optimizer):
    """Has the optimizer ask its schedule once in one `apply`.

    Keras asks again for each matrix that decays: with this package's schedule
    a third of the operations of a small model's step. There is no argument
    for it. Under a strategy replicas enter one after the other, and leave
    when all have read the rate.
    """
    optimizer._get_current_learning_rate = functools.cache(
        optimizer._get_current_learning_rate
    )
    try:
        yield
    finally:
        vars(optimizer).pop("_get_current_learning_rate", None)
