"""What a dialogue can be about: services, their intents, slots and rules.

A schema is a JSON file:

```
{"services": [{
  "name": "restaurants", "description": "Places to eat",
  "intents": [{"name": "find", "description": "Find a place",
               "required": ["food"], "optional": ["area"], "keeps": []}],
  "slots": [{"name": "food", "description": "Kind of food", "values": null},
            {"name": "area", "description": "Part of town",
             "values": ["north", "south"]},
            {"name": "phone", "description": "Phone number",
             "values": null, "requestable_only": true}],
  "constraints": [{"if": {"slot": "food", "in": ["*"]},
                   "then": {"slot": "area", "in": ["*", "dontcare"]}}]
}]}
```

* A slot has `values` to choose from (a closed slot), or null: its value is
  text of the dialogue (an open slot). Besides, it may be "none", not given,
  or "dontcare", given as no matter which. A `requestable_only` slot is one
  that the user asks about and never gives: it has no place in the state.
* An intent takes the slots `required` and `optional`. Slots of the service
  that it does not take must be "none" in its state, but for those that it
  `keeps`: they may hold a value from an earlier intent. The intent "none" is
  always there, and restricts nothing.
* `required` slots fill up over turns. They must not be "none" on the turns
  that a dialogue marks `complete`: there the intent is carried out.
* A constraint is an implication between two slots, or an intent and a slot:
  `{"if": {"slot": name, "in": values} or {"intent": name}, "then": {"slot":
  name, "in": values}}`. Among `values`, "*" stands for every value that is
  neither "none" nor "dontcare". Of an open slot only "none", "dontcare" and
  "*" can be named.

`description`, `required`, `optional`, `keeps`, `requestable_only` and
`constraints` may be left out. The schema of `train.jsonl` is
`train.schema.json`, beside it.
"""

import dataclasses
import json
import os

import tensorflow as tf

from gpt3_keras.data import dialogue_constraints
from gpt3_keras.data import json_files
from gpt3_keras.data import services
from gpt3_keras.data import sources

_KEYS = {
    "schema": ("services",),
    "service": ("name", "description", "intents", "slots", "constraints"),
    "intent": ("name", "description", "required", "optional", "keeps"),
    "slot": ("name", "description", "values", "requestable_only"),
    "constraint": ("if", "then"),
    "condition": ("slot", "in", "intent"),
    "consequence": ("slot", "in"),
}


def read_schema(path):
    """Reads a schema file and checks it.

    Args:
        path: str, see the module's docstring for the form.

    Returns:
        A `services.Schema`.

    Raises:
        ValueError: with the file and the place in it, if it is malformed, or
            if an intent has constraints that no state can satisfy.
    """
    content = json_files.read_json(path)
    json_files.check_keys(content, _KEYS["schema"], str(path))
    records = json_files.field(content, "services", list, str(path))
    if not records:
        raise ValueError(
            f"'services' must hold a service. Received: {path}: []."
        )
    found = [
        _service(record, f"{path}, service {number}")
        for number, record in enumerate(records, 1)
    ]
    _check_unique(found, "service", str(path))
    return services.Schema(tuple(found))


def write_schema(schema, path):
    """Writes a `Schema` as a file that `read_schema` reads."""
    content = {"services": [s.to_json() for s in schema.services]}
    with sources.reading(path), tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def schema_path(path):
    """Where the schema of a file of dialogues stands: beside it.

    >>> schema_path("sgd/train.jsonl")
    'sgd/train.schema.json'
    """
    stem = os.fspath(path).removesuffix(".gz").removesuffix(".jsonl")
    return f"{stem}.schema.json"


def seen_services(training_schema, schema):
    """Names of the services of `schema` that training had as well.

    A service is known by its name, as in the evaluation of SGD
    (Rastogi et al., 2020).

    Returns:
        A frozenset of str.
    """
    return frozenset(training_schema.services_by_name) & frozenset(
        schema.services_by_name
    )


def _service(record, place):
    json_files.check_keys(record, _KEYS["service"], place)
    name = _name(record, place)
    place = f"{place} {name!r}"
    slots = _items(record, "slots", _slot, place)
    known = {slot.name: slot for slot in slots}
    intents = _items(
        record, "intents", lambda *item: _intent(*item, known), place
    )
    service = services.Service(
        name, _description(record, place), intents, slots
    )
    rules = json_files.field(record, "constraints", list, place, [])
    rules = tuple(
        _rule(rule, service, f"{place}, constraint {number}")
        for number, rule in enumerate(rules, 1)
    )
    service = dataclasses.replace(service, constraints=rules)
    dialogue_constraints.check(service, place)
    return service


def _items(record, key, read, place):
    """Reads the named items of a list."""
    kind = key.removesuffix("s")
    items = tuple(
        read(item, f"{place}, {kind} {number}")
        for number, item in enumerate(
            json_files.field(record, key, list, place), 1
        )
    )
    _check_unique(items, kind, place)
    return items


def _slot(record, place):
    json_files.check_keys(record, _KEYS["slot"], place)
    name = _name(record, place)
    place = f"{place} {name!r}"
    if "values" not in record:
        raise ValueError(
            "A slot must have 'values', null for an open slot. Received: "
            f"{place} without."
        )
    values = None
    if record["values"] is not None:
        values = json_files.strings(record, "values", place)
        if not values:
            raise ValueError(
                "A closed slot must have values; an open one has null. "
                f"Received: {place}: []."
            )
        _check_not_reserved(values, place)
    return services.Slot(
        name,
        _description(record, place),
        values,
        json_files.field(record, "requestable_only", bool, place, False),
    )


def _intent(record, place, known):
    json_files.check_keys(record, _KEYS["intent"], place)
    name = _name(record, place)
    place = f"{place} {name!r}"
    _check_not_reserved([name], place)
    groups = [
        json_files.strings(record, key, place, [])
        for key in ("required", "optional", "keeps")
    ]
    names = [name for group in groups for name in group]
    for slot in names:
        _check_state_slot(slot, known, place)
        if names.count(slot) > 1:
            raise ValueError(
                "An intent must name a slot once. Received: "
                f"{place}: {slot!r} twice."
            )
    return services.Intent(name, _description(record, place), *groups)


def _rule(record, service, place):
    json_files.check_keys(record, _KEYS["constraint"], place)
    condition = json_files.field(record, "if", dict, place)
    consequence = json_files.field(record, "then", dict, place)
    json_files.check_keys(condition, _KEYS["condition"], f"{place}, 'if'")
    json_files.check_keys(consequence, _KEYS["consequence"], f"{place}, 'then'")
    then = _slot_values(consequence, service, f"{place}, 'then'")
    if "intent" not in condition:
        given = _slot_values(condition, service, f"{place}, 'if'")
        if given[0] == then[0]:
            raise ValueError(
                "A constraint must be between two slots. Received: "
                f"{place}: {given[0]!r} twice."
            )
        return services.Rule(None, *given, *then)
    intent = json_files.field(condition, "intent", str, place)
    if len(condition) > 1:
        raise ValueError(
            "'if' must name an intent or a slot. Received: "
            f"{place}: {json_files.shown(condition)}."
        )
    if intent not in service.intent_names:
        raise ValueError(
            f"The service must have the intent. Received: {place}: {intent!r}."
        )
    return services.Rule(intent, None, (), *then)


def _slot_values(record, service, place):
    """The slot and the values that one side of a constraint names."""
    name = json_files.field(record, "slot", str, place)
    _check_state_slot(name, service.slots_by_name, place)
    values = json_files.strings(record, "in", place)
    slot = service.slots_by_name[name]
    for value in values:
        if value not in (*slot.domain, services.ANY):
            raise ValueError(
                "A constraint must name values of its slot: "
                f"{', '.join(slot.domain[:9])}, or '*'. Received: "
                f"{place}: {value!r} of {name!r}."
            )
    return name, values


def _name(record, place):
    name = json_files.field(record, "name", str, place)
    if not name.strip():
        raise ValueError(
            f"'name' must not be blank. Received: {place}: {name!r}."
        )
    return name


def _description(record, place):
    return json_files.field(record, "description", str, place, "")


def _check_unique(items, kind, place):
    names = [item.name for item in items]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                "A name must be unique. Received: "
                f"{place}: {kind} {name!r} twice."
            )


def _check_not_reserved(names, place):
    for name in names:
        if name in services.RESERVED:
            raise ValueError(
                f"{', '.join(services.RESERVED)} are reserved. Received: "
                f"{place}: {name!r}."
            )


def _check_state_slot(name, known, place):
    """Raises unless `name` is a slot that a state can give a value."""
    if name not in known:
        raise ValueError(
            f"The service must have the slot. Received: {place}: {name!r}."
        )
    if known[name].requestable_only:
        raise ValueError(
            "A requestable_only slot has no place in the state. Received: "
            f"{place}: {name!r}."
        )
