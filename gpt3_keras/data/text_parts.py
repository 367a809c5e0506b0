"""Cuts text into parts of one size, which can be tokenised apart.

All files, one after the other, are cut, long ones too: from where a part is
full on, at the first place where a cut changes no token.
"""

import itertools
import re
import typing

import tensorflow as tf

from gpt3_keras.data import sources
from gpt3_keras.data import text

_BLOCK_BYTES = 1 << 18
_MAX_CHAR_BYTES = 4
_LINE_END = re.compile(rb"\n")
_SPACE = re.compile(rb"[ \n]")


class Span(typing.NamedTuple):
    """Bytes of a file; both ends move on to where a cut is safe."""

    file: int
    path: str
    num_bytes: int  # Of the whole file.
    start: int
    stop: int


class Part(typing.NamedTuple):
    """One or more spans, of one file each."""

    number: int
    spans: list[Span]

    def num_bytes(self):
        """How much text it is, if no end moves on."""
        return sum(span.stop - span.start for span in self.spans)


def split_parts(files, part_bytes):
    """Yields the `Part`s of some `sources.TextFile`s, one after the other."""
    spans, room, numbers = [], part_bytes, itertools.count()
    for number, file in enumerate(files):
        start = 0
        while start < file.num_bytes:
            stop = min(start + room, file.num_bytes)
            spans.append(Span(number, file.path, file.num_bytes, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield Part(next(numbers), spans)
                spans, room = [], part_bytes
    if spans:
        yield Part(next(numbers), spans)


def find_cut(span, place, document):
    """The first byte from `place` on where a file may be cut in two.

    Of lines that is where one begins; of a whole file it is, as for
    `text.cut`, a space or line end after a character that is neither.
    """
    if place in (0, span.num_bytes):
        return place
    begin = max(place - _MAX_CHAR_BYTES, 0)
    with sources.reading(span.path), tf.io.gfile.GFile(span.path, "rb") as file:
        file.seek(begin)
        held = b""
        while block := file.read(_BLOCK_BYTES):
            held += block
            for found in _cuts(held, document):
                if begin + found >= place:
                    return begin + found
            begin += len(held[:-_MAX_CHAR_BYTES])
            held = held[-_MAX_CHAR_BYTES:]
    return span.num_bytes


def _cuts(held, document):
    """Yields where some bytes may be cut, of which the first may be amiss."""
    if document == "line":
        for match in _LINE_END.finditer(held):
            yield match.end()
        return
    for match in _SPACE.finditer(held):
        place = match.start()
        before = held[max(place - _MAX_CHAR_BYTES, 0) : place]
        before = before.decode("utf-8", "ignore")
        if before and not before[-1].isspace():
            yield place


class Reader:
    """Reads a span of a file.

    Args:
        span: a `Span`.
        document: "file" or "line".
    """

    def __init__(self, span, document):
        self.span = span
        self.document = document
        self.num_line_ends = 0  # That have been read.

    def pieces(self):
        """Yields a `text.Piece` with text for each part of the documents.

        Lines are counted from where the span begins.
        """
        cut = text.split_lines if self.document == "line" else text.cut
        for piece in cut(self._blocks()):
            yield text.Piece(self.span.file, *piece)

    def _blocks(self):
        start, stop = (
            find_cut(self.span, place, self.document)
            for place in (self.span.start, self.span.stop)
        )
        for block in text.read_text(self.span.path, start, stop):
            self.num_line_ends += block.count("\n")
            yield block
