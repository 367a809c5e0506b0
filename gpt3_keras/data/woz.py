"""WOZ 2.0: restaurants in Cambridge, as dialogues of one service.

Wen et al. (2017) and Mrkšić et al. (2017); the files are those of
the repository nmrksic/neural-belief-tracker.

* The state is the `belief_state` without its requests: food, price range and
  area, all closed, with the values of the ontology. What the user requests
  is the turn's own label.
* Labels are taken as they are, but for the spellings that GLAD (Zhong et al.,
  2018, `dataset.py` of salesforce/glad) unifies: "center" is "centre",
  "areas" is "area", "phone number" is "phone". A value that the ontology
  lacks is added to the schema of the part that has it.
* The files have no intents: each turn is of `find_restaurant`, which takes
  every slot. So there is nothing to be learnt from intents or constraints.
"""

import os
import re

import tensorflow as tf

from gpt3_keras.data import json_files
from gpt3_keras.data import services
from gpt3_keras.data import turns

ONTOLOGY = "ontology_dstc2_en.json"

_INTENT = services.Intent(
    "find_restaurant",
    "Find a place to eat and ask about it",
    optional=("food", "price range", "area"),
)
_DESCRIPTIONS = {
    "food": "Kind of food that is served",
    "price range": "How expensive the restaurant is",
    "area": "Part of town that the restaurant is in",
    "address": "Street address of the restaurant",
    "phone": "Phone number of the restaurant",
    "postcode": "Postcode of the restaurant",
    "name": "Name of the restaurant",
}
_SPELLINGS = {"center": "centre", "areas": "area", "phone number": "phone"}
_FILE = re.compile(r"woz_(\w+)_en\.json")


def parts(source):
    """The parts of WOZ 2.0 that are there.

    Args:
        source: str, a folder with `woz_<part>_en.json` and the ontology, or
            one file that has the ontology beside it.

    Returns:
        A list of (name, `services.Schema`, dialogues); `dialogues` yields
        (place, `turns.Dialogue`).

    Raises:
        ValueError: with file and dialogue, if something is malformed.
    """
    folder, files = os.path.dirname(source), [source]
    if tf.io.gfile.isdir(source):
        names = sorted(tf.io.gfile.listdir(source))
        folder = source
        files = [os.path.join(source, n) for n in names if _FILE.fullmatch(n)]
    if not files:
        raise ValueError(
            "The folder must hold woz_<part>_en.json, such as "
            f"woz_train_en.json. Received: source={source!r}."
        )
    records = {path: json_files.read_json(path) for path in files}
    ontology = os.path.join(folder, ONTOLOGY)
    return [
        (
            _part_name(path),
            _schema(ontology, path, records[path]),
            _dialogues(path, records[path]),
        )
        for path in files
    ]


def _part_name(path):
    name = os.path.basename(path)
    match = _FILE.fullmatch(name)
    return match[1] if match else os.path.splitext(name)[0]


def _schema(place, path, records):
    """The ontology at `place`, and the values that only labels have."""
    ontology = json_files.read_json(place)
    informable = json_files.field(ontology, "informable", dict, place)
    values = {
        name: dict.fromkeys(json_files.strings(informable, name, place))
        for name in _INTENT.optional
    }
    for _, dialogue in _dialogues(path, records):
        for turn in dialogue.turns:
            for name, (value,) in turn.slots.items():
                values[name].setdefault(value)
    slots = [
        services.Slot(
            name,
            _DESCRIPTIONS[name],
            tuple(v for v in values[name] if v != services.DONTCARE),
        )
        for name in _INTENT.optional
    ]
    slots += [
        services.Slot(name, description, requestable_only=True)
        for name, description in _DESCRIPTIONS.items()
        if name not in values
    ]
    service = services.Service(
        "restaurants",
        "Restaurants in Cambridge, England",
        (_INTENT,),
        tuple(slots),
    )
    return services.Schema((service,))


def _dialogues(path, records):
    """Yields (place, `turns.Dialogue`)."""
    if not isinstance(records, list) or not records:
        raise ValueError(
            f"The file must hold a list of dialogues. Received: {path}."
        )
    for number, record in enumerate(records):
        place = f"{path}, dialogue number {number}"
        if not isinstance(record, dict):
            raise ValueError(
                f"A dialogue must be an object. Received: {place}."
            )
        identity = json_files.field(record, "dialogue_idx", int, place)
        place = f"{path}, dialogue {identity}"
        exchanges = json_files.field(record, "dialogue", list, place)
        yield (
            place,
            turns.Dialogue(
                f"woz-{identity}",
                "restaurants",
                tuple(
                    _turn(exchange, f"{place}, turn {t}")
                    for t, exchange in enumerate(exchanges)
                ),
            ),
        )


def _turn(record, place):
    slots = {}
    for act in json_files.field(record, "belief_state", list, place):
        pairs = _pairs(act, "slots", place)
        if json_files.field(act, "act", str, place) == "inform":
            slots |= {slot: (value,) for slot, value in pairs}
    labels = _pairs(record, "turn_label", place)
    requested = [value for slot, value in labels if slot == "request"]
    for slot in slots:
        if slot not in _INTENT.optional:
            raise ValueError(
                f"A state must be of {', '.join(_INTENT.optional)}. "
                f"Received: {place}: {slot!r}."
            )
    return turns.Turn(
        json_files.field(record, "system_transcript", str, place).strip(),
        json_files.field(record, "transcript", str, place).strip(),
        slots,
        _INTENT.name,
        tuple(dict.fromkeys(requested)),
    )


def _pairs(record, key, place):
    """The pairs [slot, value] under a key, in unified spelling."""
    if not isinstance(record, dict):
        raise ValueError(
            "A belief state must hold objects. Received: "
            f"{place}: {json_files.shown(record)}."
        )
    pairs = json_files.field(record, key, list, place)
    for pair in pairs:
        if not isinstance(pair, list) or [type(x) for x in pair] != [str] * 2:
            raise ValueError(
                f"{key!r} must hold pairs of strings. Received: "
                f"{place}: {json_files.shown(pair)}."
            )
    return [tuple(_unified(text) for text in pair) for pair in pairs]


def _unified(text):
    text = text.strip().lower()
    return _SPELLINGS.get(text, text)
