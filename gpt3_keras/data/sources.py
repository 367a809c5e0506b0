"""Which files a source of text stands for, and in which order."""

import collections
import contextlib
import dataclasses
import os
import re

import tensorflow as tf

_WILDCARD = re.compile(r"[*?\[]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A file with text in it.

    Args:
        path: where it is, on this machine or at a URL such as gs://.
        key: what splits and orders know it by: its path below the folder that
            was named. A corpus may move without being split anew.
        num_bytes: its size.
    """

    path: str
    key: str
    num_bytes: int


def find_files(source):
    """The files of a source, sorted by key.

    * A folder stands for the `.txt` files in it and in its subfolders.
    * A file is taken whatever its ending.
    * A glob, such as `novels_*/ENG*.txt`, stands for what it matches; `*`
      does not match a `/`. It is how to leave files out: a folder's own
      `README.txt` counts as text, `folder/chapter*.txt` passes it over.
    * A list stands for all that its members do. A file counts once.

    Names that begin with a dot are passed over unless they are named without
    a wildcard; so are files with nothing in them. Paths may be `gs://...`.

    Args:
        source: path, glob, or list of those.

    Returns:
        A list of `TextFile`, at least one.

    Raises:
        ValueError: if something that was named is not there, or is empty.
    """
    members = source if isinstance(source, list | tuple) else [source]
    found = {}
    for member in members or [None]:
        for key, path in _expand(member):
            identity = _identity(path)
            # Whatever the order in which they are named.
            found[identity] = min(found.get(identity, (key, path)), (key, path))
    counts = collections.Counter(key for key, _ in found.values())
    files = [
        # Two folders may each hold a file of one name.
        _text_file(path, key if counts[key] == 1 else path)
        for key, path in found.values()
    ]
    files = [file for file in files if not _is_empty(file)]
    if not files:
        raise ValueError(
            "A source must hold text; all its files are empty. Received: "
            f"source={_shown(source)}."
        )
    return sorted(files, key=lambda file: file.key)


@contextlib.contextmanager
def reading(path):
    """Says which file could not be read, as a `ValueError`."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.split("; ")[-1]
        raise ValueError(
            f"A file must be readable. Received: {path}: {reason}."
        ) from error


def _expand(source):
    """Yields (key, path) of each file that `source` stands for."""
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise ValueError(
            "source must be a path, a glob or a list of those. Received: "
            f"source={source!r}."
        )
    path = os.path.expanduser(os.fspath(source))
    if tf.io.gfile.isdir(path):
        yield from _expand_folder(path, path)
    elif tf.io.gfile.exists(path):
        yield os.path.basename(path), path
    elif _WILDCARD.search(path):
        yield from _expand_glob(path)
    else:
        raise ValueError(
            "source must be an existing file, folder or glob. Received: "
            f"source={path!r}, which does not exist."
        )


def _expand_folder(folder, root):
    """Yields what is in a folder; keys start below `root`."""
    with reading(folder):
        files = [
            os.path.join(parent, name)
            for parent, _, names in tf.io.gfile.walk(folder)
            for name in names
        ]
    files = [file for file in files if not _is_hidden(_below(file, folder))]
    texts = [file for file in files if file.lower().endswith(".txt")]
    if not texts:
        raise ValueError(
            "A folder must hold .txt files; files with another ending are "
            f"named by a glob, such as {os.path.join(folder, '*.md')!r}. "
            f"Received: source={folder!r} with {len(files)} files, none .txt."
        )
    for path in texts:
        yield _below(path, root), path


def _expand_glob(pattern):
    """Yields what a glob matches; a folder stands for what is in it."""
    root = os.path.dirname(_WILDCARD.split(pattern)[0])
    with reading(pattern):
        matches = tf.io.gfile.glob(pattern)
    found = False
    for path in sorted(matches):
        if _is_hidden(_below(path, root)) and not _is_hidden(pattern):
            continue
        found = True
        if tf.io.gfile.isdir(path):
            yield from _expand_folder(path, root)
        else:
            yield _below(path, root), path
    if not found:
        raise ValueError(
            "A glob must match a file. Received: "
            f"source={pattern!r}, which matches none."
        )


def _below(path, root):
    """The rest of `path` below the folder `root`."""
    return path[len(root) :].lstrip("/")


def _is_hidden(path):
    parts = path.split("/")
    return any(part.startswith(".") and part.strip(".") for part in parts)


def _identity(path):
    """What two spellings of a path have in common."""
    return path if "://" in path else os.path.realpath(path)


def _text_file(path, key):
    with reading(path):
        return TextFile(path, key, tf.io.gfile.stat(path).length)


def _is_empty(file):
    """Whether a file holds no character: no byte, or a byte order mark."""
    if file.num_bytes != len(_BYTE_ORDER_MARK):
        return file.num_bytes == 0
    with reading(file.path), tf.io.gfile.GFile(file.path, "rb") as content:
        return content.read() == _BYTE_ORDER_MARK


def _shown(source):
    if isinstance(source, list | tuple):
        return repr([os.fspath(member) for member in source])
    return repr(os.fspath(source))
