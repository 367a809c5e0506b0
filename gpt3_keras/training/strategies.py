"""The devices that a run is spread over, on whichever backend.

Numbers do not depend on them: see `backend`'s train steps. On TensorFlow a
strategy is one of `tf.distribute`; on JAX it stands for a
`keras.distribution`; PyTorch has the one device that Keras chose. All have
`scope` and `num_replicas_in_sync`. It must be made before the backend has
computed anything.
"""

import importlib

import keras

_MODULES = {
    "tensorflow": "gpt3_keras.training.strategies_tensorflow",
    "jax": "gpt3_keras.training.strategies_jax",
    "torch": "gpt3_keras.training.strategies_torch",
}
_chosen = importlib.import_module(_MODULES[keras.backend.backend()])

_PRECISION_OF_DEVICE = {
    "tpu": "mixed_bfloat16",
    "gpu": "mixed_float16",
    "cpu": "float32",
}

# Each is documented where it is written.
make_strategy = _chosen.make_strategy
default_strategy = _chosen.default_strategy
waiting_for_workers = _chosen.waiting_for_workers
is_chief = _chosen.is_chief
on_every_replica = _chosen.on_every_replica


def resolve_precision(precision, strategy):
    """The dtype policy that `precision` stands for on a strategy's devices.

    >>> resolve_precision("mixed_bfloat16", strategy=None)
    'mixed_bfloat16'
    """
    if precision != "auto":
        return precision
    return _PRECISION_OF_DEVICE[_chosen.platform(strategy)]


def check_agreement(strategy, step):
    """Raises unless all workers would go on from the same step.

    Args:
        strategy: what `make_strategy` gave.
        step: int, of the checkpoint that this worker found, or None.
    """
    steps = sorted(_chosen.found_by_all(strategy, -1 if step is None else step))
    if len(steps) > 1:
        raise ValueError(
            "All workers must see the same folder, and in it the same last "
            f"checkpoint. Received: the steps {steps} (-1: none)."
        )
