"""The backbone: embeddings, encoder, pointer and generator."""

import keras
import keras_hub

from gpt3_keras import functional
from gpt3_keras import functional_random
from gpt3_keras.functional_random import fold_in
from gpt3_keras.layers.encoder import Encoder
from gpt3_keras.layers.generator import Generator
from gpt3_keras.layers.pointer import Pointer
from gpt3_keras.models import embeddings
from gpt3_keras.models import sizes


@keras.saving.register_keras_serializable(package="gpt3_keras")
class GPT3Backbone(keras_hub.models.Backbone):
    """Encoder, Pointer and Generator on one embedding.

    x = token embedding + position encoding; h = Encoder(x); pointer and gate
    = Pointer(h); generator states = Generator(x, h).

    Args:
        vocabulary_size: int, V.
        num_layers: int, the encoder's blocks.
        num_heads: int. Divides `hidden_dim`.
        hidden_dim: int, D.
        max_sequence_length: int, the longest row of tokens.
        rnn: `"gru"` or `"lstm"`.
        pointer_hidden_dims: widths of the pointer network's dense layers.
        share_pointer_parameters: bool. The pointer uses the query and key
            projections of the encoder's last block instead of its own.
        dropout: float in [0, 1).
        position_encoding: `"learned"` or `"sinusoidal"`.
        tie_word_embeddings: bool. The output matrix is the embedding.
        max_parameters: int. A larger model is refused.
        dtype: the dtype policy.

    Call arguments:
        A dict of `"token_ids"`, int (B, T), and `"padding_mask"`, bool or int
        (B, T), 1 at real tokens. Padding stands on the right.
        training: bool, dropout on.
        dropout_key: int32 scalar, what the dropout of this step is drawn
            from, together with each row's tokens: the same row is masked
            alike in whatever batch it stands. Defaults to a new one for
            each call.

    Returns:
        A dict of `"encoder_states"`, float (B, T, D); `"pointer_logits"`,
        float (B, T, T), masked; `"gate_logits"`, float (B, T), whose sigmoid
        is the probability of generating; `"generator_states"`, float
        (B, T, D).

    Raises:
        ValueError: an argument breaks its rule, the model has more than
            `max_parameters` weights, or a row is longer than the model.

    Example:

    ```python
    >>> backbone = GPT3Backbone(vocabulary_size=100, hidden_dim=16, num_heads=2,
    ...                         max_sequence_length=32)
    >>> token_ids = keras.ops.array([[1, 2, 3]])
    >>> outputs = backbone({"token_ids": token_ids,
    ...                     "padding_mask": keras.ops.ones_like(token_ids)})
    >>> outputs["pointer_logits"].shape
    TensorShape([1, 3, 3])

    ```
    """

    def __init__(
        self,
        vocabulary_size=50257,
        num_layers=1,
        num_heads=8,
        hidden_dim=512,
        max_sequence_length=1024,
        rnn="gru",
        pointer_hidden_dims=(64, 768),
        share_pointer_parameters=False,
        dropout=0.1,
        position_encoding="learned",
        tie_word_embeddings=True,
        max_parameters=500_000_000,
        dtype=None,
        **kwargs,
    ):
        config = {
            "vocabulary_size": vocabulary_size,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "hidden_dim": hidden_dim,
            "max_sequence_length": max_sequence_length,
            "rnn": rnn,
            "pointer_hidden_dims": tuple(pointer_hidden_dims),
            "share_pointer_parameters": share_pointer_parameters,
            "dropout": dropout,
            "position_encoding": position_encoding,
            "tie_word_embeddings": tie_word_embeddings,
            "max_parameters": max_parameters,
        }
        sizes.check_arguments(config)
        sizes.check_size(config)  # Before memory is taken.
        self._argument_names = tuple(config)
        for name, value in config.items():
            setattr(self, name, value)
        self._make_layers(dtype)

        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs=self._read(token_ids, padding_mask, None),
            dtype=dtype,
            **kwargs,
        )
        self.seed_generator = keras.random.SeedGenerator()

    def _make_layers(self, dtype):
        self.token_embedding = embeddings.make(
            self.vocabulary_size,
            self.hidden_dim,
            self.tie_word_embeddings,
            dtype,
        )
        if self.position_encoding == "learned":
            self.position_embedding = keras_hub.layers.PositionEmbedding(
                self.max_sequence_length,
                initializer=keras.initializers.RandomNormal(stddev=0.02),
                dtype=dtype,
                name="position_embedding",
            )
        else:
            self.position_embedding = keras_hub.layers.SinePositionEncoding(
                dtype=dtype, name="position_embedding"
            )
        self.embeddings_add = keras.layers.Add(
            dtype=dtype, name="embeddings_add"
        )
        self.encoder = Encoder(
            self.num_layers,
            self.num_heads,
            self.hidden_dim,
            self.rnn,
            self.dropout,
            dtype=dtype,
            name="encoder",
        )
        last_block = self.encoder.blocks[-1]
        self.pointer = Pointer(
            self.hidden_dim,
            self.max_sequence_length,
            self.pointer_hidden_dims,
            last_block.attention if self.share_pointer_parameters else None,
            dtype=dtype,
            name="pointer",
        )
        self.generator = Generator(
            self.num_heads,
            self.hidden_dim,
            self.rnn,
            self.dropout,
            dtype=dtype,
            name="generator",
        )

    def call(self, inputs, training=None, mask=None, dropout_key=None):
        token_ids, padding_mask = inputs["token_ids"], inputs["padding_mask"]
        self._check_length(token_ids)
        keys = None
        if training and self.dropout:
            if dropout_key is None:
                seed = self.seed_generator.next()
                dropout_key = fold_in(seed[0], seed[1])
            keys = functional_random.row_keys(
                token_ids, padding_mask, dropout_key
            )
        return self._read(token_ids, padding_mask, keys)

    def _read(self, token_ids, padding_mask, keys):
        """The outputs on whole rows; `keys` of the rows, or None."""
        x = functional_random.dropout(
            self.embed(token_ids), self.dropout, fold_in(keys, 0)
        )
        h = self.encoder(x, padding_mask, dropout_keys=fold_in(keys, 1))
        pointer = self.pointer(h, padding_mask)
        states = self.generator(
            x, h, padding_mask, dropout_keys=fold_in(keys, 2)
        )
        return _outputs(h, pointer, states)

    def _check_length(self, token_ids):
        length = token_ids.shape[1]
        if length is not None and length > self.max_sequence_length:
            raise ValueError(
                "token_ids must not be longer than max_sequence_length. "
                f"Received: {length} tokens, "
                f"max_sequence_length={self.max_sequence_length}."
            )

    def embed(self, token_ids, start_index=0):
        """Token embedding + position encoding, float (B, T, D).

        The tied embedding is small, as an output matrix must be; times
        sqrt(D) its tokens outweigh what an untrained block adds to them.
        """
        x = self.token_embedding(token_ids) * self.hidden_dim**0.5
        return self.embeddings_add(
            (x, self.position_embedding(x, start_index=start_index))
        )

    def head_learns(self):
        """Whether anything the vocabulary head reads is trainable.

        Returns:
            A pair of bools: for the generator's states, which come from
            embeddings, encoder and generator, and for the output matrix.
        """
        readers = (self.encoder, self.generator, self.position_embedding)
        embedding = bool(self.token_embedding.trainable_weights)
        states = any(layer.trainable_weights for layer in readers)
        return states or embedding, embedding

    def tied_embedding(self):
        """The variable that is also the output matrix, if one is and learns."""
        embedding = self.token_embedding
        if embedding.tie_weights and embedding.trainable_weights:
            return embedding.embeddings
        return None

    def output_kernel(self):
        """The output matrix, (V, D)."""
        return embeddings.output_kernel(self.token_embedding)

    def prefill(self, token_ids, padding_mask):
        """The outputs on a prompt, and the cache that `decode` continues.

        Every tensor of the cache has the batch on axis 0, so that samplers
        may repeat and reorder its rows.
        """
        x = self.embed(token_ids)
        h, encoder_cache = self.encoder.prefill(x, padding_mask)
        pointer, pointer_cache = self.pointer.prefill(h, padding_mask)
        states, generator_cache = self.generator.prefill(x, h, padding_mask)
        return _outputs(h, pointer, states), {
            "encoder": encoder_cache,
            "pointer": pointer_cache,
            "generator": generator_cache,
        }

    def decode(
        self, token_ids, cache, index, set_position=functional.set_position
    ):
        """The outputs at position `index` alone, T = 1, and the cache.

        Args:
            token_ids: int (B, 1), the tokens at `index`.
            cache: from `prefill` or an earlier `decode`.
            index: int scalar tensor.
            set_position: as `functional.set_position`.
        """
        x = self.embed(token_ids, start_index=index)
        where = index, set_position
        h, encoder_cache = self.encoder.decode(x, cache["encoder"], *where)
        pointer, pointer_cache = self.pointer.decode(
            h, cache["pointer"], *where
        )
        states, generator_cache = self.generator.decode(
            x, h, cache["generator"], *where
        )
        return _outputs(h, pointer, states), {
            "encoder": encoder_cache,
            "pointer": pointer_cache,
            "generator": generator_cache,
        }

    def get_config(self):
        config = {name: getattr(self, name) for name in self._argument_names}
        config["pointer_hidden_dims"] = list(self.pointer_hidden_dims)
        return {**super().get_config(), **config}


def _outputs(encoder_states, pointer, generator_states):
    """What the backbone returns, whole or for one position."""
    return {
        "encoder_states": encoder_states,
        **pointer,
        "generator_states": generator_states,
    }
