"""From probabilities of updates to states, and to the figures of a model."""

import dataclasses

import numpy as np
import pytest

from gpt3_keras.data import dialogue
from gpt3_keras.data.turns import Turn
from gpt3_keras.evaluation import dialogue as understanding
from tests.data import dialogues
from tests.models import small_dialogues as small

FOOD, AREA, NAME, TIME, PHONE = range(5)
EXAMPLE = dialogue.parse_dialogue(dialogues.DIALOGUE, small.SCHEMA, "here")


@pytest.fixture(scope="module")
def model():
    return small.model()


def read_nothing(row):
    """What a model would read that keeps everything."""
    num_turns = len(row.sample_weight)
    keep = np.zeros((num_turns, 5, 5))
    keep[..., 0] = 1.0
    intents = np.zeros((num_turns, 4))
    intents[:, 0] = 1.0
    return {
        "intent_updates": intents,
        "slot_updates": keep,
        "requested": np.zeros((num_turns, 5)),
        "spans": np.ones((num_turns, 5, 2), int),
    }


def states(read, row, example=EXAMPLE):
    return understanding.states(read, row, example, small.SERVICE)


def test_who_hears_nothing_knows_nothing():
    row = small.READER.row(EXAMPLE)
    found = states(read_nothing(row), row)
    assert found[1] is None  # Context.
    for state in (found[0], found[2]):
        assert state == ("none", {}, [])


def test_values_are_taken_and_kept():
    row = small.READER.row(EXAMPLE)
    read = read_nothing(row)
    read["slot_updates"][0, FOOD] = [0.1, 0, 0, 0.9, 0]  # A span,
    read["spans"][0, FOOD] = row.y["spans"][0, FOOD, 0]
    read["slot_updates"][2, FOOD] = [0.6, 0, 0, 0.4, 0]  # and a doubtful one.
    read["spans"][2, FOOD] = row.y["spans"][2, TIME, 0]
    read["slot_updates"][2, AREA] = [0.1, 0, 0, 0.8, 0.1]
    read["slot_updates"][2, TIME] = [0.3, 0, 0.7, 0, 0]
    read["slot_updates"][1, NAME] = [0, 0, 1, 0, 0]  # In a turn of context.
    read["intent_updates"][0] = [0.2, 0, 0.7, 0.1]
    read["intent_updates"][2] = [0.4, 0, 0, 0.6]
    read["requested"][0, PHONE] = 0.51
    first, _, last = states(read, row)
    assert first == ("find", {"food": "Eritrean"}, ["phone"])
    slots = {"food": "Eritrean", "area": "north", "time": "dontcare"}
    assert last == ("book", slots, [])


def test_doubts_add_up():
    """b = keep b + u: 0.3 twice is more than what is left of none."""
    row = small.READER.row(EXAMPLE)
    read = read_nothing(row)
    for turn in (0, 2):
        read["slot_updates"][turn, AREA] = [0.7, 0, 0, 0.3, 0]
    first, _, last = states(read, row)
    assert first.slots == {}
    assert last.slots == {"area": "north"}


def test_predict_does_not_depend_on_the_batch(model):
    given = [small.make_dialogue(i, n) for i, n in enumerate((1, 4, 2, 3))]
    expected = [*understanding.predict(model, small.READER, given, 4)]
    assert [*understanding.predict(model, small.READER, given, 3)] == expected
    for example, found in zip(given, expected, strict=True):
        assert [p is None for p in found] == [
            turn.is_context for turn in example.turns
        ]


def test_labels_are_not_read(model):
    bare = dataclasses.replace(
        EXAMPLE,
        turns=tuple(Turn(t.system, t.user, {}) for t in EXAMPLE.turns),
    )
    turns = [t for t in EXAMPLE.turns if not t.is_context]
    known = dataclasses.replace(EXAMPLE, turns=tuple(turns))
    bare = dataclasses.replace(
        bare, turns=tuple(Turn(t.system, t.user, {}) for t in turns)
    )
    (expected,) = understanding.predict(model, small.READER, [known])
    assert [*understanding.predict(model, small.READER, [bare])] == [expected]
    for number in (1, 2):
        turns = bare.turns[:number]
        found = understanding.understand(model, small.READER, turns)
        assert found == expected[number - 1]


def test_evaluate_gives_the_figures(model):
    given = [small.make_dialogue(i, 4) for i in range(2)]
    figures = understanding.evaluate(
        model, small.READER, given, seen={"restaurants"}
    )
    assert figures["all"]["num_turns"] == 6
    assert figures["seen"] == figures["all"]
    assert 0 <= figures["all"]["joint_goal_accuracy"] <= 1
    assert "unseen" not in figures
