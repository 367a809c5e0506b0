"""What the phases of a run are trained on: plain text, or a task's rows."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from gpt3_keras.data.pipeline import count_rows
from gpt3_keras.data.pipeline import text_dataset
from gpt3_keras.training import augmenting
from gpt3_keras.training import tasks


@dataclasses.dataclass(frozen=True)
class PhaseData:
    """The rows that a phase reads.

    Args:
        train: function of a row's number in all epochs, to batches of the
            triple from there on, without end.
        validation: batches of the triple, the held-out rows once.
        batch_size: int, rows in a batch.
        tokens_per_row: number, tokens in a row, on the average.
        steps_per_epoch: int, or None where nothing depends on it.
        sparse_targets: bool, whether most tokens are no targets.
    """

    train: Callable
    validation: tf.data.Dataset
    batch_size: int
    tokens_per_row: float
    steps_per_epoch: int | None = None
    sparse_targets: bool = False


def build(config, tokenizer):
    """The data of each phase.

    Args:
        config: an `ExperimentConfig`.
        tokenizer: a `GPT3Tokenizer`.

    Returns:
        A list of `PhaseData`; phases that read the same share it.
    """
    made = {}
    for key in map(_key, config.training.phases):
        if key not in made:
            kind, *options = key
            make = {"text": text_data, "task": task_data}[kind]
            made[key] = make(config, tokenizer, *options)
    return [made[_key(phase)] for phase in config.training.phases]


def _key(phase):
    """What a phase's data depends on."""
    return ("text",) if phase.data == "text" else ("task", phase.context_weight)


def text_data(config, tokenizer):
    """The `PhaseData` of a config's plain text."""
    data = config.data
    if data.validation is None:
        validation = build_dataset(config, tokenizer, data.train, "validation")
    else:
        validation = build_dataset(config, tokenizer, data.validation)

    steps = augmenting.steps(config, data.train)

    def train(first_row=0):
        return text_dataset(
            data.train,
            tokenizer,
            split=split(config)["name"],
            shuffle_buffer=data.shuffle_buffer,
            num_epochs=None,
            first_row=first_row,
            augmentation=steps,
            **_rows(config),
        )

    train()  # A mistake comes to light before anything is written.

    def count():
        rows = {k: v for k, v in _rows(config).items() if k != "batch_size"}
        name = split(config)["name"]
        return count_rows(data.train, tokenizer, split=name, **rows)

    return PhaseData(
        train,
        validation,
        data.batch_size,
        data.sequence_length,
        _steps_per_epoch(config, data.batch_size, count),
    )


def task_data(config, tokenizer, context_weight=None):
    """The `PhaseData` of a config's task.

    Args:
        config, tokenizer: as for `build`.
        context_weight: float, in the place of the task's own, or None.
    """
    task = config.task
    if context_weight is not None:
        task = task.replace(context_weight=context_weight)
    made = tasks.build(config.replace(task=task.as_dict()), tokenizer)
    return PhaseData(
        made.train,
        made.validation,
        task.batch_size,
        made.tokens_per_row,
        _steps_per_epoch(config, task.batch_size, made.count_rows),
        sparse_targets=task.context_weight == 0
        and not config.runtime.jit_compile,
    )


def _steps_per_epoch(config, batch_size, count):
    """Updates in an epoch; None, and not counted, where nobody asks."""
    training = config.training
    rate = training.learning_rate
    if rate.steps_per_epoch is not None:
        return rate.steps_per_epoch
    if rate.epoch_decay == 1 and training.validation_steps is not None:
        return None
    return -(-count() // batch_size)


def build_dataset(config, tokenizer, source, split="all"):
    """Text in its own order, once through, in batches of the triple."""
    return text_dataset(
        source, tokenizer, split=split, shuffle_buffer=0, **_rows(config)
    )


def split(config):
    """The part of the training text that is trained on, for `splits`."""
    return {
        "name": "all" if config.data.validation is not None else "train",
        "fraction": config.data.validation_fraction,
        "seed": config.training.seed,
    }


def _rows(config):
    """How a config cuts text into rows and splits it."""
    return {
        "sequence_length": config.data.sequence_length,
        "batch_size": config.data.batch_size,
        "document": config.data.document,
        "validation_fraction": config.data.validation_fraction,
        "seed": config.training.seed,
    }
