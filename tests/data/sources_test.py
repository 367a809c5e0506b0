"""Which files a source stands for."""

import os
import re

import pytest
import tensorflow as tf

from gpt3_keras.data import sources
from tests.data.corpora import write_files


@pytest.fixture
def folder(tmp_path):
    return write_files(
        tmp_path / "texts",
        {
            "b.txt": "b",
            "a.TXT": "a",
            "part/c.txt": "c",
            "part/notes.md": "notes",
            "empty.txt": "",
            "mark.txt": b"\xef\xbb\xbf",
            ".hidden.txt": "hidden",
            ".git/d.txt": "hidden",
            "part/.cache/e.txt": "hidden",
        },
    )


def keys(source):
    return [file.key for file in sources.find_files(source)]


def test_a_folder_is_its_txt_files(folder):
    assert keys(folder) == ["a.TXT", "b.txt", "part/c.txt"]
    assert keys(f"{folder}/") == keys(folder)
    (first, *_) = sources.find_files(folder)
    assert first.path == str(folder / "a.TXT")
    assert first.num_bytes == 1


def test_a_named_file_may_have_any_ending_or_a_dot(folder):
    assert keys(folder / "part" / "notes.md") == ["notes.md"]
    assert keys(str(folder / ".hidden.txt")) == [".hidden.txt"]


def test_a_glob_is_what_it_matches(folder):
    assert keys(f"{folder}/*.txt") == ["b.txt"]
    assert keys(f"{folder}/*/*.md") == ["part/notes.md"]
    assert keys(f"{folder}/par?") == ["part/c.txt"]
    assert keys(f"{folder}/.hid*") == [".hidden.txt"]


def test_a_name_with_a_wildcard_in_it_is_a_name(tmp_path):
    write_files(tmp_path, {"what[1]?.txt": "x"})
    assert keys(tmp_path / "what[1]?.txt") == ["what[1]?.txt"]


def test_a_list_is_all_its_members_each_file_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    source = ["part", folder / "b.txt", f"{folder}/*.txt", "./part/c.txt"]
    assert keys(source) == ["b.txt", "c.txt"]
    assert keys(source[::-1]) == keys(source)
    assert keys([*source, ".", "part/notes.md"]) == [
        "a.TXT",
        "b.txt",
        "c.txt",
        "notes.md",
    ]


def test_files_of_one_name_go_by_their_paths(tmp_path):
    write_files(tmp_path, {"x/a.txt": "1", "y/a.txt": "2", "y/b.txt": "3"})
    found = keys([tmp_path / "y", tmp_path / "x"])
    assert found == sorted(found)
    assert set(found) == {
        str(tmp_path / "x/a.txt"),
        str(tmp_path / "y/a.txt"),
        "b.txt",
    }


def test_a_home_folder_may_be_named(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert keys("~/texts") == keys(folder)


def test_a_source_may_be_remote():
    tf.io.gfile.makedirs("ram://sources/deep/.git")
    for name in ("b.txt", "deep/a.txt", "deep/.git/c.txt", "d.md"):
        with tf.io.gfile.GFile(f"ram://sources/{name}", "w") as file:
            file.write(name)
    assert keys("ram://sources") == ["b.txt", "deep/a.txt"]
    assert keys("ram://sources/*.md") == ["d.md"]
    assert keys("ram://sources/d.md") == ["d.md"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "nowhere.txt",
            "source must be an existing file, folder or glob. Received: "
            "source='nowhere.txt', which does not exist.",
        ),
        (
            "*.rst",
            "A glob must match a file. Received: source='*.rst', which "
            "matches none.",
        ),
        (
            "bare",
            "A folder must hold .txt files; files with another ending are "
            "named by a glob, such as 'bare/*.md'. Received: source='bare' "
            "with 0 files, none .txt.",
        ),
        (
            ["empty.txt", "mark.txt"],
            "A source must hold text; all its files are empty. Received: "
            "source=['empty.txt', 'mark.txt'].",
        ),
        (
            [],
            "source must be a path, a glob or a list of those. Received: "
            "source=None.",
        ),
        (
            ["b.txt", 3],
            "source must be a path, a glob or a list of those. Received: "
            "source=3.",
        ),
        ("", "source must be a path, a glob or a list of those."),
    ],
)
def test_a_source_that_is_not_there_is_refused(
    source, message, folder, monkeypatch
):
    monkeypatch.chdir(folder)
    os.mkdir("bare")
    with pytest.raises(ValueError, match=re.escape(message)):
        sources.find_files(source)


def test_a_broken_link_is_named(folder):
    os.symlink("nowhere", folder / "link.txt")
    message = r"A file must be readable. Received: .*link.txt: No such file"
    with pytest.raises(ValueError, match=message):
        sources.find_files(folder)
