"""MultiWOZ 2.1: its own files, and ours."""

import json
import re

import pytest

from gpt3_keras.data import conversion
from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import turns
from tests.data import dialogues

ONTOLOGY = {
    "hotel-area": ["dontcare", "centre", "north", "center"],
    "hotel-book day": ["monday", "friday"],
    "hotel-name": ["acorn guest house", "none"],
    "restaurant-food": ["thai"],
    "restaurant-price range": ["cheap"],
    "train-leave at": ["17:00"],
    "hospital-department": ["surgery"],
}


def metadata(hotel=(), booked=(), restaurant=(), train=()):
    nothing = {"name": "not mentioned", "area": "", "stars": "none"}
    return {
        "taxi": {"book": {"booked": []}, "semi": {"leaveAt": ""}},
        "hospital": {"book": {"booked": []}, "semi": {"department": "x"}},
        "hotel": {
            "book": {"booked": [{"name": "a"}], "day": "", **dict(booked)},
            "semi": nothing | dict(hotel),
        },
        "restaurant": {
            "book": {"booked": [], "time": ""},
            "semi": {"food": "", "pricerange": "", **dict(restaurant)},
        },
        "train": {
            "book": {"booked": [], "people": ""},
            "semi": {"leaveAt": "", **dict(train)},
        },
    }


def user(text, **acts):
    acts = {k.replace("_", "-"): v for k, v in acts.items()}
    return {"text": text, "metadata": {}, "dialog_act": acts, "span_info": []}


def system(text, state):
    return {"text": text, "metadata": state, "dialog_act": {}, "span_info": []}


DIALOGUE = {
    "goal": {"hotel": {}, "message": []},
    "log": [
        user("A hotel in the center,  called Acorn Guest House\n"),
        system(
            "It is  free.",
            metadata({"area": "center", "name": "Acorn guest house"}),
        ),
        user("For monday. Address?", Hotel_Request=[["Addr", "?"]]),
        system(
            "Booked.",
            metadata(
                {"area": "dont care", "name": "acorn guest house"},
                {"day": "friday>monday"},
            ),
        ),
        user(
            "Is there a train?",
            general_thank=[["none", "none"]],
            Train_Inform=[["none", "none"]],
        ),
        system(
            "Anything else?",
            metadata(
                {"area": "dont care", "name": "acorn guest house"},
                {"day": "friday>monday"},
            ),
        ),
        user(
            "Italian food; the price? A train after 5 pm?",
            Hotel_Inform=[["none", "none"]],
            Restaurant_Request=[["Price", "?"], ["none", "none"]],
        ),
        system(
            "Ok.",
            metadata(
                {"area": "do n't care"},
                {"day": "friday"},
                {"food": "italian|indian", "pricerange": "moderate"},
                {"leaveAt": "17:00"},
            ),
        ),
        user("Bye."),
    ],
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "MultiWOZ_2.1"
    folder.mkdir()
    dialogues.write_json(folder / "ontology.json", ONTOLOGY)
    names = ("SNG1.json", "MUL2.json", "PMUL3.json")
    content = dict.fromkeys(names, DIALOGUE)
    held_out = dialogues.copy(DIALOGUE)
    held_out["log"][1]["metadata"]["hotel"]["semi"]["stars"] = "4"
    content["MUL2.json"] = held_out
    dialogues.write_json(folder / "data.json", content)
    (folder / "valListFile.txt").write_text("MUL2.json\n")
    (folder / "testListFile.json").write_text("PMUL3.json\n\n")
    return folder


@pytest.fixture
def converted(source, tmp_path):
    return conversion.convert("multiwoz", source, str(tmp_path / "out"))


def read(part):
    schema = dialogue_schema.read_schema(part.schema_path)
    return schema, list(dialogue.read_dialogues(part.path, schema))


def test_parts(converted):
    assert [part.name for part in converted] == ["train", "validation", "test"]
    ids = [[found.id for found in read(part)[1]] for part in converted]
    assert ids == [["SNG1"], ["MUL2"], ["PMUL3"]]
    assert converted[0][3:] == (1, 5, 4, 5, 4)


def test_schema(converted):
    schema, _ = read(converted[0])
    (service,) = schema.services
    assert {s.name: s.values for s in service.state_slots} == {
        "hotel-area": ("centre", "north"),
        "hotel-bookday": ("monday", "friday"),
        "hotel-name": None,
        "restaurant-food": None,
        "restaurant-pricerange": ("cheap", "moderate"),
        "train-leaveat": None,
    }
    assert {s.name for s in service.slots if s.requestable_only} == {
        "hotel-address"
    }
    hotel = service.intents[0]
    assert hotel.name == "find_hotel"
    assert hotel.optional == ("hotel-area", "hotel-bookday", "hotel-name")
    assert "train-leaveat" in hotel.keeps


def test_training_does_not_know_what_is_held_out(converted):
    (train,), (validation,), (test,) = (
        read(part)[0].services for part in converted
    )
    assert validation.slots_by_name["hotel-stars"].values == ("4",)
    assert "hotel-stars" not in train.slots_by_name
    assert "hotel-stars" not in test.slots_by_name


def test_states(converted):
    _, (found,) = read(converted[0])
    first, second, third, fourth, last = found.turns
    assert first.user == "A hotel in the center, called Acorn Guest House"
    assert first.slots == {
        "hotel-area": ("centre",),
        "hotel-name": ("acorn guest house",),
    }
    assert first.spans == {"hotel-name": turns.Span("user", 0, 30, 47)}
    assert second.system == "It is free."
    assert second.slots["hotel-area"] == ("dontcare",)
    assert second.slots["hotel-bookday"] == ("friday",)
    assert second.requested == ("hotel-address",)
    assert third.slots == second.slots
    assert fourth.slots["restaurant-food"] == ("italian", "indian")
    assert fourth.spans == {"restaurant-food": turns.Span("user", 3, 0, 7)}
    assert fourth.requested == ("restaurant-pricerange",)
    assert [t.intent for t in found.turns[:4]] == [
        "find_hotel",
        "find_hotel",
        "find_train",
        "find_restaurant",
    ]
    assert last.is_context


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["log"], {}, "'log' must be a list. Received: {}, dialogue SNG1.json"),
        (["log", 0, "text"], ..., "'text' must be given. Received: {}, dialo"),
        (["log", 0, "metadata"], {"a": {}}, "SNG1.json, turn 0, the user's,"),
        (
            ["log", 1, "metadata", "hotel", "semi", "area"],
            3,
            "'area' must be a string. Received: {}, dialogue SNG1.json, 'hote",
        ),
        (
            ["log", 0, "dialog_act"],
            {"Hotel-Request": "Area"},
            "An act must hold a list of pairs. Received: {}, dialogue SNG1.js",
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
    file = source / "data.json"
    content = json.loads(file.read_text()) | {"SNG1.json": record}
    dialogues.write_json(file, content)
    with pytest.raises(ValueError, match=re.escape(message.format(file))):
        conversion.convert("multiwoz", source, str(tmp_path / "out"))


def test_lists(source, tmp_path):
    output = str(tmp_path / "out")
    (source / "valListFile.txt").write_text("MUL9.json\n")
    with pytest.raises(ValueError, match=r"data.json without 'MUL9.json'\."):
        conversion.convert("multiwoz", source, output)
    (source / "testListFile.json").unlink()
    with pytest.raises(ValueError, match=r"must hold testListFile.txt: which"):
        conversion.convert("multiwoz", source, output)
