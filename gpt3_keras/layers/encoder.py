"""The encoder: hidden states that the other two modules read."""

import keras

from gpt3_keras import functional
from gpt3_keras.functional_random import fold_in
from gpt3_keras.layers.autoregressive_block import AutoregressiveBlock


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Encoder(keras.layers.Layer):
    """A stack of autoregressive blocks, then a layer normalisation.

    h = LN(block_n(... block_1(x)))

    Args:
        num_layers: int, the number of blocks.
        num_heads, hidden_dim, rnn, dropout: see `AutoregressiveBlock`.

    Call arguments:
        states: float (B, T, D), embedded tokens.
        padding_mask: bool (B, T), True at real tokens. Padding is on the
            right; what stands there changes nothing before it.
        dropout_keys: int32 (B,), or None for no dropout.

    Returns:
        float (B, T, D), the hidden states h; h_t sees positions up to t.
    """

    def __init__(
        self,
        num_layers,
        num_heads,
        hidden_dim,
        rnn="gru",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.rnn = rnn
        self.dropout = dropout
        self.blocks = [
            AutoregressiveBlock(
                num_heads,
                hidden_dim,
                rnn,
                dropout,
                dtype=self.dtype_policy,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        self.norm = keras.layers.LayerNormalization(
            dtype=self.dtype_policy, name="norm"
        )

    def build(self, states_shape, padding_mask_shape=None):
        for block in self.blocks:
            block.build(states_shape)
        self.norm.build(states_shape)
        self.built = True

    def call(self, states, padding_mask, dropout_keys=None):
        mask = functional.causal_mask(padding_mask)
        for i, block in enumerate(self.blocks):
            # A call of the layer's own, which `keras.RematScope` knows.
            states = block(states, mask, None, fold_in(dropout_keys, i))
        return self.norm(states)

    def prefill(self, states, padding_mask):
        """As `call` without dropout; also a cache, one entry a block."""
        mask = functional.causal_mask(padding_mask)
        caches = {}
        for block in self.blocks:
            states, caches[block.name] = block.prefill(states, mask)
        return self.norm(states), caches

    def decode(
        self, states, cache, index, set_position=functional.set_position
    ):
        """h at position `index`, float (B, 1, D), and the cache with it."""
        caches = {}
        for block in self.blocks:
            states, caches[block.name] = block.decode(
                states, cache[block.name], index, set_position=set_position
            )
        return self.norm(states), caches

    def compute_output_shape(self, states_shape, padding_mask_shape=None):
        return states_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "rnn": self.rnn,
            "dropout": self.dropout,
        }
