"""From a config to its tokenizer, datasets and model, and to a trained run."""

import dataclasses
import tempfile

import keras
import tensorflow as tf

from gpt3_keras.config import ExperimentConfig
from gpt3_keras.data.pipeline import text_dataset
from gpt3_keras.data.splits import split_corpus
from gpt3_keras.data.text import TextCorpus
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import phases
from gpt3_keras.training import workdir
from gpt3_keras.training.callbacks import HistoryFile
from gpt3_keras.training.progress import Progress
from gpt3_keras.training.progress import training_detail


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a config describes, made.

    Args:
        config: an `ExperimentConfig`.
        model: a `GPT3CausalLM` with its preprocessor; it takes strings.
        train: batches of the triple, the training text without end.
        validation: batches of the triple, the held-out text once.
    """

    config: ExperimentConfig
    model: GPT3CausalLM
    train: tf.data.Dataset
    validation: tf.data.Dataset


def build(config):
    """Makes all that `config` describes; writes nothing.

    Raises:
        ValueError: if the text or the sizes cannot be used.
        OSError: if a file cannot be read.
    """
    tokenizer = build_tokenizer(config)
    train, validation = build_datasets(config, tokenizer)
    keras.utils.set_random_seed(config.training.seed)
    return Experiment(config, build_model(config, tokenizer), train, validation)


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
    """(train, validation): without end, and once through the text."""
    data = config.data
    if data.validation is None:
        validation = build_dataset(config, tokenizer, data.train, "validation")
    else:
        validation = build_dataset(config, tokenizer, data.validation)
    train = text_dataset(
        data.train,
        tokenizer,
        split="train" if data.validation is None else "all",
        shuffle_buffer=data.shuffle_buffer,
        num_epochs=None,
        **_rows(config),
    )
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
        vocabulary_size=tokenizer.vocabulary_size(), **config.model.as_dict()
    )
    preprocessor = GPT3CausalLMPreprocessor(
        tokenizer, sequence_length=config.data.sequence_length
    )
    return GPT3CausalLM(backbone, preprocessor)


def on_token_ids(model):
    """The same model, weights shared, on batches of ids, not on strings."""
    return GPT3CausalLM(model.backbone)


def train(experiment, folder):
    """Trains through every phase into a new folder, see `workdir`.

    Args:
        experiment: an `Experiment`; its model is trained.
        folder: path of the run's folder.

    Returns:
        The run's history, a list of the records of `callbacks.StepMonitor`.
    """
    config = experiment.config
    folder = workdir.create(folder, config)
    progress = Progress("training", config.training.num_steps)
    with HistoryFile(folder / workdir.HISTORY) as history, progress:

        def report(record):
            history(record)
            if "loss" in record:
                progress.update(record["step"], training_detail(record))

        phases.run_phases(
            on_token_ids(experiment.model),
            config,
            (experiment.train, experiment.validation),
            report,
            lambda: workdir.save_model(experiment.model, folder),
        )
    return workdir.read_history(folder)
