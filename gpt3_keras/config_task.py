"""The sections that say what a model learns beside plain text."""

import dataclasses

from gpt3_keras.config_sections import Section
from gpt3_keras.config_sections import TermWeights

TASKS = ("lambada", "summaries", "dialogue")


@dataclasses.dataclass
class AugmentationConfig(Section):
    """How the text that is trained on is changed in each epoch; 0 leaves it.

    Held-out text is never changed.

    Args:
        character_rate: share of the letters that are replaced.
        alphabet: what by; null takes the training text's own characters.
        sentence_rate: share of the texts in which two sentences change
            places.
        language: "en" or "fr", where sentences end.
    """

    section = "augmentation"
    character_rate: float = 0.0
    alphabet: str | None = None
    sentence_rate: float = 0.0
    language: str = "en"

    def validate(self):
        self._require_shares("character_rate", "sentence_rate")
        self._require_choice(("en", "fr"), "language")
        self._require(
            self.alphabet is None or bool(self.alphabet),
            "alphabet must not be empty",
            "alphabet",
        )


@dataclasses.dataclass
class LambadaConfig(Section):
    """Passages whose last word is to be said, cut from any text.

    Args:
        style: "lambada" writes text as that corpus is written, in lower case
            with a space around every mark; "plain" leaves it.
        ends: "sentence" for last words of sentences, "word" for any words.
        copied_share: share of the passages whose last word stands in them
            before.
        repeated_weight: in the loss, of the other words of a passage that
            stand in it before, where the last word has 1.
        rename_rate: share of the names in a passage that are replaced by
            others, all over it.
        word_rename_rate: the same of its common words.
    """

    section = "task.lambada"
    style: str = "lambada"
    ends: str = "sentence"
    copied_share: float = 1.0
    repeated_weight: float = 1.0
    rename_rate: float = 0.0
    word_rename_rate: float = 0.0

    def validate(self):
        self._require_choice(("lambada", "plain"), "style")
        self._require_choice(("sentence", "word"), "ends")
        self._require_shares("copied_share", "rename_rate", "word_rename_rate")
        self._require_at_least(0, "repeated_weight")


@dataclasses.dataclass
class SummariesConfig(Section):
    """How a document and its summary make a row, and how one is written.

    Args:
        separator: text between the two.
        max_new_tokens: the longest summary.
        num_beams: summaries that are kept in sight; 1 is greedy.
        length_penalty: above 0 longer summaries are preferred.
        min_new_tokens: the shortest summary.
        no_repeat_ngram: no run of so many tokens is written twice; 0 allows.
    """

    section = "task.summaries"
    separator: str = "\nTL;DR:"
    max_new_tokens: int = 64
    num_beams: int = 4
    length_penalty: float = 1.0
    min_new_tokens: int = 8
    no_repeat_ngram: int = 3

    def validate(self):
        self._require(bool(self.separator), "separator must not be empty")
        self._require_at_least(1, "max_new_tokens", "num_beams")
        self._require_at_least(
            0, "length_penalty", "min_new_tokens", "no_repeat_ngram"
        )
        self._require(
            self.min_new_tokens <= self.max_new_tokens,
            "min_new_tokens must be at most max_new_tokens",
            "min_new_tokens",
            "max_new_tokens",
        )


@dataclasses.dataclass
class DialogueLossWeights(TermWeights):
    """How much each term counts in the loss of a dialogue; 0 leaves it out.

    Args:
        intent, requested: of what the user wants and asks about.
        slot, span: of slots' values, and of the places of open ones.
        constraint: of what the schema forbids.
        similarity: of a dialogue and its reply.
        language_model: of the dialogue's text.
    """

    section = "task.dialogue.loss_weights"
    terms = (
        "intent",
        "requested",
        "slot",
        "span",
        "constraint",
        "similarity",
        "language_model",
    )
    intent: float = 1.0
    requested: float = 1.0
    slot: float = 1.0
    span: float = 1.0
    constraint: float = 0.1
    similarity: float = 0.0
    language_model: float = 0.0


@dataclasses.dataclass
class DialogueConfig(Section):
    """How dialogues are read; `GPT3DialogueModel` explains each.

    Args:
        lowercase: whether all is read in lower case.
        describe: whether descriptions are read beside names.
        rename_rate: share of the values that training replaces by others of
            their slots, in words and in states.
        num_heads: of the attention to the utterances.
        head_dropout: of the heads.
        word_dropout: share of the words that training hides.
        label_smoothing: of intents and slots.
        similarity_form: "log_sum_exp" or "least_squares".
        similarity_temperature: of the former.
        loss_weights: of the terms.
    """

    section = "task.dialogue"
    lowercase: bool = True
    describe: bool = True
    rename_rate: float = 0.0
    num_heads: int = 4
    head_dropout: float = 0.1
    word_dropout: float = 0.0
    label_smoothing: float = 0.0
    similarity_form: str = "log_sum_exp"
    similarity_temperature: float = 0.1
    loss_weights: DialogueLossWeights = dataclasses.field(
        default_factory=DialogueLossWeights
    )

    def validate(self):
        self._require_at_least(1, "num_heads")
        self._require_shares("rename_rate")
        for key in ("head_dropout", "word_dropout", "label_smoothing"):
            holds = 0 <= self.get(key) < 1
            self._require(holds, f"{key} must be in [0, 1)", key)
        self._require_choice(
            ("log_sum_exp", "least_squares"), "similarity_form"
        )
        self._require_positive("similarity_temperature")


@dataclasses.dataclass
class TaskConfig(Section):
    """A task: rows of a context and its answer, from files of their own.

    Args:
        name: "lambada", "summaries", "dialogue", or null for none.
        train: files or folders of the task's training data.
        validation: the same, held out.
        sequence_length: tokens in a row.
        batch_size: rows in a batch.
        shuffle_buffer: rows among which the next one is drawn.
        context_weight: in the loss, of the tokens of the context, where those
            of the answer have 1.
        lambada, summaries, dialogue: what these tasks alone want.
    """

    section = "task"
    name: str | None = None
    train: str | list[str] | None = None
    validation: str | list[str] | None = None
    sequence_length: int = 256
    batch_size: int = 8
    shuffle_buffer: int = 16384
    context_weight: float = 0.0
    lambada: LambadaConfig = dataclasses.field(default_factory=LambadaConfig)
    summaries: SummariesConfig = dataclasses.field(
        default_factory=SummariesConfig
    )
    dialogue: DialogueConfig = dataclasses.field(default_factory=DialogueConfig)

    def validate(self):
        if self.name is None:
            return
        self._require_choice(TASKS, "name")
        for key in ("train", "validation"):
            self._require(
                self.get(key) is not None,
                f"{key} must name the task's files",
                key,
            )
            self._require_paths(key)
        self._require_at_least(
            1, "sequence_length", "batch_size", "shuffle_buffer"
        )
        self._require_at_least(0, "context_weight")
