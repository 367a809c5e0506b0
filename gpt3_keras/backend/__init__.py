"""The one room that knows gradients and devices, chosen by Keras' backend."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "gpt3_keras runs on the TensorFlow backend of Keras. Received: "
        f"KERAS_BACKEND={keras.backend.backend()!r}."
    )

from gpt3_keras.backend.errors import NotFiniteError
from gpt3_keras.backend.errors import WorkerLostError
from gpt3_keras.backend.tensorflow import compiled
from gpt3_keras.backend.tensorflow import mixture_loss
from gpt3_keras.backend.tensorflow import rows_where
from gpt3_keras.backend.tensorflow import stateless_uniform
from gpt3_keras.backend.tensorflow import target_log_probs
from gpt3_keras.backend.tensorflow_checks import naming_lost_workers
from gpt3_keras.backend.tensorflow_recurrence import gru
from gpt3_keras.backend.tensorflow_recurrence import lstm
from gpt3_keras.backend.tensorflow_steps import build_optimizer
from gpt3_keras.backend.tensorflow_steps import step_function
from gpt3_keras.backend.tensorflow_training import test_step
from gpt3_keras.backend.tensorflow_training import train_step

__all__ = [
    "NotFiniteError",
    "WorkerLostError",
    "build_optimizer",
    "compiled",
    "gru",
    "lstm",
    "mixture_loss",
    "naming_lost_workers",
    "rows_where",
    "stateless_uniform",
    "step_function",
    "target_log_probs",
    "test_step",
    "train_step",
]
