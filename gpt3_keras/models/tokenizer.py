"""The tokenizer: GPT-2's and GPT-3's byte-level BPE."""

import os

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.utils.preset_utils import CONFIG_FILE
from keras_hub.src.utils.preset_utils import TOKENIZER_CONFIG_FILE
from keras_hub.src.utils.preset_utils import KerasPresetLoader
from keras_hub.src.utils.preset_utils import check_file_exists
from keras_hub.src.utils.tensor_utils import convert_to_ragged_batch
from keras_hub.src.utils.tensor_utils import preprocessing_function

from gpt3_keras.models import tokenizer_tables
from gpt3_keras.models import tokenizer_training
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.tokenizer_fast import as_rows
from gpt3_keras.models.tokenizer_fast import as_texts
from gpt3_keras.models.tokenizer_fast import fast_encoder
from gpt3_keras.models.tokenizer_graph import graph_encoder
from gpt3_keras.models.tokenizer_tables import END_OF_TEXT

VOCABULARY_FILE = "vocabulary.json"
MERGES_FILE = "merges.txt"


@keras.saving.register_keras_serializable(package="gpt3_keras")
class GPT3Tokenizer(keras_hub.tokenizers.Tokenizer):
    """Byte-level BPE: text to token ids and back, without loss.

    Text is split into words by GPT-2's pattern, and in each word the pair of
    neighbouring tokens whose merge is the earliest is joined, until no merge
    applies. Ids are those of the `tokenizers` library for the same tables,
    outside of a TensorFlow graph, where that library does the work, and
    inside (`tf.function`, `tf.data`, SavedModel), where TensorFlow operations
    without any state do.

    `<|endoftext|>` is the start, end and padding token. Where it stands in a
    text it becomes that one token, as in GPT-2's other tokenizers; take it
    out of texts that must not contain it.

    Args:
        vocabulary: dict from token to id, or path of a JSON file. Defaults to
            GPT-3's 50,257 entries.
        merges: list of `"left right"` strings, or path of a file with one a
            line. Given together with `vocabulary`.
        sequence_length: int. Pad and truncate to this length. Defaults to
            None, which does neither.
        dtype: integer dtype of the ids.

    Call arguments:
        A string, or a list, array or tensor (B,) of strings; `bytes` are read
        as UTF-8.

    Returns:
        For one string int32 (T,); for several a list of lists of ids, or in a
        graph a RaggedTensor (B, None). Dense where `sequence_length` is set.

    Raises:
        ValueError: text is not UTF-8, or has a byte that the vocabulary
            lacks. A graph raises `InvalidArgumentError` when it runs.

    Example:

    ```python
    >>> tokenizer = GPT3Tokenizer()
    >>> ids = tokenizer.tokenize(["It's a test.", "Ça va ?"])
    >>> ids
    [[1026, 338, 257, 1332, 13], [127, 229, 64, 46935, 5633]]
    >>> tokenizer.detokenize(ids)
    ["It's a test.", 'Ça va ?']

    ```

    Reference: Sennrich et al. 2016 (arXiv:1508.07909); on bytes, Radford et
    al. 2019, section 2.2.
    """

    backbone_cls = GPT3Backbone

    def __init__(
        self,
        vocabulary=None,
        merges=None,
        sequence_length=None,
        dtype="int32",
        **kwargs,
    ):
        for role in ("start", "end", "pad"):
            self._add_special_token(END_OF_TEXT, f"{role}_token")
        super().__init__(dtype=dtype, **kwargs)
        self.built = True  # It has no weights; `quantize` asks for it.
        if "int" not in keras.backend.standardize_dtype(self.compute_dtype):
            raise ValueError(
                f"dtype must be an integer type. Received: dtype={dtype!r}."
            )
        if sequence_length is not None and sequence_length < 1:
            raise ValueError(
                "sequence_length must be positive. Received: "
                f"sequence_length={sequence_length}."
            )
        self.sequence_length = sequence_length
        self.file_assets = [VOCABULARY_FILE, MERGES_FILE]
        if vocabulary is None and merges is None:
            self._set_tables(tokenizer_tables.standard())
        else:
            self.set_vocabulary_and_merges(vocabulary, merges)

    @classmethod
    def train(
        cls,
        paths,
        vocabulary_size,
        min_frequency=2,
        allow_fewer=False,
        **kwargs,
    ):
        """A tokenizer with tables learnt from text files.

        The text is streamed. The same text always gives the same tables.

        Args:
            paths, vocabulary_size, min_frequency, allow_fewer: as in
                `tokenizer_training.train`, which also says what is refused.
            **kwargs: passed to the constructor.
        """
        tables = tokenizer_training.train(
            paths, vocabulary_size, min_frequency, allow_fewer
        )
        return cls(tables.vocabulary, tables.merges, **kwargs)

    def set_vocabulary_and_merges(self, vocabulary, merges):
        """Sets the tables, from data or from paths; None and None clear."""
        if vocabulary is None and merges is None:
            self._tables = None
        else:
            self._set_tables(tokenizer_tables.from_source(vocabulary, merges))

    def _set_tables(self, tables):
        self._tables = tables
        self._update_special_token_ids()

    @classmethod
    def from_preset(cls, preset, config_file=TOKENIZER_CONFIG_FILE, **kwargs):
        """A saved tokenizer, as in KerasHub.

        Also from a folder that `save_to_preset` wrote for a tokenizer alone,
        where KerasHub looks for a backbone.
        """
        if check_file_exists(preset, CONFIG_FILE):
            return super().from_preset(preset, config_file, **kwargs)
        loader = KerasPresetLoader(preset, config=None)
        return loader.load_tokenizer(cls, config_file, **kwargs)

    def save_assets(self, dir_path):
        self._known_tables().save(*self._asset_paths(dir_path))

    def load_assets(self, dir_path):
        self._set_tables(tokenizer_tables.load(*self._asset_paths(dir_path)))

    def _asset_paths(self, folder):
        return [os.path.join(folder, name) for name in self.file_assets]

    def get_config(self):
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            # Other tables are assets, not part of the config.
            "is_standard": self._tables == tokenizer_tables.standard(),
        }

    @classmethod
    def from_config(cls, config):
        config = {**config}
        is_standard = config.pop("is_standard", True)
        tokenizer = cls(**config)
        if not is_standard:  # Another's tables would be silently wrong.
            tokenizer.set_vocabulary_and_merges(None, None)
        return tokenizer

    def fingerprint(self):
        """Hex SHA-256 of the tables, equal for tokenizers that are alike."""
        return self._known_tables().fingerprint

    @property
    def vocabulary(self):
        """Dict from token to id."""
        return dict(self._known_tables().vocabulary)

    @property
    def merges(self):
        """List of `"left right"` strings, the earliest first."""
        return [" ".join(pair) for pair in self._known_tables().merges]

    def get_vocabulary(self):
        """List of tokens by id; bytes are written as printable characters."""
        return list(self._known_tables().tokens)

    def vocabulary_size(self):
        """How many tokens there are."""
        return len(self._known_tables().tokens)

    def id_to_token(self, id):
        """The token of an id."""
        return self._known_tables().id_to_token(id)

    def token_to_id(self, token):
        """The id of a token."""
        return self._known_tables().token_to_id(token)

    def encode_batch(self, texts):
        """Token ids of a list of strings, on all cores: a list of lists.

        `sequence_length` plays no part.
        """
        return fast_encoder(self._known_tables()).tokenize(texts)

    def call(self, inputs, training=None):
        return self.tokenize(inputs)

    def tokenize(self, inputs):
        if self._use_tf_workflow():
            return self._tokenize_tf(inputs)
        texts, is_batch = as_texts(inputs)
        rows = self.encode_batch(texts)
        if self.sequence_length is not None:
            rows = np.array([*map(self._fit, rows)], self.compute_dtype)
            rows = rows.reshape(-1, self.sequence_length)
        # As KerasHub's tokenizers: dense results are arrays.
        return rows if is_batch else np.array(rows[0], self.compute_dtype)

    def _fit(self, row):
        row = row[: self.sequence_length]
        return row + [self.pad_token_id] * (self.sequence_length - len(row))

    @preprocessing_function
    def _tokenize_tf(self, inputs):
        texts = tf.convert_to_tensor(inputs, tf.string)
        if texts.shape.rank not in (0, 1):
            raise ValueError(
                "Text must be a string or a vector of strings. Received: "
                f"shape={texts.shape}."
            )
        encoder = graph_encoder(self._known_tables())
        ids = encoder.tokenize(tf.reshape(texts, [-1]))
        ids = tf.cast(ids, self.compute_dtype)
        if self.sequence_length is not None:
            ids = ids.to_tensor(
                self.pad_token_id, shape=[None, self.sequence_length]
            )
        if texts.shape.rank == 1:
            return ids
        ids = ids if self.sequence_length is not None else ids.values
        return tf.reshape(ids, [-1])

    def detokenize(self, inputs):
        """Texts of token ids.

        A character of which only some bytes are there becomes U+FFFD.

        Args:
            inputs: an id, a row of ids (T,), or several rows (B, T), which
                need not be equally long.

        Returns:
            A string, or a list of strings; in a graph a tensor of them.

        Raises:
            ValueError: an id is not in the vocabulary. A graph raises
                `InvalidArgumentError` when it runs.
        """
        if self._use_tf_workflow():
            return self._detokenize_tf(inputs)
        rows, is_batch = as_rows(inputs)
        texts = fast_encoder(self._known_tables()).detokenize(rows)
        return texts if is_batch else texts[0]

    @preprocessing_function
    def _detokenize_tf(self, inputs):
        rows, is_single, _ = convert_to_ragged_batch(inputs)
        texts = graph_encoder(self._known_tables()).detokenize(rows)
        return texts[0] if is_single else texts

    def compute_output_spec(self, input_spec):
        return keras.KerasTensor(
            (*input_spec.shape, self.sequence_length), self.compute_dtype
        )

    def _known_tables(self):
        if self._tables is None:
            raise ValueError(
                "The tokenizer must have a vocabulary before it is used. "
                "Load it with from_preset or load_assets, or pass vocabulary "
                "and merges. Received: vocabulary=None."
            )
        return self._tables
