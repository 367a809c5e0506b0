"""Reading LAMBADA's passages: its forms, its archive, and what is wrong."""

import re

import pytest

from gpt3_keras.data import lambada
from gpt3_keras.data.lambada import Passage
from tests.data.corpora import write_files

DEVELOPMENT = "lambada_development_plain_text.txt"
TEST = "lambada_test_plain_text.txt"


def read(folder, name, content, **arguments):
    path = write_files(folder, {name: content}) / name
    return list(lambada.read_passages(str(path), **arguments))


def test_plain_text_is_cut_at_the_last_space_of_each_line(tmp_path):
    content = "\ufeff`` good luck , rowan\n\n  he sat on the mat \r\n"
    path = str(tmp_path / "a.txt")
    assert read(tmp_path, "a.txt", content) == [
        Passage("`` good luck ,", "rowan", path, 1),
        Passage("he sat on the", "mat", path, 3),
    ]


def test_json_lines_are_taken_as_they_are(tmp_path):
    content = '{"text": " \\u201cOh,\\n said  Ray"}\n\n{"text": "a b", "n": 1}'
    path = str(tmp_path / "a.jsonl")
    assert read(tmp_path, "a.jsonl", content) == [
        Passage(" “Oh,\n said ", "Ray", path, 1),
        Passage("a", "b", path, 3),
    ]


@pytest.fixture
def archive(tmp_path):
    """The layout of the official archive, unpacked."""
    return write_files(
        tmp_path / "lambada-dataset",
        {
            DEVELOPMENT: "a dev passage\n",
            TEST: "a test passage\nof two lines\n",
            "lambada_control_test_data_plain_text.txt": "a control passage\n",
            "lambada-vocab-2.txt": "9 the\n",
            "README.txt": "see the paper\n",
            "train-novels/Adventure/one.txt": "A novel.\n",
            "train-novels/Humor/two.txt": "Another.\n",
        },
    )


def test_a_folder_stands_for_the_split_that_is_asked_for(archive, tmp_path):
    for folder in (archive, tmp_path):
        for split, num_passages in (("development", 1), ("test", 2)):
            passages = list(lambada.read_passages(folder, split))
            assert len(passages) == num_passages
            assert f"lambada_{split}_plain" in passages[0].file


def test_a_folder_with_one_split_needs_no_name(archive):
    (archive / TEST).unlink()
    (passage,) = lambada.read_passages(archive)
    assert passage.target == "passage"
    with pytest.raises(
        ValueError, match=r"as lambada_test_plain_text.txt.* 6 files, none of"
    ):
        lambada.read_passages(archive, "test")


def test_a_folder_with_several_splits_is_refused(archive):
    message = f"choose a split.*split=None, with {DEVELOPMENT}, {TEST}."
    with pytest.raises(ValueError, match=message):
        lambada.read_passages(archive)


def test_a_folder_of_other_texts_is_refused(tmp_path):
    folder = write_files(tmp_path, {"README.txt": "no passage", "a.txt": "b c"})
    with pytest.raises(ValueError, match="2 files, none of them so named"):
        lambada.read_passages(folder)


def test_an_unknown_split_is_refused(archive):
    with pytest.raises(ValueError, match="Received: split='dev'"):
        lambada.read_passages(archive, "dev")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "a b\n\nalone\n", "line 3: 'alone'"),
        ("a.txt", "a b\n" + "x" * 99, "line 2: '" + "x" * 60 + "'"),
        ("a.txt", " \n\n", "must hold passages. Received: .*a.txt, all blank"),
        ("a.txt", b"a b\nc \xe9\n", "a.txt, line 2, with byte 0xe9"),
        ("a.txt", b"a b\nc\x00d e\n", "a.txt, line 2, with a NUL byte"),
        ("a.txt", b"", "all its files are empty"),
        ("a.jsonl", '{"text": "a b"}\n{"text": "a b "}', "line 2: 'a b '"),
        ("a.jsonl", '{"text": "a b"}\n{"text": "b"}', "line 2: 'b'"),
        ("a.jsonl", '{"text": " b"}', "line 1: ' b'"),
        ("a.jsonl", '{"text": "a b"}\n{"txt": "a b"}', "'text' must be given"),
        ("a.jsonl", '{"text": "a b"}\n{"txt": "a b"}', "line 2 without"),
        ("a.jsonl", '{"text": 3}', "line 1: 3"),
        ("a.jsonl", '["a b"]', r'an object with a "text".*line 1: \["a b"\]'),
        ("a.jsonl", '{"text": "a b"}\n{"text"', "must be JSON.*line 2"),
        ("a.jsonl", b'{"text": "\xff"}', "UTF-8.*line 1"),
        ("a.jsonl", "\n", "must hold one"),
    ],
)
def test_what_is_no_passage_is_named(name, content, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, name, content)
    assert name in str(error.value)


@pytest.mark.parametrize("source", ["absent.txt", "none_*.txt", None])
def test_what_is_not_there_is_named_at_once(source):
    with pytest.raises(ValueError, match=re.escape(repr(source))):
        lambada.read_passages(source)


def test_an_archive_trains_on_its_novels(archive, tmp_path):
    for folder in (archive, str(tmp_path)):
        files = lambada.training_files(folder)
        assert [file.key for file in files] == [
            "Adventure/one.txt",
            "Humor/two.txt",
        ]


def test_packed_novels_must_be_unpacked(tmp_path):
    write_files(tmp_path, {DEVELOPMENT: "a b", "train-novels.tar": "."})
    with pytest.raises(ValueError, match=r"with `tar -xf train-novels\.tar`"):
        lambada.training_files(tmp_path)


@pytest.mark.parametrize(
    "name", [DEVELOPMENT, TEST, "lambada_test.jsonl", "LAMBADA_test_en.txt"]
)
def test_held_out_passages_are_not_for_training(name, tmp_path):
    write_files(tmp_path, {"a.txt": "a novel", f"b/{name}": "a b"})
    with pytest.raises(ValueError, match=f"not for training.*{name}"):
        lambada.training_files([tmp_path / "a.txt", tmp_path / "b" / name])


def test_other_names_are_not_held_out():
    for name in ("novel.txt", "lambada_testament.txt", "my_lambada_test.txt"):
        assert lambada.held_out_split(f"lambada_test/{name}") is None


def test_the_development_passages_are_all_read(real_data):
    passages = list(lambada.read_passages(real_data("lambada")))
    assert len(passages) == 4869  # Paperno et al. 2016, table 1
    assert all(passage.target.isalpha() for passage in passages)
    assert passages[1].target == "rowan"
    assert passages[-1].line == 4869
