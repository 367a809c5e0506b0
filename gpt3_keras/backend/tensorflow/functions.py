"""TensorFlow: functions of a model as graphs."""

import functools

import tensorflow as tf


def generate_function(model):
    """`model.generate_step` as one graph for rows of any number and length.

    Args:
        model: a `GPT3CausalLM`.

    Returns:
        A function of the inputs' dict and of stop tokens, each choice of
        which has a graph.
    """
    signature = {
        "token_ids": tf.TensorSpec((None, None), "int32"),
        "padding_mask": tf.TensorSpec((None, None), "bool"),
    }

    @functools.cache
    def with_stops(stop_token_ids):
        stops = stop_token_ids and list(stop_token_ids)
        return tf.function(
            lambda inputs: model.generate_step(inputs, stops),
            input_signature=[signature],
            autograph=False,
        )

    def generate(inputs, stop_token_ids=None):
        stops = stop_token_ids and tuple(stop_token_ids)
        return with_stops(stops)(
            {
                name: tf.cast(inputs[name], spec.dtype)
                for name, spec in signature.items()
            }
        )

    return generate


def compiled(function, model):
    """`function` of tensors as one graph, traced once for each structure.

    Args:
        function: of tensors, and of numbers that each get a graph of their
            own.
        model: the Keras model whose variables it reads.
    """
    del model  # A graph holds the variables themselves.
    return tf.function(function, reduce_retracing=True, autograph=False)
