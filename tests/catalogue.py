"""Each public class of the package once, tiny, as data.

`conformance/` drives every entry through what a Keras user may do with it. A
new class gets its line here, or `conformance/catalogue_test.py` fails.
"""

import collections.abc
import dataclasses

import numpy as np

from gpt3_keras.functional import MASKED_LOGIT
from gpt3_keras.layers.attention import Attention
from gpt3_keras.layers.autoregressive_block import AutoregressiveBlock
from gpt3_keras.layers.encoder import Encoder
from gpt3_keras.layers.generator import Generator
from gpt3_keras.layers.mixture import Mixture
from gpt3_keras.layers.pointer import Pointer
from gpt3_keras.layers.recurrent import Recurrent
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM

VOCABULARY_SIZE = 13
HIDDEN_DIM = 8
MAX_SEQUENCE_LENGTH = 8

# A kind of input: its dtype and axes, with B and T free.
KINDS = {
    "states": ("float32", ("B", "T", HIDDEN_DIM)),
    "token_ids": ("int32", ("B", "T")),
    "padding_mask": ("bool", ("B", "T")),
    "causal_mask": ("bool", ("B", "T", "T")),
    "gate_logits": ("float32", ("B", "T")),
    "pointer_logits": ("float32", ("B", "T", "T")),
    "generation_logits": ("float32", ("B", "T", VOCABULARY_SIZE)),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A layer or model, and what it is called with.

    `make(dtype)` builds it; `inputs` names the kinds of its arguments, in
    their order. A model takes them as one dict.
    """

    make: collections.abc.Callable
    inputs: tuple
    is_model: bool = False

    def arguments(self, tensors):
        """The positional arguments of a call, from tensors in order."""
        if self.is_model:
            return (dict(zip(self.inputs, tensors, strict=True)),)
        return tuple(tensors)

    def arrays(self, batch=3, length=5, seed=0):
        """An array for each input, the padding on the right."""
        generator = np.random.default_rng(seed)
        lengths = np.arange(length, length - batch, -1)
        real = np.arange(length)[None] < np.maximum(lengths, 1)[:, None]
        arrays = []
        for kind in self.inputs:
            dtype, axes = KINDS[kind]
            shape = [{"B": batch, "T": length}.get(a, a) for a in axes]
            if kind == "token_ids":
                array = generator.integers(0, VOCABULARY_SIZE, shape)
            elif kind == "padding_mask":
                array = real
            elif kind == "causal_mask":
                array = np.broadcast_to(np.tri(length, dtype=bool), shape)
            else:
                array = generator.normal(size=shape)
            if kind == "pointer_logits":
                past = np.tri(length, dtype=bool)
                array = np.where(past, array, MASKED_LOGIT)
            arrays.append(array.astype(dtype))
        return arrays


def _backbone(dtype, **arguments):
    return GPT3Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_heads=2,
        hidden_dim=HIDDEN_DIM,
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        pointer_hidden_dims=(4, 6),
        dtype=dtype,
        **arguments,
    )


def _pointer(dtype, attention=None):
    return Pointer(
        HIDDEN_DIM, MAX_SEQUENCE_LENGTH, (4, 6), attention, dtype=dtype
    )


_ATTENTION = ("states", "states", "causal_mask")
_BLOCK = ("states", "causal_mask")
_ENCODER = ("states", "padding_mask")
_TOKENS = ("token_ids", "padding_mask")

LAYERS = {
    "attention": Entry(
        lambda dtype: Attention(2, HIDDEN_DIM, dtype=dtype), _ATTENTION
    ),
    "recurrent_gru": Entry(
        lambda dtype: Recurrent(HIDDEN_DIM, dtype=dtype), ("states",)
    ),
    "recurrent_lstm": Entry(
        lambda dtype: Recurrent(HIDDEN_DIM, "lstm", dtype=dtype), ("states",)
    ),
    "autoregressive_block_gru": Entry(
        lambda dtype: AutoregressiveBlock(2, HIDDEN_DIM, dtype=dtype), _BLOCK
    ),
    "autoregressive_block_lstm": Entry(
        lambda dtype: AutoregressiveBlock(2, HIDDEN_DIM, "lstm", dtype=dtype),
        _BLOCK,
    ),
    "encoder": Entry(
        lambda dtype: Encoder(2, 2, HIDDEN_DIM, dtype=dtype), _ENCODER
    ),
    "generator": Entry(
        lambda dtype: Generator(2, HIDDEN_DIM, dtype=dtype),
        ("states", "states", "padding_mask"),
    ),
    "pointer": Entry(_pointer, _ENCODER),
    "pointer_sharing": Entry(
        lambda dtype: _pointer(dtype, Attention(2, HIDDEN_DIM, dtype=dtype)),
        _ENCODER,
    ),
    "mixture": Entry(
        lambda dtype: Mixture(dtype=dtype),
        ("generation_logits", "pointer_logits", "gate_logits", "token_ids"),
    ),
}

MODELS = {
    "backbone": Entry(_backbone, _TOKENS, is_model=True),
    "backbone_other_choices": Entry(
        lambda dtype: _backbone(
            dtype,
            num_layers=2,
            rnn="lstm",
            share_pointer_parameters=True,
            position_encoding="sinusoidal",
            tie_word_embeddings=False,
        ),
        _TOKENS,
        is_model=True,
    ),
    "causal_lm": Entry(
        lambda dtype: GPT3CausalLM(_backbone(dtype)), _TOKENS, is_model=True
    ),
}

ENTRIES = {**LAYERS, **MODELS}
