"""The catalogue holds every class of the package that Keras can make."""

import copy
import importlib
import pkgutil

import keras
import pytest

import gpt3_keras
from tests import catalogue

HARNESS = "gpt3_keras.evaluation.harness"
# Neither layer nor model: their own tests hold them.
ELSEWHERE = {
    "CorpusMean": "metrics_test.py",
    "Perplexity": "metrics_test.py",
    "SeededSampler": "samplers_test.py",
    "ShiftedSchedule": "training/phases_test.py",
    "CosineDecayWithNoise": "schedules_test.py",
    "GPT3Tokenizer": "models/tokenizer_test.py",
    "GPT3CausalLMPreprocessor": "models/preprocessor_test.py",
    "GPT3DialogueModel": "models/dialogue_test.py",
    "BeamSearchSampler": "samplers_beam_test.py",
}


def registered():
    """The names of the package's serializable classes."""
    for module in pkgutil.walk_packages(gpt3_keras.__path__, "gpt3_keras."):
        if module.name != HARNESS:  # It wants a package that may be absent.
            importlib.import_module(module.name)
    names = keras.saving.get_custom_objects()
    return {
        name.removeprefix("gpt3_keras>")
        for name in names
        if name.startswith("gpt3_keras>")
    }


def test_every_class_has_its_entry():
    entries = catalogue.ENTRIES.values()
    made = {type(entry.make("float32")).__name__ for entry in entries}
    assert made | set(ELSEWHERE) == registered(), (
        "a new class needs an entry in tests/catalogue.py"
    )


@pytest.mark.parametrize("name", catalogue.ENTRIES)
def test_a_config_makes_the_same_again(name):
    made = catalogue.ENTRIES[name].make("float32")
    config = made.get_config()
    again = type(made).from_config(copy.deepcopy(config))
    assert again.get_config() == config
    assert again.name == made.name
    through_json = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(made)
    )
    assert type(through_json) is type(made)
    assert through_json.get_config() == config
