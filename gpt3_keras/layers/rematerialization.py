"""Rematerialised calls: Keras' hook for them, on floating tensors alone."""

import keras


def scope(num_layers):
    """The scope in which a backbone's modules are made to be rematerialised.

    Args:
        num_layers: int, the encoder's blocks.
    """
    blocks = [f"block_{i}" for i in range(num_layers)]
    return keras.RematScope(
        mode="list_of_layers", layer_names=[*blocks, "block", "pointer"]
    )


def of_floats(rematerialize, call):
    """`call` as a function that keeps nothing for its gradient but inputs.

    What `rematerialize` wraps sees the floating tensors alone; all else is
    the same in both passes. `tf.recompute_grad`, which Keras uses on
    TensorFlow, adds to every argument and differentiates by it, and so takes
    no None, no mask and no keyword. The backward pass comes when the layer's
    `__call__` has ended, and with it the scope in which Keras casts weights:
    layers that use this cast their own. `keras.RematScope` is how to ask for
    all this.

    Args:
        rematerialize: function from a function to the same one rematerialised,
            `super().rematerialized_call` of a layer.
        call: the layer's `call`.

    Returns:
        A function with the arguments and the result of `call`.
    """

    def called(*args, **kwargs):
        arguments = keras.tree.flatten((args, kwargs))

        def of_them(*floats):
            floats = iter(floats)
            merged = [next(floats) if _is_float(x) else x for x in arguments]
            again = keras.tree.pack_sequence_as((args, kwargs), merged)
            return call(*again[0], **again[1])

        return rematerialize(of_them)(*filter(_is_float, arguments))

    return called


def _is_float(argument):
    return keras.ops.is_tensor(argument) and keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(argument.dtype)
    )
