"""From a config to its tokenizer, data and models, and to a trained run."""

import contextlib
import dataclasses
import tempfile

import keras
import keras_hub

from gpt3_keras.config import ExperimentConfig
from gpt3_keras.data.splits import split_corpus
from gpt3_keras.data.text import TextCorpus
from gpt3_keras.layers import rematerialization
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.dialogue import GPT3DialogueModel
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import datasets
from gpt3_keras.training import strategies
from gpt3_keras.training import tasks
from gpt3_keras.training import workdir


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a config describes, made.

    Args:
        config: an `ExperimentConfig`, its precision resolved.
        strategy: see `strategies`; the model lives under it.
        model: the model of the task, with its preprocessor; where the task
            is not dialogue, a `GPT3CausalLM`, which takes strings.
        phase_data: list of `datasets.PhaseData`, one for each phase.
    """

    config: ExperimentConfig
    strategy: object
    model: keras_hub.models.Task
    phase_data: list

    def text_data(self):
        """The `PhaseData` of the phases that learn to write."""
        phases = self.config.training.phases
        return [
            data
            for data, phase in zip(self.phase_data, phases, strict=True)
            if phase.data == "text" or self.config.task.name != "dialogue"
        ]

    def writer(self):
        """The model that writes text: that of the task, if it can."""
        if self.config.task.name == "dialogue":
            return GPT3CausalLM(self.model.backbone, self.model.preprocessor)
        return self.model

    def learners(self):
        """What `fit` is called on, by the kind of data; weights shared."""
        if not self.text_data():
            return {"task": self.model}
        writer = on_token_ids(self.model)
        is_dialogue = self.config.task.name == "dialogue"
        return {"text": writer, "task": self.model if is_dialogue else writer}


def resolve(config, strategy):
    """`config` with a precision in the place of "auto"."""
    precision = strategies.resolve_precision(
        config.training.precision, strategy
    )
    return config.replace(training={"precision": precision})


def build(config, strategy=None):
    """Makes all that `config` describes; writes nothing.

    Args:
        config: an `ExperimentConfig`.
        strategy: see `strategies`, what to build under. Defaults to one
            device.

    Raises:
        ValueError: if the text or the sizes cannot be used.
        OSError: if a file cannot be read.
    """
    strategy = strategy or strategies.default_strategy()
    config = resolve(config, strategy)
    tokenizer = build_tokenizer(config)
    phase_data = datasets.build(config, tokenizer)
    keras.utils.set_random_seed(config.training.seed)
    with strategy.scope():
        model = build_model(config, tokenizer)
    return Experiment(config, strategy, model, phase_data)


def build_tokenizer(config):
    """The GPT-3 vocabulary, a saved one, or one learnt from the text."""
    section = config.tokenizer
    if section.path is not None:
        return workdir.load_tokenizer(section.path)
    if section.trained_vocabulary_size is None:
        return GPT3Tokenizer()
    # Learnt from what is trained on: not from what is held out.
    kinds = {phase.data for phase in config.training.phases}
    texts = _texts(config) if "text" in kinds else tasks.texts(config)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.writelines(texts)
        file.flush()
        return GPT3Tokenizer.train(
            [file.name], section.trained_vocabulary_size, allow_fewer=True
        )


def _texts(config):
    """Yields the plain text that is trained on."""
    corpus = TextCorpus(config.data.train, None, config.data.document)
    split = split_corpus(corpus, **datasets.split(config))
    for file in range(len(corpus.files)):
        for piece in corpus.texts(file, split.keeps(file)):
            yield piece.content + "\n" * piece.ends


def build_model(config, tokenizer):
    """An untrained model for the config's task."""
    with _rematerialization(config):
        backbone = GPT3Backbone(
            vocabulary_size=tokenizer.vocabulary_size(),
            dtype=config.training.precision,
            **config.model.as_dict(),
        )
    preprocessor = GPT3CausalLMPreprocessor(
        tokenizer, sequence_length=config.data.sequence_length
    )
    if config.task.name != "dialogue":
        return GPT3CausalLM(backbone, preprocessor)
    section = config.task.dialogue
    return GPT3DialogueModel(
        backbone,
        preprocessor,
        num_heads=section.num_heads,
        head_dropout=section.head_dropout,
        word_dropout=section.word_dropout,
    )


def _rematerialization(config):
    """The scope in which the modules that a backward pass repeats are made."""
    if not config.runtime.rematerialize:
        return contextlib.nullcontext()
    return rematerialization.scope(config.model.num_layers)


def on_token_ids(model):
    """A `GPT3CausalLM` on batches of ids, not on strings; weights shared."""
    return GPT3CausalLM(model.backbone)
