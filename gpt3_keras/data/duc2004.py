"""DUC 2004, task 1, as NIST distributes it: documents and model summaries.

NIST licenses the files; users bring their own copy, unpacked:

    docs/d30001t/APW19981016.0240                          a document
    eval/models/1/D30001.P.10.T.A.APW19981016.0240         a model summary

`DUC2004_Summarization_Documents.tgz` unpacks `docs` below
`duc2004_testdata/tasks1and2/duc2004_tasks1and2_docs`. In `duc2004_results.tgz`
the archive `ROUGE/duc2004.task1.ROUGE.models.tar.gz` has to be unpacked where
it is, which makes `ROUGE/eval/models/1`. All of these paths are found below
the folder that holds both, see `DOCUMENT_FOLDERS` and `MODEL_FOLDERS`.

There are 50 clusters of 10 documents. A cluster's folder has a letter more
than its name, that of the assessor who chose the documents: `d30001t` is
D30001. A document may stand in two clusters, each time with summaries of its
own. The fields of a summary's name are the cluster, P for a summary of one
document (M: of a cluster), its size in words, the same letter as the folder's,
the author and the document. Authors of models are assessors, named by letters:
four to each document. Numbers are the systems that took part, "peers"; their
summaries are in `eval/peers/1` and no references.

A document is SGML:

    <DOC>
    <DOCNO> APW19981016.0240 </DOCNO>
    <DOCTYPE> NEWS </DOCTYPE>
    <TEXT>
    Text, with or without <P> marks and entities such as &AMP;
    </TEXT>
    </DOC>

Reference: Over and Yen 2004, "An introduction to DUC 2004", and NIST's
instructions at duc.nist.gov/duc2004.
"""

import collections
import os
import re
import typing

import tensorflow as tf

from gpt3_keras.data import sgml
from gpt3_keras.data import sources

# Where the unpacked archives may stand below the folder that is named.
_ARCHIVE = "DUC2004_Summarization_Documents"
_TASKS = "duc2004_testdata/tasks1and2"
DOCUMENT_FOLDERS = (
    "docs",
    "duc2004_tasks1and2_docs/docs",
    f"{_TASKS}/duc2004_tasks1and2_docs/docs",
    f"{_ARCHIVE}/{_TASKS}/duc2004_tasks1and2_docs/docs",
)
MODEL_FOLDERS = (
    "eval/models/1",
    "ROUGE/eval/models/1",
    "duc2004_results/ROUGE/eval/models/1",
)
NUM_REFERENCES = 4

_CLUSTER = re.compile(r"([dD]\d+)[a-zA-Z]?")
_MODEL = re.compile(
    r"(?P<cluster>D\d+)\.(?P<type>[A-Z])\.(?P<size>\d+)\.(?P<selector>[A-Z])"
    r"\.(?P<author>[A-Z]+|\d+)\.(?P<document>.+)"
)


class Document(typing.NamedTuple):
    """A document of task 1 and its model summaries.

    Args:
        name: str, cluster and document: `D30001.APW19981016.0240`.
        paragraphs: tuple of str, its text, at least one.
        references: tuple of str, in the order of their authors' letters.
        file: str, the document's path.
        line: int, where its text begins.
    """

    name: str
    paragraphs: tuple[str, ...]
    references: tuple[str, ...]
    file: str
    line: int


def has_layout(folder):
    """Whether a folder holds documents or models where NIST has them."""
    known = (*DOCUMENT_FOLDERS, *MODEL_FOLDERS, _ARCHIVE, "duc2004_results")
    return any(_is_folder(os.path.join(folder, name)) for name in known)


def read_task1(folder):
    """Yields each `Document`, sorted by name.

    Args:
        folder: path of the folder that holds both documents and summaries.

    Raises:
        ValueError: files in the wrong place, a reference missing, or a file
            that `sgml` refuses.
    """
    documents = _documents(_find(folder, "documents", DOCUMENT_FOLDERS))
    models = _models(_find(folder, "model summaries", MODEL_FOLDERS))
    for key in models:
        if key not in documents:
            first = min(models[key].values())
            raise ValueError(
                "A model summary must be of a document in the folder of its "
                f"cluster. Received: {first}, and no document "
                f"{_name(key)}."
            )
    for key, path in sorted(documents.items()):
        authors = models.get(key, {})
        if len(authors) != NUM_REFERENCES:
            raise ValueError(
                f"A document must have {NUM_REFERENCES} model summaries. "
                f"Received: {path} with {len(authors)}, of the authors "
                f"{sorted(authors)}."
            )
        parsed = sgml.read_document(path)
        if parsed.number.upper() != key[1]:
            raise ValueError(
                "A document's DOCNO must be the name of its file. Received: "
                f"{path}, line {parsed.line}: DOCNO={parsed.number!r}."
            )
        yield Document(
            name=_name(key),
            paragraphs=parsed.paragraphs,
            references=tuple(
                _reference(authors[author]) for author in sorted(authors)
            ),
            file=path,
            line=parsed.text_line,
        )


def _find(folder, what, names):
    for name in names:
        path = os.path.join(folder, name)
        if _is_folder(path):
            return path
    raise ValueError(
        f"The {what} of DUC 2004 must be unpacked to one of "
        f"{', '.join(names)}. Received: source={folder!r}, which has none."
    )


def _documents(root):
    """The path of each document by its key, (cluster, name)."""
    found = {}
    for path in _files(root):
        cluster, _, name = path[len(root) :].lstrip("/").rpartition("/")
        match = _CLUSTER.fullmatch(cluster)
        if match is None:
            raise ValueError(
                "A document must be in its cluster's folder, such as "
                f"docs/d30001t/APW19981016.0240. Received: {path}."
            )
        key = (match[1].upper(), name.upper())
        if key in found:
            raise ValueError(
                "A document must stand once in its cluster. Received: "
                f"{found[key]} and {path}."
            )
        found[key] = path
    if not found:
        raise ValueError(
            "The documents' folder must hold cluster folders. Received: "
            f"{root}, which is empty."
        )
    return found


def _models(root):
    """The paths of each document's summaries, by key and author."""
    found = collections.defaultdict(dict)
    for path in _files(root):
        match = _MODEL.fullmatch(path[len(root) :].lstrip("/"))
        if match is None:
            raise ValueError(
                "A model summary's name must be cluster.P.size.selector."
                "author.document, such as D30001.P.10.T.A.APW19981016.0240. "
                f"Received: {path}."
            )
        if match["author"].isdigit():
            raise ValueError(
                "A model summary must be an assessor's, who is named by a "
                "letter; those of systems belong to eval/peers. Received: "
                f"{path}: author={match['author']}."
            )
        if match["type"] != "P":
            raise ValueError(
                "Task 1 takes summaries of one document, of the type P. "
                f"Received: {path}: type={match['type']}."
            )
        key = (match["cluster"], match["document"].upper())
        found[key][match["author"]] = path
    return found


def _reference(path):
    """A model summary, which is one line of text, or lines of one summary."""
    text = " ".join(sgml.decode(path).split())
    if not text:
        raise ValueError(
            f"A model summary must not be empty. Received: {path}, line 1."
        )
    return text


def _name(key):
    return ".".join(key)


def _is_folder(path):
    return tf.io.gfile.isdir(path)


def _files(root):
    """Every file below a folder, in order; names with a dot first are not."""
    with sources.reading(root):
        found = [
            os.path.join(parent, name)
            for parent, _, names in tf.io.gfile.walk(root)
            for name in names
            if not name.startswith(".")
        ]
    return sorted(found)
