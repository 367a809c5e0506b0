"""One experiment, one YAML: read strictly, saved as it was understood.

An unknown key fails and suggests the nearest; a value of another type fails
and names the key, the type and the value; nothing in a YAML is executed.
"""

import dataclasses
import difflib
import pathlib
import re
import types
import typing

import yaml

from gpt3_keras import config_yaml
from gpt3_keras.config_sections import DataConfig
from gpt3_keras.config_sections import GenerationConfig
from gpt3_keras.config_sections import LossesConfig
from gpt3_keras.config_sections import ModelConfig
from gpt3_keras.config_sections import Section
from gpt3_keras.config_sections import TokenizerConfig
from gpt3_keras.config_task import AugmentationConfig
from gpt3_keras.config_task import TaskConfig
from gpt3_keras.config_training import RuntimeConfig
from gpt3_keras.config_training import TrainingConfig

_TYPE_NAMES = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of integers",
    list[str]: "a list of texts",
    type(None): "null",
}


@dataclasses.dataclass
class ExperimentConfig(Section):
    """Everything that one run depends on.

    Example:

    >>> config = ExperimentConfig(data=DataConfig(train="books"))
    >>> config.model.hidden_dim
    512
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    tokenizer: TokenizerConfig = dataclasses.field(
        default_factory=TokenizerConfig
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
    augmentation: AugmentationConfig = dataclasses.field(
        default_factory=AugmentationConfig
    )
    losses: LossesConfig = dataclasses.field(default_factory=LossesConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    generation: GenerationConfig = dataclasses.field(
        default_factory=GenerationConfig
    )
    runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)

    def validate(self):
        longest = self.model.max_sequence_length
        if self.data.sequence_length > longest:
            raise ValueError(
                "data.sequence_length must be at most "
                "model.max_sequence_length. Received: data.sequence_length="
                f"{self.data.sequence_length}, "
                f"model.max_sequence_length={longest}."
            )
        if self.task.name and self.task.sequence_length > longest:
            raise ValueError(
                "task.sequence_length must be at most "
                "model.max_sequence_length. Received: task.sequence_length="
                f"{self.task.sequence_length}, "
                f"model.max_sequence_length={longest}."
            )
        if self.generation.max_new_tokens >= longest:
            raise ValueError(
                "generation.max_new_tokens must be less than "
                "model.max_sequence_length. Received: "
                f"generation.max_new_tokens={self.generation.max_new_tokens}, "
                f"model.max_sequence_length={longest}."
            )
        self._check_task()
        self._check_layers()
        self._check_executions()

    def _check_task(self):
        phases = self.training.phases
        on_task = [phase.name for phase in phases if phase.data == "task"]
        if on_task and self.task.name is None:
            raise ValueError(
                "A phase on the task needs task.name. Received: "
                f"task.name=None, phases on the task: {on_task}."
            )

    def _check_layers(self):
        trainable = self.training.trainable_layers
        if trainable is not None and trainable > self.model.num_layers:
            raise ValueError(
                "training.trainable_layers must be at most model.num_layers. "
                f"Received: training.trainable_layers={trainable}, "
                f"model.num_layers={self.model.num_layers}."
            )

    def _check_executions(self):
        together = self.runtime.steps_per_execution
        training = self.training
        for key, steps in (
            ("training.validation_steps", training.validation_steps),
            ("training.checkpoint_steps", training.checkpoint_steps),
            *(
                (f"training.phases.{i}.steps", phase.steps)
                for i, phase in enumerate(training.phases)
            ),
        ):
            if steps is not None and steps % together:
                raise ValueError(
                    f"runtime.steps_per_execution must divide {key}. Received: "
                    f"runtime.steps_per_execution={together}, {key}={steps}."
                )


def load_config(path, overrides=()):
    """Reads one experiment.

    Args:
        path: a YAML file, or the name of a config that comes with the
            package, such as "base".
        overrides: strings "section.key=value", the value in YAML; an item of
            a list is named by its number ("training.phases.0.steps=10").

    Returns:
        An `ExperimentConfig`.

    Raises:
        ValueError: if the file or an override cannot be understood.
        OSError: if the file cannot be read.
    """
    path = config_path(path)
    try:
        values = config_yaml.parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"A config must be UTF-8 text. Received: path={str(path)!r}."
        ) from error
    values = {} if values is None else values
    for override in overrides:
        _override(values, override)
    return _conform(values, ExperimentConfig, "")


def save_config(config, path):
    """Writes `config` so that `load_config` gives the same again."""
    text = yaml.safe_dump(config.as_dict(), sort_keys=False)
    pathlib.Path(path).write_text(text, encoding="utf-8")


def config_path(name):
    """The file that `name`, a path or a shipped config's name, stands for."""
    if re.fullmatch(r"\w+", str(name)) and not pathlib.Path(name).exists():
        package = pathlib.Path(__file__).parent
        # Installed, the configs lie in the package; in a checkout, beside it.
        for folder in (package / "configs", package.parent / "configs"):
            path = folder / f"{name}.yaml"
            if path.is_file():
                return path
    return pathlib.Path(name)


def _override(values, override):
    """Sets one "section.key=value" in the nested dict `values`."""
    key, equals, value = override.partition("=")
    *parents, last = key.split(".")
    if not (equals and parents and all(parents) and last):
        raise ValueError(
            f"An override must read section.key=value. Received: {override!r}."
        )
    for parent in parents:
        values = _item(values, parent, override)
    _item(
        values,
        last,
        override,
        config_yaml.parse(value, f"override {override!r}"),
    )


def _item(values, key, override, *new):
    """`values[key]`, made if absent; with `new`, that is put there."""
    if isinstance(values, list) and key.isdigit() and int(key) < len(values):
        key = int(key)
    elif not isinstance(values, dict):
        raise ValueError(
            f"An override must name a key of the config; there is no {key!r} "
            f"there. Received: {override!r}."
        )
    if new:
        values[key] = new[0]
    elif isinstance(values, dict) and values.get(key) is None:
        values[key] = {}
    return values[key]


def _conform(value, hint, key):
    """`value` as the type `hint`, or a `ValueError` that names `key`."""
    options = _options(hint)
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return _section(value, option, key)
        if typing.get_origin(option) is list and isinstance(value, list):
            (item,) = typing.get_args(option)
            return [
                _conform(each, item, f"{key}.{i}")
                for i, each in enumerate(value)
            ]
        if option is float and type(value) is int:
            return float(value)
        if type(value) is option:
            return value
    names = " or ".join(_type_name(option) for option in options)
    name = key or "config"
    raise ValueError(f"{name} must be {names}. Received: {name}={value!r}.")


def _section(values, section, prefix):
    """The dataclass `section` with the keys of the dict `values`."""
    hints = typing.get_type_hints(section)
    known = {
        each.name: hints[each.name] for each in dataclasses.fields(section)
    }
    arguments = {}
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            advice = (
                f"did you mean {near[0]}?"
                if near
                else f"it has {', '.join(known)}."
            )
            raise ValueError(
                f"{prefix or 'The config'} has no key {key!r}; {advice} "
                f"Received: {name}={value!r}."
            )
        arguments[key] = _conform(value, known[key], name)
    return section(**arguments)


def _options(hint):
    """The types that a hint such as `str | None` allows."""
    is_union = isinstance(hint, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _type_name(option):
    if dataclasses.is_dataclass(option):
        return "a section of keys"
    return _TYPE_NAMES.get(option, "a list of sections")
