"""What each verb of the command line does with its arguments.

Figures and texts go to the output stream, progress to the error stream.
"""

import json
import pathlib

import rich.console
import rich.text

from gpt3_keras import cli_demo
from gpt3_keras import cli_dialogue
from gpt3_keras import cli_tasks
from gpt3_keras.config import load_config
from gpt3_keras.config_sections import GenerationConfig
from gpt3_keras.data import augmentation
from gpt3_keras.data import conversion
from gpt3_keras.data import shards
from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import SwapSentences
from gpt3_keras.evaluation import plots
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.saved_model import export_saved_model
from gpt3_keras.training import experiment
from gpt3_keras.training import run
from gpt3_keras.training import signals
from gpt3_keras.training import strategies
from gpt3_keras.training import watching
from gpt3_keras.training import workdir
from gpt3_keras.training.callbacks import read_history
from gpt3_keras.training.early_stopping import judge
from gpt3_keras.training.learning_rate import learning_rate
from gpt3_keras.training.progress import Progress

# How the terminal shows what augmentation has done.
_MARKS = {"same": "", "removed": "red strike", "added": "green bold"}


def demo(arguments):
    """Trains, evaluates, runs and exports a small model."""
    figures = cli_demo.run(arguments.text, arguments.output)
    if arguments.json:
        _write_json(figures, arguments.json)


def train(arguments):
    """Trains a model as a config says; goes on where it was interrupted."""
    if "://" in arguments.workdir:
        raise ValueError(
            "--workdir must be a folder of the file system, such as of a "
            f"mounted bucket. Received: --workdir={arguments.workdir}."
        )
    folder = pathlib.Path(arguments.workdir)
    config = _run_config(arguments, folder)
    with strategies.waiting_for_workers(config.runtime):
        strategy = strategies.make_strategy(config.runtime)
        strategies.check_agreement(strategy, workdir.last_step(folder))
    is_chief = strategies.is_chief(strategy)
    config = experiment.resolve(config, strategy)
    workdir.check(folder, config, is_chief)
    made = experiment.build(config, strategy)
    with signals.StopRequest() as stop:
        history = run.train(
            made, folder, watching.Watch(made, plots.save_pointer), stop
        )
    if is_chief:
        plots.save_curves(history, folder / "curves.png")
    metric = config.training.early_stopping.metric
    validations = [record for record in history if "val_loss" in record]
    best = min(
        (r for r in validations if r["phase"] == validations[-1]["phase"]),
        key=lambda record: judge(record, metric, "val_"),
    )
    _print_figures(
        {name: value for name, value in best.items() if name != "phase"},
        arguments.json if is_chief else None,
    )
    print(
        f"The run is in {folder}; its model, a preset, in "
        f"{workdir.model_folder(folder)}."
    )


def _run_config(arguments, folder):
    """The config that was named, or that of the run in `folder`."""
    if arguments.config is not None:
        return load_config(arguments.config, arguments.set)
    if not workdir.holds_run(folder):
        raise ValueError(
            "A new run needs a config. Received: --config not given, and no "
            f"run in --workdir {folder}."
        )
    return load_config(folder / workdir.CONFIG, arguments.set)


def evaluate(arguments):
    """Measures a trained model on a task."""
    config, model = workdir.load(arguments.workdir)
    measure = getattr(cli_tasks, arguments.task)
    figures, tables = measure(arguments, config, model)
    _print_figures(figures, None)
    for table in tables:
        cli_tasks.print_table(table)
    if arguments.json:
        tables = {table.title: table.rows for table in tables}
        _write_json({**figures, **tables}, arguments.json)


def generate(arguments):
    """Writes on from a prompt; options left out are the run's own."""
    config, model = workdir.load(arguments.workdir)
    given = vars(arguments)
    options = GenerationConfig(
        **{
            name: value if given[name] is None else given[name]
            for name, value in config.generation.as_dict().items()
        }
    ).as_dict()
    max_new_tokens = options.pop("max_new_tokens")
    model.compile(sampler=SeededSampler(**options))
    print(model.generate(arguments.prompt, max_new_tokens=max_new_tokens))


def export(arguments):
    """Writes a trained model as a SavedModel, its defaults the config's."""
    config, model = workdir.load(arguments.workdir)
    export_saved_model(model, arguments.output, **config.generation.as_dict())
    print(f"The SavedModel is in {arguments.output}.")


def prepare(arguments):
    """Tokenises text into shards."""
    tokenizer = (
        workdir.load_tokenizer(arguments.tokenizer)
        if arguments.tokenizer
        else GPT3Tokenizer()
    )
    with Progress("preparing", unit="bytes") as progress:
        manifest = shards.prepare(
            arguments.input,
            arguments.output,
            tokenizer,
            document=arguments.document,
            progress=lambda done, _: progress.update(done),
            runner=arguments.runner,
            runner_options=arguments.runner_option,
        )
    print(
        f"{manifest.num_documents:,} documents, {manifest.num_tokens:,} "
        f"tokens, {len(manifest.shards)} shards are in {arguments.output}."
    )


def plot(arguments):
    """Draws the curves of a run, or the learning rate of a config."""
    if arguments.workdir is None:
        path = arguments.output or pathlib.Path("schedule.png")
        _plot_schedule(load_config(arguments.config, arguments.set), path)
    elif arguments.set:
        raise ValueError(
            "--set changes a config, and needs --config. Received: --workdir "
            f"{arguments.workdir} --set {' --set '.join(arguments.set)}"
        )
    else:
        path = arguments.output or arguments.workdir / "curves.png"
        history = read_history(arguments.workdir / workdir.HISTORY)
        if not any("learning_rate" in record for record in history):
            raise ValueError(
                "A run must have measured steps before they can be drawn. "
                f"Received: --workdir {arguments.workdir}, where "
                f"{workdir.HISTORY} has none."
            )
        plots.save_curves(history, path)
    print(f"The picture is {path}.")


def _plot_schedule(config, path):
    schedule = learning_rate(config.training)
    note = ""
    if schedule.epoch_decay < 1 and schedule.steps_per_epoch is None:
        note = "without the decay by epochs: steps_per_epoch is null"
        print(
            "Drawn without the decay by epochs, as the text is not counted "
            "here: training.learning_rate.steps_per_epoch is null."
        )
    phases = {phase.name: phase.steps for phase in config.training.phases}
    plots.save_schedule(schedule, phases, path, note)


def convert(arguments):
    """Converts a dialogue corpus to dialogues and schemas."""
    for part in conversion.convert(
        arguments.kind, str(arguments.input), arguments.output
    ):
        print(
            f"{part.name}: {part.num_dialogues:,} dialogues, "
            f"{part.num_scored:,} turns with a state, {part.num_spans:,} of "
            f"{part.num_open_values:,} open values found in the text, are in "
            f"{part.path}; their schema is {part.schema_path}."
        )


def dialogue(arguments):
    """Reads a dialogue and prints its state after each turn."""
    config, model = workdir.load(arguments.workdir)
    cli_dialogue.converse(arguments, config, model)


def augment(arguments):
    """Shows texts before and after augmentation."""
    steps = [
        SwapSentences(
            arguments.sentence_rate, arguments.language, arguments.seed
        ),
        ReplaceCharacters(
            arguments.character_rate,
            arguments.alphabet or augmentation.alphabet_of(arguments.input),
            arguments.seed,
        ),
    ]
    console = rich.console.Console(highlight=False)
    for before, after in augmentation.examples_before_and_after(
        arguments.input, steps, arguments.number, only_changed=True
    ):
        if not console.is_terminal:
            print(augmentation.marked_changes(before, after), end="\n\n")
            continue
        text = rich.text.Text()
        for kind, part in augmentation.changes(before, after):
            text.append(part, style=_MARKS[kind])
        console.print(text, end="\n\n")


def _print_figures(figures, path):
    """Prints named figures, and writes them as JSON if there is a `path`."""
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {cli_tasks.cell(value)}")
    if path:
        _write_json(figures, path)


def _write_json(figures, path):
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
