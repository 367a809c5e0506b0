"""Passages of LAMBADA: a context, and the last word, which is to be told.

Reference: Paperno et al. 2016, "The LAMBADA dataset: Word prediction
requiring a broad discourse context" (arXiv:1606.06031).
"""

import os
import re
import typing

import tensorflow as tf

from gpt3_keras.data import json_files
from gpt3_keras.data import sources

SPLITS = ("development", "test")

# lambada_test_plain_text.txt; OpenAI's lambada_test.jsonl; ..._test_en.jsonl.
_HELD_OUT = re.compile(
    r"lambada[_-](development|dev|test|control_test)(?![a-z])", re.IGNORECASE
)
_NOVELS = "train-novels"


class Passage(typing.NamedTuple):
    """A text but for its last word, and that word.

    Args:
        context: str, without the space at its end.
        target: str, the last word, without a space in front.
        file: str, where it was read.
        line: int, counted from 1; 0 where lines do not count.
    """

    context: str
    target: str
    file: str
    line: int


def read_passages(source, split=None):
    """Reads passages for evaluation.

    A passage is cut at its last space, as lm-evaluation-harness cuts it:

    ``` `` good luck , rowan`` -> context "`` good luck ,", target "rowan"```

    Args:
        source: a file, a folder, a glob, or a list of those. A file whose
            name ends in `.jsonl` or `.json` has an object with a "text" a
            line; any other has a passage a line. A folder, such as the
            unpacked official archive, stands for its file named
            `lambada_<split>...`; its other files are passed over.
        split: `"development"` or `"test"`, which file of a folder to read.
            Defaults to the only one that is there.

    Returns:
        An iterator of `Passage`s, in the order of their files. Lines that
        are blank are passed over.

    Raises:
        ValueError: at once, if there is no file of passages, or a folder
            holds several; while reading, with file and line, if a line is
            no passage.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(
            f'split must be "development" or "test". Received: split={split!r}.'
        )
    members = source if isinstance(source, list | tuple) else [source]
    expanded = [
        _file_of_split(path, split) if _is_folder(path) else path
        for path in members
    ]
    files = sources.find_files(expanded)
    return (passage for file in files for passage in _read_file(file.path))


def training_files(source):
    """The files of text that may be trained on.

    Args:
        source: see `sources.find_files`. The unpacked official archive
            stands for the novels in its folder `train-novels`.

    Returns:
        A list of `sources.TextFile`s.

    Raises:
        ValueError: if one is LAMBADA's development or test file, or the
            archive's novels are still packed.
    """
    members = source if isinstance(source, list | tuple) else [source]
    files = sources.find_files([_novels_folder(path) for path in members])
    for file in files:
        if held_out_split(file.path):
            raise ValueError(
                "LAMBADA's development and test passages are not for "
                f"training. Received: source with {file.path}."
            )
    return files


def held_out_split(path):
    """Which held-out split a file's name says that it is; None for others.

    >>> held_out_split("data/lambada_development_plain_text.txt")
    'development'
    >>> held_out_split("data/lambada_test_en.jsonl")
    'test'
    """
    match = _HELD_OUT.match(os.path.basename(path))
    if match is None:
        return None
    name = match[1].lower()
    return "development" if name == "dev" else name


def _is_folder(path):
    return isinstance(path, str | os.PathLike) and tf.io.gfile.isdir(
        os.path.expanduser(os.fspath(path))
    )


def _walk(folder):
    """The files below a folder, without hidden ones, sorted."""
    with sources.reading(folder):
        return sorted(
            os.path.join(parent, name)
            for parent, _, names in tf.io.gfile.walk(folder)
            for name in names
            if not name.startswith(".")
        )


def _file_of_split(folder, split):
    """The one file of passages in a folder."""
    folder = os.path.expanduser(os.fspath(folder))
    files = _walk(folder)
    found = [path for path in files if held_out_split(path) in SPLITS]
    if split is not None:
        found = [path for path in found if held_out_split(path) == split]
    if not found:
        raise ValueError(
            f"A folder must hold passages, as lambada_{split or 'test'}"
            "_plain_text.txt or .jsonl; files with another name are named "
            f"by their path. Received: source={folder!r} with {len(files)} "
            "files, none of them so named."
        )
    if len(found) > 1:
        names = ", ".join(os.path.relpath(path, folder) for path in found)
        raise ValueError(
            "It must be clear which passages are meant: choose a split, or "
            f"name a file. Received: source={folder!r}, split={split!r}, "
            f"with {names}."
        )
    return found[0]


def _novels_folder(path):
    """The folder of novels of an unpacked archive; other paths as they are."""
    if not _is_folder(path):
        return path
    folder = os.path.expanduser(os.fspath(path))
    for parent, folders, names in tf.io.gfile.walk(folder):
        if _NOVELS in (name.rstrip("/") for name in folders):
            return os.path.join(parent, _NOVELS)
        if f"{_NOVELS}.tar" in names:
            raise ValueError(
                "The archive's novels must be unpacked, with `tar -xf "
                f"{_NOVELS}.tar`. Received: {parent} with {_NOVELS}.tar and "
                f"no folder {_NOVELS}."
            )
    return path


def _read_file(path):
    """Yields the passages of a file, at least one."""
    is_json = path.lower().endswith((".jsonl", ".json"))
    is_empty = True
    for line, content in (_json_texts if is_json else _lines)(path):
        is_empty = False
        context, space, target = content.rpartition(" ")
        if not (space and context.strip() and target.strip()):
            raise ValueError(
                "A passage must have a last word, and words before it. "
                f"Received: {path}, line {line}: {content[:60]!r}."
            )
        yield Passage(context, target, path, line)
    if is_empty:
        raise ValueError(
            f"A file must hold passages. Received: {path}, all blank."
        )


def _json_texts(path):
    """Yields (line, text) of OpenAI's form."""
    for line, record in json_files.read_json_lines(path):
        place = f"{path}, line {line}"
        if not isinstance(record, dict):
            raise ValueError(
                'A line must be an object with a "text". Received: '
                f"{place}: {json_files.shown(record)}."
            )
        yield line, json_files.field(record, "text", str, place)


def _lines(path):
    """Yields (line, text) of the official form, without space around."""
    with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
        for line, raw in enumerate(file, 1):
            content = _decode(raw, path, line).removeprefix("\ufeff").strip()
            if content:
                yield line, content


def _decode(raw, path, line):
    if b"\0" in raw:
        raise ValueError(
            "Text must be UTF-8; with a NUL byte it is a binary file or "
            f"UTF-16. Received: {path}, line {line}, with a NUL byte."
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            "Text must be UTF-8; convert it, for example with `iconv -f "
            f"LATIN1 -t UTF-8`. Received: {path}, line {line}, with byte "
            f"0x{raw[error.start]:02x}."
        ) from error
