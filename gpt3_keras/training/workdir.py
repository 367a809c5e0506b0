"""A run's folder: its config, its checkpoint and its history.

```
workdir/config.yaml     the config as it was understood
        model/          the checkpoint: a KerasHub preset, its checksums
        history.jsonl   one JSON object a line: what training measured
        curves.png      the same, drawn
```
"""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import zipfile

from gpt3_keras import config as configs
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.tokenizer import GPT3Tokenizer

CONFIG = "config.yaml"
MODEL = "model"
HISTORY = "history.jsonl"
CHECKSUMS = "sha256.json"

# What Keras, KerasHub, h5py and json raise for files that are not whole.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


def check_new(folder):
    """Raises unless `folder` is free to be written: absent or empty."""
    folder = pathlib.Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder that is new.")
    _refuse_run(folder)
    if any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and stays as it is; name another folder."
        )


def _refuse_run(folder):
    if (folder / CONFIG).exists():
        raise ValueError(
            f"{folder} already holds a run, which stays as it is; name "
            "another folder."
        )


def create(folder, config):
    """Makes the folder of a new run, with `config` in it; returns its path."""
    folder = pathlib.Path(folder)
    _refuse_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    configs.save_config(config, folder / CONFIG)
    return folder


def save_model(model, folder):
    """Writes the checkpoint: all of it takes the old one's place, or none."""
    target = pathlib.Path(folder) / MODEL
    # In the same folder, so that a rename moves it.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=f".{MODEL}.", dir=folder))
    try:
        model.save_to_preset(str(scratch / "new"))
        checksums = json.dumps(_checksums(scratch / "new"), indent=2)
        (scratch / "new" / CHECKSUMS).write_text(checksums, "utf-8")
        if target.exists():
            os.rename(target, scratch / "old")
        os.rename(scratch / "new", target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def load(folder):
    """The config and the trained model of a run.

    Raises:
        ValueError: if `folder` is no run, the run has no checkpoint, or a
            file of it is damaged.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    if not (folder / CONFIG).is_file():
        raise ValueError(_no_run(folder))
    config = configs.load_config(folder / CONFIG)
    model = folder / MODEL
    if not model.is_dir():
        raise ValueError(
            f"{folder} has no checkpoint: its training did not reach the end "
            "of a phase."
        )
    try:
        _verify(model)
        return config, GPT3CausalLM.from_preset(str(model))
    except _DAMAGE as error:
        raise ValueError(
            f"The checkpoint {model} is damaged: {first_line(error)}"
        ) from error


def _checksums(folder):
    """SHA-256 of every file, by its path below `folder`."""
    checksums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != CHECKSUMS:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            checksums[path.relative_to(folder).as_posix()] = digest
    return checksums


def _verify(folder):
    """Raises for a file that is not what was saved; others may be added."""
    saved = json.loads((folder / CHECKSUMS).read_text("utf-8"))
    found = _checksums(folder)
    for name, digest in saved.items():
        if found.get(name) != digest:
            raise ValueError(f"{name} is not what was saved.")


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


def read_history(folder):
    """What training measured: a list of dicts, in order."""
    lines = (pathlib.Path(folder) / HISTORY).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


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
