"""A small schema and a dialogue in it, for the tests of dialogue data."""

import json

SCHEMA = {
    "services": [
        {
            "name": "restaurants",
            "description": "Places to eat",
            "intents": [
                {
                    "name": "find",
                    "description": "Find a place",
                    "required": ["food"],
                    "optional": ["area"],
                },
                {
                    "name": "book",
                    "required": ["name", "time"],
                    "keeps": ["food"],
                },
            ],
            "slots": [
                {"name": "food", "description": "Kind of food", "values": None},
                {"name": "area", "values": ["north", "south"]},
                {"name": "name", "values": None},
                {"name": "time", "values": None},
                {"name": "phone", "values": None, "requestable_only": True},
            ],
        }
    ]
}

DIALOGUE = {
    "id": "one",
    "service": "restaurants",
    "turns": [
        {
            "system": "",
            "user": "Any Eritrean food?",
            "intent": "find",
            "slots": {"food": "eritrean"},
            "requested": ["phone"],
            "spans": {
                "food": {"speaker": "user", "turn": 0, "start": 4, "end": 12}
            },
        },
        {"system": "It is 12.", "user": "Thanks.", "slots": None},
        {
            "system": "In the north, at 5 pm?",
            "user": "Yes.",
            "intent": "book",
            "slots": {
                "food": "eritrean",
                "name": "dontcare",
                "time": ["17:00", "5 pm"],
            },
            "spans": {
                "time": {"speaker": "system", "turn": 2, "start": 17, "end": 21}
            },
            "complete": True,
        },
    ],
}


def copy(value):
    """A copy that can be changed at any depth."""
    return json.loads(json.dumps(value))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1))
    return str(path)


def write_lines(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)
