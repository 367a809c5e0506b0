"""From files of text to documents, and from documents to token ids.

Text streams through in blocks: memory does not grow with the size of a file,
of a document or of the corpus.
"""

import codecs
import itertools
import typing

import numpy as np
import tensorflow as tf

from gpt3_keras.data import sources

DOCUMENT_KINDS = ("file", "line")

_BLOCK_BYTES = 1 << 18
# Characters in a piece, and in the pieces that are tokenised at a time.
_PIECE_CHARS = 1 << 14
_GROUP_CHARS = 1 << 18
# How many files are looked into before anything is read in earnest.
_NUM_FILES_TRIED = 100
# What Python and the tokenizer's regular expression both call white space.
_PLAIN_SPACES = " \t\r\n"


class Piece(typing.NamedTuple):
    """Part of a document.

    Args:
        file: int, the file's place in its corpus.
        line: int, counted from 1; 0 where the whole file is the document.
        content: str, or int32 (n,) token ids.
        ends: bool, whether the document ends here.
    """

    file: int
    line: int
    content: str | np.ndarray
    ends: bool


class TextCorpus:
    r"""Documents in files of text.

    A document is a whole file, its line ends included, or a line that is not
    blank, without its `\n` or `\r\n`.

    Args:
        source: see `sources.find_files`.
        tokenizer: an object with `encode_batch(list of str)`, which returns a
            list of lists of ids.
        document: "file" or "line".

    Raises:
        ValueError: if an argument, or the beginning of a file, is wrong.
    """

    def __init__(self, source, tokenizer, document):
        check_document(document)
        self.document = document
        self.tokenizer = tokenizer
        self.files = sources.find_files(source)
        self.keys = [file.key for file in self.files]
        # The commonest mistakes come to light before training starts.
        for file in self.files[:_NUM_FILES_TRIED]:
            next(read_text(file.path), None)

    def lines(self, file):
        """Yields the line numbers of a file's documents, in uint64 arrays."""
        numbers = (line for line, _, ends in self._parts(file) if ends)
        while block := list(itertools.islice(numbers, 1024)):
            yield np.array(block, "uint64")

    def texts(self, file, keeps=None):
        """Yields a `Piece` with text for each part of a file's documents.

        Args:
            file: int, a file's place in the corpus.
            keeps: function from line numbers to bool, which documents count.
                Defaults to all.
        """
        for line, text, ends in self._parts(file):
            if keeps is None or keeps(line):
                yield Piece(file, line, text, ends)

    def pieces(self, files, split, augment=None):
        """Yields a `Piece` with token ids for each part of the documents.

        Args:
            files: ints, places of files in the corpus, in the order wanted.
            split: a `Split`, which documents count.
            augment: function from an iterable of `Piece`s with text to
                another, or None.
        """
        texts = (
            text
            for file in files
            for text in self.texts(file, split.keeps(file))
        )
        return encode(augment(texts) if augment else texts, self.tokenizer)

    def num_targets(self, split):
        """None: nobody knows before all text has been tokenised."""

    def _parts(self, file):
        blocks = read_text(self.files[file].path)
        return split_lines(blocks) if self.document == "line" else cut(blocks)


def check_document(document):
    """Raises unless `document` is one of the kinds there are."""
    if document not in DOCUMENT_KINDS:
        raise ValueError(
            'document must be "file" or "line". Received: '
            f"document={document!r}."
        )


def read_text(path, start=0, stop=None):
    """Yields the characters of a UTF-8 file, in blocks.

    Line ends stay as they are, a byte order mark at the start is dropped.

    Args:
        path: path.
        start: int, the byte at which a character begins, to read from.
        stop: int, the byte to read to; None: the file's end.

    Raises:
        ValueError: with the byte's place, if the file is not UTF-8 text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, num_bytes = start, _BLOCK_BYTES
    with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
        file.seek(start)
        while True:
            if stop is not None:
                num_bytes = min(_BLOCK_BYTES, stop - place)
            block = file.read(num_bytes)
            if (zero := block.find(0)) >= 0:
                raise ValueError(
                    "Text must be UTF-8; with a NUL byte it is a binary file "
                    f"or UTF-16. Received: {path} with a NUL byte at offset "
                    f"{place + zero}."
                )
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # The decoder may have kept the first bytes of a character.
                first = place - (len(error.object) - len(block))
                raise ValueError(
                    "Text must be UTF-8; convert it, for example with `iconv "
                    f"-f LATIN1 -t UTF-8`. Received: {path} with byte "
                    f"0x{error.object[error.start]:02x} at offset "
                    f"{first + error.start}."
                ) from error
            yield text if place else text.removeprefix("\ufeff")
            place += len(block)
            if not block:
                return


def cut(blocks):
    r"""Yields (0, text, ends): one document, in pieces that are safe to encode.

    >>> list(cut(["to be or", " not\n"]))
    [(0, 'to be or not\n', True)]
    """
    held, limit = "", _PIECE_CHARS
    for block in blocks:
        held += block
        while len(held) > limit:
            place = _safe_cut(held, limit)
            if place:
                yield 0, held[:place], False
                held, limit = held[place:], _PIECE_CHARS
            else:  # A word, or a stretch of white space, without an end.
                limit *= 2
    yield 0, held, True


def split_lines(blocks):
    r"""Yields (line, text, ends) for the lines that are not blank.

    A long line comes in pieces that are safe to encode.

    >>> list(split_lines(["one\n\nth", "ree\r\n"]))
    [(1, 'one', True), (3, 'three', True)]
    """
    held, line, has_begun = "", 1, False
    limit = _PIECE_CHARS
    for block in blocks:
        *whole, held = (held + block).split("\n")
        for text in whole:
            if has_begun or text.strip():
                yield line, text.removesuffix("\r"), True
            line += 1
            has_begun = False
        while len(held) > limit:
            place = _safe_cut(held, limit)
            if place:
                yield line, held[:place], False
                held, limit, has_begun = held[place:], _PIECE_CHARS, True
            else:
                limit *= 2
    if has_begun or held.strip():
        yield line, held, True


def _safe_cut(text, end):
    """A place before `end` where a cut does not change the tokens, or 0.

    GPT-2's tokenizer first cuts text into words. A word with anything but
    white space in it ends where white space follows, and which word begins
    there depends on what comes after: so between a character and white space
    that follows it, both sides can be encoded on their own.
    """
    while True:
        space = max(text.rfind(" ", 0, end), text.rfind("\n", 0, end))
        place = len(text[: max(space, 0)].rstrip())
        if not place or text[place] in _PLAIN_SPACES:
            return place
        end = place


def encode(pieces, tokenizer):
    """Yields pieces with int32 token ids for pieces with text.

    Pieces are tokenised by the group, which a tokenizer may do in parallel.
    """
    group, num_chars = [], 0
    for piece in pieces:
        group.append(piece)
        num_chars += len(piece.content)
        if num_chars >= _GROUP_CHARS:
            yield from _encode_group(group, tokenizer)
            group, num_chars = [], 0
    yield from _encode_group(group, tokenizer)


def _encode_group(group, tokenizer):
    ids = tokenizer.encode_batch([piece.content for piece in group])
    for piece, piece_ids in zip(group, ids, strict=True):
        yield piece._replace(content=np.array(piece_ids, "int32"))
