"""Attention, then a recurrence: the block both encoder and generator use."""

import keras
from keras import ops

from gpt3_keras import functional
from gpt3_keras import functional_random
from gpt3_keras.layers import rematerialization
from gpt3_keras.layers.attention import Attention
from gpt3_keras.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable(package="gpt3_keras")
class AutoregressiveBlock(keras.layers.Layer):
    """One residual block that sees the past twice.

    x <- x + Attention(LN x, memory)
    x <- x + Linear(RNN(LN x))

    The attention looks at every earlier position, the recurrence at their
    order.

    Args:
        num_heads: int.
        hidden_dim: int, D.
        rnn: `"gru"` or `"lstm"`.
        dropout: float in [0, 1), on both residual branches.

    Call arguments:
        states: float (B, T, D).
        mask: bool (B, T, S), what each position may read.
        memory: float (B, S, D), what the keys and values read. Defaults to
            the block's own normalised states.
        dropout_keys: int32 (B,), a key for each row, see
            `functional_random.row_keys`; None for no dropout.

    Returns:
        float (B, T, D).
    """

    def __init__(self, num_heads, hidden_dim, rnn="gru", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.rnn = rnn
        self.dropout = dropout
        policy = self.dtype_policy
        self.attention_norm = keras.layers.LayerNormalization(
            dtype=policy, name="attention_norm"
        )
        self.attention = Attention(
            num_heads, hidden_dim, dtype=policy, name="attention"
        )
        self.recurrent_norm = keras.layers.LayerNormalization(
            dtype=policy, name="recurrent_norm"
        )
        self.recurrent = Recurrent(
            hidden_dim, rnn, dtype=policy, name="recurrent"
        )
        self.recurrent_dense = keras.layers.Dense(
            hidden_dim, dtype=policy, name="recurrent_dense"
        )

    def build(self, states_shape, mask_shape=None, memory_shape=None):
        self.attention_norm.build(states_shape)
        self.attention.build(states_shape, memory_shape or states_shape)
        self.recurrent_norm.build(states_shape)
        self.recurrent.build(states_shape)
        self.recurrent_dense.build(states_shape)
        self.built = True

    def call(self, states, mask, memory=None, dropout_keys=None):
        read, _ = self._read(states, mask, memory)
        states = states + self._dropout(read, dropout_keys, 0)
        recurrent = self.recurrent(self.recurrent_norm(states))
        return states + self._dropout(
            self.recurrent_dense(recurrent), dropout_keys, 1
        )

    def rematerialized_call(self, layer_call, *args, **kwargs):
        return rematerialization.of_floats(
            super().rematerialized_call, layer_call
        )

    def prefill(self, states, mask, memory=None):
        """As `call` without dropout; also the cache that `decode` goes on."""
        read, cache = self._read(states, mask, memory)
        states = states + read
        recurrent, rnn_memory = self.recurrent.prefill(
            self.recurrent_norm(states)
        )
        states = states + self.recurrent_dense(recurrent)
        return states, {**cache, **rnn_memory}

    def _read(self, states, mask, memory):
        """What the attention reads, and its keys and values."""
        normed = self.attention_norm(states)
        keys, values = self.attention.project_memory(
            normed if memory is None else memory
        )
        read = self.attention.attend(normed, keys, values, mask)
        return read, {"keys": keys, "values": values}

    def _dropout(self, branch, keys, number):
        keys = functional_random.fold_in(keys, number)
        return functional_random.dropout(branch, self.dropout, keys)

    def decode(
        self,
        states,
        cache,
        index,
        memory=None,
        set_position=functional.set_position,
    ):
        """The block at position `index` alone.

        Args:
            states: float (B, 1, D).
            cache: what `prefill` returned, or an earlier `decode`.
            index: int scalar tensor, the position of `states`.
            memory: float (B, 1, D), the memory's state at `index`.
            set_position: puts what belongs to `index` into the cache.

        Returns:
            float (B, 1, D), and the cache with this position in it.
        """
        normed = self.attention_norm(states)
        key, value = self.attention.project_memory(
            normed if memory is None else memory
        )
        where = index, set_position
        keys = self.attention.keep(cache["keys"], key, *where)
        values = self.attention.keep(cache["values"], value, *where)
        mask_11S = functional.past_mask(ops.shape(keys)[2], index)
        read = self.attention.attend(normed, keys, values, mask_11S)
        states = states + read
        rnn_memory = {
            name: cache[name]
            for name in cache
            if name not in ("keys", "values")
        }
        recurrent, rnn_memory = self.recurrent.decode(
            self.recurrent_norm(states), rnn_memory, *where
        )
        states = states + self.recurrent_dense(recurrent)
        return states, {"keys": keys, "values": values, **rnn_memory}

    def compute_output_shape(
        self, states_shape, mask_shape=None, memory_shape=None
    ):
        return states_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "rnn": self.rnn,
            "dropout": self.dropout,
        }
