"""The token embedding, which may also be the output matrix."""

import keras
from keras import ops


def make(vocabulary_size, hidden_dim, tie_weights, dtype):
    """An embedding whose reverse gives logits.

    Of deviation 0.5, where the states are of unit variance. Keras' own class,
    for `quantize` leaves KerasHub's as it is.
    """
    return keras.layers.ReversibleEmbedding(
        vocabulary_size,
        hidden_dim,
        tie_weights=tie_weights,
        embeddings_initializer=keras.initializers.RandomNormal(
            stddev=0.5 * hidden_dim**-0.5
        ),
        dtype=dtype,
        name="token_embedding",
    )


def output_kernel(embedding):
    """The output matrix of an embedding, (V, D).

    That of a quantised one is numbers again, of the layer's dtype.
    """
    if embedding.quantization_mode is None:
        if embedding.tie_weights:
            return ops.convert_to_tensor(embedding.embeddings)
        return ops.transpose(embedding.reverse_embeddings)
    if embedding.tie_weights:
        return embedding(ops.arange(embedding.input_dim))
    # What it makes of unit vectors: their own quantisation is exact.
    units_DD = ops.eye(embedding.output_dim, dtype=embedding.compute_dtype)
    return ops.transpose(embedding(units_DD, reverse=True))
