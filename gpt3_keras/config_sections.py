"""The sections of an experiment's config: keys, types, defaults and rules.

Each is a `hyperparams.Config` dataclass that checks itself when it is made. A
value or a combination that cannot work is a `ValueError` that names the rule,
the key and the value.
"""

import dataclasses
import math

from official.modeling import hyperparams

LOSS_TERMS = ("language_model", "generator", "pointer", "gate")


class Section(hyperparams.Config):
    """A section that checks itself when it is made."""

    section = ""

    def __post_init__(self, default_params, restrictions):
        super().__post_init__(default_params, restrictions)
        self.validate()

    def _require(self, holds, rule, *keys):
        """Raises `rule` with the values of `keys` unless it `holds`."""
        if not holds:
            values = (f"{self.section}.{key}={self.get(key)!r}" for key in keys)
            raise ValueError(f"{rule}. Received: {', '.join(values)}.")

    def _require_at_least(self, bound, *keys):
        for key in keys:
            holds = bound <= self.get(key) < math.inf
            self._require(holds, f"{key} must be at least {bound}", key)

    def _require_positive(self, *keys):
        """Each is a positive number, or null where nothing is asked for."""
        for key in keys:
            value = self.get(key)
            holds = value is None or 0 < value < math.inf
            self._require(holds, f"{key} must be positive", key)

    def _require_choice(self, choices, key):
        rule = f"{key} must be one of {', '.join(choices)}"
        self._require(self.get(key) in choices, rule, key)

    def _require_shares(self, *keys):
        for key in keys:
            holds = 0 <= self.get(key) <= 1
            self._require(holds, f"{key} must be in [0, 1]", key)

    def _require_paths(self, key):
        paths = self.get(key)
        holds = paths is None or (bool(paths) and all(paths))
        self._require(holds, f"{key} must name a file or folder", key)

    def _require_seed(self):
        holds = 0 <= self.seed < 2**31
        self._require(holds, "seed must be at least 0 and below 2**31", "seed")


@dataclasses.dataclass
class ModelConfig(Section):
    """Sizes of the network; `GPT3Backbone` explains each."""

    section = "model"
    num_layers: int = 1
    num_heads: int = 8
    hidden_dim: int = 512
    max_sequence_length: int = 1024
    rnn: str = "gru"
    position_encoding: str = "learned"
    pointer_hidden_dims: list[int] = dataclasses.field(
        default_factory=lambda: [64, 768]
    )
    share_pointer_parameters: bool = False
    dropout: float = 0.1
    tie_word_embeddings: bool = True
    max_parameters: int = 500_000_000

    def validate(self):
        self._require_at_least(1, "num_layers", "num_heads", "hidden_dim")
        self._require_at_least(1, "max_sequence_length", "max_parameters")
        self._require(
            self.hidden_dim % self.num_heads == 0,
            "num_heads must divide hidden_dim",
            "num_heads",
            "hidden_dim",
        )
        self._require_choice(("gru", "lstm"), "rnn")
        self._require_choice(("learned", "sinusoidal"), "position_encoding")
        self._require(
            all(width >= 1 for width in self.pointer_hidden_dims),
            "pointer_hidden_dims must be positive",
            "pointer_hidden_dims",
        )
        self._require(
            0 <= self.dropout < 1, "dropout must be in [0, 1)", "dropout"
        )


@dataclasses.dataclass
class TokenizerConfig(Section):
    """Which byte-level BPE: the GPT-3 one, a saved one or one's own.

    Args:
        path: folder that `GPT3Tokenizer.save_to_preset` wrote, or null.
        trained_vocabulary_size: entries of a vocabulary to be learnt from the
            training text, fewer where it is too small, or null. With neither,
            the 50,257 of GPT-3.
    """

    section = "tokenizer"
    path: str | None = None
    trained_vocabulary_size: int | None = None

    def validate(self):
        self._require(
            self.path is None or self.trained_vocabulary_size is None,
            "path and trained_vocabulary_size exclude each other",
            "path",
            "trained_vocabulary_size",
        )
        self._require_paths("path")
        if self.trained_vocabulary_size is not None:
            # 256 bytes, end of text.
            self._require_at_least(257, "trained_vocabulary_size")


@dataclasses.dataclass
class DataConfig(Section):
    """Text, or shards that `gpt3-keras prepare` wrote, cut into rows.

    Args:
        train: a file, folder or glob, or a list of those.
        validation: the same, held out; null holds out documents of `train`.
        validation_fraction: share of the documents of `train` held out.
        document: "file" or "line", what one document is.
        sequence_length: tokens in a row.
        batch_size: rows in a batch.
        shuffle_buffer: rows among which the next one is drawn.
    """

    section = "data"
    train: str | list[str] = "text"
    validation: str | list[str] | None = None
    validation_fraction: float = 0.1
    document: str = "file"
    sequence_length: int = 256
    batch_size: int = 8
    shuffle_buffer: int = 1024

    def validate(self):
        self._require_paths("train")
        self._require_paths("validation")
        self._require(
            0 < self.validation_fraction < 1,
            "validation_fraction must be between 0 and 1",
            "validation_fraction",
        )
        self._require_choice(("file", "line"), "document")
        self._require_at_least(
            1, "sequence_length", "batch_size", "shuffle_buffer"
        )


@dataclasses.dataclass
class TermWeights(Section):
    """How much each term counts in a loss; 0 leaves it out.

    A section of it names its `terms`, each of which is a key.
    """

    terms = ()

    def validate(self):
        self._require_at_least(0, *self.terms)
        self._require(
            any(self.get(term) for term in self.terms),
            "one loss weight at least must be positive",
            *self.terms,
        )

    def weights(self):
        """A dict from the terms' names to their weights."""
        return {term: self.get(term) for term in self.terms}


@dataclasses.dataclass
class LossWeights(TermWeights):
    """How much each term counts in the loss; 0 leaves it out."""

    section = "loss_weights"
    terms = LOSS_TERMS
    language_model: float = 1.0
    generator: float = 0.0
    pointer: float = 0.1
    gate: float = 0.1


@dataclasses.dataclass
class LossesConfig(LossWeights):
    """Weights of the whole objective, and τ of the pointer's soft rank."""

    section = "losses"
    pointer_temperature: float = 1.0

    def validate(self):
        super().validate()
        self._require(
            0 < self.pointer_temperature < math.inf,
            "pointer_temperature must be positive",
            "pointer_temperature",
        )


@dataclasses.dataclass
class GenerationConfig(Section):
    """How `gpt3-keras generate` writes unless its options say otherwise."""

    section = "generation"
    max_new_tokens: int = 64
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.95
    seed: int = 0

    def validate(self):
        self._require_seed()
        self._require_at_least(1, "max_new_tokens")
        self._require_at_least(0, "temperature", "top_k")
        self._require(0 < self.top_p <= 1, "top_p must be in (0, 1]", "top_p")
