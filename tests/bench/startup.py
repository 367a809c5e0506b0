"""How soon something happens: help, and the first step of a training.

`gpt3-keras --help`, beside a bare start of Python; and `gpt3-keras train` with
the demo's config and text, from the command to the end of its first step,
beside the import of TensorFlow and KerasHub.

    python tests/bench/startup.py [--turns 5]
"""

import pathlib
import subprocess
import sys
import tempfile
from pydoc_data import topics

import turns

HELP, START = "gpt3-keras --help", "python -c pass"
TRAIN, IMPORTS = "first_step", "imports"
_COMMAND = [sys.executable, "-m", "gpt3_keras.cli"]
_SHORT = (
    "training.phases=[{name: all, steps: 2}]",
    "training.learning_rate.warmup_steps=1",
    "data.document=line",
    "data.validation=null",
)


def make(name, options):
    del options
    run = {
        HELP: lambda: quietly([*_COMMAND, "--help"]),
        START: lambda: quietly([sys.executable, "-c", "pass"]),
        TRAIN: to_first_step,
        IMPORTS: lambda: quietly(
            [sys.executable, "-c", "import tensorflow, keras_hub"]
        ),
    }
    return run[name], {}


def quietly(command):
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=turns.ROOT,
    )


def to_first_step():
    """Starts a training, and returns when its first step is done."""
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text.txt")
        text.write_text("\n".join(topics.topics.values()), "utf-8")
        process = subprocess.Popen(
            [
                *(*_COMMAND, "train", "--config", "demo"),
                *("--workdir", f"{folder}/run"),
                *("--set", f"data.train={text}"),
                *(x for short in _SHORT for x in ("--set", short)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=turns.ROOT,
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("training 1/", "training 2/")):
                break
        else:
            raise SystemExit("".join(lines))
        process.kill()
        process.wait()


def main():
    parser = turns.parser(__doc__.splitlines()[0], num_turns=5)
    arguments = parser.parse_args()
    num_turns = 1 if arguments.quick else arguments.turns
    names = (HELP, START, TRAIN, IMPORTS)
    own_help, start, train, imports = (
        turns.Contender(name, []) for name in names
    )
    turns.compare([own_help, start, train, imports], num_turns)
    for own, peer in ((own_help, start), (train, imports)):
        turns.report_speed(
            f"startup/{own.name}", own, [peer], lambda secs: secs, "s"
        )


if __name__ == "__main__":
    if not turns.serve(make):
        main()
