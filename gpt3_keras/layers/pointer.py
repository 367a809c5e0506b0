"""The pointer: which earlier token to copy, and whether to copy at all."""

import keras
from keras import ops

from gpt3_keras import functional
from gpt3_keras.layers import rematerialization

# Queries and keys start as the states themselves, times this. So an untrained
# pointer already looks where the states were alike; see DESIGN.md, "Tuning".
PROJECTION_GAIN = 0.8


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Pointer(keras.layers.Layer):
    """A distribution over earlier positions and a gate.

    s_tj = q(h_t) . k(h_j) / sqrt(D) + P[t, j] for j <= t
    a_t  = softmax_j s_tj
    c_t  = sum_j a_tj h_j
    gate = Dense(768, Dense(64, [h_t ; c_t])) . w

    P is a trainable matrix, zero at the start. To copy x_j is to say again what
    followed position j - 1, so the keys read h_j and its predecessor: channel
    by channel, k(h_j) is the projection of m h_{j-1} + (1 - m) h_j with a
    trainable m, one half at the start.

    Args:
        hidden_dim: int, D.
        max_sequence_length: int, the size of P.
        gate_dims: the widths of the pointer network's dense layers.
        attention: an `Attention` layer whose query and key projections the
            pointer shares instead of having its own. Defaults to None.
        gate_bias: float, the gate's logit at the start.

    Call arguments:
        states: float (B, T, D), the encoder's h.
        padding_mask: bool (B, T), True at real tokens.

    Returns:
        A dict of `"pointer_logits"`, float (B, T, T), s with `MASKED_LOGIT`
        where j > t or j is padding, and `"gate_logits"`, float (B, T); the
        sigmoid of the latter is the probability of *generating*.

    Reference: Vinyals et al. 2015 (arXiv:1506.03134), eq. 3; See et al. 2017
    (arXiv:1704.04368), eq. 8.
    """

    def __init__(
        self,
        hidden_dim,
        max_sequence_length,
        gate_dims=(64, 768),
        attention=None,
        gate_bias=2.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.max_sequence_length = max_sequence_length
        self.gate_dims = tuple(gate_dims)
        self.attention = attention
        self.gate_bias = gate_bias
        policy = self.dtype_policy
        if attention is None:
            self.query_dense = self._projection("query")
            # No bias: all scores of a query would move alike.
            self.key_dense = self._projection("key", use_bias=False)
        else:
            self.query_dense = attention.query_dense
            self.key_dense = attention.key_dense
        self.gate_denses = [
            keras.layers.Dense(
                units, activation="gelu", dtype=policy, name=f"gate_{i}"
            )
            for i, units in enumerate(self.gate_dims)
        ]
        self.gate_output = keras.layers.Dense(
            1,
            bias_initializer=keras.initializers.Constant(gate_bias),
            dtype=policy,
            name="gate_output",
        )

    def _projection(self, name, use_bias=True):
        return keras.layers.Dense(
            self.hidden_dim,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.Identity(PROJECTION_GAIN),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, states_shape, padding_mask_shape=None):
        for dense in (self.query_dense, self.key_dense):
            if not dense.built:
                dense.build(states_shape)
        shape = (*states_shape[:-1], 2 * self.hidden_dim)
        for dense in (*self.gate_denses, self.gate_output):
            dense.build(shape)
            shape = (*states_shape[:-1], dense.units)
        self.position_bias = self.add_weight(
            shape=(self.max_sequence_length, self.max_sequence_length),
            initializer="zeros",
            name="position_bias",
        )
        self.predecessor_share = self.add_weight(
            shape=(self.hidden_dim,),
            initializer=keras.initializers.Constant(0.5),
            name="predecessor_share",
        )
        self.built = True

    def call(self, states, padding_mask):
        return self.prefill(states, padding_mask)[0]

    def rematerialized_call(self, layer_call, *args, **kwargs):
        return rematerialization.of_floats(
            super().rematerialized_call, layer_call
        )

    def prefill(self, states, padding_mask):
        """As `call`; also returns the cache that `decode` continues from."""
        mask = functional.causal_mask(padding_mask)
        keys = self._keys(states, functional.shift_right(states))
        length = ops.shape(states)[1]
        bias_TS = self.position_bias[:length, :length]
        outputs = self._point(states, states, keys, bias_TS, mask)
        return outputs, {"states": states, "keys": keys}

    def decode(
        self, states, cache, index, set_position=functional.set_position
    ):
        """The pointer at position `index` alone.

        Args:
            states: float (B, 1, D), h at `index`.
            cache: what `prefill` returned, or an earlier `decode`.
            index: int scalar tensor.
            set_position: puts what belongs to `index` into the cache.

        Returns:
            A dict as from `call`, (B, 1, S) and (B, 1), and the cache.
        """
        previous = functional.position_before(cache["states"], index)
        cache = {
            "states": set_position(cache["states"], states, index),
            "keys": set_position(
                cache["keys"], self._keys(states, previous), index
            ),
        }
        length = ops.shape(cache["keys"])[1]
        bias_TS = ops.convert_to_tensor(self.position_bias)
        bias_1S = ops.slice(bias_TS, [index, 0], [1, length])
        mask_11S = functional.past_mask(length, index)
        outputs = self._point(
            states, cache["states"], cache["keys"], bias_1S, mask_11S
        )
        return outputs, cache

    def _keys(self, states, previous):
        share = ops.cast(self.predecessor_share, states.dtype)
        return self.key_dense(states + share * (previous - states))

    def _point(self, states, memory, keys, position_bias, mask):
        queries_BTD = self.query_dense(states)
        scores_BTS = ops.einsum("btd,bsd->bts", queries_BTD, keys)
        scores_BTS = scores_BTS / ops.cast(
            self.hidden_dim**0.5, scores_BTS.dtype
        )
        scores_BTS = scores_BTS + ops.cast(position_bias, scores_BTS.dtype)
        scores_BTS = functional.mask_logits(scores_BTS, mask)
        probs_BTS = ops.cast(functional.softmax(scores_BTS), memory.dtype)
        gate = ops.concatenate([states, ops.matmul(probs_BTS, memory)], axis=-1)
        for dense in self.gate_denses:
            gate = dense(gate)
        gate_BT = ops.squeeze(self.gate_output(gate), axis=-1)
        return {"pointer_logits": scores_BTS, "gate_logits": gate_BT}

    def compute_output_spec(self, states, padding_mask):
        batch, length = states.shape[:2]
        return {
            "pointer_logits": keras.KerasTensor(
                (batch, length, length), self.compute_dtype
            ),
            "gate_logits": keras.KerasTensor(
                (batch, length), self.compute_dtype
            ),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "max_sequence_length": self.max_sequence_length,
            "gate_dims": list(self.gate_dims),
            "attention": keras.saving.serialize_keras_object(self.attention),
            "gate_bias": self.gate_bias,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["attention"] = keras.saving.deserialize_keras_object(
            config["attention"]
        )
        return cls(**config)
