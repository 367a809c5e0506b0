"""What `evaluate` measures on each task.

Each function takes the verb's arguments, the run's config and its model, and
returns the figures to print and the tables to print below them.
"""

import dataclasses

import rich.console
import rich.table

from gpt3_keras import cli_dialogue
from gpt3_keras.data import lambada as passages
from gpt3_keras.data.summaries import find_form
from gpt3_keras.data.summaries import read_summaries
from gpt3_keras.evaluation import lambada as last_words
from gpt3_keras.evaluation import perplexity as corpus
from gpt3_keras.evaluation import summaries as written
from gpt3_keras.samplers_beam import BeamSearchSampler
from gpt3_keras.training import datasets
from gpt3_keras.training import experiment
from gpt3_keras.training.progress import EvaluationProgress
from gpt3_keras.training.progress import Progress
from gpt3_keras.training.progress import counting


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of figures: a title, and dicts with the same keys."""

    title: str
    rows: list


def perplexity(arguments, config, model):
    """Of a text, by the token."""
    dataset = datasets.build_dataset(
        config, model.preprocessor.tokenizer, arguments.data
    )
    with Progress("evaluating", unit="batches") as progress:
        figures = corpus.corpus_perplexity(
            experiment.on_token_ids(model),
            dataset,
            [EvaluationProgress(progress)],
        )
    return figures, []


def lambada(arguments, config, model):
    """The last words of passages."""
    found = list(passages.read_passages(arguments.data, arguments.split))
    with counting("reading", "passages", len(found)) as progress:
        scores = last_words.word_scores(model, found, progress=progress)
    figures = last_words.summarize(scores)
    return figures, [Table("failures", last_words.failures(scores))]


def summaries(arguments, config, model):
    """Summaries against their references, by ROUGE."""
    found = list(read_summaries(arguments.data))
    measure = "f1" if find_form(arguments.data) == "jsonl" else "duc"
    with counting("summarising", "texts", len(found)) as progress:
        figures = written.evaluate_summaries(
            model,
            found,
            measure=measure,
            progress=progress,
            **summary_options(config, model.preprocessor.tokenizer),
        )
    return figures, []


def summary_options(config, tokenizer):
    """How a run's model writes summaries, for `evaluation.summaries`.

    As much of a text is read as rows of training have room for.
    """
    options = config.task.summaries.as_dict()
    separator = options.pop("separator")
    max_new_tokens = options["max_new_tokens"]
    (ids,) = tokenizer.encode_batch([separator])
    room = config.task.sequence_length - max_new_tokens - len(ids) - 1
    return {
        "separator": separator,
        "max_source_tokens": max(room, 1),
        "max_new_tokens": max_new_tokens,
        "sampler": BeamSearchSampler(**options),
    }


def dialogue(arguments, config, model):
    """States of dialogues against their labels."""
    figures, tables = cli_dialogue.figures(arguments, config, model)
    return figures, [Table(title, rows) for title, rows in tables.items()]


def print_table(table):
    """Prints a `Table` to the output stream."""
    shown = rich.table.Table(title=table.title, title_justify="left")
    for name in table.rows[0]:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in table.rows:
        shown.add_row(*map(cell, row.values()))
    rich.console.Console().print(shown)


def cell(value):
    """A figure as it is shown; nothing for one that there is not."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
