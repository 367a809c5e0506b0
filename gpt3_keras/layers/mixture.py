"""The mixture of generating and copying, over the whole vocabulary."""

import keras
from keras import ops

from gpt3_keras import functional


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Mixture(keras.layers.Layer):
    """Log-probabilities of the next token.

    log p(v) = logaddexp(log g + log softmax(l)_v,
                         log(1 - g) + log sum_{j<=t, x_j=v} a_tj)

    Call arguments:
        generation_logits: float (B, T, V), l.
        pointer_logits: float (B, T, S), masked; a is its softmax.
        gate_logits: float (B, T); g is its sigmoid.
        token_ids: int (B, S), x.

    Returns:
        float32 (B, T, V); its exponential sums to one.

    Reference: See et al. 2017 (arXiv:1704.04368), eq. 9, in log space.
    """

    def call(self, generation_logits, pointer_logits, gate_logits, token_ids):
        generation_BTV = ops.log_softmax(ops.cast(generation_logits, "float32"))
        copy_BTV = functional.copy_log_probs(
            pointer_logits, token_ids, generation_logits.shape[-1]
        )
        return functional.mixture_log_probs(
            gate_logits[..., None], generation_BTV, copy_BTV
        )

    def compute_output_spec(self, generation_logits, *args, **kwargs):
        return keras.KerasTensor(generation_logits.shape, "float32")
