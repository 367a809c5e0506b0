"""The one room that knows gradients and devices, chosen by Keras' backend."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "gpt3_keras runs on the TensorFlow backend of Keras. Received: "
        f"KERAS_BACKEND={keras.backend.backend()!r}."
    )

from gpt3_keras.backend.tensorflow import compiled
from gpt3_keras.backend.tensorflow import mixture_loss
from gpt3_keras.backend.tensorflow import stateless_uniform
from gpt3_keras.backend.tensorflow import target_log_probs
from gpt3_keras.backend.tensorflow import train_step
from gpt3_keras.backend.tensorflow_recurrence import gru
from gpt3_keras.backend.tensorflow_recurrence import lstm

__all__ = [
    "compiled",
    "gru",
    "lstm",
    "mixture_loss",
    "stateless_uniform",
    "target_log_probs",
    "train_step",
]
