"""What the command line does with dialogues: judges them, and reads one."""

import pathlib
import sys

from gpt3_keras.data import dialogue_schema
from gpt3_keras.data.dialogue import read_dialogues
from gpt3_keras.data.turns import Turn
from gpt3_keras.evaluation.dialogue import evaluate
from gpt3_keras.evaluation.dialogue import understand
from gpt3_keras.training import tasks
from gpt3_keras.training import workdir
from gpt3_keras.training.progress import counting

_HELP = (
    "Type what the user says. A line that begins with 'system:' is what the "
    "system said before; an empty line starts a new dialogue."
)
_SHOWN = ("intent_accuracy", "joint_goal_accuracy", "slot_f1", "num_turns")


def figures(arguments, config, model):
    """The figures of a file of dialogues, and a dict of tables.

    Args:
        arguments: of the verb, with `data`, `schema` and `workdir`.
        config: the run's `ExperimentConfig`.
        model: its model.
    """
    _check_kind(config, arguments.workdir)
    path = arguments.schema or dialogue_schema.schema_path(arguments.data)
    schema = dialogue_schema.read_schema(path)
    dialogues = list(read_dialogues(arguments.data, schema))
    reader = tasks.dialogue_reader(config, _tokenizer(model), schema)
    trained_on = dialogue_schema.read_schema(arguments.workdir / workdir.SCHEMA)
    seen = dialogue_schema.seen_services(trained_on, schema)
    with counting("reading", "dialogues", len(dialogues)) as progress:
        found = evaluate(model, reader, dialogues, seen, progress=progress)
    parts = {name: found[name] for name in ("seen", "unseen") if name in found}
    parts |= found["services"]
    rows = [
        {"services": name, **{k: part.get(k) for k in _SHOWN}}
        for name, part in parts.items()
    ]
    return found["all"], {"parts": rows}


def converse(arguments, config, model, lines=None):
    """Reads turns and prints the state after each.

    A line is what the user says; one that begins with "system:" is what the
    system said before. An empty line starts a new dialogue.

    Args:
        arguments: of the verb, with `schema`, `service` and `workdir`.
        config, model: as for `figures`.
        lines: iterable of str; the input stream by default.
    """
    _check_kind(config, arguments.workdir)
    path = arguments.schema or pathlib.Path(arguments.workdir) / workdir.SCHEMA
    schema = dialogue_schema.read_schema(path)
    service = _service(schema, arguments.service)
    reader = tasks.dialogue_reader(config, _tokenizer(model), schema)
    turns, system = [], ""
    for line in _typed() if lines is None else lines:
        line = line.strip()
        if not line:
            turns, system = [], ""
        elif line.casefold().startswith("system:"):
            system = line.partition(":")[2].strip()
        else:
            turns.append(Turn(system, line, {}))
            system = ""
            state = understand(model, reader, turns, service.name)
            print(describe(state), flush=True)


def _typed():
    """Yields the lines of the input stream, with a prompt on a terminal."""
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        print(_HELP)
    while True:
        if is_terminal:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line


def describe(state):
    """A state in a line.

    >>> from gpt3_keras.evaluation.dialogue_metrics import Prediction
    >>> describe(Prediction("find", {"food": "thai"}, ["phone"]))
    'intent find | food = thai | asks for phone'

    Args:
        state: a `dialogue_metrics.Prediction`.
    """
    parts = [f"intent {state.intent}"]
    parts += [f"{name} = {value}" for name, value in state.slots.items()]
    if state.requested:
        parts.append(f"asks for {', '.join(state.requested)}")
    return " | ".join(parts)


def _check_kind(config, folder):
    if config.task.name != "dialogue":
        raise ValueError(
            "The run must have been trained on dialogue. Received: --workdir "
            f"{folder}, whose task.name is {config.task.name!r}."
        )


def _tokenizer(model):
    return model.preprocessor.tokenizer


def _service(schema, name):
    if name is None and len(schema.services) == 1:
        return schema.services[0]
    if name not in schema.services_by_name:
        known = ", ".join(schema.services_by_name)
        raise ValueError(
            f"--service must be one of {known}. Received: --service {name}."
        )
    return schema.services_by_name[name]
