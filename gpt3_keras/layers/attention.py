"""Multi-head attention whose keys and values can be kept."""

import keras
from keras import ops

from gpt3_keras import functional


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Attention(keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    softmax(q k^T / sqrt(K) + mask) v, head by head, then one projection.

    `call` does it all. Decoding calls its two halves: `project_memory` once
    for each new position, `attend` on the keys and values kept so far, to which
    `keep` has added it.

    The keys have no bias: it would add the same number to all scores of a
    query, and the softmax would take it away again.

    Args:
        num_heads: int. Divides `hidden_dim`.
        hidden_dim: int, the size of the states and of the result.
        kernel_initializer: for the projections.

    Call arguments:
        states: float (B, T, D), what asks.
        memory: float (B, S, D), what is read.
        mask: bool (B, T, S), True where a state may read.

    Returns:
        float (B, T, D).

    Raises:
        ValueError: `num_heads` does not divide `hidden_dim`.

    Example:

    ```python
    >>> layer = Attention(num_heads=2, hidden_dim=8)
    >>> states = keras.ops.ones((1, 3, 8))
    >>> layer(states, states, keras.ops.ones((1, 3, 3), "bool")).shape
    TensorShape([1, 3, 8])

    ```

    Reference: Vaswani et al. 2017 (arXiv:1706.03762), eq. 1.
    """

    def __init__(
        self,
        num_heads,
        hidden_dim,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hidden_dim % num_heads:
            raise ValueError(
                "num_heads must divide hidden_dim. Received: "
                f"num_heads={num_heads}, hidden_dim={hidden_dim}."
            )
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.head_dim = hidden_dim // num_heads
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.query_dense = self._dense("query")
        self.key_dense = self._dense("key", use_bias=False)
        self.value_dense = self._dense("value")
        self.output_dense = self._dense("output")

    def _dense(self, name, use_bias=True):
        return keras.layers.Dense(
            self.hidden_dim,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.get(
                keras.initializers.serialize(self.kernel_initializer)
            ),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, states_shape, memory_shape, mask_shape=None):
        self.query_dense.build(states_shape)
        self.key_dense.build(memory_shape)
        self.value_dense.build(memory_shape)
        self.output_dense.build(states_shape)
        self.built = True

    def call(self, states, memory, mask):
        keys, values = self.project_memory(memory)
        return self.attend(states, keys, values, mask)

    def project_memory(self, memory):
        """Keys and values of `memory`, each (B, H, S, K).

        In that order a product with a few queries reads them as they lie.
        """
        return (
            self._split_heads(self.key_dense(memory)),
            self._split_heads(self.value_dense(memory)),
        )

    def keep(self, kept, new, index, set_position):
        """Keys or values (B, H, S, K) with new ones, (B, H, 1, K), at `index`.

        `set_position` is as `functional.set_position`: a head is a row to it.
        """
        rows = (-1, ops.shape(kept)[2], self.head_dim)
        new = ops.reshape(new, (-1, 1, self.head_dim))
        changed = set_position(ops.reshape(kept, rows), new, index)
        return ops.reshape(changed, ops.shape(kept))

    def attend(self, states, keys, values, mask):
        """What `states` (B, T, D) read from keys and values (B, H, S, K)."""
        queries_BHTK = self._split_heads(self.query_dense(states))
        scores_BHTS = ops.einsum("bhtk,bhsk->bhts", queries_BHTK, keys)
        scores_BHTS = scores_BHTS / ops.cast(
            self.head_dim**0.5, scores_BHTS.dtype
        )
        scores_BHTS = functional.mask_logits(scores_BHTS, mask[:, None])
        probs_BHTS = ops.cast(functional.softmax(scores_BHTS), values.dtype)
        read_BHTK = ops.matmul(probs_BHTS, values)
        read_BTHK = ops.transpose(read_BHTK, (0, 2, 1, 3))
        return self.output_dense(
            ops.reshape(read_BTHK, (*ops.shape(states)[:2], self.hidden_dim))
        )

    def _split_heads(self, x):
        shape = (*ops.shape(x)[:2], self.num_heads, self.head_dim)
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def compute_output_shape(
        self, states_shape, memory_shape=None, mask_shape=None
    ):
        return (*states_shape[:-1], self.hidden_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }
