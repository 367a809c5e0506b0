"""SGD: its own files, and ours."""

import gzip
import json
import re

import pytest

from gpt3_keras.data import conversion
from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import turns
from tests.data import dialogues


def slot(name, values=None):
    return {
        "name": name,
        "description": f"The {name}",
        "is_categorical": values is not None,
        "possible_values": values or [],
    }


SCHEMA = [
    {
        "service_name": "Hotels_1",
        "description": "Hotels",
        "slots": [
            slot("city"),
            slot("stars", ["1", "2"]),
            slot("name"),
            slot("date"),
            slot("phone"),
        ],
        "intents": [
            {
                "name": "Search",
                "description": "Find a hotel",
                "is_transactional": False,
                "required_slots": ["city"],
                "optional_slots": {"stars": "dontcare"},
                "result_slots": ["name", "stars", "city", "phone"],
            },
            {
                "name": "Book",
                "description": "Book a room",
                "is_transactional": True,
                "required_slots": ["name", "date"],
                "optional_slots": {},
                "result_slots": ["name", "date", "phone"],
            },
        ],
    },
    {
        "service_name": "Taxis_1",
        "description": "Taxis",
        "slots": [slot("to"), slot("shared", ["True", "False"])],
        "intents": [
            {
                "name": "Ride",
                "description": "Take a taxi",
                "is_transactional": True,
                "required_slots": ["to"],
                "optional_slots": {"shared": "True"},
                "result_slots": ["to"],
            }
        ],
    },
]


def frame(service, spans=(), intent=None, values=None, requested=(), **more):
    record = {
        "service": service,
        "actions": [],
        "slots": [
            {"slot": name, "start": start, "exclusive_end": end}
            for name, start, end in spans
        ],
        **more,
    }
    if intent:
        record["state"] = {
            "active_intent": intent,
            "requested_slots": list(requested),
            "slot_values": values or {},
        }
    return record


def says(speaker, text, *frames):
    return {"speaker": speaker, "utterance": text, "frames": list(frames)}


DIALOGUE = {
    "dialogue_id": "1_00000",
    "services": ["Hotels_1", "Taxis_1"],
    "turns": [
        says(
            "USER",
            "A hotel in Paris. I love Paris!",
            frame(
                "Hotels_1",
                [("city", 11, 16)],
                "Search",
                {"city": ["Paris"], "stars": ["dontcare"]},
            ),
        ),
        says(
            "SYSTEM",
            "The Ritz is nice.",
            frame(
                "Hotels_1",
                [("name", 4, 8)],
                service_call={"method": "Search", "parameters": {}},
            ),
        ),
        says(
            "USER",
            "Good, for the 5th. Its phone?",
            frame(
                "Hotels_1",
                [("date", 14, 17)],
                "Book",
                {
                    "city": ["Paris"],
                    "stars": ["dontcare"],
                    "name": ["ritz", "the Ritz"],
                    "date": ["5th"],
                },
                ["phone"],
            ),
        ),
        says(
            "SYSTEM",
            "It is 123.",
            frame("Hotels_1", service_call={"method": "Search"}),
        ),
        says(
            "USER",
            "And a taxi there, alone.",
            frame("Hotels_1", (), "NONE", {"city": ["dontcare"]}),
            frame("Taxis_1", (), "Ride", {"to": ["ritz"], "shared": ["False"]}),
        ),
        says("SYSTEM", "Done."),
    ],
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "sgd"
    (folder / "train").mkdir(parents=True)
    (folder / "dev").mkdir()
    dialogues.write_json(folder / "train" / "schema.json", SCHEMA)
    dialogues.write_json(folder / "dev" / "schema.json", SCHEMA[:1])
    dialogues.write_json(folder / "train" / "dialogues_001.json", [DIALOGUE])
    other = DIALOGUE | {"services": ["Hotels_1"]}
    packed = gzip.compress(json.dumps(other).encode() + b"\n")
    (folder / "dev.jsonl.gz").write_bytes(packed)
    return folder


def read(part):
    schema = dialogue_schema.read_schema(part.schema_path)
    return schema, list(dialogue.read_dialogues(part.path, schema))


def test_schema(source, tmp_path):
    dev, train = conversion.convert("sgd", source, str(tmp_path / "out"))
    schema, _ = read(train)
    hotels, _ = schema.services
    assert [s.name for s in hotels.state_slots] == [
        "city",
        "stars",
        "name",
        "date",
    ]
    assert hotels.slots_by_name["stars"].values == ("1", "2")
    assert hotels.slots_by_name["city"].is_open
    search, book = hotels.intents
    assert (search.required, search.optional) == (("city",), ("stars",))
    # A search keeps what it found, and not what is given for booking.
    assert search.keeps == ("name",)
    assert book.keeps == ("city", "stars")
    seen = dialogue_schema.seen_services(schema, read(dev)[0])
    assert seen == {"Hotels_1"}


def test_each_service_has_the_dialogue(source, tmp_path):
    dev, train = conversion.convert("sgd", source, str(tmp_path / "out"))
    assert train[3:] == (2, 6, 4, 5, 5)
    assert dev[3:] == (1, 3, 3, 4, 4)
    _, (hotel, taxi) = read(train)
    assert (hotel.id, taxi.id) == ("1_00000/Hotels_1", "1_00000/Taxis_1")
    assert [t.is_context for t in taxi.turns] == [True, True, False]
    assert [t.system for t in taxi.turns] == [
        "",
        "The Ritz is nice.",
        "It is 123.",
    ]
    first, second, third = hotel.turns
    assert first.slots == {"city": ("Paris",), "stars": ("dontcare",)}
    assert (first.intent, first.complete) == ("Search", True)
    assert (second.intent, second.complete) == ("Book", False)
    assert second.requested == ("phone",)
    assert third.intent == "none"


def test_spans(source, tmp_path):
    _, train = conversion.convert("sgd", source, str(tmp_path / "out"))
    _, (hotel, taxi) = read(train)
    # Marked in a frame, though the word comes again.
    assert hotel.turns[0].spans == {"city": turns.Span("user", 0, 11, 16)}
    # Marked in the system's frame.
    assert hotel.turns[1].spans["name"] == turns.Span("system", 1, 4, 8)
    # Not marked for this service: the last place where it stands.
    assert taxi.turns[2].spans == {"to": turns.Span("system", 1, 4, 8)}


def test_a_service_without_a_frame_has_no_dialogue(source, tmp_path):
    record = dialogues.copy(DIALOGUE)
    record["turns"][4]["frames"].pop()
    path = source / "train" / "dialogues_001.json"
    dialogues.write_json(path, [record])
    _, train = conversion.convert("sgd", source, str(tmp_path / "out"))
    assert [found.service for found in read(train)[1]] == ["Hotels_1"]


def test_one_part(source, tmp_path):
    (part,) = conversion.convert("sgd", source / "train", str(tmp_path / "out"))
    assert (part.name, part.num_dialogues) == ("train", 2)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["dialogue_id"], 3, "'dialogue_id' must be a string. Received: {}, a"),
        (["services"], ["X_1"], "must have the service. Received: {}, dialogu"),
        (["turns", 0, "speaker"], "ME", "{}, dialogue 1_00000, turn 0: 'ME'."),
        (["turns", 1, "utterance"], ..., "'utterance' must be given. Received"),
        (
            ["turns", 2, "frames", 0, "state", "slot_values", "size"],
            ["1"],
            "'Hotels_1' must have the slot. Received: {}, dialogue 1_00000, t",
        ),
        (
            ["turns", 0, "frames", 0, "state", "slot_values", "stars"],
            ["9"],
            "{}, dialogue 1_00000, turn 0: slot 'stars': '9'.",
        ),
        (
            ["turns", 0, "frames", 0, "state", "active_intent"],
            "Go",
            "must have the intent. Received: {}, dialogue 1_00000, turn 0: 'G",
        ),
        (
            ["turns", 0, "frames", 0, "slots", 0, "start"],
            "1",
            "'start' must be an integer. Received: {}, dialogue 1_00000, turn",
        ),
    ],
)
def test_files_that_are_refused(source, tmp_path, path, value, message):
    record = dialogues.copy(DIALOGUE)
    item = record
    for key in path[:-1]:
        item = item[key]
    if value is ...:
        del item[path[-1]]
    else:
        item[path[-1]] = value
    file = source / "train" / "dialogues_001.json"
    dialogues.write_json(file, [record])
    with pytest.raises(ValueError, match=re.escape(message.format(file))):
        conversion.convert("sgd", source, str(tmp_path / "out"))


def test_what_is_not_there(source, tmp_path):
    output = str(tmp_path / "out")
    (source / "dev.jsonl.gz").unlink()
    with pytest.raises(ValueError, match=r"A part must have dialogues_001.jso"):
        conversion.convert("sgd", source, output)
    with pytest.raises(ValueError, match=r"must hold schema.json. Received: s"):
        conversion.convert("sgd", str(tmp_path), output)


@pytest.mark.slow
def test_real_files(real_data, tmp_path):
    dev, train = conversion.convert("sgd", real_data("sgd"), str(tmp_path))
    assert dev[3:] == (3533, 34789, 20542, 46966, 46966)
    assert train[3:] == (8997, 77806, 58646, 143795, 143795)
