"""What several verbs of the command line take, and what it may be.

The types answer bad values at once, without TensorFlow.
"""

import argparse
import os
import pathlib

from gpt3_keras.data import runners

RUNNER_EXAMPLE = """\
gpt3-keras prepare --input gs://texts/books --output gs://texts/shards \\
      --runner DataflowRunner --runner-option project=mine \\
      --runner-option region=europe-west1 \\
      --runner-option temp_location=gs://texts/temporary \\
      --runner-option sdk_container_image=gcr.io/mine/gpt3-keras

The container holds this package; Beam's options extra_package (a wheel of it),
requirements_file and setup_file are other ways to bring it to the workers.
Dataflow needs apache-beam[gcp] as well."""


class Parser(argparse.ArgumentParser):
    """Answers bad usage with one line, and shows examples as written."""

    def __init__(self, **kwargs):
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,
        )

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def add_verb(verbs, name, summary, example):
    """Adds a verb; returns its parser."""
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example}",
    )


def folder(text):
    """The path of a folder that there is."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return pathlib.Path(text)


def existing_file(text):
    """The path of a file that there is."""
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return pathlib.Path(text)


def config(text):
    """A config's file, or a shipped config's name."""
    if text.endswith((".yaml", ".yml")):
        existing_file(text)
    return text


def utf8_text(text):
    """Text that has no bytes which are none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("the text is not UTF-8") from None
    return text


def file(text):
    """A path that can be written as a file."""
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be a file")
    return path


def positive(text):
    """A whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def add_json(parser):
    """Adds --json."""
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=file,
        help="also write the printed figures there",
    )


def picture(text):
    """A path that can be written as a picture."""
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text} must end in .png")
    return file(text)


def add_config(parser, **options):
    """Adds --config."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=config,
        help="a YAML file, or the name of one that comes with the package",
        **options,
    )


def add_set(parser):
    """Adds --set."""
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="change one key of the config; may be repeated",
    )


def add_workdir(parser, **options):
    """Adds --workdir."""
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=folder,
        help="folder of a training run",
        **options,
    )


def add_output(parser):
    """Adds --output."""
    parser.add_argument("--output", metavar="DIR", required=True)


def add_runner(parser):
    """Adds --runner and --runner-option."""
    parser.add_argument(
        "--runner",
        choices=(runners.LOCAL, *runners.BEAM),
        default=runners.LOCAL,
        help="who does the work: this process (local, the default), or a "
        "runner of Apache Beam, which the extra gpt3-keras[beam] installs; "
        "the shards are the same",
    )
    parser.add_argument(
        "--runner-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the runner, without its dashes; may be repeated",
    )
