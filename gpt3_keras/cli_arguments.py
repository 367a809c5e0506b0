"""The verbs of the command line, their options, and what these may be.

Nothing here imports TensorFlow: help and bad usage are answered at once.
"""

import argparse
import os
import pathlib

DESCRIPTION = "Train, evaluate, run and export a pointer-generator model."


class _Parser(argparse.ArgumentParser):
    """Answers bad usage with one line, and shows examples as written."""

    def __init__(self, **kwargs):
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,
        )

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def parser():
    """The parser of the whole command line."""
    parser = _Parser(prog="gpt3-keras", description=DESCRIPTION)
    verbs = parser.add_subparsers(
        dest="verb", metavar="verb", required=True, parser_class=_Parser
    )
    for add in (_add_demo, _add_train, _add_evaluate, _add_generate):
        add(verbs)
    for add in (_add_export, _add_prepare, _add_plot):
        add(verbs)
    return parser


def _add(verbs, name, summary, example):
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example}",
    )


def _folder(text):
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return pathlib.Path(text)


def _config(text):
    if text.endswith((".yaml", ".yml")) and not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return text


def _prompt(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("the text is not UTF-8") from None
    return text


def _file(text):
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be a file")
    return path


def _add_json(parser):
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=_file,
        help="also write the printed figures there",
    )


def _picture(text):
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text} must end in .png")
    return _file(text)


def _add_config(parser, **options):
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=_config,
        help="a YAML file, or base, demo or novels",
        **options,
    )


def _add_set(parser):
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="change one key of the config; may be repeated",
    )


def _add_workdir(parser, **options):
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=_folder,
        help="folder of a training run",
        **options,
    )


def _add_output(parser):
    parser.add_argument("--output", metavar="DIR", required=True)


def _add_demo(verbs):
    parser = _add(
        verbs,
        "demo",
        "train, evaluate, run and export a small model in minutes, on a CPU",
        "gpt3-keras demo --text my_notes/ --output my_demo",
    )
    parser.add_argument(
        "--text",
        metavar="PATH",
        help="a text file, folder or glob (Python's own help by default)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder for the results (gpt3_keras_demo by default; where that "
        "exists, gpt3_keras_demo_2 and so on)",
    )
    _add_json(parser)


def _add_train(verbs):
    parser = _add(
        verbs,
        "train",
        "train a model as a config says",
        "gpt3-keras train --config configs/novels.yaml --workdir runs/novels "
        "--set data.batch_size=4",
    )
    _add_config(parser)
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        required=True,
        help="folder for config, checkpoints and history; a run that is there "
        "goes on where it was interrupted",
    )
    _add_set(parser)
    _add_json(parser)


def _add_evaluate(verbs):
    parser = _add(
        verbs,
        "evaluate",
        "measure a trained model on a task",
        "gpt3-keras evaluate --workdir runs/novels --task perplexity "
        "--data held_out/ --json figures.json",
    )
    _add_workdir(parser, required=True)
    parser.add_argument("--task", choices=("perplexity",), required=True)
    parser.add_argument(
        "--data",
        metavar="PATH",
        required=True,
        help="a text file, folder or glob, or prepared shards",
    )
    _add_json(parser)


def _add_generate(verbs):
    parser = _add(
        verbs,
        "generate",
        "write on from a prompt",
        'gpt3-keras generate --workdir runs/novels --prompt "It was late" '
        "--temperature 0.7 --seed 1",
    )
    _add_workdir(parser, required=True)
    parser.add_argument("--prompt", metavar="TEXT", type=_prompt, required=True)
    for option, kind, meaning in (
        ("max-new-tokens", int, "the most tokens to write"),
        ("temperature", float, "0 takes the likeliest token every time"),
        ("top-k", int, "draw from the K likeliest tokens; 0 is all"),
        ("top-p", float, "draw from the likeliest tokens that sum to P"),
        ("seed", int, "the same seed writes the same text"),
    ):
        parser.add_argument(
            f"--{option}",
            metavar="N" if kind is int else "X",
            type=kind,
            help=f"{meaning} (the run's config by default)",
        )


def _add_export(verbs):
    parser = _add(
        verbs,
        "export",
        "write a SavedModel that takes and gives text",
        "gpt3-keras export --workdir runs/novels --output served/novels/1",
    )
    _add_workdir(parser, required=True)
    _add_output(parser)


def _add_prepare(verbs):
    parser = _add(
        verbs,
        "prepare",
        "tokenise text into training shards",
        "gpt3-keras prepare --input books/ --output shards/books",
    )
    parser.add_argument(
        "--input",
        metavar="PATH",
        required=True,
        help="a text file, folder or glob",
    )
    _add_output(parser)
    parser.add_argument(
        "--document",
        choices=("file", "line"),
        default="file",
        help="what one document is (file by default)",
    )
    parser.add_argument(
        "--tokenizer",
        metavar="DIR",
        type=_folder,
        help="folder of a saved tokenizer (GPT-3's by default)",
    )


def _add_plot(verbs):
    parser = _add(
        verbs,
        "plot",
        "draw the curves of a run, or the learning rate of a config",
        "gpt3-keras plot --workdir runs/novels\n"
        "  gpt3-keras plot --config configs/base.yaml --output rate.png",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    _add_workdir(source)
    _add_config(source)
    _add_set(parser)
    parser.add_argument(
        "--output",
        metavar="FILE.png",
        type=_picture,
        help="the picture (curves.png in the run's folder, or schedule.png "
        "here, by default)",
    )
