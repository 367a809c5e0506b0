"""The verbs of the command line, their options, and what these may be.

Nothing here imports TensorFlow: help and bad usage are answered at once.
"""

from gpt3_keras import cli_options as options

DESCRIPTION = "Train, evaluate, run and export a pointer-generator model."


def parser():
    """The parser of the whole command line."""
    parser = options.Parser(prog="gpt3-keras", description=DESCRIPTION)
    verbs = parser.add_subparsers(
        dest="verb", metavar="verb", required=True, parser_class=options.Parser
    )
    for add in (_add_demo, _add_train, _add_evaluate, _add_generate):
        add(verbs)
    for add in (_add_export, _add_prepare, _add_plot):
        add(verbs)
    for add in (_add_convert, _add_augment, _add_dialogue):
        add(verbs)
    return parser


def _add_demo(verbs):
    parser = options.add_verb(
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
    options.add_json(parser)


def _add_train(verbs):
    parser = options.add_verb(
        verbs,
        "train",
        "train a model as a config says",
        "gpt3-keras train --config configs/novels.yaml --workdir runs/novels "
        "--set data.batch_size=4",
    )
    options.add_config(parser)
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        required=True,
        help="folder for config, checkpoints and history; a run that is there "
        "goes on where it was interrupted",
    )
    options.add_set(parser)
    options.add_json(parser)


def _add_evaluate(verbs):
    parser = options.add_verb(
        verbs,
        "evaluate",
        "measure a trained model on a task",
        "gpt3-keras evaluate --workdir runs/novels --task perplexity "
        "--data held_out/ --json figures.json",
    )
    options.add_workdir(parser, required=True)
    parser.add_argument(
        "--task",
        choices=("perplexity", "lambada", "summaries", "dialogue"),
        required=True,
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        required=True,
        help="the task's files: text or prepared shards; LAMBADA's passages; "
        "summaries as JSON Lines or in DUC's folders; dialogues",
    )
    parser.add_argument(
        "--schema",
        metavar="FILE",
        type=options.existing_file,
        help="of the dialogues (that beside them by default)",
    )
    parser.add_argument(
        "--split",
        choices=("development", "test"),
        help="which passages of LAMBADA's archive (the only ones by default)",
    )
    options.add_json(parser)


def _add_generate(verbs):
    parser = options.add_verb(
        verbs,
        "generate",
        "write on from a prompt",
        'gpt3-keras generate --workdir runs/novels --prompt "It was late" '
        "--temperature 0.7 --seed 1",
    )
    options.add_workdir(parser, required=True)
    parser.add_argument(
        "--prompt", metavar="TEXT", type=options.utf8_text, required=True
    )
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
    parser = options.add_verb(
        verbs,
        "export",
        "write a SavedModel that takes and gives text",
        "gpt3-keras export --workdir runs/novels --output served/novels/1",
    )
    options.add_workdir(parser, required=True)
    options.add_output(parser)


def _add_prepare(verbs):
    parser = options.add_verb(
        verbs,
        "prepare",
        "tokenise text into training shards",
        "gpt3-keras prepare --input books/ --output shards/books\n"
        f"  {options.RUNNER_EXAMPLE}",
    )
    parser.add_argument(
        "--input",
        metavar="PATH",
        required=True,
        help="a text file, folder or glob; may be at gs://",
    )
    options.add_output(parser)
    parser.add_argument(
        "--document",
        choices=("file", "line"),
        default="file",
        help="what one document is (file by default)",
    )
    parser.add_argument(
        "--tokenizer",
        metavar="DIR",
        type=options.folder,
        help="folder of a saved tokenizer (GPT-3's by default)",
    )
    options.add_runner(parser)


def _add_plot(verbs):
    parser = options.add_verb(
        verbs,
        "plot",
        "draw the curves of a run, or the learning rate of a config",
        "gpt3-keras plot --workdir runs/novels\n"
        "  gpt3-keras plot --config configs/base.yaml --output rate.png",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    options.add_workdir(source)
    options.add_config(source)
    options.add_set(parser)
    parser.add_argument(
        "--output",
        metavar="FILE.png",
        type=options.picture,
        help="the picture (curves.png in the run's folder, or schedule.png "
        "here, by default)",
    )


def _add_convert(verbs):
    parser = options.add_verb(
        verbs,
        "convert",
        "convert a dialogue corpus to dialogues and a schema",
        "gpt3-keras convert --kind woz --input woz2/ --output data/woz2",
    )
    parser.add_argument(
        "--kind",
        choices=("woz", "sgd", "multiwoz"),
        required=True,
        help="WOZ 2.0, Schema-Guided Dialogue or MultiWOZ 2.1",
    )
    parser.add_argument(
        "--input",
        metavar="DIR",
        type=options.folder,
        required=True,
        help="folder of the corpus's own files",
    )
    options.add_output(parser)


def _add_augment(verbs):
    parser = options.add_verb(
        verbs,
        "augment",
        "show what augmentation makes of a text",
        "gpt3-keras augment --input books/ --language fr "
        "--character-rate 0.02 --sentence-rate 0.5",
    )
    parser.add_argument(
        "--input",
        metavar="PATH",
        required=True,
        help="a text file, folder or glob; each line is a text",
    )
    parser.add_argument(
        "--character-rate",
        metavar="X",
        type=float,
        default=0.02,
        help="share of the letters that are replaced (0.02 by default)",
    )
    parser.add_argument(
        "--sentence-rate",
        metavar="X",
        type=float,
        default=0.5,
        help="share of the texts in which two sentences change places (0.5 "
        "by default)",
    )
    parser.add_argument(
        "--alphabet",
        metavar="TEXT",
        type=options.utf8_text,
        help="what letters are replaced by (the text's own by default)",
    )
    parser.add_argument(
        "--language",
        choices=("en", "fr"),
        default="en",
        help="where sentences end (en by default)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0)
    parser.add_argument(
        "--number",
        metavar="N",
        type=options.positive,
        default=5,
        help="how many texts are shown (5 by default)",
    )


def _add_dialogue(verbs):
    parser = options.add_verb(
        verbs,
        "dialogue",
        "read a dialogue turn by turn and print its state after each",
        "gpt3-keras dialogue --workdir runs/woz2",
    )
    options.add_workdir(parser, required=True)
    parser.add_argument(
        "--schema",
        metavar="FILE",
        type=options.existing_file,
        help="intents and slots to look for (those of the run by default)",
    )
    parser.add_argument(
        "--service",
        metavar="NAME",
        help="which of the schema's services, where it has several",
    )
