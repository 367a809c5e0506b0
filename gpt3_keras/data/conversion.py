"""From the original files of a dialogue corpus to ours.

Each part of a corpus, such as its training set, becomes `<part>.jsonl`, see
`dialogue`, and `<part>.schema.json`, see `dialogue_schema`.
"""

import os
import typing

import tensorflow as tf

from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import json_files
from gpt3_keras.data import multiwoz
from gpt3_keras.data import services
from gpt3_keras.data import sgd
from gpt3_keras.data import woz

_READERS = {"woz": woz.parts, "sgd": sgd.parts, "multiwoz": multiwoz.parts}
KINDS = tuple(_READERS)


class Part(typing.NamedTuple):
    """What was written of a part of a corpus.

    Args:
        name: str, "train" for example.
        path: str, the dialogues.
        schema_path: str.
        num_dialogues: int.
        num_turns: int.
        num_scored: int, turns that are not context.
        num_open_values: int, values of open slots in those turns' states,
            "dontcare" apart.
        num_spans: int, those of them that were found in the dialogue.
    """

    name: str
    path: str
    schema_path: str
    num_dialogues: int
    num_turns: int
    num_scored: int
    num_open_values: int
    num_spans: int


def convert(kind, source, output):
    """Converts a corpus.

    Args:
        kind: "woz", "sgd" or "multiwoz".
        source: str, the folder or file that the corpus came in; see the
            module of that name.
        output: str, folder; made if it is not there.

    Returns:
        A list of `Part`.

    Raises:
        ValueError: with the file and the dialogue, if something is malformed.
    """
    if kind not in KINDS:
        raise ValueError(
            f"kind must be one of {', '.join(KINDS)}. Received: kind={kind!r}."
        )
    if not tf.io.gfile.exists(source):
        raise ValueError(
            "source must be an existing file or folder. Received: "
            f"source={str(source)!r}, which does not exist."
        )
    parts = _READERS[kind](os.fspath(source))
    tf.io.gfile.makedirs(output)
    return [_write(output, *part) for part in parts]


def _write(output, name, schema, dialogues):
    """Writes a part, as `read_dialogues` will find it good."""
    counts = dict.fromkeys(Part._fields[3:], 0)
    ids = set()

    def records():
        for place, each in dialogues:
            record = each.to_json()
            dialogue.parse_dialogue(record, schema, place)
            if each.id in ids:
                raise ValueError(
                    "A dialogue's id must be unique. Received: "
                    f"{place}: {each.id!r} twice."
                )
            ids.add(each.id)
            _count(counts, each, schema.services_by_name[each.service])
            yield record

    path = os.path.join(output, f"{name}.jsonl")
    schema_path = dialogue_schema.schema_path(path)
    json_files.write_json_lines(path, records())
    dialogue_schema.write_schema(schema, schema_path)
    return Part(name, path, schema_path, **counts)


def _count(counts, each, service):
    counts["num_dialogues"] += 1
    counts["num_turns"] += len(each.turns)
    for turn in each.turns:
        if turn.is_context:
            continue
        counts["num_scored"] += 1
        for slot, values in turn.slots.items():
            is_open = service.slots_by_name[slot].is_open
            if is_open and values != (services.DONTCARE,):
                counts["num_open_values"] += 1
                counts["num_spans"] += slot in turn.spans
