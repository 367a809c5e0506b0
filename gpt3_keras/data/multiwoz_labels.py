"""The labels of MultiWOZ 2.1 in plain words; `multiwoz` says which."""

import re

from gpt3_keras.data import json_files
from gpt3_keras.data import services

DOMAINS = ("hotel", "restaurant", "attraction", "train", "taxi")

_CLOSED = (
    "area",
    "bookday",
    "bookpeople",
    "bookstay",
    "day",
    "internet",
    "parking",
    "pricerange",
    "stars",
    "type",
)
_NOTHING = ("", "none", "not mentioned")
_DONTCARE = re.compile(
    r"dont ?care|do ?n[o']?t care|do not care|does ?n[o']?t care|does not care"
)
_ALTERNATIVES = re.compile(r"[|<>]")
_SPELLINGS = {
    "center": "centre",
    "guest house": "guesthouse",
    "guest houses": "guesthouse",
    "portugese": "portuguese",
}
# The acts' names of slots that states name otherwise, or that only they have.
_ACT_SLOTS = {
    "addr": "address",
    "arrive": "arriveby",
    "car": "cartype",
    "depart": "departure",
    "dest": "destination",
    "fee": "entrancefee",
    "id": "trainid",
    "leave": "leaveat",
    "people": "bookpeople",
    "post": "postcode",
    "price": "pricerange",
    "ref": "reference",
    "stay": "bookstay",
    "time": "duration",
}
_WORDS = {
    "arriveby": "time of arrival",
    "bookday": "day of the booking",
    "bookpeople": "number of people of the booking",
    "bookstay": "number of nights of the booking",
    "booktime": "time of the booking",
    "cartype": "type of the car",
    "entrancefee": "entrance fee",
    "leaveat": "time of departure",
    "pricerange": "price range",
    "trainid": "number of the train",
}


def slot_name(key):
    """A slot's name, from the ontology's of either form.

    >>> slot_name("hotel-book day"), slot_name("hotel-semi-area")
    ('hotel-bookday', 'hotel-area')
    """
    key = key.strip().lower().replace("-semi-", "-").replace("-book-", "-book")
    return key.replace(" ", "")


def domain(slot):
    """The domain of a slot's name."""
    return slot.partition("-")[0]


def is_closed(slot):
    """Whether a slot's values are chosen from a list."""
    return slot.partition("-")[2] in _CLOSED


def description(slot):
    """A slot's name in words.

    >>> description("hotel-bookday")
    'day of the booking, of the hotel'
    """
    name, _, rest = slot.partition("-")
    return f"{_WORDS.get(rest, rest)}, of the {name}"


def spellings(value):
    """The alternatives that a label gives, as a tuple; () if it gives none.

    >>> spellings("Cheap|moderate"), spellings("not mentioned")
    (('cheap', 'moderate'), ())
    """
    found = {}
    for text in _ALTERNATIVES.split(value.lower()):
        text = " ".join(text.split())
        if _DONTCARE.fullmatch(text):
            return (services.DONTCARE,)
        if text not in _NOTHING:
            found.setdefault(_SPELLINGS.get(text, text))
    return tuple(found)


def state(record, place):
    """Dict from slot to its spellings, after the turn that `record` answers.

    Args:
        record: dict, the system's turn in the log.
        place: str, for the error.
    """
    metadata = record.get("metadata", {})
    slots = {}
    for name in DOMAINS:
        if name not in metadata:
            continue
        where = f"{place}, {name!r}"
        frames = json_files.field(metadata, name, dict, place)
        for kind, prefix in (("semi", ""), ("book", "book")):
            values = json_files.field(frames, kind, dict, where, {})
            for key in values:
                if key == "booked":
                    continue
                # Revisions of 2.1 give a list where there are alternatives.
                if isinstance(values[key], list):
                    given = json_files.strings(values, key, where)
                    value = spellings("|".join(given))
                else:
                    value = spellings(json_files.field(values, key, str, where))
                if value:
                    slots[slot_name(f"{name}-{prefix}{key}")] = value
    return slots


def requested(record, place):
    """Tuple of slots that the user asks about."""
    slots = []
    for act, pairs in _acts(record, place):
        name, _, kind = act.lower().partition("-")
        if kind != "request" or name not in DOMAINS:
            continue
        for pair in pairs:
            key = str(pair[0]).lower() if pair else "none"
            if key != "none":
                slots.append(f"{name}-{_ACT_SLOTS.get(key, key)}")
    return tuple(dict.fromkeys(slots))


def acted_domains(record, place):
    """The domains that the user's acts name, in their order."""
    names = [act.lower().partition("-")[0] for act, _ in _acts(record, place)]
    return [name for name in names if name in DOMAINS]


def _acts(record, place):
    """Yields (act, list of pairs); a turn may have no acts."""
    acts = record.get("dialog_act") or {}
    json_files.check_object(acts, f"{place}, 'dialog_act'")
    for act, pairs in acts.items():
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) for pair in pairs
        ):
            raise ValueError(
                "An act must hold a list of pairs. Received: "
                f"{place}: {act!r}: {json_files.shown(pairs)}."
            )
        yield act, pairs
