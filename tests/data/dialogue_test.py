"""Dialogues are read as described, and refused with their line."""

import re

import pytest

from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import services
from gpt3_keras.data import turns
from tests.data import dialogues


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    path = dialogues.write_json(folder / "schema.json", dialogues.SCHEMA)
    return dialogue_schema.read_schema(path)


def test_a_dialogue(tmp_path, schema):
    path = dialogues.write_lines(tmp_path / "d.jsonl", [dialogues.DIALOGUE])
    (found,) = dialogue.read_dialogues(path, schema)
    assert (found.id, found.service) == ("one", "restaurants")
    first, context, last = found.turns
    assert first == turns.Turn(
        "",
        "Any Eritrean food?",
        {"food": ("eritrean",)},
        "find",
        ("phone",),
        {"food": turns.Span("user", 0, 4, 12)},
    )
    assert found.text(first.spans["food"]) == "Eritrean"
    assert context.is_context
    assert not last.is_context
    assert last.complete
    assert last.slots["time"] == ("17:00", "5 pm")
    assert found.text(last.spans["time"]) == "5 pm"


def test_a_dialogue_is_written_as_it_was_read(tmp_path, schema):
    found = dialogue.parse_dialogue(dialogues.DIALOGUE, schema, "here")
    again = dialogue.parse_dialogue(found.to_json(), schema, "here")
    assert again == found


def test_the_service_may_be_left_out(schema):
    record = dialogues.copy(dialogues.DIALOGUE)
    del record["service"]
    found = dialogue.parse_dialogue(record, schema, "here")
    assert found.service == "restaurants"
    two = services.Schema((*schema.services, services.Service("bars")))
    with pytest.raises(ValueError, match=r"'service' must be given. Rec"):
        dialogue.parse_dialogue(record, two, "here")


def test_ids_are_unique(tmp_path, schema):
    records = [dialogues.DIALOGUE] * 2
    path = dialogues.write_lines(tmp_path / "d.jsonl", records)
    message = f"unique. Received: {path}, line 2: 'one', as in line 1."
    with pytest.raises(ValueError, match=re.escape(message)):
        list(dialogue.read_dialogues(path, schema))


def test_an_empty_file(tmp_path, schema):
    path = dialogues.write_lines(tmp_path / "d.jsonl", [])
    with pytest.raises(ValueError, match=r"must hold one. Received: .*, empty"):
        list(dialogue.read_dialogues(path, schema))


SLOTS = ["turns", 2, "slots"]
SPAN = ["turns", 0, "spans", "food"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["id"], 1, "'id' must be a string. Received: {}: 1."),
        (["id"], " ", "'id' must not be blank. Received: {}."),
        (["service"], "bars", "have the service. Received: {}: 'bars'."),
        (["turns"], [], "A dialogue must have turns. Received: {}: []."),
        (["turns", 0], [], "It must be an object. Received: {}, turn 0: []."),
        (["turns", 0, "user"], ..., "'user' must be given. Received: {}, turn"),
        (["turns", 0, "user"], "", "A turn must have text. Received: {}, turn"),
        (["turns", 0, "slots"], ..., "'slots' must be given. Received: {}, t"),
        (["turns", 0, "slot"], {}, "{}, turn 0: 'slot'; did you mean 'slots'?"),
        (["turns", 1, "intent"], "find", "no labels. Received: {}, turn 1: 'i"),
        (["turns", 0, "intent"], "go", "have the intent. Received: {}, turn 0"),
        (["turns", 0, "requested"], ["fax"], "'restaurants' must have the slo"),
        (["turns", 0, "complete"], 1, "'complete' must be true or false. Rec"),
        (["turns", 0, "slots", "fod"], "x", "slot. Received: {}, turn 0: 'fod"),
        ([*SLOTS, "phone"], "1", "has no place in the state. Received: {}, t"),
        ([*SLOTS, "area"], "east", "{}, turn 2: slot 'area': 'east'."),
        ([*SLOTS, "area"], ["north"], "'area' must be a string. Received: {}"),
        ([*SLOTS, "food"], " ", "must not be blank. Received: {}, turn 2: sl"),
        ([*SLOTS, "food"], [], "must not be blank. Received: {}, turn 2: slo"),
        ([*SLOTS, "food"], 3, "'food' must be a string. Received: {}, turn 2"),
        ([*SLOTS, "food"], "none", "is left out. Received: {}, turn 2: slot "),
        ([*SLOTS, "food"], ["dontcare", "x"], "'dontcare' stands alone. Rece"),
        ([*SLOTS, "name"], ..., "Received: {}, turn 2: 'book' without 'name'."),
        ([*SPAN, "start"], 5, "{}, turn 0, span of 'food': 'ritrean', where "),
        ([*SPAN, "end"], 99, "0 <= start < end <= 18. Received: {}, turn 0, "),
        ([*SPAN, "start"], -1, "'food': start=-1, end=12."),
        ([*SPAN, "start"], True, "'start' must be an integer. Received: {}, "),
        ([*SPAN, "turn"], 1, "{}, turn 0, span of 'food': speaker='user', tu"),
        ([*SPAN, "speaker"], "me", "span of 'food': speaker='me', turn=0."),
        ([*SPAN, "stop"], 1, "Keys must be known: end, speaker, start, turn."),
        (["turns", 2, "spans", "area"], {}, "of a slot that has a value. Rece"),
        (["turns", 2, "spans", "name"], {}, "turn 2, span of 'name'."),
    ],
)
def test_dialogues_that_are_refused(tmp_path, schema, path, value, message):
    record = dialogues.copy(dialogues.DIALOGUE)
    item = record
    for key in path[:-1]:
        item = item[key]
    if value is ...:
        del item[path[-1]]
    else:
        item[path[-1]] = value
    good = dialogues.DIALOGUE | {"id": "good"}
    file = dialogues.write_lines(tmp_path / "d.jsonl", [good, record])
    message = message.format(f"{file}, line 2")
    with pytest.raises(ValueError, match=re.escape(message)):
        list(dialogue.read_dialogues(file, schema))
