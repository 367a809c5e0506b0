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

    def decode(self, generation_logits, pointer_logits, gate_logits, token_ids):
        """The mixture at one position alone, T = 1: the same numbers.

        Only what stands in the context is mixed; all other tokens keep what
        the generator gives them. Not to be differentiated: a token that
        repeats would count as often.
        """
        vocabulary_size = generation_logits.shape[-1]
        log_generate_B1, log_copy_B1 = functional.log_gate(gate_logits)
        generation_BTV = ops.log_softmax(ops.cast(generation_logits, "float32"))
        mixed_N = ops.reshape(generation_BTV + log_generate_B1[:, None], (-1,))
        probs_BS = ops.squeeze(functional.softmax(pointer_logits), axis=1)
        rows_B1 = ops.arange(ops.shape(probs_BS)[0], dtype="int32")[:, None]
        places_BS = rows_B1 * vocabulary_size + ops.cast(token_ids, "int32")
        indices = ops.reshape(places_BS, (-1, 1))
        summed_N = ops.scatter(
            indices, ops.reshape(probs_BS, (-1,)), ops.shape(mixed_N)
        )
        sums_BS = ops.take(summed_N, places_BS)
        copy_BS = functional.log_where_positive(sums_BS)
        mixed_BS = ops.logaddexp(
            ops.take(mixed_N, places_BS), log_copy_B1 + copy_BS
        )
        mixed_N = ops.scatter_update(
            mixed_N, indices, ops.reshape(mixed_BS, (-1,))
        )
        return ops.reshape(mixed_N, ops.shape(generation_BTV))

    def compute_output_spec(self, generation_logits, *args, **kwargs):
        return keras.KerasTensor(generation_logits.shape, "float32")
