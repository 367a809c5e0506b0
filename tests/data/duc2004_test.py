"""DUC 2004 in NIST's layout, with documents made up for the tests."""

import pytest

from gpt3_keras.data import duc2004
from gpt3_keras.data import summaries

# Cluster folder, document and its text.
DOCUMENTS = [
    ("d30001t", "APW20990101.0001", "Snow fell on Oslo. Trains were late."),
    ("d30001t", "NYT20990102.0040", "A &AMP; B merged.\n<P>\nShares rose."),
    ("d31050t", "APW20990101.0001", "Snow fell on Oslo. Trains were late."),
]
ARCHIVES = (
    "DUC2004_Summarization_Documents/duc2004_testdata/tasks1and2/"
    "duc2004_tasks1and2_docs/docs",
    "duc2004_results/ROUGE/eval/models/1",
)


def write_layout(folder, docs="docs", models="eval/models/1"):
    for cluster, name, text in DOCUMENTS:
        path = folder / docs / cluster / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"<DOC>\n<DOCNO> {name} </DOCNO>\n<TEXT>\n{text}\n</TEXT>\n</DOC>\n"
        )
        for author in "CAFB":
            path = model_path(folder, cluster, name, author, models)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{author} on {cluster} {name[:3]} \n")
    return folder


def model_path(folder, cluster, name, author, models="eval/models/1"):
    return folder / models / f"{cluster[:-1].upper()}.P.10.T.{author}.{name}"


@pytest.fixture
def layout(tmp_path):
    return write_layout(tmp_path)


@pytest.fixture
def complaint(layout):
    """What is said of the layout; its folder is DUC."""

    def complaint():
        with pytest.raises(ValueError, match="Received: ") as error:
            list(duc2004.read_task1(str(layout)))
        return str(error.value).replace(str(layout), "DUC")

    return complaint


def test_each_document_has_its_clusters_summaries(layout):
    found = list(duc2004.read_task1(str(layout)))
    assert [x.name for x in found] == [
        "D30001.APW20990101.0001",
        "D30001.NYT20990102.0040",
        "D31050.APW20990101.0001",
    ]
    assert found[1] == duc2004.Document(
        name="D30001.NYT20990102.0040",
        paragraphs=("A & B merged.", "Shares rose."),
        references=tuple(f"{x} on d30001t NYT" for x in "ABCF"),
        file=str(layout / "docs/d30001t/NYT20990102.0040"),
        line=3,
    )
    assert found[0].references != found[2].references


def test_the_archives_as_they_unpack(tmp_path):
    folder = write_layout(tmp_path / "duc", *ARCHIVES)
    # Other tasks' files are there as well, and what a file system adds.
    for other in ("task5/duc2004_task5_docs/docs/d132d/X1", "readme"):
        path = folder / ARCHIVES[0].partition("/tasks1and2")[0] / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not SGML")
    for other in ("models/2/D30001.M.100.T.A", "peers/1/D30001.P.10.T.1.X"):
        path = folder / "duc2004_results/ROUGE/eval" / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not of task 1")
    (folder / ARCHIVES[1] / ".DS_Store").write_text("")
    assert duc2004.has_layout(str(folder))
    assert len(list(duc2004.read_task1(str(folder)))) == 3


def test_they_are_summaries(layout):
    assert summaries.find_form(str(layout)) == "nist"
    second = list(summaries.read_summaries(layout))[1]
    assert second.source == "A & B merged. Shares rose."
    assert second.sentences == ("A & B merged.", "Shares rose.")
    assert second.targets[3] == "F on d30001t NYT"
    first = next(summaries.read_summaries(layout))
    assert first.sentences == ("Snow fell on Oslo.", "Trains were late.")


def test_a_summary_may_have_lines_and_latin_1(layout):
    path = model_path(layout, *DOCUMENTS[0][:2], "A")
    path.write_bytes("Neige à\nOslo\n".encode("latin-1"))
    first = next(duc2004.read_task1(str(layout)))
    assert first.references[0] == "Neige à Oslo"


def test_names_in_capitals_are_the_same(layout):
    path = layout / "docs/d30001t/NYT20990102.0040"
    path.write_text(path.read_text().replace("NYT", "nyt"))
    path.rename(path.with_name("nyt20990102.0040"))
    assert len(list(duc2004.read_task1(str(layout)))) == 3


@pytest.mark.parametrize(
    ("folder", "what", "names"),
    [
        ("docs", "documents", duc2004.DOCUMENT_FOLDERS),
        ("eval", "model summaries", duc2004.MODEL_FOLDERS),
    ],
)
def test_a_folder_is_missing(layout, complaint, folder, what, names):
    (layout / folder).rename(layout / "elsewhere")
    assert complaint() == (
        f"The {what} of DUC 2004 must be unpacked to one of "
        f"{', '.join(names)}. Received: source='DUC', which has none."
    )


def test_a_document_outside_of_a_cluster(layout, complaint):
    path = layout / "docs/d31050t/APW20990101.0001"
    path.rename(layout / "docs/APW20990101.0001")
    assert complaint() == (
        "A document must be in its cluster's folder, such as "
        "docs/d30001t/APW19981016.0240. Received: DUC/docs/APW20990101.0001."
    )


def test_summaries_among_the_documents(layout, complaint):
    (layout / "eval/models/1").rename(layout / "docs/models")
    (layout / "eval/models/1").mkdir()
    assert "Received: DUC/docs/models/D30001.P.10.T.A." in complaint()


def test_no_document(layout, complaint):
    (layout / "docs").rename(layout / "elsewhere")
    (layout / "docs").mkdir()
    assert complaint() == (
        "The documents' folder must hold cluster folders. Received: "
        "DUC/docs, which is empty."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "D30001.P.10.T.11.APW20990101.0001",
            "A model summary must be an assessor's, who is named by a letter; "
            "those of systems belong to eval/peers. Received: DUC/eval/models/"
            "1/D30001.P.10.T.11.APW20990101.0001: author=11.",
        ),
        (
            "D30001.M.100.T.A.html",
            "Task 1 takes summaries of one document, of the type P. Received: "
            "DUC/eval/models/1/D30001.M.100.T.A.html: type=M.",
        ),
        (
            "APW20990101.0001",
            "A model summary's name must be cluster.P.size.selector."
            "author.document, such as D30001.P.10.T.A.APW19981016.0240. "
            "Received: DUC/eval/models/1/APW20990101.0001.",
        ),
        (
            "D30002.P.10.T.A.APW20990101.0001",
            "A model summary must be of a document in the folder of its "
            "cluster. Received: DUC/eval/models/1/"
            "D30002.P.10.T.A.APW20990101.0001, and no document "
            "D30002.APW20990101.0001.",
        ),
        (
            "D30001.P.10.T.G.APW20990101.0001",
            "A document must have 4 model summaries. Received: "
            "DUC/docs/d30001t/APW20990101.0001 with 5, of the authors "
            "['A', 'B', 'C', 'F', 'G'].",
        ),
    ],
)
def test_a_summary_that_has_no_place(layout, complaint, name, text):
    (layout / "eval/models/1" / name).write_text("A summary.")
    assert complaint() == text


def test_a_reference_is_missing(layout, complaint):
    model_path(layout, *DOCUMENTS[1][:2], "C").unlink()
    assert complaint() == (
        "A document must have 4 model summaries. Received: "
        "DUC/docs/d30001t/NYT20990102.0040 with 3, of the authors "
        "['A', 'B', 'F']."
    )


def test_all_references_of_a_document_are_missing(layout, complaint):
    for author in "ABCF":
        model_path(layout, *DOCUMENTS[0][:2], author).unlink()
    assert "APW20990101.0001 with 0, of the authors []." in complaint()


def test_an_empty_reference(layout, complaint):
    model_path(layout, *DOCUMENTS[0][:2], "B").write_text(" \n")
    assert complaint() == (
        "A model summary must not be empty. Received: DUC/eval/models/1/"
        "D30001.P.10.T.B.APW20990101.0001, line 1."
    )


def test_a_document_in_the_file_of_another(layout, complaint):
    path = layout / "docs/d30001t/APW20990101.0001"
    path.write_text(path.read_text().replace("APW2099", "APW2098"))
    assert complaint() == (
        "A document's DOCNO must be the name of its file. Received: "
        "DUC/docs/d30001t/APW20990101.0001, line 2: "
        "DOCNO='APW20980101.0001'."
    )


def test_malformed_sgml_is_named(layout, complaint):
    path = layout / "docs/d31050t/APW20990101.0001"
    path.write_text(path.read_text().replace("</TEXT>", ""))
    assert complaint() == (
        "<TEXT> must be closed by </TEXT>. Received: "
        "DUC/docs/d31050t/APW20990101.0001, line 3, without an end."
    )
