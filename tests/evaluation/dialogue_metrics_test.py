"""Figures of dialogues, computed by hand."""

import re

import pytest

from gpt3_keras.data import services
from gpt3_keras.data import turns
from gpt3_keras.evaluation import dialogue_metrics
from gpt3_keras.evaluation.dialogue_metrics import Prediction

SLOTS = (
    services.Slot("area", values=("north", "south")),
    services.Slot("food"),
    services.Slot("time"),
    services.Slot("phone", requestable_only=True),
)
SCHEMA = services.Schema(
    (
        services.Service("old", "", (services.Intent("find"),), SLOTS),
        services.Service("new", "", (services.Intent("find"),), SLOTS),
    )
)


def turn(slots, intent="find", requested=()):
    slots = {k: (v,) if isinstance(v, str) else v for k, v in slots.items()}
    return turns.Turn("", "Hello", slots, intent, requested)


# Three turns of one dialogue, one of another.
OLD = turns.Dialogue(
    "a",
    "old",
    (
        turn({}, "none"),
        turns.Turn("", "Not of this service", None),
        turn({"area": "north", "food": "thai"}, "find", ("phone", "area")),
        turn({"area": "north", "food": "thai", "time": ("5 pm", "17:00")}),
    ),
)
OLD_PREDICTIONS = [
    Prediction("none", {}),  # all right
    None,
    # A wrong closed value, one slot too many, one request of two.
    Prediction(
        "find",
        {"area": "south", "food": "Thai ", "time": "6 pm"},
        ("phone", "food"),
    ),
    # The time is right in its second spelling; the food nearly.
    Prediction("none", {"area": "north", "food": "thai food", "time": "17:00"}),
]
NEW = turns.Dialogue("b", "new", (turn({"area": "dontcare"}),))
NEW_PREDICTIONS = [Prediction("find", {"area": "dontcare"}, ("phone",))]


@pytest.fixture(scope="module")
def figures():
    return dialogue_metrics.dialogue_figures(
        [(OLD, OLD_PREDICTIONS), (NEW, NEW_PREDICTIONS)], SCHEMA, {"old"}
    )


# 2 · 4 / (4 + 9): "thai" is in "food thai".
NEAR = round(200 * 4 / 13) / 100


def test_figures_of_a_service(figures):
    assert figures["services"]["old"] == pytest.approx(
        {
            "num_turns": 3,
            "intent_accuracy": 2 / 3,
            "requested_f1": 0.5,
            "requested_f1_all_turns": 2.5 / 3,
            "requested_accuracy": 2 / 3,
            # Given 2 + 3, predicted 3 + 3, right among them 1 + 2.
            "slot_precision": 3 / 6,
            "slot_recall": 3 / 5,
            "slot_f1": 6 / 11,
            # Of 3 slots a turn: 3, 1 and 2 are right.
            "slot_accuracy": 6 / 9,
            "average_goal_accuracy": (1 / 2 + 2 / 3) / 2,
            "joint_goal_accuracy": 1 / 3,
            "joint_goal_accuracy_given": 0 / 2,
            "fuzzy_average_goal_accuracy": (1 / 2 + (2 + NEAR) / 3) / 2,
            "fuzzy_joint_goal_accuracy": (1 + 0 + NEAR) / 3,
        }
    )


def test_seen_unseen_and_all(figures):
    assert figures["seen"] == figures["services"]["old"]
    assert figures["unseen"] == figures["services"]["new"]
    assert figures["unseen"]["joint_goal_accuracy"] == 1.0
    # Both together are a mean over turns, not over services.
    assert figures["all"]["num_turns"] == 4
    assert figures["all"]["joint_goal_accuracy"] == pytest.approx(2 / 4)
    assert figures["all"]["requested_f1"] == pytest.approx(0.5 / 2)
    assert figures["all"]["slot_f1"] == pytest.approx(2 * 4 / (7 + 6))


def test_a_figure_without_turns_is_left_out():
    judged = [(turns.Dialogue("a", "old", OLD.turns[:1]), OLD_PREDICTIONS[:1])]
    found = dialogue_metrics.dialogue_figures(judged, SCHEMA)
    assert found["all"] == {
        "num_turns": 1,
        "intent_accuracy": 1.0,
        "requested_f1_all_turns": 1.0,
        "requested_accuracy": 1.0,
        "joint_goal_accuracy": 1.0,
        "fuzzy_joint_goal_accuracy": 1.0,
        "slot_accuracy": 1.0,
    }
    assert "seen" not in found


@pytest.mark.parametrize(
    ("gold", "predicted", "exact", "fuzzy"),
    [
        ({}, {}, 1.0, 1.0),
        ({"food": "thai"}, {}, 0.0, 0.0),
        ({}, {"food": "thai"}, 0.0, 0.0),
        ({"food": "dontcare"}, {"food": "dontcare"}, 1.0, 1.0),
        ({"food": "Red Lion"}, {"food": "red lion"}, 1.0, 1.0),
        ({"food": "red lion"}, {"food": "lion, red"}, 0.0, 1.0),
        ({"food": ("a", "bcd")}, {"food": "bce"}, 0.0, 0.67),
    ],
)
def test_open_slots(gold, predicted, exact, fuzzy):
    arguments = (
        SCHEMA.services[0],
        "food",
        turn(gold),
        Prediction("", predicted),
    )
    assert dialogue_metrics.slot_score(*arguments) == exact
    assert dialogue_metrics.slot_score(*arguments, fuzzy=True) == fuzzy


def test_closed_slots_are_right_or_wrong():
    gold, predicted = turn({"area": "north"}), {"area": "North"}
    for fuzzy in (False, True):
        score = dialogue_metrics.slot_score(
            SCHEMA.services[0], "area", gold, Prediction("", predicted), fuzzy
        )
        assert score == 0.0


def test_each_turn_must_have_a_prediction():
    message = "dialogue 'a' with 4 turns, 3 predictions."
    with pytest.raises(ValueError, match=re.escape(message)):
        dialogue_metrics.dialogue_figures([(OLD, OLD_PREDICTIONS[:3])], SCHEMA)


def test_there_must_be_turns():
    with pytest.raises(ValueError, match=r"There is no turn to score. Receive"):
        dialogue_metrics.dialogue_figures([], SCHEMA)
