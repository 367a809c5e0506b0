"""The rows of a config's task, for training and for validation."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from gpt3_keras.data import dialogue_text
from gpt3_keras.data import lambada
from gpt3_keras.data import lambada_names
from gpt3_keras.data import lambada_renaming
from gpt3_keras.data import lambada_windows
from gpt3_keras.data import summaries
from gpt3_keras.data.augmented_dialogues import augmented_dialogue
from gpt3_keras.data.augmented_rows import augmented_examples
from gpt3_keras.data.dialogue import read_dialogues
from gpt3_keras.data.dialogue_batches import dialogue_dataset
from gpt3_keras.data.dialogue_renaming import RenameValues
from gpt3_keras.data.dialogue_rows import DialogueReader
from gpt3_keras.data.dialogue_schema import read_schema
from gpt3_keras.data.dialogue_schema import schema_path
from gpt3_keras.data.task_rows import Example
from gpt3_keras.data.task_rows import RowMaker
from gpt3_keras.data.task_rows import task_dataset
from gpt3_keras.data.words import RepeatedWords
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import augmenting

# Dialogues whose lengths stand for those of all.
_NUM_MEASURED = 100


@dataclasses.dataclass(frozen=True)
class TaskData:
    """A task's rows.

    Args:
        train: function of a row's number in all epochs, to batches of the
            triple from there on, without end.
        validation: batches of the triple, the held-out rows once.
        count_rows: function without arguments, to the rows in an epoch.
        tokens_per_row: float, what a row of a batch has, padding included
            where rows have one length.
    """

    train: Callable
    validation: tf.data.Dataset
    count_rows: Callable
    tokens_per_row: float


def build(config, tokenizer):
    """The `TaskData` of the task that a config names.

    Args:
        config: an `ExperimentConfig`.
        tokenizer: a `GPT3Tokenizer`.

    Raises:
        ValueError: if the task's files cannot be used.
        OSError: if a file cannot be read.
    """
    makers = {
        "lambada": _lambada,
        "summaries": _summaries,
        "dialogue": _dialogue,
    }
    return makers[config.task.name](config, tokenizer)


def texts(config):
    """Yields the text of a task's training data, for a vocabulary."""
    task = config.task
    if task.name == "lambada":
        for passage in _passages(config, rename=None, epoch=0):
            yield f"{passage.context} {passage.target}\n"
    elif task.name == "summaries":
        for summary in summaries.read_summaries(task.train):
            yield "\n".join((summary.source, *summary.targets, ""))
    else:
        lower = task.dialogue.lowercase
        schema = read_schema(schema_path(task.train))
        for dialogue in read_dialogues(task.train, schema):
            for turn in dialogue.turns:
                for said in (turn.system, turn.user):
                    yield f" {dialogue_text.lower(said) if lower else said}\n"


def _passages(config, rename, epoch):
    section = config.task.lambada
    return lambada_windows.training_passages(
        config.task.train,
        seed=config.training.seed,
        epoch=epoch,
        style=section.style,
        ends=section.ends,
        copied_share=section.copied_share,
        rename=rename,
    )


def _renaming(config):
    """A `Renaming`, or None where none is asked.

    The words are those of GPT-3's vocabulary, whichever one the model has.
    """
    section = config.task.lambada
    if not (section.rename_rate or section.word_rename_rate):
        return None
    tokenizer = GPT3Tokenizer()
    return lambada_renaming.Renaming(
        new_names=lambada_names.names_of_vocabulary(tokenizer),
        name_rate=section.rename_rate,
        new_words=lambada_renaming.words_of_vocabulary(tokenizer),
        word_rate=section.word_rename_rate,
        lowercase=section.style == "lambada",
    )


def _lambada(config, tokenizer):
    task, section = config.task, config.task.lambada

    def reader(rename):
        return lambda epoch: map(_example, _passages(config, rename, epoch))

    language = config.augmentation.language
    row_maker = RowMaker(
        tokenizer,
        task.sequence_length,
        context_weight=task.context_weight,
        repeats=RepeatedWords(tokenizer),
        repeated_weight=section.repeated_weight,
    )
    validation = RowMaker(tokenizer, task.sequence_length)
    return _task_data(
        config,
        reader(None),
        _augmented(config, reader(_renaming(config)), language),
        row_maker,
        lambda _: map(_example, lambada.read_passages(task.validation)),
        validation,
    )


def _example(passage):
    """The `Example` of a `lambada.Passage`."""
    return Example(passage.context, "", f" {passage.target}")


def _summaries(config, tokenizer):
    task, separator = config.task, config.task.summaries.separator

    def reader(source):
        return lambda _: summaries.examples(
            summaries.read_summaries(source), separator
        )

    row_maker = RowMaker(
        tokenizer,
        task.sequence_length,
        context_weight=task.context_weight,
        keeps_end=False,
        adds_end=True,
    )
    return _task_data(
        config,
        reader(task.train),
        _augmented(config, reader(task.train)),
        row_maker,
        reader(task.validation),
        dataclasses.replace(row_maker, context_weight=0.0),
    )


def dialogue_reader(config, tokenizer, schema):
    """The `DialogueReader` of a config's dialogues, with any schema."""
    section = config.task.dialogue
    return DialogueReader(
        tokenizer,
        schema,
        config.task.sequence_length,
        lowercase=section.lowercase,
        describe=section.describe,
    )


def _dialogue(config, tokenizer):
    task = config.task

    def read(source):
        schema = read_schema(schema_path(source))
        reader = dialogue_reader(config, tokenizer, schema)
        return list(read_dialogues(source, schema)), reader

    dialogues, reader = read(task.train)
    augment = _dialogue_augmentation(config, reader.schema)

    def train(first_row=0):
        return dialogue_dataset(
            dialogues,
            reader,
            batch_size=task.batch_size,
            seed=config.training.seed,
            num_epochs=None,
            first_row=first_row,
            augment=augment,
        )

    validation = dialogue_dataset(
        *read(task.validation), batch_size=task.batch_size, shuffle=False
    )
    lengths = [
        len(reader.row(dialogue).x["token_ids"])
        for dialogue in dialogues[:_NUM_MEASURED]
    ]
    tokens_per_row = sum(lengths) / len(lengths)
    return TaskData(train, validation, lambda: len(dialogues), tokens_per_row)


def _dialogue_augmentation(config, schema):
    """A function of a dialogue and an epoch, or None where none is asked."""
    rename_rate = config.task.dialogue.rename_rate
    rename = RenameValues(schema, rename_rate, config.training.seed)
    steps = augmenting.steps(config, config.task.train)
    if not (rename_rate or steps):
        return None

    def augment(dialogue, epoch):
        if rename_rate:
            dialogue = rename(dialogue, epoch)
        if not steps:
            return dialogue
        service = schema.services_by_name[dialogue.service]
        return augmented_dialogue(dialogue, service, steps, epoch)

    return augment


def _augmented(config, read, language=None):
    """`read` with its examples changed as the config asks for, if it does."""
    steps = augmenting.steps(config, config.task.train)
    if not steps:
        return read
    return lambda epoch: augmented_examples(read(epoch), steps, epoch, language)


def _task_data(
    config, read_plain, read, row_maker, read_validation, validation_maker
):
    """`read` is trained on; `read_plain`, unchanged, is as long."""
    task = config.task

    def train(first_row=0):
        return task_dataset(
            read,
            row_maker,
            batch_size=task.batch_size,
            shuffle_buffer=task.shuffle_buffer,
            seed=config.training.seed,
            num_epochs=None,
            first_row=first_row,
        )

    next(iter(read(0)))  # A mistake comes to light before anything is written.
    validation = task_dataset(
        read_validation, validation_maker, batch_size=task.batch_size
    )
    return TaskData(
        train,
        validation,
        lambda: sum(1 for _ in read_plain(0)),
        task.sequence_length,
    )
