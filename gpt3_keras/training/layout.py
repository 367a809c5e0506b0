"""How rows and weights are spread over devices, for `keras.distribution`."""

import math
import re

import keras
import tensorflow as tf

ROWS = "batch"
WEIGHTS = "model"

# Each weight's axes on the mesh, by the end of its path. What one kernel
# writes in parts, the next one reads in parts.
_RULES = {
    # The embedding, and so the head, over the vocabulary.
    r"token_embedding/embeddings": (WEIGHTS, None),
    r"token_embedding/reverse_embeddings": (None, WEIGHTS),
    # Attention over its heads.
    r"attention/(query|key|value)/kernel": (None, WEIGHTS),
    r"attention/(query|value)/bias": (WEIGHTS,),
    r"attention/output/kernel": (WEIGHTS, None),
    # The recurrence over its hidden units, and the layer that reads it.
    r"recurrent/(input/kernel|recurrent_kernel)": (None, WEIGHTS),
    r"recurrent/(input/bias|recurrent_bias)": (WEIGHTS,),
    r"recurrent_dense/kernel": (WEIGHTS, None),
    # The pointer over its channels, its network over units, its positions
    # over the sources.
    r"pointer/(query|key)/kernel": (None, WEIGHTS),
    r"pointer/query/bias": (WEIGHTS,),
    r"pointer/gate_\d+/kernel": (None, WEIGHTS),
    r"pointer/gate_\d+/bias": (WEIGHTS,),
    r"pointer/gate_output/kernel": (WEIGHTS, None),
    r"pointer/position_bias": (None, WEIGHTS),
    # Whole on every device: vectors that all of them add or scale by.
    r"position_embedding/embeddings": (None, None),
    r"(norm|attention_norm|recurrent_norm)/(gamma|beta)": (None,),
    r"(attention/output|recurrent_dense|pointer/gate_output)/bias": (None,),
    r"pointer/predecessor_share": (None,),
}


class _SplitRows:
    """How a batch's rows get to the devices of all processes."""

    def get_data_layout(self, data_shape):
        """Rows split, or where the devices do not divide them, all on each.

        Of several processes each gives its own rows, see
        `distribute_dataset`: there they are always divided.
        """
        layout = super().get_data_layout(data_shape)
        is_divided = data_shape[0] % self.num_model_replicas == 0
        if self._is_multi_process or is_divided:
            return layout
        axes = (None,) * len(data_shape)
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def distribute_dataset(self, dataset):
        """This process's rows of each batch.

        The global batch stays: it is cut into as many stretches as there are
        processes, filled up with rows of zeros, whose weight is 0.
        """
        if not self._is_multi_process:
            return dataset
        num_processes, process = self._num_processes, self._process_id
        unit = math.lcm(self.num_model_replicas, num_processes)

        def own_rows(x):
            num_rows = tf.shape(x)[0]
            missing = -num_rows % unit
            x = tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1))
            size = (num_rows + missing) // num_processes
            return x[process * size : (process + 1) * size]

        return dataset.map(
            lambda *batch: keras.tree.map_structure(own_rows, batch)
        )


class Replicas(_SplitRows, keras.distribution.DataParallel):
    """Every device has the whole model and some of a batch's rows.

    Args:
        devices: list of str, as `keras.distribution.list_devices` has them.
    """

    def __init__(self, devices):
        super().__init__(devices=devices)


class Shards(_SplitRows, keras.distribution.ModelParallel):
    """Every device has some of the weights and some of a batch's rows.

    The embedding and the head are split over the vocabulary, attention over
    heads, the recurrence over hidden units; vectors that all devices add or
    scale by are whole on each. A vocabulary that the devices do not divide,
    as 50,257 is, is split over the channels instead.

    Args:
        shape: pair of ints, into how many parts rows and weights are split.
        devices: list of str, as many as the product of `shape`.

    Raises:
        ValueError: while the model is made, of a weight whose size the
            devices do not divide.
    """

    def __init__(self, shape, devices):
        mesh = keras.distribution.DeviceMesh(
            tuple(shape), [ROWS, WEIGHTS], devices
        )
        super().__init__(
            layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name=ROWS
        )

    def get_variable_layout(self, variable):
        if getattr(variable, "_layout", None) is not None:
            return variable._layout
        axes = self._axes(variable.path, tuple(variable.shape))
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def _axes(self, path, shape):
        axes = rule_of(path)
        if axes is None:
            # Of the optimizer and the metrics; moments lie as their weights.
            return (None,) * len(shape)
        num_parts = self.device_mesh.shape[1]
        if _divides(num_parts, axes, shape):
            return axes
        if "embeddings" in path and _divides(num_parts, axes[::-1], shape):
            return axes[::-1]
        raise ValueError(
            "runtime.mesh's second number must divide the axis that a weight "
            f"is split over. Received: runtime.mesh={self.device_mesh.shape}, "
            f"{path} of shape {shape}."
        )


def distribution(mesh, devices):
    """The distribution of a config's `runtime.mesh` over devices.

    Args:
        mesh: pair of ints, as for `Shards`, or empty for `Replicas`.
        devices: list of str.
    """
    return Shards(mesh, devices) if mesh else Replicas(devices)


def rule_of(path):
    """The axes that the rules give a weight, or None: there is no rule."""
    for pattern, axes in _RULES.items():
        if re.search(rf"(^|/){pattern}$", path):
            return axes
    return None


def _divides(num_parts, axes, shape):
    return all(
        axis is None or size % num_parts == 0
        for axis, size in zip(axes, shape, strict=True)
    )
