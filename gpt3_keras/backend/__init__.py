"""The one room that knows gradients and devices, chosen by Keras' backend."""

import importlib

import keras

from gpt3_keras.backend.errors import NotFiniteError
from gpt3_keras.backend.errors import WorkerLostError

BACKENDS = ("tensorflow", "jax", "torch")

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"The backend of Keras must be one of {', '.join(BACKENDS)}. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}."
    )

_chosen = importlib.import_module(f"{__name__}.{keras.backend.backend()}")

build_optimizer = _chosen.build_optimizer
compiled = _chosen.compiled
current_value = _chosen.current_value
decoding_cache = _chosen.decoding_cache
fused_recurrence = _chosen.fused_recurrence
generate_function = _chosen.generate_function
gru = _chosen.gru
lstm = _chosen.lstm
mixture_loss = _chosen.mixture_loss
naming_lost_workers = _chosen.naming_lost_workers
padded_sizes = _chosen.padded_sizes
rows_where = _chosen.rows_where
step_function = _chosen.step_function
sync_variables = _chosen.sync_variables
target_log_probs = _chosen.target_log_probs
test_step = _chosen.test_step
train_step = _chosen.train_step

__all__ = [
    "BACKENDS",
    "NotFiniteError",
    "WorkerLostError",
    "build_optimizer",
    "compiled",
    "current_value",
    "decoding_cache",
    "fused_recurrence",
    "generate_function",
    "gru",
    "lstm",
    "mixture_loss",
    "naming_lost_workers",
    "padded_sizes",
    "rows_where",
    "step_function",
    "sync_variables",
    "target_log_probs",
    "test_step",
    "train_step",
]
