"""What the TensorFlow backend offers; the others have the same names."""

from gpt3_keras.backend.plain import current_value as current_value
from gpt3_keras.backend.plain import padded_sizes as padded_sizes
from gpt3_keras.backend.plain import sync_variables as sync_variables
from gpt3_keras.backend.tensorflow.checks import (
    naming_lost_workers as naming_lost_workers,
)
from gpt3_keras.backend.tensorflow.cudnn import (
    fused_recurrence as fused_recurrence,
)
from gpt3_keras.backend.tensorflow.decoding import (
    decoding_cache as decoding_cache,
)
from gpt3_keras.backend.tensorflow.functions import compiled as compiled
from gpt3_keras.backend.tensorflow.functions import (
    generate_function as generate_function,
)
from gpt3_keras.backend.tensorflow.head import mixture_loss as mixture_loss
from gpt3_keras.backend.tensorflow.head import rows_where as rows_where
from gpt3_keras.backend.tensorflow.head import (
    target_log_probs as target_log_probs,
)
from gpt3_keras.backend.tensorflow.recurrence import gru as gru
from gpt3_keras.backend.tensorflow.recurrence import lstm as lstm
from gpt3_keras.backend.tensorflow.steps import (
    build_optimizer as build_optimizer,
)
from gpt3_keras.backend.tensorflow.steps import step_function as step_function
from gpt3_keras.backend.tensorflow.training import test_step as test_step
from gpt3_keras.backend.tensorflow.training import train_step as train_step
