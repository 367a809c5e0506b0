"""The command line: understands arguments, answers mistakes in one line.

What a verb does stands in `cli_verbs`, which is imported when one runs: help
and most mistakes are answered at once, without TensorFlow.
"""

import argparse
import os
import pathlib
import re
import sys

DESCRIPTION = "Train, evaluate, run and export a pointer-generator model."


def main(argv=None):
    """Runs one command.

    Args:
        argv: list of strings; the process's own by default.

    Returns:
        The exit code: 0 if the work is done, 2 for bad input, 130 if
        interrupted.
    """
    arguments = _parser().parse_args(argv)
    name = f"gpt3-keras {arguments.verb}"
    try:
        _quieten()
        from gpt3_keras import cli_verbs

        getattr(cli_verbs, arguments.verb)(arguments)
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_bad_input(error):
            raise
        print(f"{name}: error: {_line(error)}", file=sys.stderr)
        return 2
    return 0


def _quieten():
    """Other packages' start-up notes would bury the one line of an error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from absl import logging

    logging.set_verbosity(logging.ERROR)


def _is_bad_input(error):
    """Whether `error` tells of the user's files and values, not of a bug."""
    kinds = (ValueError, OSError, ArithmeticError, MemoryError)
    if "tensorflow" in sys.modules:
        kinds += (sys.modules["tensorflow"].errors.OpError,)
    return isinstance(error, kinds)


def _line(error):
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    text = str(error).strip()
    # A dataset wraps what its Python code raised in graph and traceback.
    inner = re.search(r"^(?:Value|OS|Unicode\w*)Error: (.+)$", text, re.M)
    if inner:
        return inner[1]
    # Keras puts what a layer raised, in bold, under a line of its own.
    bold = re.search(r"\x1b\[1m(.+?)(?:\n|\x1b)", text)
    if bold:
        return bold[1]
    return text.splitlines()[0] if text else type(error).__name__


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


def _parser():
    parser = _Parser(prog="gpt3-keras", description=DESCRIPTION)
    verbs = parser.add_subparsers(
        dest="verb", metavar="verb", required=True, parser_class=_Parser
    )
    for add in (_add_demo, _add_train, _add_evaluate):
        add(verbs)
    for add in (_add_generate, _add_export, _add_prepare):
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


def _json_file(text):
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be a file")
    return path


def _add_json(parser):
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=_json_file,
        help="also write the printed figures there",
    )


def _add_workdir(parser):
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=_folder,
        required=True,
        help="folder of a training run",
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
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=_config,
        required=True,
        help="a YAML file, or base, demo or novels",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        required=True,
        help="new folder for config, checkpoint and history",
    )
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="change one key of the config; may be repeated",
    )
    _add_json(parser)


def _add_evaluate(verbs):
    parser = _add(
        verbs,
        "evaluate",
        "measure a trained model on a task",
        "gpt3-keras evaluate --workdir runs/novels --task perplexity "
        "--data held_out/ --json figures.json",
    )
    _add_workdir(parser)
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
    _add_workdir(parser)
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
    _add_workdir(parser)
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


if __name__ == "__main__":
    sys.exit(main())
