"""From a config to its tokenizer, datasets and model, and to a trained run."""

import dataclasses
import tempfile
from collections.abc import Callable

import keras
import tensorflow as tf

from gpt3_keras.config import ExperimentConfig
from gpt3_keras.data.pipeline import count_rows
from gpt3_keras.data.pipeline import text_dataset
from gpt3_keras.data.splits import split_corpus
from gpt3_keras.data.text import TextCorpus
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import strategies
from gpt3_keras.training import workdir


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a config describes, made.

    Args:
        config: an `ExperimentConfig`, its precision resolved.
        strategy: the `tf.distribute.Strategy` that the model lives under.
        model: a `GPT3CausalLM` with its preprocessor; it takes strings.
        train: function of a row's number in all epochs, to batches of the
            triple from there on, the training text without end.
        validation: batches of the triple, the held-out text once.
        steps_per_epoch: int, or None where nothing depends on it.
    """

    config: ExperimentConfig
    strategy: tf.distribute.Strategy
    model: GPT3CausalLM
    train: Callable
    validation: tf.data.Dataset
    steps_per_epoch: int | None = None


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
        strategy: the `tf.distribute.Strategy` to build under. Defaults to
            none.

    Raises:
        ValueError: if the text or the sizes cannot be used.
        OSError: if a file cannot be read.
    """
    strategy = strategy or tf.distribute.get_strategy()
    config = resolve(config, strategy)
    tokenizer = build_tokenizer(config)
    train, validation = build_datasets(config, tokenizer)
    keras.utils.set_random_seed(config.training.seed)
    with strategy.scope():
        model = build_model(config, tokenizer)
    return Experiment(
        config,
        strategy,
        model,
        train,
        validation,
        steps_per_epoch=_steps_per_epoch(config, tokenizer),
    )


def _steps_per_epoch(config, tokenizer):
    """Updates in an epoch; None, and not counted, where nobody asks."""
    training = config.training
    rate = training.learning_rate
    if rate.steps_per_epoch is not None:
        return rate.steps_per_epoch
    if rate.epoch_decay == 1 and training.validation_steps is not None:
        return None
    rows = {k: v for k, v in _rows(config).items() if k != "batch_size"}
    split = _split(config)["name"]
    num_rows = count_rows(config.data.train, tokenizer, split=split, **rows)
    return -(-num_rows // config.data.batch_size)


def build_tokenizer(config):
    """The GPT-3 vocabulary, a saved one, or one learnt from the text."""
    section = config.tokenizer
    if section.path is not None:
        return workdir.load_tokenizer(section.path)
    if section.trained_vocabulary_size is None:
        return GPT3Tokenizer()
    # Learnt from what is trained on: not from the documents held out.
    corpus = TextCorpus(config.data.train, None, config.data.document)
    split = split_corpus(corpus, **_split(config))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as text:
        for file in range(len(corpus.files)):
            for piece in corpus.texts(file, split.keeps(file)):
                text.write(piece.content + "\n" * piece.ends)
        text.flush()
        return GPT3Tokenizer.train([text.name], section.trained_vocabulary_size)


def _split(config):
    return {
        "name": "all" if config.data.validation is not None else "train",
        "fraction": config.data.validation_fraction,
        "seed": config.training.seed,
    }


def build_datasets(config, tokenizer):
    """(train, validation), see `Experiment`."""
    data = config.data
    if data.validation is None:
        validation = build_dataset(config, tokenizer, data.train, "validation")
    else:
        validation = build_dataset(config, tokenizer, data.validation)

    def train(first_row=0):
        return text_dataset(
            data.train,
            tokenizer,
            split=_split(config)["name"],
            shuffle_buffer=data.shuffle_buffer,
            num_epochs=None,
            first_row=first_row,
            **_rows(config),
        )

    train()  # A mistake comes to light before anything is written.
    return train, validation


def build_dataset(config, tokenizer, source, split="all"):
    """Text in its own order, once through, in batches of the triple."""
    return text_dataset(
        source, tokenizer, split=split, shuffle_buffer=0, **_rows(config)
    )


def _rows(config):
    """How a config cuts text into rows and splits it."""
    return {
        "sequence_length": config.data.sequence_length,
        "batch_size": config.data.batch_size,
        "document": config.data.document,
        "validation_fraction": config.data.validation_fraction,
        "seed": config.training.seed,
    }


def build_model(config, tokenizer):
    """An untrained `GPT3CausalLM` that takes strings."""
    backbone = GPT3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        dtype=config.training.precision,
        **config.model.as_dict(),
    )
    preprocessor = GPT3CausalLMPreprocessor(
        tokenizer, sequence_length=config.data.sequence_length
    )
    return GPT3CausalLM(backbone, preprocessor)


def on_token_ids(model):
    """The same model, weights shared, on batches of ids, not on strings."""
    return GPT3CausalLM(model.backbone)
