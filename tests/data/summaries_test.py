"""Summaries from JSON Lines and from the prepared layout."""

import json

import pytest

from gpt3_keras.data import summaries
from gpt3_keras.data.summaries import Summary

RECORDS = [
    {
        "source": ["It rained on\nMonday. ", "", " We stayed in."],
        "target": ["Rain. ", "A wet Monday."],
        "paper_id": 7,
    },
    {"source": "Il a plu à Nîmes.", "target": "Pluie."},
]
INPUT = ["rain fell on monday .", "snow fell ."]


@pytest.fixture
def lines(tmp_path):
    """Writes a file of lines, records among them, and gives its path."""

    def write(*records, name="dev.jsonl"):
        path = tmp_path / name
        path.write_bytes(
            b"\n".join(
                x if isinstance(x, bytes) else json.dumps(x).encode()
                for x in records
            )
        )
        return path

    return write


@pytest.fixture
def prepared(tmp_path):
    for name, texts in {
        "input.txt": INPUT,
        **{f"task1_ref{i}.txt": [f"rain {i}", f"snow {i}"] for i in range(4)},
    }.items():
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts))
    return tmp_path


def complaint(source, folder):
    with pytest.raises(ValueError, match="Received: ") as error:
        list(summaries.read_summaries(source))
    return str(error.value).replace(str(folder), "FOLDER")


def test_json_lines(lines):
    path = lines(RECORDS[0], b"", RECORDS[1])
    assert list(summaries.read_summaries(path)) == [
        Summary(
            name="dev.jsonl:1",
            source="It rained on Monday. We stayed in.",
            targets=("Rain.", "A wet Monday."),
            file=str(path),
            line=1,
            sentences=("It rained on Monday.", "We stayed in."),
        ),
        Summary(
            name="dev.jsonl:3",
            source="Il a plu à Nîmes.",
            targets=("Pluie.",),
            file=str(path),
            line=3,
            sentences=("Il a plu à Nîmes.",),
        ),
    ]


def test_a_source_is_a_file_a_folder_a_list_or_a_glob(lines, tmp_path):
    one = lines(RECORDS[0], name="one.jsonl")
    two = lines(RECORDS[1], name="two.jsonl")
    lines(b"other text", name="readme.txt")
    for source in (tmp_path, [two, one], str(tmp_path / "*.jsonl")):
        assert summaries.find_form(source) == "jsonl"
        names = [x.name for x in summaries.read_summaries(source)]
        assert names == ["one.jsonl:1", "two.jsonl:1"]
    assert len(list(summaries.read_summaries(str(one)))) == 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"source": "x"}, "'target' must be given. Received: PLACE without."),
        ({"target": "x"}, "'source' must be given. Received: PLACE without."),
        (
            {"source": 5, "target": "x"},
            "'source' must be a string or a list of strings. Received: "
            "PLACE: 5.",
        ),
        (
            {"source": "x", "target": ["x", None]},
            "'target' must be a string or a list of strings. Received: "
            'PLACE: ["x", null].',
        ),
        (
            {"source": " ", "target": "x"},
            "'source' must not be empty. Received: PLACE: \" \".",
        ),
        (
            {"source": [], "target": "x"},
            "'source' must not be empty. Received: PLACE: [].",
        ),
        (
            {"source": "x", "target": ["x", "\n"]},
            '\'target\' must not be empty. Received: PLACE: ["x", "\\n"].',
        ),
        (
            {"source": "x", "target": []},
            "'target' must not be empty. Received: PLACE: [].",
        ),
        (["x"], 'A line must be an object. Received: PLACE: ["x"].'),
        (
            b'{"source": "x", ',
            "Text must be JSON. Received: PLACE, column 17: Expecting "
            "property name enclosed in double quotes.",
        ),
        (
            b'{"source": "caf\xe9", "target": "x"}',
            "Text must be UTF-8; convert it, for example with `iconv -f "
            "LATIN1 -t UTF-8`. Received: PLACE, with byte 0xe9.",
        ),
    ],
)
def test_a_line_that_is_wrong(lines, tmp_path, line, text):
    path = lines(RECORDS[0], line)
    place = "FOLDER/dev.jsonl, line 2"
    assert complaint(path, tmp_path) == text.replace("PLACE", place)


def test_another_kind_of_file(lines, tmp_path):
    path = lines(RECORDS[0], name="dev.json")
    assert complaint(path, tmp_path) == (
        "A file of summaries must be JSON Lines, and named .jsonl. Received: "
        "FOLDER/dev.json."
    )


def test_a_folder_without_summaries(tmp_path):
    assert complaint(tmp_path, tmp_path) == (
        "A folder of summaries must hold .jsonl files, or input.txt and "
        "task1_ref0.txt to task1_ref3.txt, or NIST's docs and eval/models/1. "
        "Received: source='FOLDER'."
    )


def test_a_source_that_does_not_exist(tmp_path):
    assert "which does not exist" in complaint(tmp_path / "no", tmp_path)


def test_the_prepared_layout(prepared):
    assert summaries.find_form(prepared) == "prepared"
    found = list(summaries.read_summaries(prepared))
    assert len(found) == 2
    assert found[1] == Summary(
        name="input.txt:2",
        source="snow fell .",
        targets=("snow 0", "snow 1", "snow 2", "snow 3"),
        file=str(prepared / "input.txt"),
        line=2,
        sentences=("snow fell .",),
    )


def test_a_file_of_references_is_missing(prepared):
    (prepared / "task1_ref2.txt").unlink()
    assert complaint(prepared, prepared) == (
        "A prepared folder must hold input.txt and task1_ref0.txt to "
        "task1_ref3.txt. Received: FOLDER/task1_ref2.txt, which does not "
        "exist."
    )


def test_a_line_of_references_is_missing(prepared):
    (prepared / "task1_ref3.txt").write_text("rain 3\n")
    assert complaint(prepared, prepared) == (
        "A file of references must have a line for each of input.txt. "
        "Received: FOLDER/task1_ref3.txt with 1 lines, and 2 in input.txt."
    )


def test_an_empty_line(prepared):
    (prepared / "task1_ref1.txt").write_text("rain\n\n")
    assert complaint(prepared, prepared) == (
        "A line must hold a sentence. Received: FOLDER/task1_ref1.txt, line "
        "2, empty."
    )


def test_mixed_encodings(prepared):
    (prepared / "task1_ref1.txt").write_bytes("é\n".encode() + b"caf\xe9\n")
    assert complaint(prepared, prepared) == (
        "Text must be UTF-8; convert it, for example with `iconv -f LATIN1 "
        "-t UTF-8`. Received: FOLDER/task1_ref1.txt, line 2, with byte 0xe9."
    )


def test_only_a_newline_ends_a_line(prepared):
    # U+2028 and U+0085 are white space, and so is a form feed.
    text = "rain\u2028fell\x0con\x85monday\r\nsnow fell"
    (prepared / "input.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = [x.source for x in summaries.read_summaries(prepared)]
    assert found == ["rain fell on monday", "snow fell"]


def test_examples_are_rows_of_a_task(lines):
    found = summaries.read_summaries(lines(*RECORDS))
    assert list(summaries.examples(found, "\nTL;DR:")) == [
        ("It rained on Monday. We stayed in.", "\nTL;DR:", " Rain."),
        ("It rained on Monday. We stayed in.", "\nTL;DR:", " A wet Monday."),
        ("Il a plu à Nîmes.", "\nTL;DR:", " Pluie."),
    ]


def test_scitldr(real_data):
    found = list(summaries.read_summaries(real_data("scitldr/dev.jsonl")))
    assert len(found) == 619
    assert sum(len(x.targets) for x in found) == 1453
    assert all(x.source == " ".join(x.sentences) for x in found)
