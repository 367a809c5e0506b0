"""A small language model and rows for it, for the tests of models."""

import numpy as np
import tensorflow as tf

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from tests import oracles

VOCABULARY_SIZE = 30
MAX_SEQUENCE_LENGTH = 16

# Everything that is not a default, at once.
OTHER_CHOICES = {
    "num_layers": 2,
    "rnn": "lstm",
    "position_encoding": "sinusoidal",
    "share_pointer_parameters": True,
    "tie_word_embeddings": False,
}


def backbone_arguments(**arguments):
    return {
        "vocabulary_size": VOCABULARY_SIZE,
        "num_heads": 2,
        "hidden_dim": 8,
        "max_sequence_length": MAX_SEQUENCE_LENGTH,
        "pointer_hidden_dims": (6, 10),
        "dropout": 0.0,
        **arguments,
    }


def backbone(**arguments):
    """A backbone whose weights are none of their initial values."""
    made = GPT3Backbone(**backbone_arguments(**arguments))
    return oracles.randomize(made)


def model(preprocessor=None, **arguments):
    """A model on `backbone`, whose predictions are far from uniform."""
    return GPT3CausalLM(backbone(**arguments), preprocessor)


def preprocessor(sequence_length=8, **arguments):
    """A preprocessor for texts about airports."""
    merges = ["a i", "ai r", "p o", "r t", "po rt"]
    tokens = ["<|endoftext|>", "Ġ", *"aeilnoprt"]
    tokens += [merge.replace(" ", "") for merge in merges]
    tokenizer = GPT3Tokenizer(
        vocabulary={token: i for i, token in enumerate(tokens)}, merges=merges
    )
    return GPT3CausalLMPreprocessor(tokenizer, sequence_length, **arguments)


def text_model(sequence_length=8, **arguments):
    """A model that reads and writes texts about airports."""
    made = preprocessor(sequence_length)
    vocabulary_size = made.tokenizer.vocabulary_size()
    return model(made, vocabulary_size=vocabulary_size, **arguments)


def rows(*lengths, seed=0, vocabulary_size=VOCABULARY_SIZE):
    """Rows of random token ids, as lists."""
    generator = np.random.default_rng(seed)
    return [
        generator.integers(0, vocabulary_size, length).tolist()
        for length in lengths
    ]


def padded(rows, length=None, pad_id=0):
    """`rows` as arrays: token ids and, True where they are real, a mask."""
    length = length or max(map(len, rows))
    token_ids = np.full((len(rows), length), pad_id, "int32")
    padding_mask = np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        token_ids[i, : len(row)] = row
        padding_mask[i, : len(row)] = True
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def batch(*lengths, seed=0, vocabulary_size=VOCABULARY_SIZE):
    """KerasHub's triple, with rows that hold repetitions."""
    generator = np.random.default_rng(seed)
    full = [
        generator.choice(
            generator.permutation(vocabulary_size)[:5], length + 1
        ).tolist()
        for length in lengths
    ]
    x = padded([row[:-1] for row in full])
    y = padded([row[1:] for row in full])
    return x, y["token_ids"], y["padding_mask"].astype("float32")


def dataset(batches):
    """Batches of any widths as a `tf.data.Dataset` of triples."""
    tokens = tf.TensorSpec((None, None), "int32")
    mask = tf.TensorSpec((None, None), "bool")
    weights = tf.TensorSpec((None, None), "float32")
    made = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            {"token_ids": tokens, "padding_mask": mask},
            tokens,
            weights,
        ),
    )
    return made.apply(tf.data.experimental.assert_cardinality(len(batches)))


def log_probs(language_model, row):
    """log p of each next token after each prefix of one row, (T, V)."""
    token_ids = np.array([row], "int32")
    x = {"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)}
    return np.asarray(language_model(x))[0]
