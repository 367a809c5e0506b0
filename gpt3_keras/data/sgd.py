"""The Schema-Guided Dialogue dataset: many services, a schema for each part.

Rastogi et al. (2020), "Towards Scalable Multi-Domain Conversational Agents";
the files are those of google-research-datasets/dstc8-schema-guided-dialogue.

* A dialogue about several services becomes one for each. All of them have all
  the text; a turn of the user without a frame of the service is context. What
  the system says at the very end, after the last turn of the user, is left.
* The state is the frame's `slot_values`. Slots that are categorical are
  closed; the others are open, and their values keep all spellings.
* A span is the last one that a frame of the service gives the slot with one
  of the value's spellings; if there is none, the last place in the dialogue
  where a spelling stands.
* Slots that no intent takes are results, which the user can only ask about.
* A state keeps what other intents of the service were given: of the training
  frames here, 27 % have values of slots that the active intent does not
  take. So an intent `keeps` the slots of the others; but an intent that is
  not transactional, a search, does not keep a slot that only transactional
  intents take, unless it is one of its own results. Of the training frames
  1.1 % break this (three of 26 services), of the development frames none.
* A turn is `complete` if the system calls the service next, with the active
  intent, and all slots that it requires are given.
"""

import os
import re

import tensorflow as tf

from gpt3_keras.data import json_files
from gpt3_keras.data import occurrences
from gpt3_keras.data import services
from gpt3_keras.data import turns

_DIALOGUES = re.compile(r"dialogues_\d+\.json")
_SCHEMA = "schema.json"
_INACTIVE = "NONE"


def parts(source):
    """The parts of the dataset that are there.

    Args:
        source: str, a folder with a folder for each part, such as `train` and
            `dev`, or the folder of one part. A part has `schema.json`, and
            `dialogues_001.json` and so on in it; or beside it, named after
            the part, `train.jsonl` or `train.jsonl.gz`: a dialogue a line.

    Returns:
        A list of (name, `services.Schema`, dialogues); `dialogues` yields
        (place, `turns.Dialogue`).

    Raises:
        ValueError: with file and dialogue, if something is malformed.
    """
    source = source.rstrip("/")
    folders = [source]
    if not tf.io.gfile.exists(os.path.join(source, _SCHEMA)):
        folders = [
            os.path.join(source, name.rstrip("/"))
            for name in sorted(tf.io.gfile.listdir(source))
            if tf.io.gfile.exists(os.path.join(source, name, _SCHEMA))
        ]
    if not folders:
        raise ValueError(
            "The folder, or folders in it such as train, must hold "
            f"{_SCHEMA}. Received: source={source!r}."
        )
    return [_part(folder) for folder in folders]


def _part(folder):
    names = sorted(tf.io.gfile.listdir(folder))
    files = [os.path.join(folder, n) for n in names if _DIALOGUES.fullmatch(n)]
    lines = [folder + ending for ending in (".jsonl", ".jsonl.gz")]
    files = files or [path for path in lines if tf.io.gfile.exists(path)][:1]
    if not files:
        raise ValueError(
            "A part must have dialogues_001.json and so on, or "
            f"{lines[0]} beside it. Received: {folder} without."
        )
    schema = _schema(os.path.join(folder, _SCHEMA))
    return os.path.basename(folder), schema, _dialogues(files, schema)


def _schema(path):
    records = json_files.read_json(path)
    if not isinstance(records, list) or not records:
        raise ValueError(
            f"The file must hold a list of services. Received: {path}."
        )
    return services.Schema(
        tuple(
            _service(record, f"{path}, service {number}")
            for number, record in enumerate(records, 1)
        )
    )


def _service(record, place):
    name = json_files.field(record, "service_name", str, place)
    place = f"{place} {name!r}"
    items = json_files.objects(record, "intents", place)
    taken = {}
    for item in items:
        intent = json_files.field(item, "name", str, place)
        optional = json_files.field(item, "optional_slots", dict, place)
        required = json_files.strings(item, "required_slots", place)
        taken[intent] = (*required, *optional)
    state = {slot for own in taken.values() for slot in own}
    slots = tuple(
        _slot(item, state, place)
        for item in json_files.objects(record, "slots", place)
    )
    searched = {
        slot
        for item in items
        if not json_files.field(item, "is_transactional", bool, place)
        for slot in taken[item["name"]]
    }
    intents = tuple(
        _intent(
            item,
            taken[item["name"]],
            [slot.name for slot in slots if slot.name in state],
            searched,
            place,
        )
        for item in items
    )
    description = json_files.field(record, "description", str, place, "")
    return services.Service(name, description, intents, slots)


def _slot(record, state, place):
    name = json_files.field(record, "name", str, place)
    is_closed = json_files.field(record, "is_categorical", bool, place)
    values = json_files.strings(record, "possible_values", place)
    return services.Slot(
        name,
        json_files.field(record, "description", str, place, ""),
        tuple(v for v in values if v != services.DONTCARE)
        if is_closed
        else None,
        requestable_only=name not in state,
    )


def _intent(record, taken, state, searched, place):
    results = json_files.strings(record, "result_slots", place, [])
    keeps = [slot for slot in state if slot not in taken]
    if not record["is_transactional"]:
        keeps = [s for s in keeps if s in searched or s in results]
    required = json_files.strings(record, "required_slots", place)
    return services.Intent(
        record["name"],
        json_files.field(record, "description", str, place, ""),
        required,
        tuple(slot for slot in taken if slot not in required),
        tuple(keeps),
    )


def _dialogues(files, schema):
    """Yields (place, `turns.Dialogue`), one for each service."""
    for path, record in _records(files):
        place = f"{path}, a dialogue"
        identity = json_files.field(record, "dialogue_id", str, place)
        place = f"{path}, dialogue {identity}"
        utterances = json_files.objects(record, "turns", place)
        exchanges = _exchanges(utterances, place)
        for name in json_files.strings(record, "services", place):
            if name not in schema.services_by_name:
                raise ValueError(
                    f"The schema must have the service. Received: {place}: "
                    f"{name!r}."
                )
            service = schema.services_by_name[name]
            found = _turns(exchanges, service, place)
            if not all(turn.is_context for turn in found):
                yield (
                    place,
                    turns.Dialogue(f"{identity}/{name}", name, tuple(found)),
                )


def _records(files):
    """Yields (path, record) for each dialogue."""
    for path in files:
        if path.endswith((".jsonl", ".gz")):
            for _, record in json_files.read_json_lines(path):
                json_files.check_object(record, path)
                yield path, record
        else:
            holder = {"dialogues": json_files.read_json(path)}
            for record in json_files.objects(holder, "dialogues", path):
                yield path, record


def _exchanges(utterances, place):
    """List of triples: system's turn before, user's, system's after.

    Turns are records; where the system does not speak, it is {}.
    """
    exchanges, before = [], {}
    for number, record in enumerate(utterances):
        speaker = json_files.field(record, "speaker", str, place)
        if speaker not in ("USER", "SYSTEM"):
            raise ValueError(
                "A speaker must be USER or SYSTEM. Received: "
                f"{place}, turn {number}: {speaker!r}."
            )
        json_files.field(record, "utterance", str, f"{place}, turn {number}")
        if speaker == "SYSTEM":
            before = record
            continue
        after = utterances[number + 1] if number + 1 < len(utterances) else {}
        after = {} if after.get("speaker") == "USER" else after
        exchanges.append((before, record, after))
        before = {}
    return exchanges


def _turns(exchanges, service, place):
    """A list of `turns.Turn`, as one service sees the dialogue."""
    said, marked = [], {}
    for number, (before, user, after) in enumerate(exchanges):
        where = f"{place}, turn {number} of the user"
        texts = before.get("utterance", ""), user["utterance"]
        for speaker, record in zip(turns.SPEAKERS, (before, user), strict=True):
            for item in _frame(record, service, where).get("slots", []):
                span = turns.Span(
                    speaker,
                    number,
                    json_files.field(item, "start", int, where),
                    json_files.field(item, "exclusive_end", int, where),
                )
                text = record["utterance"][span.start : span.end]
                slot = json_files.field(item, "slot", str, where)
                marked[slot, text.casefold()] = span
        state = _frame(user, service, where).get("state")
        said.append(turns.Turn(*texts, None))
        if state is not None:
            call = _frame(after, service, where).get("service_call") or {}
            said[-1] = _labelled(said, state, call, marked, service, where)
    return said


def _labelled(said, state, call, marked, service, place):
    """The last of `said` with its state."""
    json_files.check_object(state, place)
    values = json_files.field(state, "slot_values", dict, place)
    slots = {name: json_files.strings(values, name, place) for name in values}
    intent = json_files.field(state, "active_intent", str, place)
    spans = {}
    for name, spellings in slots.items():
        slot = service.slots_by_name.get(name)
        if slot is None or not slot.is_open:
            continue
        if spellings != (services.DONTCARE,):
            spans[name] = _span(name, spellings, marked, said)
    required = [i.required for i in service.intents if i.name == intent]
    return turns.Turn(
        said[-1].system,
        said[-1].user,
        slots,
        services.NONE if intent == _INACTIVE else intent,
        json_files.strings(state, "requested_slots", place),
        {name: span for name, span in spans.items() if span is not None},
        complete=call.get("method") == intent
        and all(name in slots for names in required for name in names),
    )


def _span(slot, spellings, marked, said):
    found = [marked.get((slot, text.casefold())) for text in spellings]
    found = [span for span in found if span is not None]
    if not found:
        return occurrences.latest(spellings, said)
    return max(found, key=lambda s: (s.turn, s.speaker == "user", s.start))


def _frame(record, service, place):
    """The frame of a service in a turn's record; {} without one."""
    for frame in json_files.objects(record, "frames", place, []):
        if frame.get("service") == service.name:
            return frame
    return {}
