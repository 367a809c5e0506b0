"""A schema is read, checked, and gives its rules."""

import re

import pytest

from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import services
from tests.data import dialogues


def read(tmp_path, content):
    path = dialogues.write_json(tmp_path / "schema.json", content)
    return dialogue_schema.read_schema(path)


def test_schema(tmp_path):
    schema = read(tmp_path, dialogues.SCHEMA)
    service = schema.services_by_name["restaurants"]
    assert service.intent_names == ("none", "find", "book")
    assert [s.name for s in service.state_slots] == [
        "food",
        "area",
        "name",
        "time",
    ]
    assert service.slots_by_name["area"].domain == (
        "none",
        "dontcare",
        "north",
        "south",
    )
    assert service.slots_by_name["food"].domain == ("none", "dontcare", "*")
    assert service.slots_by_name["phone"].requestable_only


def test_a_schema_is_written_as_it_was_read(tmp_path):
    content = dialogues.copy(dialogues.SCHEMA)
    content["services"][0]["constraints"] = [
        {
            "if": {"slot": "food", "in": ["*"]},
            "then": {"slot": "area", "in": ["north", "none"]},
        },
        {"if": {"intent": "book"}, "then": {"slot": "time", "in": ["*"]}},
    ]
    schema = read(tmp_path, content)
    path = str(tmp_path / "again.json")
    dialogue_schema.write_schema(schema, path)
    assert dialogue_schema.read_schema(path) == schema


def test_rules_follow_from_intents(tmp_path):
    (service,) = read(tmp_path, dialogues.SCHEMA).services
    rules = {str(rule) for rule in service.rules()}
    assert rules == {
        "if intent is 'find' then 'name' is in ['none']",
        "if intent is 'find' then 'time' is in ['none']",
        "if intent is 'book' then 'area' is in ['none']",
    }
    assert {str(rule) for rule in service.rules(complete=True)} - rules == {
        "if intent is 'find' then 'food' is in ['dontcare', '*']",
        "if intent is 'book' then 'name' is in ['dontcare', '*']",
        "if intent is 'book' then 'time' is in ['dontcare', '*']",
    }


def test_seen_services():
    def schema(*names):
        return services.Schema(tuple(services.Service(n) for n in names))

    seen = dialogue_schema.seen_services(schema("a", "b"), schema("b", "c"))
    assert seen == {"b"}


def change(path, value):
    """The schema with one thing changed, or with nothing there for `...`."""
    content = dialogues.copy(dialogues.SCHEMA)
    *parents, key = path
    item = content["services"][0]
    for parent in parents:
        item = item[parent]
    if value is ...:
        del item[key]
    else:
        item[key] = value
    return content


SERVICE = "service 1 'restaurants'"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["name"], " ", "'name' must not be blank. Received: {}, service 1"),
        (["name"], ..., "'name' must be given. Received: {}, service 1 with"),
        (["slot"], [], "Received: {}, service 1: 'slot'; did you mean 'slots'"),
        (
            ["intents"],
            {},
            f"'intents' must be a list. Received: {{}}, {SERVICE}",
        ),
        (
            ["intents", 0, "name"],
            "book",
            f"A name must be unique. Received: {{}}, {SERVICE}: inte",
        ),
        (
            ["intents", 0, "name"],
            "none",
            f"are reserved. Received: {{}}, {SERVICE}, intent 1 'none': 'none'",
        ),
        (
            ["intents", 0, "required"],
            ["fod"],
            f"must have the slot. Received: {{}}, {SERVICE}, intent 1 'find'",
        ),
        (
            ["intents", 0, "required"],
            ["phone"],
            "A requestable_only slot has no place in the state. Received: {}",
        ),
        (
            ["intents", 0, "optional"],
            ["food"],
            "An intent must name a slot once. Received: {}, " + SERVICE,
        ),
        (
            ["slots", 1, "name"],
            "food",
            f"A name must be unique. Received: {{}}, {SERVICE}: slot",
        ),
        (["slots", 1, "values"], ..., "must have 'values', null for an open"),
        (["slots", 1, "values"], [], "A closed slot must have values; an open"),
        (
            ["slots", 1, "values"],
            ["*"],
            "are reserved. Received: {}, " + SERVICE,
        ),
        (["slots", 1, "values"], ["a", "a"], "slot 2 'area': 'a' twice."),
        (["slots", 1, "values"], [3], "slot 2 'area': 3."),
        (["constraints"], [{}], "'if' must be given. Received: {}, " + SERVICE),
    ],
)
def test_schemas_that_are_refused(tmp_path, path, value, message):
    message = message.format(tmp_path / "schema.json")
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path, change(path, value))


@pytest.mark.parametrize(
    ("condition", "consequence", "message"),
    [
        ({"intent": "fin"}, None, "must have the intent. Received: {}: 'fin'."),
        (
            {"intent": "find", "slot": "area", "in": []},
            None,
            "'if' must name an intent or a slot. Received: {}: {{\"intent\"",
        ),
        (
            {"slot": "area", "in": ["east"]},
            None,
            "none, dontcare, north, south, or '*'. Received: {}, 'if': 'east'",
        ),
        (
            {"slot": "food", "in": ["thai"]},
            None,
            "none, dontcare, *, or '*'. Received: {}, 'if': 'thai' of 'food'.",
        ),
        (
            {"slot": "time", "in": ["*"]},
            None,
            "A constraint must be between two slots. Received: {}: 'time' tw",
        ),
        (
            {"intent": "find"},
            {"slot": "phone", "in": ["none"]},
            "has no place in the state. Received: {}, 'then': 'phone'.",
        ),
        ({"intent": "find"}, {"slot": "time"}, "'in' must be given. Received"),
    ],
)
def test_constraints_that_are_refused(
    tmp_path, condition, consequence, message
):
    consequence = consequence or {"slot": "time", "in": ["none"]}
    content = change(["constraints"], [{"if": condition, "then": consequence}])
    place = f"{tmp_path / 'schema.json'}, {SERVICE}, constraint 1"
    message = message.format(place)
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path, content)


def test_constraints_must_leave_a_state(tmp_path):
    rule = {
        "if": {"slot": "food", "in": ["none", "dontcare", "*"]},
        "then": {"slot": "time", "in": ["*"]},
    }
    message = (
        f"Constraints must leave a state that they allow. Received: "
        f"{tmp_path / 'schema.json'}, {SERVICE}: intent 'find' with if "
        "'food' is in ['none', 'dontcare', '*'] then 'time' is in ['*']; if "
        "intent is 'find' then 'time' is in ['none']."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path, change(["constraints"], [rule]))


def test_what_is_required_may_be_what_is_excluded(tmp_path):
    rule = {"if": {"intent": "find"}, "then": {"slot": "food", "in": ["none"]}}
    message = "intent 'find', carried out, with "
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path, change(["constraints"], [rule]))


def test_empty_schemas(tmp_path):
    with pytest.raises(ValueError, match=r"'services' must hold a service. R"):
        read(tmp_path, {"services": []})
    with pytest.raises(ValueError, match=r"Keys must be known: services. Rec"):
        read(tmp_path, {"intents": []})
