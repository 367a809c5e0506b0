"""Presets: a folder holds all of a model, and is read back or refused."""

import re

import keras_hub
import numpy as np
import pytest

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from tests.models import small

# Keras' own, on its way to NumPy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't"
)

TEXT = " air port at airport"


@pytest.fixture(
    scope="module", params=[{}, small.OTHER_CHOICES], ids=["", "other"]
)
def model(request):
    return small.text_model(sequence_length=14, **request.param)


@pytest.fixture(scope="module")
def preset(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "preset"
    model.save_to_preset(str(folder))
    return folder


def assert_same_weights(one, other):
    assert [w.path for w in one.weights] == [w.path for w in other.weights]
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(
            np.asarray(ours), np.asarray(theirs), err_msg=ours.path
        )


@pytest.mark.parametrize("cls", [GPT3CausalLM, keras_hub.models.CausalLM])
def test_a_task_comes_back_whole(model, preset, cls):
    again = cls.from_preset(str(preset))
    assert type(again) is GPT3CausalLM
    assert again.backbone.get_config() == model.backbone.get_config()
    assert_same_weights(again, model)
    x = small.padded(small.rows(9, 4, vocabulary_size=16))
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(
        again.score(TEXT)["token_log_probs"],
        model.score(TEXT)["token_log_probs"],
    )
    for each in (again, model):
        each.compile(sampler="greedy", run_eagerly=True)
    assert again.generate(TEXT) == model.generate(TEXT)


@pytest.mark.parametrize("cls", [GPT3Backbone, keras_hub.models.Backbone])
def test_a_backbone_comes_back_alone(model, preset, cls):
    again = cls.from_preset(str(preset))
    assert type(again) is GPT3Backbone
    assert_same_weights(again, model.backbone)


def test_a_backbone_may_be_saved_alone(tmp_path):
    backbone = small.backbone()
    backbone.save_to_preset(str(tmp_path))
    assert_same_weights(GPT3Backbone.from_preset(str(tmp_path)), backbone)


def test_a_preset_without_its_weights_starts_anew(model, preset):
    again = GPT3Backbone.from_preset(str(preset), load_weights=False)
    assert again.get_config() == model.backbone.get_config()
    kernel = again.encoder.blocks[0].recurrent.recurrent_kernel
    np.testing.assert_allclose(
        kernel @ np.transpose(kernel), np.eye(8), atol=1e-5
    )


def test_a_preset_may_change_precision(preset):
    again = GPT3CausalLM.from_preset(str(preset), dtype="bfloat16")
    states = again.backbone(small.padded([[1, 2, 3]]))["encoder_states"]
    assert states.dtype == "bfloat16"


def test_the_text_side_comes_back(model, preset):
    preprocessor = GPT3CausalLMPreprocessor.from_preset(str(preset))
    assert preprocessor.sequence_length == 14
    tokenizer = GPT3Tokenizer.from_preset(str(preset))
    expected = model.preprocessor.tokenizer
    for each in (preprocessor.tokenizer, tokenizer):
        assert each.fingerprint() == expected.fingerprint()
        assert each.tokenize([TEXT]) == expected.tokenize([TEXT])


def test_a_truncated_weights_file_is_refused(preset, tmp_path):
    for path in preset.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(OSError, match="truncated file: eof = 5000"):
        GPT3Backbone.from_preset(str(tmp_path))


def test_a_folder_that_is_no_preset_is_named(tmp_path):
    message = f"Preset {tmp_path} has no config.json."
    with pytest.raises(ValueError, match=re.escape(message)):
        GPT3Backbone.from_preset(str(tmp_path))
