"""Dialogues with their states: one JSON object a line.

```
{"id": "woz-17", "service": "restaurants", "turns": [
  {"system": "", "user": "Any eritrean food?", "intent": "find",
   "slots": {"food": "eritrean"}, "requested": ["phone"],
   "spans": {"food": {"speaker": "user", "turn": 0, "start": 4, "end": 12}}}
]}
```

* A turn is what the system said, and what the user answered. `system` may be
  empty: then the user begins; and `user` too, but not both.
* `slots` is the state after the turn: each slot that has had a value so far,
  with the value. A slot that is not named is "none". The value is a string: one
  of the slot's values, or "dontcare"; of an open slot it may also be a list
  of spellings that are equally right, `["5 pm", "17:00"]`.
* `slots` of null makes the turn context: it is read, and never judged nor
  trained on. Such a turn has none of the keys that follow.
* `intent` is a name, "none" if left out. `requested` are the slots that the
  user asks about. `complete` is true if the intent is carried out now, so
  that all its required slots are given.
* `spans` says where a value's text stands: characters [start, end) of
  that turn's utterance, turns counted from 0, this turn or one before. The
  text there must be one of the value's spellings; case does not count.
* `service` names one of the schema's; with one there it may be left out.
"""

from gpt3_keras.data import json_files
from gpt3_keras.data import services
from gpt3_keras.data import turns

_DIALOGUE_KEYS = ("id", "service", "turns")
_LABEL_KEYS = ("intent", "requested", "spans", "complete")
_TURN_KEYS = ("system", "user", "slots", *_LABEL_KEYS)
_SPAN_KEYS = ("speaker", "turn", "start", "end")


def read_dialogues(path, schema):
    """Yields the `turns.Dialogue` of each line of a file.

    Args:
        path: str, see the module's docstring for the form; `.gz` is unpacked.
        schema: a `services.Schema`.

    Raises:
        ValueError: with file and line, if anything is not as described, or
            two dialogues have one id.
    """
    lines = {}
    for line, record in json_files.read_json_lines(path):
        dialogue = parse_dialogue(record, schema, f"{path}, line {line}")
        if dialogue.id in lines:
            raise ValueError(
                "A dialogue's id must be unique. Received: "
                f"{path}, line {line}: {dialogue.id!r}, as in line "
                f"{lines[dialogue.id]}."
            )
        lines[dialogue.id] = line
        yield dialogue


def parse_dialogue(record, schema, place):
    """The `turns.Dialogue` of a JSON object.

    Args:
        record: what `json` made of it.
        schema: a `services.Schema`.
        place: str, where it stands, for the error.

    Raises:
        ValueError: if it is not as the module's docstring says.
    """
    json_files.check_keys(record, _DIALOGUE_KEYS, place)
    identity = json_files.field(record, "id", str, place)
    if not identity.strip():
        raise ValueError(f"'id' must not be blank. Received: {place}.")
    service = _service(record, schema, place)
    records = json_files.field(record, "turns", list, place)
    if not records:
        raise ValueError(f"A dialogue must have turns. Received: {place}: [].")
    found = tuple(
        _turn(turn, service, f"{place}, turn {number}")
        for number, turn in enumerate(records)
    )
    dialogue = turns.Dialogue(identity, service.name, found)
    for number, turn in enumerate(found):
        for slot, span in turn.spans.items():
            where = f"{place}, turn {number}, span of {slot!r}"
            _check_span(dialogue, number, slot, span, where)
    return dialogue


def _service(record, schema, place):
    if "service" not in record and len(schema.services) == 1:
        return schema.services[0]
    name = json_files.field(record, "service", str, place)
    if name not in schema.services_by_name:
        raise ValueError(
            f"The schema must have the service. Received: {place}: {name!r}."
        )
    return schema.services_by_name[name]


def _turn(record, service, place):
    json_files.check_keys(record, _TURN_KEYS, place)
    system = json_files.field(record, "system", str, place)
    user = json_files.field(record, "user", str, place)
    if not system.strip() and not user.strip():
        raise ValueError(f"A turn must have text. Received: {place} without.")
    if record.get("slots", ...) is None:
        for key in _LABEL_KEYS:
            if key in record:
                raise ValueError(
                    "A turn with 'slots' of null is context and has no "
                    f"labels. Received: {place}: {key!r}."
                )
        return turns.Turn(system, user, None)
    slots = json_files.field(record, "slots", dict, place)
    intent = json_files.field(record, "intent", str, place, services.NONE)
    if intent not in service.intent_names:
        raise ValueError(
            f"The service {service.name!r} must have the intent. Received: "
            f"{place}: {intent!r}."
        )
    requested = json_files.strings(record, "requested", place, [])
    for name in requested:
        _check_slot(name, service, place)
    turn = turns.Turn(
        system,
        user,
        {name: _spellings(slots, name, service, place) for name in slots},
        intent,
        requested,
        _spans(record, slots, place),
        json_files.field(record, "complete", bool, place, False),
    )
    if turn.complete:
        _check_complete(turn, service, place)
    return turn


def _check_complete(turn, service, place):
    """Raises unless an intent that is carried out has what it requires."""
    for intent in service.intents:
        for name in intent.required:
            if intent.name == turn.intent and name not in turn.slots:
                raise ValueError(
                    "A turn that is complete must have the slots that its "
                    f"intent requires. Received: {place}: {intent.name!r} "
                    f"without {name!r}."
                )


def _check_slot(name, service, place):
    if name not in service.slots_by_name:
        raise ValueError(
            f"The service {service.name!r} must have the slot. Received: "
            f"{place}: {name!r}."
        )


def _spellings(slots, name, service, place):
    """The tuple of spellings that a state gives a slot."""
    _check_slot(name, service, place)
    slot = service.slots_by_name[name]
    if slot.requestable_only:
        raise ValueError(
            "A requestable_only slot has no place in the state. Received: "
            f"{place}: {name!r}."
        )
    if slot.is_open and isinstance(slots[name], list):
        values = json_files.strings(slots, name, place)
    else:
        values = (json_files.field(slots, name, str, place),)
    if not values or not all(value.strip() for value in values):
        raise ValueError(
            f"A value must not be blank. Received: {place}: slot {name!r}."
        )
    if services.NONE in values or services.ANY in values:
        raise ValueError(
            "A slot without a value is left out. Received: "
            f"{place}: slot {name!r}: {json_files.shown(slots[name])}."
        )
    if services.DONTCARE in values and len(values) > 1:
        raise ValueError(
            "'dontcare' stands alone. Received: "
            f"{place}: slot {name!r}: {json_files.shown(slots[name])}."
        )
    if not slot.is_open and values[0] not in slot.domain:
        raise ValueError(
            "A closed slot must have a value of the schema. Received: "
            f"{place}: slot {name!r}: {values[0]!r}."
        )
    return values


def _spans(record, slots, place):
    """Dict from slot to `Span`, not yet compared with the text."""
    spans = {}
    for name, span in json_files.field(
        record, "spans", dict, place, {}
    ).items():
        where = f"{place}, span of {name!r}"
        if slots.get(name, services.DONTCARE) == services.DONTCARE:
            raise ValueError(
                f"A span must be of a slot that has a value. Received: {where}."
            )
        json_files.check_keys(span, _SPAN_KEYS, where)
        spans[name] = turns.Span(
            json_files.field(span, "speaker", str, where),
            *(json_files.field(span, k, int, where) for k in _SPAN_KEYS[1:]),
        )
    return spans


def _check_span(dialogue, number, slot, span, place):
    """Raises unless a span's text is the value of its slot."""
    if span.speaker not in turns.SPEAKERS or not 0 <= span.turn <= number:
        raise ValueError(
            "A span must be of the speaker 'system' or 'user', in this turn "
            f"or one before. Received: {place}: speaker={span.speaker!r}, "
            f"turn={span.turn}."
        )
    length = len(dialogue.utterance(span))
    if not 0 <= span.start < span.end <= length:
        raise ValueError(
            f"A span must lie in its utterance, 0 <= start < end <= {length}. "
            f"Received: {place}: start={span.start}, end={span.end}."
        )
    values = dialogue.turns[number].slots[slot]
    text = dialogue.text(span)
    if text.casefold() not in [value.casefold() for value in values]:
        raise ValueError(
            "A span's text must be the value of its slot. Received: "
            f"{place}: {text!r}, where the value is {list(values)}."
        )
