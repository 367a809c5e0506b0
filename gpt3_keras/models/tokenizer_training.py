"""Learns a byte-level BPE from text files."""

import json

import tensorflow as tf
import tokenizers

from gpt3_keras.models.tokenizer_tables import END_OF_TEXT
from gpt3_keras.models.tokenizer_tables import BytePairTables
from gpt3_keras.models.tokenizer_tables import byte_symbols

_BLOCK_BYTES = 1 << 20
_BLANKS = b" \t\r\n"


def train(paths, vocabulary_size, min_frequency=2, allow_fewer=False):
    """Tables learnt from text; the same text always gives the same tables.

    The ids are laid out as GPT-3's: the 256 bytes, the merged tokens in the
    order in which they were learnt, the end-of-text token.

    Args:
        paths: a path or list of paths of UTF-8 text files.
        vocabulary_size: int, how many tokens there shall be.
        min_frequency: int, how often a pair must stand in the text to become
            a token.
        allow_fewer: bool, whether a text that is too small for so many
            tokens gives what it can; otherwise it is refused.

    Returns:
        `BytePairTables`.

    Raises:
        ValueError: an argument breaks its rule, a file is missing or not
            UTF-8, or the text is too small for so many tokens.
    """
    paths = [paths] if not isinstance(paths, list | tuple) else list(paths)
    smallest = len(byte_symbols()) + 1
    if not isinstance(vocabulary_size, int) or vocabulary_size < smallest:
        raise ValueError(
            f"vocabulary_size must be an integer of {smallest} or more: 256 "
            f"bytes and {END_OF_TEXT!r}. Received: "
            f"vocabulary_size={vocabulary_size!r}."
        )
    if not isinstance(min_frequency, int) or min_frequency < 1:
        raise ValueError(
            "min_frequency must be a positive integer. Received: "
            f"min_frequency={min_frequency!r}."
        )
    if not paths:
        raise ValueError(f"paths must name a text file. Received: {paths=}.")
    for path in map(str, paths):
        if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
            raise ValueError(
                f"paths must be text files that exist. Received: path={path!r}."
            )
    learner = tokenizers.Tokenizer(tokenizers.models.BPE())
    learner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary_size - 1,
        min_frequency=min_frequency,
        initial_alphabet=byte_symbols(),
        show_progress=False,
    )
    learner.train_from_iterator(
        (text for path in map(str, paths) for text in _read(path)), trainer
    )
    tables = _laid_out(learner)
    if len(tables.tokens) != vocabulary_size and not allow_fewer:
        raise ValueError(
            "vocabulary_size must not exceed what the text gives at this "
            f"min_frequency. Received: vocabulary_size={vocabulary_size}, "
            f"min_frequency={min_frequency}; the text gives "
            f"{len(tables.tokens)}."
        )
    return tables


def _read(path):
    """Yields the text of a file, cut where a word must end anyway."""
    done = 0  # Bytes of the file that have been yielded.
    with tf.io.gfile.GFile(path, "rb") as file:
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            rest += block
            # A word never reaches from a character into blanks after it.
            end = max(rest.rfind(blank) for blank in (b" ", b"\n"))
            end = len(rest[: max(end, 0)].rstrip(_BLANKS))
            yield _decode(rest[:end], path, done)
            done += end
            rest = rest[end:]
        yield _decode(rest, path, done)


def _decode(content, path, offset):
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            "Text must be valid UTF-8. Received: an invalid byte at offset "
            f"{offset + error.start} of {path}."
        ) from None


def _laid_out(learner):
    """The learnt merges as tables with GPT-3's layout of ids."""
    model = json.loads(learner.to_str())["model"]
    vocabulary = model["vocab"]
    vocabulary[END_OF_TEXT] = len(vocabulary)
    return BytePairTables(vocabulary, model["merges"])
