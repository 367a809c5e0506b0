"""Cutting text into parts: nothing lost, no token changed."""

import pytest

from gpt3_keras.data import text_parts
from gpt3_keras.data.sources import TextFile
from gpt3_keras.data.text_parts import Span
from tests.data.corpora import write_files


def span(path, start=0, stop=None):
    size = path.stat().st_size
    return Span(0, str(path), size, start, size if stop is None else stop)


def write(tmp_path, content):
    return write_files(tmp_path, {"a.txt": content}) / "a.txt"


def test_parts_have_one_size_and_all_bytes():
    files = [TextFile(name, name, size) for name, size in (("a", 3), ("b", 8))]
    parts = list(text_parts.split_parts(files, 4))
    assert [part.number for part in parts] == [0, 1, 2]
    assert [
        [(x.path, x.start, x.stop) for x in part.spans] for part in parts
    ] == [[("a", 0, 3), ("b", 0, 1)], [("b", 1, 5)], [("b", 5, 8)]]
    assert [part.num_bytes() for part in parts] == [4, 4, 3]


@pytest.mark.parametrize(
    ("document", "content", "cuts"),
    [
        ("line", "one\ntwo\n\nlast", [0, 4, 8, 9, 13]),
        ("line", "one\r\ntwo\n", [0, 5, 9]),
        ("file", "to be  or\nnot", [0, 2, 5, 9, 13]),
        # Neither after white space of more than a byte nor within a character.
        ("file", "été \u3000 là\u2003 \n.\r\n🙂 b", [0, 5, 25, 27]),
        ("file", "nothing", [0, 7]),
        ("file", " ", [0, 1]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 18])
def test_cuts_are_safe(
    document, content, cuts, block_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(text_parts, "_BLOCK_BYTES", block_bytes)
    path = write(tmp_path, content)
    size = path.stat().st_size
    for place in range(size + 1):
        expected = next(cut for cut in cuts if cut >= place)
        assert text_parts.find_cut(span(path), place, document) == expected


@pytest.mark.parametrize("document", ["file", "line"])
def test_neighbours_share_a_place(document, tmp_path):
    content = "\ufeffone two\r\n\nthree  four\n" * 9 + "x" * 50 + " five\r\n"
    path = write(tmp_path, content)
    whole = text_parts.Reader(span(path), document)
    expected = [(x.line, x.content) for x in whole.pieces() if x.content]
    for size in (1, 7, 40, 1000):
        found, num_line_ends, num_bytes = [], 0, path.stat().st_size
        for start in range(0, num_bytes, size):
            reader = text_parts.Reader(
                span(path, start, min(start + size, num_bytes)), document
            )
            for piece in reader.pieces():
                if piece.content and document == "line":
                    line = piece.line + num_line_ends
                    found.append((line, piece.content))
                elif piece.content:
                    text = found.pop()[1] if found else ""
                    found.append((0, text + piece.content))
            num_line_ends += reader.num_line_ends
        assert found == expected
        assert num_line_ends == whole.num_line_ends == content.count("\n")


def test_a_bad_byte_has_its_place_in_the_file(tmp_path):
    path = write(tmp_path, b"good text \xff bad")
    with pytest.raises(ValueError, match="byte 0xff at offset 10"):
        list(text_parts.Reader(span(path, 3), "file").pieces())
