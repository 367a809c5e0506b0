"""What `fit` and `evaluate` run, on one device or under a strategy."""

import tensorflow as tf

from gpt3_keras.backend import errors
from gpt3_keras.backend import plain
from gpt3_keras.backend.tensorflow import checks


def build_optimizer(model):
    """Makes the optimizer's variables where the model's are.

    Made inside of the first step, they would have it traced twice.
    """
    with model.distribute_strategy.scope():
        plain.build_optimizer(model)


def step_function(model, step):
    """What `fit` and `evaluate` call with an iterator of batches.

    Keras' own takes a mean of what the replicas return, which several workers
    cannot (it needs an axis); here they have all returned the same.

    Args:
        model: a `GPT3CausalLM`.
        step: its `train_step` or `test_step`.

    Returns:
        A function from an iterator to the logs of the last of
        `model.steps_per_execution` steps. It raises `NotFiniteError` and
        `WorkerLostError`.
    """
    strategy = model.distribute_strategy
    step = model._autoconvert_optionals(step)

    def one_step(data):
        return checks.local(strategy.run(step, args=(data,)), strategy)

    def all_steps(iterator):
        return _up_to(model.steps_per_execution, one_step, iterator)

    if not model.run_eagerly:
        one_step, all_steps = (
            tf.function(each, reduce_retracing=True, autograph=False)
            for each in (one_step, all_steps)
        )
    in_graph = (tf.data.Iterator, tf.distribute.DistributedIterator)

    def function(iterator):
        try:
            with checks.naming_lost_workers(strategy):
                if isinstance(iterator, in_graph):
                    logs = all_steps(iterator)
                    checks.raise_if_bad(logs, model)
                    return logs
                steps = range(model.steps_per_execution)
                for _, data in zip(steps, iterator, strict=False):
                    logs = one_step(data)
                    checks.raise_if_bad(logs, model)
                return logs
        except tf.errors.InvalidArgumentError as error:
            raise checks.named(error, model) from None

    return function


def _up_to(num_steps, one_step, iterator):
    """So many steps, or as many as there are batches; the last one's logs."""
    logs = one_step(iterator.get_next())
    if num_steps == 1:
        return logs

    def body(count, _, batch):
        logs = one_step(batch.get_value())
        # No batch is taken that this call has no step for.
        return (
            count + 1,
            logs,
            tf.cond(
                count + 1 < num_steps,
                iterator.get_next_as_optional,
                lambda: batch,
            ),
        )

    def goes_on(count, logs, batch):
        is_fine = True
        if errors.IS_BAD in logs:
            is_fine = ~tf.reduce_any(logs[errors.IS_BAD])
        return (count < num_steps) & batch.has_value() & is_fine

    return tf.while_loop(
        goes_on,
        body,
        (1, logs, iterator.get_next_as_optional()),
        parallel_iterations=1,
    )[1]
