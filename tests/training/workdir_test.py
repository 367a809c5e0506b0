"""A run's folder: never overwritten, never half-written, never misread."""

import re

import keras
import pytest

from gpt3_keras import config as configs
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import workdir
from gpt3_keras.training.checkpoints import CheckpointStore

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


def save(model, folder, step=10, is_best=False):
    store = CheckpointStore(folder / workdir.CHECKPOINTS, keep=3)
    store.save(step, model, None, {"step": step}, is_best)


@pytest.fixture
def run(tmp_path, tokenizer):
    """A folder with an untrained model."""
    folder = workdir.begin(tmp_path / "run", configs.load_config("base"))
    save(make_model(tokenizer), folder)
    return folder


def assert_same_weights(model, other):
    for weight, another in zip(model.weights, other.weights, strict=True):
        assert keras.ops.all(weight == another)


def test_what_was_saved_is_loaded(run, tokenizer):
    model = make_model(tokenizer)
    save(model, run, step=11)
    assert workdir.last_step(run) == 11
    config, loaded = workdir.load(run)
    assert config == configs.load_config("base")
    assert_same_weights(model, loaded)
    loaded_tokenizer = loaded.preprocessor.tokenizer
    assert loaded_tokenizer.fingerprint() == tokenizer.fingerprint()
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "config.yaml",
    ]


def test_the_best_is_loaded_before_the_last(run, tokenizer):
    best = make_model(tokenizer)
    save(best, run, step=11, is_best=True)
    save(make_model(tokenizer), run, step=12)
    assert_same_weights(best, workdir.load(run)[1])


def test_a_model_of_half_precision_is_loaded_in_float32(run, tokenizer):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model(tokenizer)
    finally:
        keras.config.set_dtype_policy("float32")
    save(model, run, step=11)
    _, loaded = workdir.load(run)
    assert loaded.backbone.compute_dtype == "float32"
    assert_same_weights(model, loaded)


def test_a_folder_in_use_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match="already holds a run, which stays"):
        workdir.check_new(run)
    (tmp_path / "other").mkdir()
    workdir.check_new(tmp_path / "other")
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="is not empty and stays as it is"):
        workdir.check_new(tmp_path / "other")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        workdir.check_new(tmp_path / "other" / "letter.txt")


def test_a_run_goes_on_with_its_own_config_only(run):
    config = configs.load_config("base")
    workdir.check(run, config)
    assert workdir.begin(run, config) == run
    elsewhere = config.replace(runtime={"strategy": "mirrored"})
    workdir.check(run, elsewhere)
    other = config.replace(model={"rnn": "lstm"}, data={"batch_size": 2})
    message = (
        f"Received: {run} with another config:\n"
        "  model.rnn: gru -> lstm\n"
        "  data.batch_size: 8 -> 2"
    )
    for check in (workdir.check, workdir.begin):
        with pytest.raises(ValueError, match=re.escape(message)):
            check(run, other)


def test_differences_go_into_lists():
    saved = {"a": 1, "phases": [{"steps": 1}, {"steps": 2}], "runtime": 1}
    given = {"a": 1, "phases": [{"steps": 1}], "runtime": 2, "b": None}
    assert list(workdir.differences(saved, given)) == [
        "phases.1: {'steps': 2} -> None"
    ]
    given["phases"].append({"steps": 3})
    assert list(workdir.differences(saved, given)) == ["phases.1.steps: 2 -> 3"]


def test_who_does_not_write_does_not_mind(tmp_path):
    """A worker may look before the chief has written all, or anything."""
    config = configs.load_config("base")
    (tmp_path / ".config.yaml").write_text("half of it")
    workdir.check(tmp_path, config, is_writer=False)
    workdir.begin(tmp_path, config, is_writer=False)
    assert [path.name for path in tmp_path.iterdir()] == [".config.yaml"]


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
    truncate(largest_file(run / "checkpoints", pattern))
    with pytest.raises(ValueError, match=r"checkpoint .* is damaged: "):
        workdir.load(run)


def test_a_checkpoint_without_weights_is_named(run):
    largest_file(run / "checkpoints", "*.h5").unlink()
    with pytest.raises(ValueError, match=r"checkpoint .* is damaged: "):
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
    workdir.begin(tmp_path, configs.load_config("base"))
    with pytest.raises(ValueError, match="has no checkpoint: its training"):
        workdir.load(tmp_path)
