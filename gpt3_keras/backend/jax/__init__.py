"""What the JAX backend offers; the other backends have the same names."""

from gpt3_keras.backend.jax.functions import compiled as compiled
from gpt3_keras.backend.jax.functions import padded_sizes as padded_sizes
from gpt3_keras.backend.jax.head import mixture_loss as mixture_loss
from gpt3_keras.backend.jax.head import rows_where as rows_where
from gpt3_keras.backend.jax.head import target_log_probs as target_log_probs
from gpt3_keras.backend.jax.recurrence import gru as gru
from gpt3_keras.backend.jax.recurrence import lstm as lstm
from gpt3_keras.backend.jax.steps import current_value as current_value
from gpt3_keras.backend.jax.steps import step_function as step_function
from gpt3_keras.backend.jax.steps import sync_variables as sync_variables
from gpt3_keras.backend.jax.training import test_step as test_step
from gpt3_keras.backend.jax.training import train_step as train_step
from gpt3_keras.backend.plain import build_optimizer as build_optimizer
from gpt3_keras.backend.plain import decoding_cache as decoding_cache
from gpt3_keras.backend.plain import fused_recurrence as fused_recurrence
from gpt3_keras.backend.plain import generate_function as generate_function
from gpt3_keras.backend.plain import naming_lost_workers as naming_lost_workers
