"""NIST's newswire documents: SGML without a document type at hand.

Only what those files need: a `<DOC>` with a `<DOCNO>` and a `<TEXT>`; marks
within the text are paragraph marks, or elements that are not body text. End
tags of paragraphs may be left out, names may be in either case.
"""

import re
import typing

import tensorflow as tf

from gpt3_keras.data import sources

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9_]*)(?:\s[^<>]*)?>")
_ENTITY = re.compile(r"&(#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# Stand inside <TEXT> at times, and are no sentence of it.
_LEFT_OUT = ("ANNOTATION", "BYLINE", "DATELINE", "HEADLINE", "TRAILER")
_MANY_BYTES = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"
    rb"|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROL = re.compile(r"[\x80-\x9f]")


class Parsed(typing.NamedTuple):
    """What a document says.

    Args:
        number: str, its DOCNO.
        line: int, where the DOCNO stands.
        paragraphs: tuple of str, at least one, white space as single spaces.
        text_line: int, where `<TEXT>` stands.
    """

    number: str
    line: int
    paragraphs: tuple[str, ...]
    text_line: int


def read_document(path):
    """Reads a file that is one document.

    `<DOC><DOCNO> A1 </DOCNO><TEXT> ``AT&AMP;T'' fell.<P> It rose.</TEXT></DOC>`
    says: number A1, paragraphs `"AT&T" fell.` and `It rose.`

    Args:
        path: where it is.

    Returns:
        A `Parsed`.

    Raises:
        ValueError: with file and line, if it is not such a document.
    """
    text = decode(path)
    elements = {
        name: _only(text, name, path) for name in ("DOC", "DOCNO", "TEXT")
    }
    start, end = elements["DOC"]
    for name in ("DOCNO", "TEXT"):
        if not start <= elements[name][0] <= elements[name][1] <= end:
            raise ValueError(
                f"<{name}> must stand inside <DOC>. Received: "
                f"{path}, line {_line(text, elements[name][0])}."
            )
    number = text[slice(*elements["DOCNO"])].strip()
    line = _line(text, elements["DOCNO"][0])
    if not number or _TAG.search(number):
        raise ValueError(
            "A document's DOCNO must be a name. Received: "
            f"{path}, line {line}: DOCNO={number[:80]!r}."
        )
    text_line = _line(text, elements["TEXT"][0])
    paragraphs = tuple(_paragraphs(text[slice(*elements["TEXT"])]))
    if not paragraphs:
        raise ValueError(
            "A document's text must not be empty. Received: "
            f"{path}, line {text_line}, empty."
        )
    return Parsed(number, line, paragraphs, text_line)


def decode(path):
    """The characters of a file, which is UTF-8 or else Latin-1 as a whole.

    Raises:
        ValueError: with file, line and byte, if it mixes the two, or is
            neither.
    """
    with sources.reading(path), tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    if (zero := content.find(0)) >= 0:
        raise ValueError(
            "Text must not hold a NUL byte. Received: "
            f"{path}, line {_byte_line(content, zero)}, with one."
        )
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        wrong = error.start
    if (many := _MANY_BYTES.search(content)) is not None:
        raise ValueError(
            "A file must have one encoding, UTF-8 or Latin-1. Received: "
            f"{path}, line {_byte_line(content, wrong)}: byte "
            f"0x{content[wrong]:02x} is not UTF-8, but line "
            f"{_byte_line(content, many.start())} holds UTF-8."
        )
    text = content.decode("latin-1")
    if (control := _CONTROL.search(text)) is not None:
        place = control.start()
        raise ValueError(
            "A file must have one encoding, UTF-8 or Latin-1. Received: "
            f"{path}, line {_byte_line(content, place)}: byte "
            f"0x{content[place]:02x} is no letter of either."
        )
    return text


def _only(text, name, path):
    """Start and end of the content of the one element of that name."""
    tags = [tag for tag in _TAG.finditer(text) if tag[2].upper() == name]
    if not tags:
        raise ValueError(
            f"A document must have a <{name}>. Received: {path}, line "
            "1, without."
        )
    if len(tags) == 1 and not tags[0][1]:
        raise ValueError(
            f"<{name}> must be closed by </{name}>. Received: {path}, "
            f"line {_line(text, tags[0].start())}, without an end."
        )
    if [tag[1] for tag in tags] != ["", "/"]:
        wrong = tags[0] if tags[0][1] else tags[1 if not tags[1][1] else 2]
        raise ValueError(
            f"A file must have one <{name}> and then one </{name}>. Received: "
            f"{path}, line {_line(text, wrong.start())}: {wrong[0]}."
        )
    return tags[0].end(), tags[1].start()


def _paragraphs(body):
    """Yields the text between paragraph marks, where there is any."""
    held, place, left_out = [], 0, None
    for tag in _TAG.finditer(body):
        if left_out is None:
            held.append(body[place : tag.start()])
        place, name = tag.end(), tag[2].upper()
        if left_out is not None:
            left_out = None if tag[1] and name == left_out else left_out
        elif name == "P":
            yield from _plain("".join(held))
            held = []
        elif name in _LEFT_OUT and not tag[1]:
            left_out = name
    if left_out is None:
        held.append(body[place:])
    yield from _plain("".join(held))


def _plain(text):
    """The paragraph as plain text, if there is something in it."""
    text = _ENTITY.sub(_character, text)
    text = " ".join(text.replace("``", '"').replace("''", '"').split())
    if text:
        yield text


def _character(match):
    """An entity's character; a space for the wire's own signs (&LR; &QC;)."""
    name = match[1]
    if not name.startswith("#"):
        return _ENTITIES.get(name.lower(), " ")
    hexadecimal = name[1] in "xX"
    code = int(name[2:], 16) if hexadecimal else int(name[1:])
    is_character = 32 <= code < 0xD800 or 0xE000 <= code < 0x110000
    return chr(code) if is_character else " "


def _line(text, place):
    return text.count("\n", 0, place) + 1


def _byte_line(content, place):
    return content.count(b"\n", 0, place) + 1
