"""TensorFlow: a decoding cache that is written in place."""

import tensorflow as tf

from gpt3_keras import functional


def decoding_cache(cache):
    """A cache that decoding may overwrite, and how a position is set in it.

    `tf.tensor_scatter_nd_update` copies its whole tensor, even in a loop that
    has no other use for it; `InplaceUpdate` copies one position. It writes
    into the tensor that it is given, so the cache is copied once, and an
    earlier cache must not be read at a position that was set since. XLA lacks
    the operation; outside of a graph nothing says who else holds a tensor.

    Args:
        cache: nested dict of tensors.

    Returns:
        The cache, and a function as `functional.set_position`.
    """
    if tf.executing_eagerly():
        return cache, functional.set_position
    copied = tf.nest.map_structure(lambda x: tf.raw_ops.DeepCopy(x=x), cache)
    return copied, _set_position


def _set_position(values, update, index):
    """`functional.set_position` in place, on rows and positions in one."""
    batch, length = tf.unstack(tf.shape(values)[:2])
    inner = values.shape[2:]
    changed = tf.raw_ops.InplaceUpdate(
        x=tf.reshape(values, (-1, *inner)),
        i=tf.range(batch) * length + tf.cast(index, "int32"),
        v=tf.cast(tf.squeeze(update, axis=1), values.dtype),
    )
    changed = tf.reshape(changed, (batch, length, *inner))
    changed.set_shape(values.shape)
    return changed
