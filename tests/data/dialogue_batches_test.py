"""Dialogues as rows and batches: what stands where."""

import dataclasses
import json

import numpy as np
import pytest

from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_batches
from gpt3_keras.data import dialogue_rows
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data import dialogue_text
from gpt3_keras.data.dialogue_renaming import RenameValues
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from tests.data import dialogues

FOOD, AREA, NAME, TIME, PHONE = range(5)


@pytest.fixture(scope="module")
def tokenizer():
    return GPT3Tokenizer()


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    return dialogue_schema.read_schema(
        dialogues.write_json(path, dialogues.SCHEMA)
    )


@pytest.fixture(scope="module")
def reader(tokenizer, schema):
    return dialogue_rows.DialogueReader(tokenizer, schema)


@pytest.fixture(scope="module")
def example(schema):
    return dialogue.parse_dialogue(dialogues.DIALOGUE, schema, "here")


@pytest.fixture(scope="module")
def row(reader, example):
    return reader.row(example)


def words(tokenizer, ids):
    return tokenizer.detokenize([[int(i) for i in ids if i >= 0]])[0]


def test_a_row_is_what_was_said_and_by_whom(row, tokenizer):
    text = words(tokenizer, row.x["token_ids"])
    assert text == (
        "<|endoftext|>\nuser: any eritrean food?\nsystem: it is 12."
        "\nuser: thanks.\nsystem: in the north, at 5 pm?\nuser: yes."
    )
    said = [
        words(tokenizer, row.x["token_ids"][row.x["segment_ids"] == i])
        for i in range(6)
    ]
    assert said == [
        "",
        " any eritrean food?",
        " it is 12.",
        " thanks.",
        " in the north, at 5 pm?",
        " yes.",
    ]
    for number, places in enumerate(row.x["utterances"]):
        places = places[places >= 0]
        assert (row.x["segment_ids"][places] == number).all()
        assert len(places) == (row.x["segment_ids"] == number).sum()


def test_the_text_of_tokens_is_that_of_the_dialogue(row):
    (first, last), *others = row.y["spans"][0, FOOD]
    assert row.text(first, last) == "Eritrean"  # As it was written.
    assert (np.array(others) == -1).all()
    first, last = row.y["spans"][2, TIME, 0]
    assert row.text(first, last) == "5 pm"


def test_values_that_are_said_are_found(row):
    (turn, slot, candidate, first, last), *others = row.x["mentions"]
    assert (turn, slot, candidate) == (2, AREA, 2)
    assert row.text(first, last) == "north"
    assert not others


def test_the_labels_are_candidates_before_and_now(row):
    none, dontcare, new, old = range(4)
    expected = np.zeros((3, 5, 2))
    expected[0, FOOD] = none, new
    expected[2, FOOD] = old, old
    expected[2, NAME] = none, dontcare
    expected[2, TIME] = none, new
    expected[:, PHONE] = expected[1] = -1
    np.testing.assert_array_equal(row.y["slots"], expected)
    np.testing.assert_array_equal(row.y["intents"], [1, 0, 2])
    np.testing.assert_array_equal(row.y["complete"], [False, False, True])
    np.testing.assert_array_equal(row.sample_weight, [1, 0, 1])
    asked = np.zeros((3, 5))
    asked[0, PHONE] = 1
    np.testing.assert_array_equal(row.y["requested"], asked)


def test_the_schema_is_text(row, tokenizer):
    def texts(name):
        return [words(tokenizer, ids) for ids in row.x[name]]

    assert texts("intent_ids") == [" none", " find: find a place", " book"]
    assert texts("slot_ids")[:2] == [" food: kind of food", " area"]
    assert texts("text_ids") == [" none", " dontcare", " north", " south"]
    np.testing.assert_array_equal(
        row.x["candidates"],
        [[0, 1, -1, -1], [0, 1, 2, 3], *[[0, 1, -1, -1]] * 2, [0, -1, -1, -1]],
    )
    np.testing.assert_array_equal(row.x["is_open"], [1, 0, 1, 1, 0])


def allowed_states(row, intent, complete):
    """All allowed (food, area, name, time) candidates, by the tables."""
    y = row.y
    found = set()
    for state in np.ndindex(3, 4, 3, 3):
        holds = {
            q
            for q, slot in enumerate(y["class_slots"])
            if y["classes"][q, state[slot]]
        }
        if all(
            any(
                -2 not in assignment and {*assignment} - {-1} <= holds
                for assignment in group.tolist()
            )
            for group in y["assignments"][int(complete), intent]
        ):
            found.add(state)
    return found


@pytest.mark.parametrize("complete", [False, True])
def test_the_tables_hold_the_constraints(row, complete):
    everything = {*np.ndindex(3, 4, 3, 3)}
    assert allowed_states(row, 0, complete) == everything
    finding = {s for s in everything if s[NAME] == s[TIME] == 0}
    booking = {s for s in everything if s[AREA] == 0}
    if complete:
        finding = {s for s in finding if s[FOOD]}
        booking = {s for s in booking if s[NAME] and s[TIME]}
    assert allowed_states(row, 1, complete) == finding
    assert allowed_states(row, 2, complete) == booking


def test_a_batch_fills_up(reader, example, row):
    short = dataclasses.replace(example, turns=example.turns[:1])
    x, y, weights = dialogue_batches.make_batch([reader.row(short), row])
    specs = dialogue_batches.element_spec()
    for arrays, of_part in ((x, specs[0]), (y, specs[1])):
        assert set(arrays) == set(of_part)
        for name, array in arrays.items():
            assert array.dtype == of_part[name].dtype.as_numpy_dtype
            assert array.ndim == of_part[name].shape.rank
    np.testing.assert_array_equal(weights, [[1, 0, 0], [1, 0, 1]])
    length = x["padding_mask"][0].sum()
    assert length == len(reader.row(short).x["token_ids"])
    assert not x["padding_mask"][0, length:].any()
    assert (x["segment_ids"][0, length:] == -1).all()
    for name, value in row.y.items():
        np.testing.assert_array_equal(y[name][1], value)


def test_case_is_kept_if_one_likes(tokenizer, schema, example):
    reader = dialogue_rows.DialogueReader(
        tokenizer, schema, lowercase=False, describe=False
    )
    row = reader.row(example)
    text = words(tokenizer, row.x["token_ids"])
    assert "Any Eritrean food?" in text
    assert words(tokenizer, row.x["slot_ids"][FOOD]) == " food"


def test_a_dialogue_that_is_too_long_is_refused(tokenizer, schema, example):
    reader = dialogue_rows.DialogueReader(tokenizer, schema, 10)
    message = (
        "A dialogue must have at most sequence_length=10 tokens. Received: "
        "dialogue 'one' with 39."
    )
    with pytest.raises(ValueError, match=message):
        reader.row(example)


@pytest.mark.parametrize("text", ["Ça va à São Tomé, chère? 5 pm", "a  b\n c"])
def test_every_character_belongs_to_its_token(tokenizer, text):
    ids = tokenizer.encode_batch([" " + text])[0]
    aligned = dialogue_text.align(text, ids, tokenizer)
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            first, last = aligned.tokens_of(start, end)
            kept = tokenizer.detokenize([ids[first : last + 1]])[0]
            assert text[start:end] in kept or "\ufffd" in kept
            assert aligned.starts[first] <= start
            assert end <= aligned.ends[last]


def test_words_of_names():
    assert dialogue_text.words_of("GetCarsAvailable") == "get cars available"
    assert dialogue_text.words_of("price_range") == "price range"


def closed_schema(tmp_path):
    schema = dialogues.copy(dialogues.SCHEMA)
    slots = schema["services"][0]["slots"]
    slots[FOOD]["values"] = ["indian", "north indian", "thai", "swiss"]
    slots[AREA]["values"] = ["north", "south", "east"]
    path = dialogues.write_json(tmp_path / "schema.json", schema)
    return dialogue_schema.read_schema(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("North Indian in the north", [(FOOD, 3), (AREA, 2)]),
        ("northern thais", [(AREA, 2), (FOOD, 4)]),
        ("northwards, unindian", []),
    ],
)
def test_the_longest_value_is_found_and_endings_too(tmp_path, text, found):
    service = closed_schema(tmp_path).services[0]
    mentions = [*dialogue_text.mentions(text, service)]
    assert [m[:2] for m in mentions] == found


def renamable(tmp_path):
    """A dialogue about Thai food in the north, the north once not said."""
    schema = closed_schema(tmp_path)
    record = {
        "id": "two",
        "turns": [
            {
                "system": "",
                "user": "Any thai place at 5 pm? Thai!",
                "intent": "find",
                "slots": {"food": "thai", "time": "5 pm"},
                "spans": {
                    "time": {
                        "speaker": "user",
                        "turn": 0,
                        "start": 18,
                        "end": 22,
                    }
                },
            },
            {
                "system": "The upper part?",
                "user": "Not south.",
                "intent": "find",
                "slots": {"food": "thai", "time": "5 pm", "area": "north"},
            },
        ],
    }
    return schema, dialogue.parse_dialogue(record, schema, "here")


def test_values_are_renamed_in_words_states_and_spans(tmp_path):
    schema, given = renamable(tmp_path)
    foods = set()
    for epoch in range(20):
        changed = RenameValues(schema, rate=1.0)(given, epoch)
        food = changed.turns[0].slots["food"][0]
        foods.add(food)
        user = changed.turns[0].user
        assert user == f"Any {food} place at 5 pm? {food}!"
        assert changed.text(changed.turns[0].spans["time"]) == "5 pm"
        # Nobody said "north"; what is only said is renamed, too.
        assert changed.turns[1].slots["area"] == ("north",)
        assert changed.turns[1].user == "Not east."
        assert changed.turns[1].slots["food"] == (food,)
        again = RenameValues(schema, rate=1.0)(given, epoch)
        assert again == changed
        # It is a dialogue as good as any.
        record = json.loads(json.dumps(changed.to_json()))
        assert dialogue.parse_dialogue(record, schema, "here") == changed
    assert foods == {"indian", "north indian", "swiss"}


def test_a_rate_of_nothing_renames_nothing(tmp_path):
    schema, given = renamable(tmp_path)
    assert RenameValues(schema, rate=0.0)(given) is given


def dataset_of(examples, reader, **arguments):
    return dialogue_batches.dialogue_dataset(
        examples, reader, batch_size=2, **arguments
    )


@pytest.fixture(scope="module")
def nine(schema):
    made = []
    for number in range(9):
        record = dialogues.copy(dialogues.DIALOGUE)
        record["id"] = str(number)
        record["turns"][0]["user"] += " so" * (number + 1)
        made.append(dialogue.parse_dialogue(record, schema, "here"))
    return made


def tokens_of(dataset):
    batches = [
        [
            x["token_ids"][i][x["padding_mask"][i]].tolist()
            for i in range(len(w))
        ]
        for x, _, w in dataset.as_numpy_iterator()
    ]
    return [len(b) for b in batches], [
        row for batch in batches for row in batch
    ]


def test_an_epoch_has_every_dialogue_once(nine, reader):
    in_order = tokens_of(dataset_of(nine, reader, shuffle=False))
    assert in_order[0] == [2, 2, 2, 2, 1]
    assert in_order[1] == [
        r.x["token_ids"].tolist() for r in map(reader.row, nine)
    ]
    dataset = dataset_of(nine, reader, seed=3)
    epochs = [tokens_of(dataset) for _ in range(2)]
    assert epochs[0][1] != epochs[1][1]
    for sizes, tokens in epochs:
        assert sizes == [2, 2, 2, 2, 1]
        assert sorted(tokens) == sorted(in_order[1])
    assert tokens_of(dataset_of(nine, reader, seed=3)) == epochs[0]


def test_it_goes_on_at_any_row(nine, reader):
    whole = tokens_of(dataset_of(nine, reader, num_epochs=3))[1]
    rest = tokens_of(dataset_of(nine, reader, num_epochs=3, first_row=11))[1]
    assert rest == whole[11:]


def test_augmentation_depends_on_the_epoch(nine, reader):
    seen = []

    def augment(example, epoch):
        seen.append((example.id, epoch))
        return example

    dataset = dataset_of(nine, reader, augment=augment)
    for _ in range(2):
        tokens_of(dataset)
    assert sorted(seen) == sorted((str(i), e) for i in range(9) for e in (0, 1))


def test_rows_of_real_dialogues(real_data, tokenizer, tmp_path):
    from gpt3_keras.data import conversion

    parts = conversion.convert("woz", str(real_data("woz2")), str(tmp_path))
    part = parts[-1]
    schema = dialogue_schema.read_schema(part.schema_path)
    reader = dialogue_rows.DialogueReader(tokenizer, schema)
    for given in [*dialogue.read_dialogues(part.path, schema)][:20]:
        row = reader.row(given)
        for turn, labels in zip(given.turns, row.y["slots"], strict=True):
            for slot, (_, now) in zip(
                schema.services[0].slots, labels, strict=True
            ):
                if now >= 0:
                    value = turn.slots.get(slot.name, ("none",))[0]
                    assert slot.domain[now] == value
