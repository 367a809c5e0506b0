"""What a backend does where it has nothing of its own to do."""

import contextlib

import keras

from gpt3_keras import functional


def build_optimizer(model):
    """Makes the optimizer's variables, where their model's are."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def sync_variables(model):
    """Nothing: the variables always have their values."""
    del model


def generate_function(model):
    """None: KerasHub's own serves."""
    del model


def fused_recurrence(cell):
    """None: a recurrence is a loop over its steps."""
    del cell


def decoding_cache(cache):
    """The cache as it is, and the function that sets a position in it."""
    return cache, functional.set_position


def padded_sizes(num_rows, length, max_length):
    """The sizes themselves: each is as good as another."""
    del max_length
    return num_rows, length


def current_value(model, metric_variable):
    """The value of one metric variable, in a callback, as a NumPy array."""
    del model
    return keras.ops.convert_to_numpy(metric_variable)


@contextlib.contextmanager
def naming_lost_workers(strategy):
    """Nothing: there are no others, or the backend ends their job itself."""
    del strategy
    yield
