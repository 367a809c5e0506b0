"""Configs: strict reading, overrides, and the ones that are shipped."""

import inspect
import pathlib

import pytest

from gpt3_keras import config as configs
from gpt3_keras import config_sections as sections
from gpt3_keras import config_yaml

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.yaml"))


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_is_whole(path):
    """Every key stands in it, so the file alone says what the run is."""
    config = configs.load_config(path)

    def missing(values, section, prefix=""):
        for key, value in section.as_dict().items():
            if key not in values:
                yield f"{prefix}{key}"
            elif isinstance(value, dict):
                yield from missing(values[key], section.get(key), f"{key}.")

    values = config_yaml.parse(path.read_text("utf-8"), str(path))
    assert list(missing(values, config)) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_opens_with_its_facts(path):
    head = path.read_text("utf-8").split("\n\n")[0]
    for fact in ("command", "hardware", "time", "score"):
        assert f"# {fact} " in head


def test_a_shipped_config_is_found_by_name():
    assert configs.load_config("base") == configs.load_config(
        next(path for path in CONFIGS if path.stem == "base")
    )


def test_base_has_the_article_s_sizes():
    config = configs.load_config("base")
    assert config.model.hidden_dim == 512
    assert config.model.num_heads == 8
    assert config.model.num_layers == 1
    assert config.model.pointer_hidden_dims == [64, 768]
    rate = config.training.learning_rate
    assert (rate.start, rate.end) == (1e-4, 5e-5)
    assert (rate.epoch_decay, rate.decay_epochs) == (0.99, 10)
    names = [phase.name for phase in config.training.phases]
    assert names == ["encoder", "pointer", "all"]


def test_model_defaults_are_the_backbone_s():
    from gpt3_keras.models.backbone import GPT3Backbone

    parameters = inspect.signature(GPT3Backbone.__init__).parameters
    for key, value in sections.ModelConfig().as_dict().items():
        default = parameters[key].default
        default = list(default) if isinstance(default, tuple) else default
        assert value == default, key


def test_saving_and_loading_gives_the_same(tmp_path):
    config = configs.load_config(
        "base",
        [
            "model.rnn=lstm",
            "data.train=[books, letters/*.txt]",
            "training.learning_rate.start=3e-3",
            "training.phases.1.steps=7",
            "tokenizer.trained_vocabulary_size=300",
        ],
    )
    configs.save_config(config, tmp_path / "saved.yaml")
    assert configs.load_config(tmp_path / "saved.yaml") == config
    assert config.training.phases[1].steps == 7
    assert config.data.train == ["books", "letters/*.txt"]


def test_defaults_fill_what_is_left_out(tmp_path):
    path = write(tmp_path, "data: {train: books}\n")
    config = configs.load_config(path)
    assert config.data.train == "books"
    assert config.model == sections.ModelConfig()
    assert configs.load_config(write(tmp_path, "")).data.train == "text"


def test_a_number_in_scientific_notation_is_a_number(tmp_path):
    path = write(tmp_path, "training: {learning_rate: {start: 1e-3}}\n")
    assert configs.load_config(path).training.learning_rate.start == 1e-3


@pytest.mark.parametrize("word", ["off", "'off'"])
def test_off_is_a_text(tmp_path, word):
    """As are `on`, `yes` and `no`: YAML 1.1 would make truth values of them."""
    path = write(tmp_path, f"runtime: {{strategy: {word}}}\n")
    assert configs.load_config(path).runtime.strategy == "off"
    override = f"runtime.strategy={word}"
    config = configs.load_config("base", [override])
    assert config.runtime.strategy == "off"
    configs.save_config(config, path)
    assert configs.load_config(path) == config
    for other in ("on", "yes", "No", "n"):
        assert config_yaml.parse(other, "a test") == other
    for truth in ("true", "True", "false", "FALSE"):
        assert config_yaml.parse(truth, "a test") is (truth[0] in "tT")


def test_what_nobody_asks_for_is_null(tmp_path):
    text = (
        "training: {learning_rate: {steps_per_epoch: null}, "
        "clipping: {value: null, norm: 0.5}, validation_steps: null, "
        "early_stopping: {patience: null}, trainable_layers: null}\n"
        "runtime: {num_devices: null, steps_per_execution: 5}\n"
    )
    config = configs.load_config(write(tmp_path, text))
    assert config.training.clipping.norm == 0.5
    assert config.training.validation_steps is None
    one = "runtime: {num_devices: 1}\n"
    assert configs.load_config(write(tmp_path, one)).runtime.num_devices == 1


def test_a_cluster_is_described(tmp_path):
    text = (
        "runtime: {strategy: multi_worker_mirrored, "
        "worker_hosts: ['a:1', 'b:1'], task_index: 1}\n"
    )
    runtime = configs.load_config(write(tmp_path, text)).runtime
    assert runtime.worker_hosts == ["a:1", "b:1"]


def test_steps_are_those_of_all_phases():
    training = configs.load_config("base").training
    assert training.num_steps == 10_000 + 5_000 + 35_000


def test_a_phase_may_weigh_the_losses_its_own_way():
    config = configs.load_config("base")
    first, _, last = config.training.phases
    assert first.loss_weights.weights()["language_model"] == 0
    assert last.loss_weights is None
    assert set(config.losses.weights()) == set(sections.LOSS_TERMS)
