"""JAX: how the rows of a batch are spread over devices."""

import keras


def num_batch_shards():
    """Into how many parts `keras.distribution` splits a batch."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    place = mesh.axis_names.index(distribution.batch_dim_name)
    return mesh.shape[place]
