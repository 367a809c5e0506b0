r"""Summaries of short texts: their sources and references, from files.

Three forms are read:

* JSON Lines, `{"source": str | [str], "target": str | [str]}`: a text, or its
  sentences, and a summary, or several by different authors. Other keys do not
  matter. SciTLDR is published like this (Cachola et al. 2020,
  arXiv:2004.15011).
* The prepared layout of DUC 2004, a folder with `input.txt`, one sentence of
  an article a line, and `task1_ref0.txt` to `task1_ref3.txt`, whose lines are
  its four references (Rush et al. 2015, arXiv:1509.00685).
* DUC 2004 as NIST distributes it, see `duc2004`.
"""

import os
import typing

import tensorflow as tf

from gpt3_keras.data import duc2004
from gpt3_keras.data import json_files
from gpt3_keras.data import sentences as sentence_rules
from gpt3_keras.data import sources
from gpt3_keras.data.task_rows import Example

FORMS = ("jsonl", "prepared", "nist")
INPUT_FILE = "input.txt"
REFERENCE_FILES = tuple(
    f"task1_ref{i}.txt" for i in range(duc2004.NUM_REFERENCES)
)


class Summary(typing.NamedTuple):
    """A text and what it comes down to.

    Args:
        name: str, which one it is.
        source: str, the sentences with one space between them.
        targets: tuple of str, the references, at least one.
        file: str, where the source was read.
        line: int, counted from 1.
        sentences: tuple of str, of the source, at least one.
    """

    name: str
    source: str
    targets: tuple[str, ...]
    file: str
    line: int
    sentences: tuple[str, ...]


def find_form(source):
    """Which of `FORMS` a source has.

    Args:
        source: path of a folder or of a `.jsonl` file, a glob, or a list.

    Raises:
        ValueError: it has none of them.
    """
    if not isinstance(source, str | os.PathLike):
        return "jsonl"
    folder = os.path.expanduser(os.fspath(source))
    if not tf.io.gfile.isdir(folder):
        return "jsonl"
    if any(_exists(folder, x) for x in (INPUT_FILE, *REFERENCE_FILES)):
        return "prepared"
    if duc2004.has_layout(folder):
        return "nist"
    if _jsonl_files(folder):
        return "jsonl"
    raise ValueError(
        f"A folder of summaries must hold .jsonl files, or {INPUT_FILE} and "
        f"{REFERENCE_FILES[0]} to {REFERENCE_FILES[-1]}, or NIST's docs and "
        f"eval/models/1. Received: source={folder!r}."
    )


def read_summaries(source):
    """An iterator over the summaries of a source, in the order of its files.

    `{"source": ["It rained. ", "We stayed."], "target": "Rain."}` becomes
    `Summary("dev.jsonl:1", "It rained. We stayed.", ("Rain.",), ...)`.

    Args:
        source: see `find_form`.

    Returns:
        An iterator of `Summary`.

    Raises:
        ValueError: with file and line, where something is missing or wrong;
            what is in a file comes to light when it is read.
    """
    form = find_form(source)
    if form == "jsonl":
        return _read_json_lines(_find_json_lines(source))
    folder = os.path.expanduser(os.fspath(source))
    if form == "prepared":
        return _read_prepared(folder)
    return map(_from_document, duc2004.read_task1(folder))


def examples(summaries, separator):
    r"""Yields what a model learns from, an `Example` for each reference.

    `Summary(source="It rained.", targets=("Rain.", "Wet."), ...)` with the
    separator `"\nTL;DR:"` gives `("It rained.", "\nTL;DR:", " Rain.")` and
    `("It rained.", "\nTL;DR:", " Wet.")`.

    Args:
        summaries: iterable of `Summary`.
        separator: str, what stands between a text and its summary.
    """
    for summary in summaries:
        for target in summary.targets:
            yield Example(summary.source, separator, f" {target}")


def _from_document(document):
    split = tuple(
        paragraph[start:end].strip()
        for paragraph in document.paragraphs
        for start, end in sentence_rules.split_sentences(paragraph)
    )
    return Summary(
        name=document.name,
        source=" ".join(split),
        targets=document.references,
        file=document.file,
        line=document.line,
        sentences=split,
    )


def _read_prepared(folder):
    """Yields the summaries of `input.txt` and its four files of references."""
    paths = [os.path.join(folder, x) for x in (INPUT_FILE, *REFERENCE_FILES)]
    for path in paths:
        if not tf.io.gfile.exists(path):
            raise ValueError(
                f"A prepared folder must hold {INPUT_FILE} and "
                f"{REFERENCE_FILES[0]} to {REFERENCE_FILES[-1]}. Received: "
                f"{path}, which does not exist."
            )
    columns = [[*_lines(path)] for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(columns[0]):
            raise ValueError(
                f"A file of references must have a line for each of "
                f"{INPUT_FILE}. Received: {path} with "
                f"{len(column)} lines, and {len(columns[0])} in {INPUT_FILE}."
            )
    for line, texts in enumerate(zip(*columns, strict=True), 1):
        for path, text in zip(paths, texts, strict=True):
            if not text:
                raise ValueError(
                    "A line must hold a sentence. Received: "
                    f"{path}, line {line}, empty."
                )
        yield Summary(
            name=f"{INPUT_FILE}:{line}",
            source=texts[0],
            targets=texts[1:],
            file=paths[0],
            line=line,
            sentences=texts[:1],
        )


def _find_json_lines(source):
    if isinstance(source, str | os.PathLike):
        folder = os.path.expanduser(os.fspath(source))
        if tf.io.gfile.isdir(folder):
            source = _jsonl_files(folder)
    files = sources.find_files(source)
    for file in files:
        if not file.path.lower().endswith(".jsonl"):
            raise ValueError(
                "A file of summaries must be JSON Lines, and named .jsonl. "
                f"Received: {file.path}."
            )
    return files


def _read_json_lines(files):
    for file in files:
        for line, record in json_files.read_json_lines(file.path):
            yield _from_record(record, file, line)


def _from_record(record, file, line):
    place = f"{file.path}, line {line}"
    if not isinstance(record, dict):
        raise ValueError(
            "A line must be an object. Received: "
            f"{place}: {json_files.shown(record)}."
        )
    sentences = tuple(filter(None, _texts(record, "source", place)))
    targets = tuple(_texts(record, "target", place))
    for key, is_empty in (
        ("source", not sentences),
        ("target", not targets or not all(targets)),
    ):
        if is_empty:
            raise ValueError(
                f"{key!r} must not be empty. Received: {place}: "
                f"{json_files.shown(record[key])}."
            )
    return Summary(
        name=f"{file.key}:{line}",
        source=" ".join(sentences),
        targets=targets,
        file=file.path,
        line=line,
        sentences=sentences,
    )


def _texts(record, key, place):
    """A value as a list of strings, white space as single spaces."""
    if key not in record:
        raise ValueError(f"{key!r} must be given. Received: {place} without.")
    value = record[key]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(
        isinstance(text, str) for text in texts
    ):
        raise ValueError(
            f"{key!r} must be a string or a list of strings. Received: "
            f"{place}: {json_files.shown(value)}."
        )
    return [" ".join(text.split()) for text in texts]


def _lines(path):
    r"""Yields a UTF-8 file's lines, stripped; only `\n` ends one."""
    with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
        content = file.read().removeprefix(b"\xef\xbb\xbf")
    *lines, last = content.split(b"\n")
    for number, line in enumerate([*lines, last] if last else lines, 1):
        try:
            yield " ".join(line.decode("utf-8").split())
        except UnicodeDecodeError as error:
            raise ValueError(
                "Text must be UTF-8; convert it, for example with `iconv -f "
                f"LATIN1 -t UTF-8`. Received: {path}, line {number}, with "
                f"byte 0x{line[error.start]:02x}."
            ) from error


def _jsonl_files(folder):
    with sources.reading(folder):
        names = sorted(tf.io.gfile.listdir(folder))
    return [
        os.path.join(folder, name)
        for name in names
        if name.lower().endswith(".jsonl") and not name.startswith(".")
    ]


def _exists(folder, name):
    return tf.io.gfile.exists(os.path.join(folder, name))
