"""What JAX's `fit` and `evaluate` run."""

import jax
import keras
import numpy as np

from gpt3_keras.backend import errors


def step_function(model, step):
    """What `fit` and `evaluate` call with a state and an iterator.

    Args:
        model: a `GPT3CausalLM`.
        step: its `train_step` or `test_step`.

    Returns:
        A function from (state, iterator) to the logs of the last of
        `model.steps_per_execution` steps, and the new state. It raises
        `NotFiniteError`; the model then has the state before the bad step.
    """
    if not model.run_eagerly:
        step = jax.jit(
            step, donate_argnums=0, out_shardings=_shardings(model, step)
        )

    def function(state, iterator):
        logs, state = step(state, next(iterator))
        _check(model, logs, state)
        for _ in range(model.steps_per_execution - 1):
            try:
                data = next(iterator)
            except StopIteration:
                break
            logs, state = step(state, data)
            _check(model, logs, state)
        return logs, state

    return function


def sync_variables(model):
    """Gives the variables the values that `fit` goes on with.

    Between two steps those are no variables': whoever reads or changes the
    model in a callback calls this first.
    """
    model.jax_state_sync()


def current_value(model, metric_variable):
    """The value of one metric variable, in a callback, as a NumPy array."""
    values = (getattr(model, "_jax_state", None) or {}).get("metrics_variables")
    if values is None or model._jax_state_synced:
        return np.asarray(metric_variable.value)
    variables = model.metrics_variables
    place = [v is metric_variable for v in variables].index(True)
    return np.asarray(values[place])


def _check(model, logs, state):
    """Takes the mark of bad numbers out of `logs`; raises if one is set."""
    is_bad = logs.pop(errors.IS_BAD, None)
    if is_bad is None or not (is_bad := np.asarray(is_bad)).any():
        return
    names = (
        "trainable_variables",
        "non_trainable_variables",
        "optimizer_variables",
        "metrics_variables",
    )
    # What the trainer holds has been given away to the step.
    model._jax_state = dict(zip(names, state, strict=True))
    variables = model.optimizer.variables
    place = [v is model.optimizer.iterations for v in variables].index(True)
    raise errors.not_finite(model, int(state[2][place]) + 1, is_bad)


def _shardings(model, step):
    """Where a step's logs and state lie: the state where it lay before."""
    if keras.distribution.distribution() is None:
        return None
    groups = [model.trainable_variables, model.non_trainable_variables]
    if step == model.train_step:
        groups.append(model.optimizer.variables)
    groups.append(model.metrics_variables)
    return None, tuple([v.value.sharding for v in group] for group in groups)
