"""NIST's SGML: what a document says, and what is wrong with it."""

import pytest

from gpt3_keras.data import sgml

DOCUMENT = """<DOC>
<DOCNO> APW20990101.0001 </DOCNO>
<DOCTYPE> NEWS </DOCTYPE>
<TXTTYPE> NEWSWIRE </TXTTYPE>
<TEXT>
The mayor of Vinterby said Monday that the harbor would stay
open. ``We have ice-breakers,'' she said.
</TEXT>
</DOC>
"""
PARAGRAPHS = (
    "The mayor of Vinterby said Monday that the harbor would stay open. "
    '"We have ice-breakers," she said.',
)


@pytest.fixture
def read(tmp_path):
    """Reads a document of the given text or bytes, in the file `doc`."""

    def read(content):
        path = tmp_path / "doc"
        content = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(content)
        return sgml.read_document(str(path))

    return read


@pytest.fixture
def complaint(read, tmp_path):
    """What is said of a document; its path is FILE."""

    def complaint(content):
        with pytest.raises(ValueError, match="Received: ") as error:
            read(content)
        return str(error.value).replace(str(tmp_path / "doc"), "FILE")

    return complaint


def test_a_document(read):
    assert read(DOCUMENT) == ("APW20990101.0001", 2, PARAGRAPHS, 5)


def with_text(text):
    start, end = DOCUMENT.index("The mayor"), DOCUMENT.index("</TEXT>")
    return DOCUMENT[:start] + text + "\n" + DOCUMENT[end:]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("AT&amp;T &AMP; B&Amp;B", ["AT&T & B&B"]),
        ("1 &lt; 2 &GT; 0, 1 < 2", ["1 < 2 > 0, 1 < 2"]),
        ("caf&#233; &#xe9;t&#XC9;", ["café étÉ"]),
        ("&QL;  (bc-x) &UR; Oslo&LR;_ Snow.&#7; &#0;", ["(bc-x) Oslo _ Snow."]),
        ("``One,'' two, `three'.", ['"One," two, `three\'.']),
        ("<P>\nOne.\n</P>\n<P>\nTwo.\n</P>", ["One.", "Two."]),
        ("<p>One.<P>Two.", ["One.", "Two."]),
        ("Zero.<P></P><P> One.", ["Zero.", "One."]),
        ("One <I>and</I> two.", ["One and two."]),
        ("<HEADLINE>Not this</HEADLINE> This.", ["This."]),
        (
            "One.\n<ANNOTATION>\n<P>A photo.</P>\n</ANNOTATION>\nTwo.",
            ["One. Two."],
        ),
        ("One.<ANNOTATION> A photo.", ["One."]),
        ("<P>One.</P>\n<F P=100>Two.</F>", ["One.", "Two."]),
    ],
)
def test_marks_and_entities(read, text, paragraphs):
    assert list(read(with_text(text)).paragraphs) == paragraphs


def test_what_stands_around_the_text_is_not_read(read):
    content = DOCUMENT.replace(
        "<TEXT>",
        "<HEADER> w1290 &Cx1f; </HEADER>\n<BODY>\n<SLUG> BC-ICE </SLUG>\n"
        "<HEADLINE>\nHARBOR OPEN\n</HEADLINE>\n By A. Nobody\n<TEXT>",
    ).replace("</DOC>", "</BODY>\n<TRAILER> APW 0101 </TRAILER>\n</DOC>")
    assert read(content).paragraphs == PARAGRAPHS


def test_windows_line_ends_and_a_byte_order_mark(read):
    content = b"\xef\xbb\xbf" + DOCUMENT.replace("\n", "\r\n").encode()
    assert read(content) == ("APW20990101.0001", 2, PARAGRAPHS, 5)


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "doc").write_bytes(b"\xef\xbb\xbfSnow")
    assert sgml.decode(str(tmp_path / "doc")) == "Snow"


def test_latin_1_and_utf_8_are_told_apart(read):
    content = with_text("Le café d'Orléans")
    for encoding in ("latin-1", "utf-8"):
        (paragraph,) = read(content.encode(encoding)).paragraphs
        assert paragraph == "Le café d'Orléans"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ("</TEXT>\n", ""),
            "<TEXT> must be closed by </TEXT>. Received: FILE, line 5, "
            "without an end.",
        ),
        (
            ("</DOC>\n", ""),
            "<DOC> must be closed by </DOC>. Received: FILE, line 1, without "
            "an end.",
        ),
        (
            ("<DOC>\n", ""),
            "A file must have one <DOC> and then one </DOC>. Received: FILE, "
            "line 8: </DOC>.",
        ),
        (
            ("<DOCNO> APW20990101.0001 </DOCNO>\n", ""),
            "A document must have a <DOCNO>. Received: FILE, line 1, without.",
        ),
        (
            ("APW20990101.0001 ", ""),
            "A document's DOCNO must be a name. Received: FILE, line 2: "
            "DOCNO=''.",
        ),
        (
            (" </DOCNO>", ""),
            "<DOCNO> must be closed by </DOCNO>. Received: FILE, line 2, "
            "without an end.",
        ),
        (
            ("</TEXT>", "</TEXT>\n<TEXT>\nMore.\n</TEXT>"),
            "A file must have one <TEXT> and then one </TEXT>. Received: "
            "FILE, line 9: <TEXT>.",
        ),
        (
            ("</TEXT>", "<TEXT>"),
            "A file must have one <TEXT> and then one </TEXT>. Received: "
            "FILE, line 8: <TEXT>.",
        ),
        (
            (DOCUMENT, DOCUMENT + DOCUMENT),
            "A file must have one <DOC> and then one </DOC>. Received: FILE, "
            "line 10: <DOC>.",
        ),
        (
            ("</TEXT>\n</DOC>", "</DOC>\n</TEXT>"),
            "<TEXT> must stand inside <DOC>. Received: FILE, line 5.",
        ),
        (
            (DOCUMENT, "Only text.\n"),
            "A document must have a <DOC>. Received: FILE, line 1, without.",
        ),
    ],
)
def test_malformed_sgml(complaint, change, text):
    assert complaint(DOCUMENT.replace(*change)) == text


def test_a_text_without_a_word(complaint):
    assert complaint(with_text("<P>\n</P> &LR;")) == (
        "A document's text must not be empty. Received: FILE, line 5, empty."
    )


def test_mixed_encodings(complaint):
    content = with_text("Le café\nd'Orléans").encode()
    content = content.replace("é".encode(), b"\xe9", 1)
    assert complaint(content) == (
        "A file must have one encoding, UTF-8 or Latin-1. Received: FILE, "
        "line 6: byte 0xe9 is not UTF-8, but line 7 holds UTF-8."
    )


def test_an_encoding_that_is_neither(complaint):
    content = with_text("He said\nQUOTEyesQUOTE.").encode()
    assert complaint(content.replace(b"QUOTE", b"\x93")) == (
        "A file must have one encoding, UTF-8 or Latin-1. Received: FILE, "
        "line 7: byte 0x93 is no letter of either."
    )


def test_a_binary_file(complaint):
    assert complaint(with_text("One.\nTwo\0.")) == (
        "Text must not hold a NUL byte. Received: FILE, line 7, with one."
    )
