"""The shipped configs never train on what they are judged by."""

import pathlib
import re

import pytest

from gpt3_keras import config as configs
from gpt3_keras.data import sources

# Where the shipped configs look for real text.
DATA = "../shared/data/"
ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
# Files that are for tuning and for reporting, by the words of their names.
_HELD_OUT = re.compile(r"(?<![a-z])(dev|development|valid\w*|test)(?![a-z])")


def pairs(config):
    """(training, held-out) sources of a config, as lists of patterns."""
    for section in (config.data, config.task):
        if section.train is not None and section.validation is not None:
            yield tuple(
                [source] if isinstance(source, str) else source
                for source in (section.train, section.validation)
            )


def files(patterns, folder):
    """The files of patterns in the folder of real texts."""
    paths = [str(folder / pattern.removeprefix(DATA)) for pattern in patterns]
    return {pathlib.Path(x.path).resolve() for x in sources.find_files(paths)}


def test_held_out_names_are_known():
    names = "sgd/dev.jsonl", "lambada_development_plain_text.txt"
    assert all(map(_HELD_OUT.search, names))
    assert _HELD_OUT.search("woz2/validate.jsonl")
    assert not _HELD_OUT.search("novels_en/ENG18471_Bronte.txt")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_training_file_is_a_held_out_one(path):
    config = configs.load_config(path)
    for section in (config.data, config.task):
        train = section.train or []
        for pattern in [train] if isinstance(train, str) else train:
            assert not _HELD_OUT.search(pattern), pattern


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_training_and_held_out_files_are_disjoint(path, real_data):
    folder = real_data("novels_en").parent
    for train, held_out in pairs(configs.load_config(path)):
        assert not set(train) & set(held_out)
        if all(pattern.startswith(DATA) for pattern in (*train, *held_out)):
            read = files(train, folder)
            assert read
            assert not read & files(held_out, folder)
