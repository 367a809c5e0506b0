"""What `fit` and `evaluate` run, on one device or under a strategy."""

import itertools

import tensorflow as tf

from gpt3_keras.backend import tensorflow_checks as checks
from gpt3_keras.backend.errors import WorkerLostError

# What a collective raises in those that are left.
_NETWORK_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


def build_optimizer(model):
    """Makes the optimizer's variables where the model's are.

    Made inside of the first step, they would have it traced twice.
    """
    if not model.optimizer.built:
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)


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

    @tf.autograph.experimental.do_not_convert
    def one_step(data):
        return checks.local(strategy.run(step, args=(data,)), strategy)

    def all_steps(iterator):
        for _ in tf.range(model.steps_per_execution - 1):
            one_step(next(iterator))
        return one_step(next(iterator))

    if not model.run_eagerly:
        one_step = tf.function(one_step, reduce_retracing=True)
        all_steps = tf.function(all_steps, reduce_retracing=True)
    in_graph = (tf.data.Iterator, tf.distribute.DistributedIterator)

    def function(iterator):
        try:
            if isinstance(iterator, in_graph):
                return all_steps(iterator)
            for data in itertools.islice(iterator, model.steps_per_execution):
                logs = one_step(data)
            return logs
        except tf.errors.InvalidArgumentError as error:
            raise checks.named(error, model) from None
        except _NETWORK_ERRORS as error:
            if not isinstance(
                strategy, tf.distribute.MultiWorkerMirroredStrategy
            ):
                raise
            reason = error.message.splitlines()[0].rstrip(". ")
            raise WorkerLostError(reason) from None

    return function
