"""JSON is read with its file, line and key in every error."""

import gzip
import re

import pytest

from gpt3_keras.data import json_files


def refuses(message):
    return pytest.raises(ValueError, match=re.escape(message))


@pytest.fixture
def write(tmp_path):
    def write(raw, name="file.jsonl"):
        path = tmp_path / name
        path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        return str(path)

    return write


def test_lines_and_their_numbers(write):
    path = write('\ufeff{"a": 1}\n\n[2]\r\n"é"')
    assert list(json_files.read_json_lines(path)) == [
        (1, {"a": 1}),
        (3, [2]),
        (4, "é"),
    ]


def test_packed_lines(write):
    path = write(gzip.compress(b"1\n2\n"), "file.jsonl.gz")
    assert list(json_files.read_json_lines(path)) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("name", ["whole", "cut", "plain"])
def test_packed_lines_must_be_whole(write, name):
    packed = gzip.compress(b"1\n" * 999)
    raw = {"whole": packed, "cut": packed[:-9], "plain": b"1\n"}[name]
    path = write(raw, "file.jsonl.gz")
    if name == "whole":
        assert len(list(json_files.read_json_lines(path))) == 999
    else:
        with refuses(f"A .gz file must be whole. Received: {path}: "):
            list(json_files.read_json_lines(path))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "must hold one. Received: {path}, empty."),
        (b"\n \n", "must hold one. Received: {path}, empty."),
        (b'1\n{"a": }\n', "JSON. Received: {path}, line 2, column 7: Expecti"),
        (b'1\n{"a": 1', "JSON. Received: {path}, line 2, column 8: Expecti"),
        (b'1\n"caf\xe9"\n', "UTF-8; convert it, for example with `iconv -f "),
        (b'1\n"caf\xe9"\n', "Received: {path}, line 2, with byte 0xe9."),
        (b'{"a": 1, "a": 2}', "once. Received: {path}, line 1: 'a' twice."),
        (b"[" * 100_000, "nested so deeply. Received: {path}, line 1."),
    ],
)
def test_lines_that_are_refused(write, raw, message):
    path = write(raw)
    with refuses(message.format(path=path)):
        list(json_files.read_json_lines(path))


def test_a_file_names_its_line(write):
    path = write('{\n"a": 1,\n"b": x}')
    message = f"{path}, line 3, column 6: Expecting value."
    with refuses(message):
        json_files.read_json(path)
    path = write(b'{\n"a": "\xe9"}')
    with refuses(f"Received: {path}, line 2, with byte 0xe9."):
        json_files.read_json(path)


def test_absent_file(tmp_path):
    with refuses("A file must be readable. Received: "):
        json_files.read_json(str(tmp_path / "absent.json"))


@pytest.mark.parametrize("content", ["{}", ' {"a": [1, {}],\n"b" : "}"} \n'])
def test_members(write, content):
    path = write(content)
    assert dict(json_files.read_members(path)) == json_files.read_json(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "line 1, column 1: Expecting '{'"),
        ('{"a" 1}', "line 1, column 6: Expecting ':'"),
        ('{"a": 1\n"b": 2}', "line 2, column 1: Expecting ','"),
        ('{"a": 1,\n', "line 2, column 1: Expecting value"),
        ('{"a": 1,\n"a": 2}', "line 2, column 4: Expecting a new key"),
        ("{1: 1}", "line 1, column 3: Expecting a new key"),
    ],
)
def test_members_that_are_refused(write, content, message):
    path = write(content)
    with refuses(f"Text must be JSON. Received: {path}, {message}"):
        list(json_files.read_members(path))


def test_fields():
    record = {"n": 0, "yes": True, "s": "x", "items": ["a", "b"]}
    assert json_files.field(record, "n", int, "here") == 0
    assert json_files.field(record, "yes", bool, "here") is True
    assert json_files.field(record, "none", str, "here", "left") == "left"
    assert json_files.strings(record, "items", "here") == ("a", "b")


@pytest.mark.parametrize(
    ("record", "read", "message"),
    [
        ({}, "field", "'k' must be given. Received: here without."),
        ({"k": 1.0}, "field", "'k' must be an integer. Received: here: 1.0."),
        ({"k": True}, "field", "'k' must be an integer. Received: here: true"),
        ({"k": "a"}, "strings", "'k' must be a list. Received: here: \"a\"."),
        ({"k": [" "]}, "strings", 'are not blank. Received: here: " ".'),
        ({"k": [1]}, "strings", "are not blank. Received: here: 1."),
        ({"k": ["a", "a"]}, "strings", "string once. Received: here: 'a' twi"),
        ({"k": [1]}, "objects", "an object. Received: here, 'k', number 0: 1"),
        ({"kk": 1}, "keys", "known: k. Received: here: 'kk'; did you mean 'k'"),
        ({"zz": 1}, "keys", "known: k. Received: here: 'zz'."),
        ([], "keys", "It must be an object. Received: here: []."),
    ],
)
def test_fields_that_are_refused(record, read, message):
    reads = {
        "field": lambda: json_files.field(record, "k", int, "here"),
        "strings": lambda: json_files.strings(record, "k", "here"),
        "objects": lambda: json_files.objects(record, "k", "here"),
        "keys": lambda: json_files.check_keys(record, ("k",), "here"),
    }
    with refuses(message):
        reads[read]()


def test_a_file_is_put_in_place_when_whole(tmp_path):
    path = tmp_path / "out.jsonl"

    def broken():
        yield {"é": 1}
        raise ValueError("stop")

    assert json_files.write_json_lines(str(path), [{"é": 1}, [2]]) == 2
    assert path.read_text() == '{"é": 1}\n[2]\n'
    with refuses("stop"):
        json_files.write_json_lines(str(path), broken())
    assert path.read_text() == '{"é": 1}\n[2]\n'
