"""What each verb of the command line does with its arguments.

Figures and texts go to the output stream, progress to the error stream.
"""

import json
import pathlib

from gpt3_keras import cli_demo
from gpt3_keras.config import load_config
from gpt3_keras.config_sections import GenerationConfig
from gpt3_keras.data import shards
from gpt3_keras.evaluation import perplexity
from gpt3_keras.evaluation import plots
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.saved_model import export_saved_model
from gpt3_keras.training import experiment
from gpt3_keras.training import workdir
from gpt3_keras.training.progress import EvaluationProgress
from gpt3_keras.training.progress import Progress


def demo(arguments):
    """Trains, evaluates, runs and exports a small model."""
    figures = cli_demo.run(arguments.text, arguments.output)
    if arguments.json:
        _write_json(figures, arguments.json)


def train(arguments):
    """Trains a model as a config says, into a new folder."""
    folder = pathlib.Path(arguments.workdir)
    workdir.check_new(folder)
    config = load_config(arguments.config, arguments.set)
    history = experiment.train(experiment.build(config), folder)
    plots.save_curves(history, folder / "curves.png")
    last = [record for record in history if "val_loss" in record][-1]
    _print_figures(
        {name: value for name, value in last.items() if name != "phase"},
        arguments.json,
    )
    print(f"The run is in {folder}: config.yaml, model, history, curves.png.")


def evaluate(arguments):
    """Measures a trained model on a task."""
    config, model = workdir.load(arguments.workdir)
    dataset = experiment.build_dataset(
        config, model.preprocessor.tokenizer, arguments.data
    )
    with Progress("evaluating", unit="batches") as progress:
        figures = perplexity.corpus_perplexity(
            experiment.on_token_ids(model),
            dataset,
            [EvaluationProgress(progress)],
        )
    _print_figures(figures, arguments.json)


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
        )
    print(
        f"{manifest.num_documents:,} documents, {manifest.num_tokens:,} "
        f"tokens, {len(manifest.shards)} shards are in {arguments.output}."
    )


def _print_figures(figures, path):
    """Prints named figures, and writes them as JSON if there is a `path`."""
    width = max(map(len, figures))
    for name, value in figures.items():
        shown = f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"
        print(f"{name:<{width}}  {shown}")
    if path:
        _write_json(figures, path)


def _write_json(figures, path):
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
