"""JSON files, read with errors that name the file, the line and the key."""

import contextlib
import difflib
import gzip
import json
import re
import zlib

import tensorflow as tf

from gpt3_keras.data import sources

_KINDS = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_REQUIRED = object()
_WHITE_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path):
    """The value of a JSON file.

    Raises:
        ValueError: with file and line, if it is not UTF-8 or not JSON.
    """
    with _reading(path), tf.io.gfile.GFile(path, "rb") as file:
        raw = file.read()
    return parse_json(_decode(raw, path, 1), path, 1)


def read_lines(path):
    """Yields (line number, text) of a UTF-8 file, line ends included.

    A file whose name ends in `.gz` is unpacked on the way.

    Raises:
        ValueError: with file and line, if a line is not UTF-8.
    """
    with _reading(path), tf.io.gfile.GFile(path, "rb") as file:
        is_packed = str(path).endswith(".gz")
        unpacked = gzip.GzipFile(fileobj=file) if is_packed else file
        for line, raw in enumerate(unpacked, 1):
            yield line, _decode(raw, path, line)


def read_json_lines(path):
    """Yields (line number, value) of a file with a JSON value a line.

    Lines that are blank are passed over.

    Raises:
        ValueError: with file and line, if a line is not UTF-8 or not JSON, or
            if there is nothing to read.
    """
    is_empty = True
    for line, content in read_lines(path):
        if content.strip():
            is_empty = False
            yield line, parse_json(content, path, line)
    if is_empty:
        raise ValueError(
            f"A file of JSON lines must hold one. Received: {path}, empty."
        )


def read_members(path):
    """Yields (key, value) of a JSON file that holds one large object.

    Values are made one at a time: memory holds the text and one of them.

    Raises:
        ValueError: with file and line, if it is not UTF-8 or not JSON.
    """
    with _reading(path), tf.io.gfile.GFile(path, "rb") as file:
        content = _decode(file.read(), path, 1)
    decoder = _decoder(path)
    keys = set()
    with _parsing(path, 1):
        end = _expect(content, 0, "{")
        if content.startswith("}", _space(content, end)):
            return
        while True:
            key, end = decoder.raw_decode(content, _space(content, end))
            if not isinstance(key, str) or key in keys:
                raise json.JSONDecodeError("Expecting a new key", content, end)
            keys.add(key)
            end = _space(content, _expect(content, end, ":"))
            value, end = decoder.raw_decode(content, end)
            yield key, value
            if content.startswith("}", _space(content, end)):
                return
            end = _expect(content, end, ",")


def write_json_lines(path, values):
    """Writes a JSON value a line, and puts the file in place when whole.

    Args:
        path: str.
        values: iterator of what `json` can write.

    Returns:
        int, the number of lines.
    """
    number = 0
    with sources.reading(path):
        with tf.io.gfile.GFile(f"{path}.part", "wb") as file:
            for value in values:
                content = json.dumps(value, ensure_ascii=False)
                file.write(content.encode() + b"\n")
                number += 1
        tf.io.gfile.rename(f"{path}.part", path, overwrite=True)
    return number


def parse_json(content, path, line):
    """The value of JSON that begins at a line of a file."""
    with _parsing(path, line):
        return _decoder(f"{path}, line {line}").decode(content)


def check_object(record, place):
    """Raises unless `record` is an object."""
    if not isinstance(record, dict):
        raise ValueError(
            f"It must be an object. Received: {place}: {shown(record)}."
        )


def check_keys(record, keys, place):
    """Raises unless `record` is an object with no key but `keys`."""
    check_object(record, place)
    for key in record:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"Keys must be known: {', '.join(sorted(keys))}. Received: "
                f"{place}: {key!r}{hint}"
            )


def field(record, key, kind, place, default=_REQUIRED):
    """The value of a key, once it is of the kind that it must be.

    Args:
        record: dict.
        key: str.
        kind: type, one of `str`, `int`, `bool`, `list`, `dict`.
        place: str, where the record stands, for the error.
        default: what a missing key stands for; without it the key must be
            there.

    Raises:
        ValueError: if the key is missing or its value is of another type.
    """
    if key not in record:
        if default is not _REQUIRED:
            return default
        raise ValueError(f"{key!r} must be given. Received: {place} without.")
    value = record[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(
            f"{key!r} must be {_KINDS[kind]}. Received: {place}: "
            f"{shown(value)}."
        )
    return value


def objects(record, key, place, default=_REQUIRED):
    """The list of objects under a key."""
    items = field(record, key, list, place, default)
    for number, item in enumerate(items):
        check_object(item, f"{place}, {key!r}, number {number}")
    return items


def strings(record, key, place, default=_REQUIRED):
    """The tuple of different strings under a key; none of them is blank."""
    values = field(record, key, list, place, default)
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                f"{key!r} must hold strings that are not blank. Received: "
                f"{place}: {shown(value)}."
            )
        if list(values).count(value) > 1:
            raise ValueError(
                f"{key!r} must hold a string once. Received: "
                f"{place}: {value!r} twice."
            )
    return tuple(values)


def shown(value):
    """A value as an error shows it: JSON, cut short."""
    content = json.dumps(value, ensure_ascii=False)
    return content if len(content) <= 60 else content[:60] + "..."


@contextlib.contextmanager
def _reading(path):
    try:
        with sources.reading(path):
            yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"A .gz file must be whole. Received: {path}: {error}."
        ) from error


def _decode(raw, path, line):
    """The text of bytes that begin at a line; a byte order mark is dropped."""
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise ValueError(
            "Text must be UTF-8; convert it, for example with `iconv -f "
            f"LATIN1 -t UTF-8`. Received: {path}, line {line}, with byte "
            f"0x{raw[error.start]:02x}."
        ) from error


def _decoder(place):
    """A decoder that refuses an object with a key twice."""

    def unique(pairs):
        record = dict(pairs)
        if len(record) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(
                f"An object must name a key once. Received: {place}: "
                f"{twice!r} twice."
            )
        return record

    return json.JSONDecoder(object_pairs_hook=unique)


@contextlib.contextmanager
def _parsing(path, line):
    """Says where JSON is malformed, counted from the line it begins at."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise ValueError(
            f"Text must be JSON. Received: {path}, line "
            f"{line + error.lineno - 1}, column {error.colno}: {error.msg}."
        ) from error
    except RecursionError as error:
        raise ValueError(
            f"JSON must not be nested so deeply. Received: {path}, line {line}."
        ) from error


def _space(content, start):
    """The place of the first character that is no white space."""
    return _WHITE_SPACE.match(content, start).end()


def _expect(content, start, character):
    """The place after a character that must come next."""
    start = _space(content, start)
    if not content.startswith(character, start):
        raise json.JSONDecodeError(f"Expecting {character!r}", content, start)
    return start + 1
