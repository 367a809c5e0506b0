"""Byte-pair encoding outside of any graph, by the Rust `tokenizers` library."""

import functools

import keras
import numpy as np
import tokenizers

from gpt3_keras.models.tokenizer_tables import END_OF_TEXT


class FastBytePairEncoder:
    """Tokenises and detokenises lists, a text a thread.

    Args:
        tables: `BytePairTables`.
    """

    def __init__(self, tables):
        self._missing_bytes = tables.missing_bytes
        self._num_tokens = len(tables.tokens)
        self._library = tokenizers.Tokenizer(
            tokenizers.models.BPE(tables.vocabulary, tables.merges)
        )
        self._library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
            add_prefix_space=False
        )
        self._library.decoder = tokenizers.decoders.ByteLevel()
        self._library.add_special_tokens([END_OF_TEXT])

    def tokenize(self, texts):
        """Token ids of texts.

        Args:
            texts: list of strings.

        Returns:
            A list of lists of ids.

        Raises:
            ValueError: a text is not Unicode, or has a byte that the
                vocabulary lacks: the library would leave it out.
        """
        if self._missing_bytes:
            self._check_bytes(texts)
        try:
            encodings = self._library.encode_batch_fast(texts)
        except TypeError:
            _check_unicode(texts)
            raise
        return [encoding.ids for encoding in encodings]

    def detokenize(self, rows):
        """Texts of token ids; what is not UTF-8 in them becomes U+FFFD.

        Args:
            rows: list of lists of ids.

        Returns:
            A list of strings.

        Raises:
            ValueError: an id is not in the vocabulary: the library would
                leave it out.
        """
        for row in rows:
            if row and not (min(row) >= 0 and max(row) < self._num_tokens):
                wrong = next(i for i in row if not 0 <= i < self._num_tokens)
                raise ValueError(
                    f"Token ids must be in [0, {self._num_tokens}). Received: "
                    f"{wrong}."
                )
        return self._library.decode_batch(rows, skip_special_tokens=False)

    def _check_bytes(self, texts):
        for index, text in enumerate(texts):
            content = text.replace(END_OF_TEXT, "").encode()
            missing = self._missing_bytes.intersection(content)
            if missing:
                raise ValueError(
                    "Text must only have bytes that are in the vocabulary. "
                    f"Received: {bytes([min(missing)])!r} in text {index}."
                )


@functools.lru_cache(maxsize=16)
def fast_encoder(tables):
    """The `FastBytePairEncoder` of `BytePairTables`, made when needed."""
    return FastBytePairEncoder(tables)


def _check_unicode(texts):
    """Raises for half a surrogate pair, which no UTF-8 can spell."""
    for index, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "Text must be valid Unicode. Received: the surrogate "
                f"{text[error.start]!r} at character {error.start} of text "
                f"{index}."
            ) from None


def as_texts(inputs):
    """A string or strings as a list of strings, and whether they are many.

    Args:
        inputs: `str` or UTF-8 `bytes`, or a list, tuple, array or eager
            tensor of them, with at most one axis.

    Raises:
        ValueError: anything else.
    """
    if isinstance(inputs, str | bytes):
        return [_decode(inputs, 0)], False
    if not isinstance(inputs, list | tuple):
        inputs = _as_array(inputs).tolist()
        if isinstance(inputs, str | bytes):
            return [_decode(inputs, 0)], False
        if not isinstance(inputs, list):
            raise ValueError(
                "Text must be a string or a list of strings. Received: "
                f"inputs={inputs!r}."
            )
    return [_decode(text, index) for index, text in enumerate(inputs)], True


def _decode(text, index):
    if isinstance(text, str):
        return text
    if not isinstance(text, bytes):
        text = np.asarray(text).item() if np.ndim(text) == 0 else text
        if not isinstance(text, str | bytes):
            raise ValueError(
                "Text must be a string or a list of strings. Received: "
                f"inputs[{index}]={text!r}."
            )
        return _decode(text, index)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            "Text must be valid UTF-8. Received: an invalid byte at offset "
            f"{error.start} of text {index}."
        ) from None


def as_rows(inputs):
    """Token ids as a list of lists, and whether there are many rows.

    Args:
        inputs: an id, a row of ids (T,) or rows of them (B, T), as numbers,
            lists, arrays or tensors; rows may differ in length.

    Raises:
        ValueError: anything else.
    """
    if hasattr(inputs, "to_list"):  # A RaggedTensor.
        inputs = inputs.to_list()
    if not isinstance(inputs, list | tuple):
        inputs = _as_array(inputs)
        if inputs.ndim == 0:
            return [_row(inputs[np.newaxis])], False
    is_batch = len(inputs) > 0 and np.ndim(inputs[0]) > 0
    rows = inputs if is_batch else [inputs]
    return [_row(row) for row in rows], is_batch


def _row(ids):
    ids = _as_array(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(
            "Token ids must be whole numbers in at most two axes. Received: "
            f"shape={ids.shape}, dtype={ids.dtype}."
        )
    return ids.astype("int64").tolist()


def _as_array(inputs):
    if keras.ops.is_tensor(inputs):
        return keras.ops.convert_to_numpy(inputs)
    return np.asarray(inputs)
