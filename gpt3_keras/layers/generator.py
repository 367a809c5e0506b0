"""The generator: its own view of the past, and of the encoder's."""

import keras

from gpt3_keras import functional
from gpt3_keras.layers.autoregressive_block import AutoregressiveBlock


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Generator(keras.layers.Layer):
    """States from which the vocabulary distribution is read.

    One autoregressive block whose queries are the generator's own states and
    whose keys and values are the encoder's, then a layer normalisation. The
    product with the output matrix, tied to the embedding, is the model's.

    Args:
        num_heads, hidden_dim, rnn, dropout: see `AutoregressiveBlock`.

    Call arguments:
        states: float (B, T, D), embedded tokens.
        encoder_states: float (B, T, D), h.
        padding_mask: bool (B, T), True at real tokens.
        dropout_keys: int32 (B,), or None for no dropout.

    Returns:
        float (B, T, D).
    """

    def __init__(self, num_heads, hidden_dim, rnn="gru", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.rnn = rnn
        self.dropout = dropout
        self.block = AutoregressiveBlock(
            num_heads,
            hidden_dim,
            rnn,
            dropout,
            dtype=self.dtype_policy,
            name="block",
        )
        self.norm = keras.layers.LayerNormalization(
            dtype=self.dtype_policy, name="norm"
        )

    def build(
        self, states_shape, encoder_states_shape, padding_mask_shape=None
    ):
        self.block.build(states_shape, memory_shape=encoder_states_shape)
        self.norm.build(states_shape)
        self.built = True

    def call(self, states, encoder_states, padding_mask, dropout_keys=None):
        mask = functional.causal_mask(padding_mask)
        states = self.block(states, mask, encoder_states, dropout_keys)
        return self.norm(states)

    def prefill(self, states, encoder_states, padding_mask):
        """As `call` without dropout; also the cache that `decode` goes on."""
        mask = functional.causal_mask(padding_mask)
        states, cache = self.block.prefill(states, mask, encoder_states)
        return self.norm(states), cache

    def decode(
        self,
        states,
        encoder_states,
        cache,
        index,
        set_position=functional.set_position,
    ):
        """The state at position `index`, float (B, 1, D), and the cache."""
        states, cache = self.block.decode(
            states, cache, index, encoder_states, set_position
        )
        return self.norm(states), cache

    def compute_output_shape(
        self, states_shape, encoder_states_shape=None, padding_mask_shape=None
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
