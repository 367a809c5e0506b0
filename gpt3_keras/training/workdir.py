"""A run's folder: its config, its checkpoints and its history.

```
workdir/config.yaml     the config as it was understood
        schema.json     where the run is about dialogue, what it knows
        checkpoints/    see `checkpoints`; in each, model/ is a preset
        history.jsonl   one JSON object a line: what training measured
        tensorboard/    the same for TensorBoard, with samples and pictures
        curves.png      the same, drawn
```
"""

import pathlib
import zipfile

from gpt3_keras import config as configs
from gpt3_keras.data.dialogue_schema import read_schema
from gpt3_keras.data.dialogue_schema import schema_path
from gpt3_keras.data.dialogue_schema import write_schema
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.dialogue import GPT3DialogueModel
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training.checkpoints import CheckpointStore

CONFIG = "config.yaml"
SCHEMA = "schema.json"
CHECKPOINTS = "checkpoints"
HISTORY = "history.jsonl"

# What Keras, KerasHub, h5py and json raise for files that are not whole.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


def check_new(folder):
    """Raises unless `folder` is free to be written: absent or empty."""
    folder = pathlib.Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder that is new.")
    if (folder / CONFIG).exists():
        raise ValueError(
            f"{folder} already holds a run, which stays as it is; name "
            "another folder."
        )
    if any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and stays as it is; name another folder."
        )


def holds_run(folder):
    """Whether a run was begun in `folder`."""
    return (pathlib.Path(folder) / CONFIG).is_file()


def check(folder, config, is_writer=True):
    """Raises unless a run of `config` can begin or go on in `folder`.

    Args:
        folder: path.
        config: an `ExperimentConfig`.
        is_writer: bool, whether this process will begin it. One that will
            not may come before or after the one that does.

    Raises:
        ValueError: if the folder holds something else, or a run of another
            config; each key that differs has a line.
    """
    folder = pathlib.Path(folder)
    if holds_run(folder):
        _check_same(folder, config)
    elif is_writer:
        check_new(folder)


def _check_same(folder, config):
    saved = configs.load_config(folder / CONFIG)
    lines = list(differences(saved.as_dict(), config.as_dict()))
    if lines:
        raise ValueError(
            "A run goes on with the config that it began with; name another "
            f"folder for another one. Received: {folder} with another config:"
            + "".join(f"\n  {line}" for line in lines)
        )


def differences(saved, given, prefix=""):
    """Yields "key: saved -> given" for each key of two configs, as dicts.

    What `runtime` says changes no result, and may differ.
    """
    if isinstance(saved, list) and isinstance(given, list):
        saved, given = dict(enumerate(saved)), dict(enumerate(given))
    if not (isinstance(saved, dict) and isinstance(given, dict)):
        if saved != given:
            yield f"{prefix}: {saved} -> {given}"
        return
    for key in {**saved, **given}:
        name = f"{prefix}.{key}" if prefix else str(key)
        if name != "runtime":
            yield from differences(saved.get(key), given.get(key), name)


def begin(folder, config, is_writer=True):
    """Makes the folder of a run, with `config` in it; returns its path.

    A run of the same config that is there already stays. Arguments and errors
    as for `check`, but other files in the folder do no harm.
    """
    folder = pathlib.Path(folder)
    if holds_run(folder):
        _check_same(folder, config)
    elif is_writer:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{CONFIG}"
        configs.save_config(config, scratch)
        if config.task.name == "dialogue":
            schema = read_schema(schema_path(config.task.train))
            write_schema(schema, folder / SCHEMA)
        scratch.rename(folder / CONFIG)
    return folder


def load(folder):
    """The config and the trained model of a run.

    The model is the best one, as far as validation tells, or else the last;
    it computes in float32.

    Raises:
        ValueError: if `folder` is no run, the run has no checkpoint, or a
            file of it is damaged.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    if not holds_run(folder):
        raise ValueError(_no_run(folder))
    config = configs.load_config(folder / CONFIG)
    preset = model_folder(folder)
    is_dialogue = config.task.name == "dialogue"
    kind = GPT3DialogueModel if is_dialogue else GPT3CausalLM
    try:
        return config, kind.from_preset(str(preset), dtype="float32")
    except _DAMAGE as error:
        raise ValueError(
            f"The checkpoint {preset} is damaged: {first_line(error)}"
        ) from error


def last_step(folder):
    """The step of a run's last checkpoint, or None."""
    store = CheckpointStore(pathlib.Path(folder) / CHECKPOINTS, keep=1)
    return store.latest()


def model_folder(folder):
    """Path of the preset that `load` reads; its files are verified.

    Raises:
        ValueError: if there is no checkpoint, or it is damaged.
    """
    folder = pathlib.Path(folder)
    store = CheckpointStore(folder / CHECKPOINTS, keep=1)
    step = store.best()
    if step is None:
        step = store.latest()
    if step is None:
        raise ValueError(
            f"{folder} has no checkpoint: its training did not come so far."
        )
    store.verify(step)
    return store.model_folder(step)


def load_tokenizer(folder):
    """A tokenizer that was saved alone or with a model.

    Raises:
        ValueError: if there is none in `folder`, or it is damaged.
    """
    try:
        return GPT3Tokenizer.from_preset(str(folder))
    except _DAMAGE as error:
        raise ValueError(
            f"{folder} holds no tokenizer that can be read: {first_line(error)}"
        ) from error


def first_line(error):
    """An exception's message cut to one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _no_run(folder):
    if (folder / "config.json").exists():
        return f"{folder} is a checkpoint; name the folder of its run."
    if (folder / "saved_model.pb").exists():
        return f"{folder} is an export; name the folder of a training run."
    if (folder / "variables").exists() or (folder / "assets").exists():
        return f"{folder} is a half-written export; export the run again."
    return f"{folder} holds no training run: it has no {CONFIG}."
