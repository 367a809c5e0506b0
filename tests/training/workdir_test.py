"""A run's folder: never overwritten, never half-written, never misread."""

import os
import pathlib

import keras
import pytest

from gpt3_keras import config as configs
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import workdir

# Keras turns its variables into NumPy arrays the old way when it saves them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("to be or not to be, that is the question\n" * 9)
    return GPT3Tokenizer.train([path], 270)


def make_model(tokenizer):
    backbone = GPT3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_heads=2,
        hidden_dim=8,
        max_sequence_length=16,
        pointer_hidden_dims=(4, 4),
    )
    preprocessor = GPT3CausalLMPreprocessor(tokenizer, sequence_length=16)
    return GPT3CausalLM(backbone, preprocessor)


@pytest.fixture
def run(tmp_path, tokenizer):
    """A folder with an untrained model."""
    folder = workdir.create(tmp_path / "run", configs.load_config("base"))
    workdir.save_model(make_model(tokenizer), folder)
    return folder


def test_what_was_saved_is_loaded(run, tokenizer):
    model = make_model(tokenizer)
    workdir.save_model(model, run)
    config, loaded = workdir.load(run)
    assert config == configs.load_config("base")
    for weight, other in zip(model.weights, loaded.weights, strict=True):
        assert keras.ops.all(weight == other)
    loaded_tokenizer = loaded.preprocessor.tokenizer
    assert loaded_tokenizer.fingerprint() == tokenizer.fingerprint()
    assert sorted(path.name for path in run.iterdir()) == [
        "config.yaml",
        "model",
    ]


def test_a_failed_save_leaves_the_old_checkpoint(run, tokenizer, monkeypatch):
    _, before = workdir.load(run)
    model = make_model(tokenizer)

    def full_disk(path):
        os.makedirs(path)
        (pathlib.Path(path) / "config.json").write_text("{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_to_preset", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        workdir.save_model(model, run)
    _, after = workdir.load(run)
    for weight, other in zip(before.weights, after.weights, strict=True):
        assert keras.ops.all(weight == other)
    assert len(list(run.iterdir())) == 2


def test_a_folder_in_use_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match="already holds a run, which stays"):
        workdir.check_new(run)
    with pytest.raises(ValueError, match="already holds a run, which stays"):
        workdir.create(run, configs.load_config("base"))
    (tmp_path / "other").mkdir()
    workdir.check_new(tmp_path / "other")
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="is not empty and stays as it is"):
        workdir.check_new(tmp_path / "other")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        workdir.check_new(tmp_path / "other" / "letter.txt")


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def largest_file(folder, pattern):
    files = [path for path in folder.rglob(pattern) if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(
    "pattern", ["*.h5", "config.json", "*.txt", "sha256.json"]
)
def test_a_damaged_checkpoint_is_named(run, pattern):
    truncate(largest_file(run / "model", pattern))
    with pytest.raises(ValueError, match=r"checkpoint .*model is damaged: "):
        workdir.load(run)


def test_a_checkpoint_without_weights_is_named(run):
    largest_file(run / "model", "*.h5").unlink()
    with pytest.raises(ValueError, match=r"checkpoint .*model is damaged: "):
        workdir.load(run)


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        workdir.load(tmp_path / "absent")
    with pytest.raises(ValueError, match="holds no training run: it has no"):
        workdir.load(tmp_path)
    (tmp_path / "variables").mkdir()
    with pytest.raises(ValueError, match="is a half-written export"):
        workdir.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="is an export; name the folder of"):
        workdir.load(tmp_path)


def test_a_run_without_checkpoint_is_named(tmp_path):
    workdir.create(tmp_path, configs.load_config("base"))
    with pytest.raises(ValueError, match="has no checkpoint: its training"):
        workdir.load(tmp_path)
