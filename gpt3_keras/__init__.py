"""A pointer-generator language model for Keras 3.

    import gpt3_keras as gk

    model = gk.GPT3CausalLM.from_preset("my_model")
    model.generate("Once upon a time")

Importing the package is cheap: a public name imports what it needs, Keras
among it, when it is first used.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from gpt3_keras.config import ExperimentConfig
    from gpt3_keras.config import load_config
    from gpt3_keras.data.pipeline import text_dataset
    from gpt3_keras.models.backbone import GPT3Backbone
    from gpt3_keras.models.causal_lm import GPT3CausalLM
    from gpt3_keras.models.dialogue import GPT3DialogueModel
    from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
    from gpt3_keras.models.tokenizer import GPT3Tokenizer
    from gpt3_keras.samplers import SeededSampler
    from gpt3_keras.samplers_beam import BeamSearchSampler
    from gpt3_keras.schedules import CosineDecayWithNoise
    from gpt3_keras.serving.saved_model import export_saved_model

__version__ = "0.1.0"

__all__ = [
    "BeamSearchSampler",
    "CosineDecayWithNoise",
    "ExperimentConfig",
    "GPT3Backbone",
    "GPT3CausalLM",
    "GPT3CausalLMPreprocessor",
    "GPT3DialogueModel",
    "GPT3Tokenizer",
    "SeededSampler",
    "export_saved_model",
    "load_config",
    "text_dataset",
]

_HOMES = {
    "BeamSearchSampler": "gpt3_keras.samplers_beam",
    "CosineDecayWithNoise": "gpt3_keras.schedules",
    "ExperimentConfig": "gpt3_keras.config",
    "GPT3Backbone": "gpt3_keras.models.backbone",
    "GPT3CausalLM": "gpt3_keras.models.causal_lm",
    "GPT3CausalLMPreprocessor": "gpt3_keras.models.preprocessor",
    "GPT3DialogueModel": "gpt3_keras.models.dialogue",
    "GPT3Tokenizer": "gpt3_keras.models.tokenizer",
    "SeededSampler": "gpt3_keras.samplers",
    "export_saved_model": "gpt3_keras.serving.saved_model",
    "load_config": "gpt3_keras.config",
    "text_dataset": "gpt3_keras.data.pipeline",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # The next look-up does not come here.
    return value


def __dir__():
    return sorted({*globals(), *__all__})
