"""A small model with a learnt tokenizer, for the tests of serving."""

import numpy as np

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer

MAX_SEQUENCE_LENGTH = 48
CORPUS = "the cat sat on the mat, où le chat s'était assis. Once upon a time.\n"
PROMPTS = ["Once upon", "", "où le chat s'était assis 😀"]


def model(folder, seed=0, **arguments):
    """A model whose predictions are far from uniform.

    Args:
        folder: a `pathlib.Path` for the tokenizer's text.
        seed: int, of the weights.
        **arguments: of `GPT3Backbone`.
    """
    text = folder / "corpus.txt"
    text.write_text(CORPUS * 20, encoding="utf-8")
    tokenizer = GPT3Tokenizer.train(str(text), 290)
    backbone = GPT3Backbone(
        **{
            "vocabulary_size": tokenizer.vocabulary_size(),
            "num_heads": 2,
            "hidden_dim": 16,
            "max_sequence_length": MAX_SEQUENCE_LENGTH,
            "pointer_hidden_dims": (6, 10),
            "max_parameters": 10**6,
            **arguments,
        }
    )
    generator = np.random.default_rng(seed)
    for weight in backbone.weights:
        weight.assign(0.1 * generator.standard_normal(weight.shape))
    preprocessor = GPT3CausalLMPreprocessor(tokenizer, MAX_SEQUENCE_LENGTH)
    return GPT3CausalLM(backbone, preprocessor)
