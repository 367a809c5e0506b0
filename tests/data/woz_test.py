"""WOZ 2.0: its own files, and ours."""

import re

import pytest

from gpt3_keras.data import conversion
from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_schema
from tests.data import dialogues

ONTOLOGY = {
    "requestable": ["address", "phone", "area"],
    "informable": {
        "request": ["address", "phone", "area"],
        "food": ["thai", "afternoon tea"],
        "price range": ["cheap", "expensive"],
        "area": ["centre", "north"],
    },
}


def inform(slot, value):
    return {"slots": [[slot, value]], "act": "inform"}


DIALOGUE = {
    "dialogue_idx": 7,
    "dialogue": [
        {
            "turn_idx": 0,
            "system_transcript": "",
            "transcript": "Thai in the center, please. ",
            "turn_label": [["food", "thai"], ["area", "center"]],
            "belief_state": [inform("food", "thai"), inform("area", "center")],
            "system_acts": [],
            "asr": [["Thai in the center, please.", 1.0]],
        },
        {
            "turn_idx": 1,
            "system_transcript": "Any price?",
            "transcript": "Any. Phone number and phone?",
            "turn_label": [
                ["price range", "dontcare"],
                ["request", "phone number"],
                ["request", "phone"],
            ],
            "belief_state": [
                {"slots": [["slot", "phone"]], "act": "request"},
                inform("food", "peruvian"),
                inform("area", "centre"),
                inform("price range", "dontcare"),
            ],
            "system_acts": ["price range"],
            "asr": [],
        },
    ],
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "woz"
    folder.mkdir()
    dialogues.write_json(folder / "ontology_dstc2_en.json", ONTOLOGY)
    dialogues.write_json(folder / "woz_train_en.json", [DIALOGUE])
    other = dialogues.copy(DIALOGUE) | {"dialogue_idx": 8}
    other["dialogue"][0]["belief_state"].append(inform("food", "greek"))
    dialogues.write_json(folder / "woz_validate_en.json", [other])
    return folder


def read(part):
    schema = dialogue_schema.read_schema(part.schema_path)
    return schema, list(dialogue.read_dialogues(part.path, schema))


def test_conversion(source, tmp_path):
    output = tmp_path / "out"
    train, validate = conversion.convert("woz", source, str(output))
    assert train == (
        "train",
        str(output / "train.jsonl"),
        str(output / "train.schema.json"),
        1,
        2,
        2,
        0,
        0,
    )
    schema, (found,) = read(train)
    (service,) = schema.services
    assert {s.name: s.values for s in service.state_slots} == {
        "food": ("thai", "afternoon tea", "peruvian"),
        "price range": ("cheap", "expensive"),
        "area": ("centre", "north"),
    }
    assert {s.name for s in service.slots if s.requestable_only} == {
        "address",
        "phone",
        "postcode",
        "name",
    }
    first, second = found.turns
    assert found.id == "woz-7"
    assert first.user == "Thai in the center, please."
    assert first.slots == {"food": ("thai",), "area": ("centre",)}
    assert first.requested == ()
    assert second.system == "Any price?"
    assert second.intent == "find_restaurant"
    assert second.slots == {
        "food": ("peruvian",),
        "area": ("centre",),
        "price range": ("dontcare",),
    }
    assert second.requested == ("phone",)
    other_schema, (other,) = read(validate)
    assert other.id == "woz-8"
    # What only the validation labels have, training does not know.
    (other_service,) = other_schema.services
    assert "peruvian" in other_service.slots_by_name["food"].values
    assert "greek" in other_service.slots_by_name["food"].values


def test_one_file(source, tmp_path):
    path = source / "woz_validate_en.json"
    (part,) = conversion.convert("woz", path, str(tmp_path / "out"))
    assert (part.name, part.num_dialogues) == ("validate", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda turn: turn.pop("transcript"),
            "'transcript' must be given. Received: {}, dialogue 7, turn 1 wi",
        ),
        (
            lambda turn: turn.update(belief_state=[inform("name", "x")]),
            "food, price range, area. Received: {}, dialogue 7, turn 1: 'name'",
        ),
        (
            lambda turn: turn.update(turn_label=[["food"]]),
            "must hold pairs of strings. Received: {}, dialogue 7, turn 1: [",
        ),
        (
            lambda turn: turn.update(belief_state=[[]]),
            "must hold objects. Received: {}, dialogue 7, turn 1: [].",
        ),
    ],
)
def test_files_that_are_refused(source, tmp_path, change, message):
    record = dialogues.copy(DIALOGUE)
    change(record["dialogue"][1])
    path = dialogues.write_json(source / "woz_train_en.json", [record])
    with pytest.raises(ValueError, match=re.escape(message.format(path))):
        conversion.convert("woz", source, str(tmp_path / "out"))


def test_what_is_not_there(source, tmp_path):
    output = str(tmp_path / "out")
    with pytest.raises(ValueError, match="source must be an existing file or"):
        conversion.convert("woz", str(tmp_path / "absent"), output)
    with pytest.raises(ValueError, match=r"must be one of woz, sgd, multiwoz"):
        conversion.convert("wos", source, output)
    with pytest.raises(ValueError, match=r"must hold woz_<part>_en.json, suc"):
        conversion.convert("woz", str(tmp_path), output)
    (source / "ontology_dstc2_en.json").unlink()
    with pytest.raises(ValueError, match=r"readable. Received: .*ontology_ds"):
        conversion.convert("woz", source, output)


def test_ids_are_unique(source, tmp_path):
    dialogues.write_json(source / "woz_train_en.json", [DIALOGUE, DIALOGUE])
    with pytest.raises(ValueError, match=r"dialogue 7: 'woz-7' twice\."):
        conversion.convert("woz", source, str(tmp_path / "out"))


def test_real_files(real_data, tmp_path):
    train, validate = conversion.convert(
        "woz", real_data("woz2"), str(tmp_path)
    )
    assert train[3:] == (600, 2536, 2536, 0, 0)
    assert validate[3:] == (200, 830, 830, 0, 0)
    schema, found = read(validate)
    (service,) = schema.services
    sizes = [len(slot.values) for slot in service.state_slots]
    assert sizes == [91, 3, 5]
    given = [turn.slots for each in found for turn in each.turns]
    assert sum(map(len, given)) == 1704
