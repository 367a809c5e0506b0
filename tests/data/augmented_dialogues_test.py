"""Augmented dialogues: values stay, spans follow, the labels still hold."""

import json

import pytest

from gpt3_keras.data import dialogue as dialogue_files
from gpt3_keras.data import dialogue_schema
from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import SwapSentences
from gpt3_keras.data.augmented_dialogues import augmented_dialogue
from tests.data import dialogues

REPLACE = ReplaceCharacters(1.0, "x")


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    path.write_text(json.dumps(dialogues.SCHEMA))
    return dialogue_schema.read_schema(path)


def made(schema, steps, epoch=0, change=None):
    record = dialogues.copy(dialogues.DIALOGUE)
    if change:
        change(record)
    dialogue = dialogue_files.parse_dialogue(record, schema, "here")
    (service,) = schema.services
    return augmented_dialogue(dialogue, service, steps, epoch)


def test_values_are_kept_and_all_else_is_not(schema):
    turns = made(schema, [REPLACE]).turns
    assert turns[0].user == "xxx Eritrean xxxx?"
    # "north" is a value of a closed slot, "5 pm" one of an open slot.
    assert turns[2].system == "xx xxx north, xx 5 pm?"
    assert turns[2].user == "xxx."


def test_spans_follow_their_texts(schema):
    def two_sentences(record):
        turn = record["turns"][0]
        turn["user"] = "I am hungry. Any Eritrean food?"
        turn["spans"]["food"].update(start=17, end=25)

    result = made(schema, [SwapSentences(1.0)], change=two_sentences)
    assert result.turns[0].user == "Any Eritrean food? I am hungry."
    span = result.turns[0].spans["food"]
    assert result.turns[0].user[span.start : span.end] == "Eritrean"


def test_the_labels_still_fit(schema):
    steps = [SwapSentences(1.0), ReplaceCharacters(0.5, "abc")]
    result = made(schema, steps, epoch=3)
    again = dialogue_files.parse_dialogue(result.to_json(), schema, "here")
    assert again == result
    assert [t.slots for t in result.turns] == [
        t.slots for t in made(schema, []).turns
    ]


def test_epochs_differ_and_come_again(schema):
    steps = [ReplaceCharacters(0.5, "abc")]
    results = [made(schema, steps, epoch) for epoch in (0, 1, 0)]
    assert results[0] == results[2] != results[1]
