"""JAX: how the rows of a batch are spread over devices."""

import keras


def num_batch_shards():
    """Into how many parts `keras.distribution` splits a batch."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.num_model_replicas
