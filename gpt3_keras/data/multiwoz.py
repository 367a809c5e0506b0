"""MultiWOZ 2.1: five domains of a city, as dialogues of one service.

Eric et al. (2020), "MultiWOZ 2.1"; the files are those of its own archive:
`data.json`, `ontology.json`, and the ids of the validation and test dialogues
in `valListFile` and `testListFile`, each `.txt` or `.json`.

* The state is the metadata of the system's turn that follows, of the domains
  that TRADE (Wu et al., 2019) keeps: hotel, restaurant,
  attraction, train and taxi. Hospital, police and bus are left out. A slot is
  named "hotel-area", or "hotel-bookday" where it stands under `book`.
* Values are lower case; "", "none" and "not mentioned" are no value; "dont
  care", "do n't care" and the like are "dontcare". Where a value lists
  alternatives, "cheap|moderate" or "friday>tuesday", an open slot takes all
  as spellings, a closed one the first. A few spellings are unified:
  `multiwoz_labels`.
* Slots with few values are closed, see `multiwoz_labels`; their values are the
  ontology's, and others that labels of training or of the part itself have.
  Names, foods, places and times are open. Their spans are where the value was
  last said, if it was.
* The files have no intents. The intent of a turn is `find_` and the domain
  whose slots changed; if none did, the domain that the user's `dialog_act`
  names; if there is none, what it was. An intent keeps the slots of the other
  domains.
* What the user requests is read from `dialog_act`, "Hotel-Request".
"""

import itertools
import os

import tensorflow as tf

from gpt3_keras.data import json_files
from gpt3_keras.data import multiwoz_labels
from gpt3_keras.data import occurrences
from gpt3_keras.data import services
from gpt3_keras.data import turns

_SERVICE = "multiwoz"
_LISTS = {"validation": "valListFile", "test": "testListFile"}


def parts(source):
    """The training, validation and test dialogues.

    Args:
        source: str, the folder of the archive.

    Returns:
        A list of (name, `services.Schema`, dialogues); `dialogues` yields
        (place, `turns.Dialogue`).

    Raises:
        ValueError: with file and dialogue, if something is malformed.
    """
    path = os.path.join(source, "data.json")
    part_of = {}
    for name, stem in _LISTS.items():
        for identity in _read_list(source, stem):
            part_of[identity] = name
    ontology = os.path.join(source, "ontology.json")
    values = _values(ontology)
    labels = _labels(path, part_of)
    found = []
    for name in ("train", *_LISTS):
        # The training schema knows nothing of what is held out.
        schema = _schema(values, [labels["train"], labels[name]])
        dialogues = _dialogues(path, schema, part_of, name)
        found.append((name, schema, dialogues))
    return found


def _read_list(folder, stem):
    """The dialogue ids that a list file has, one a line."""
    paths = [os.path.join(folder, stem + end) for end in (".txt", ".json")]
    for path in paths:
        if tf.io.gfile.exists(path):
            lines = json_files.read_lines(path)
            return [line.strip() for _, line in lines if line.strip()]
    raise ValueError(
        f"The folder must hold {stem}.txt: which dialogues are held out. "
        f"Received: source={folder!r}."
    )


def _values(path):
    """Dict from slot to its values, in the ontology's order."""
    ontology = json_files.read_json(path)
    json_files.check_object(ontology, path)
    values = {}
    for key in ontology:
        slot = multiwoz_labels.slot_name(key)
        if multiwoz_labels.domain(slot) not in multiwoz_labels.DOMAINS:
            continue
        found = [
            multiwoz_labels.spellings(value)
            for value in json_files.field(ontology, key, list, path)
            if isinstance(value, str)
        ]
        values[slot] = dict.fromkeys(v[0] for v in found if v)
    return values


def _labels(path, part_of):
    """Dict from part to a dict from slot to the values that its labels have.

    A slot that is only requested has none.
    """
    labels = {name: {} for name in ("train", *_LISTS)}
    ids = set()
    for key, place, exchanges in _read_dialogues(path):
        ids.add(key)
        found = labels[part_of.get(key, "train")]
        for user, system in exchanges:
            for slot in multiwoz_labels.requested(user, place):
                found.setdefault(slot, {})
            state = multiwoz_labels.state(system, place)
            for slot, (value, *_) in state.items():
                found.setdefault(slot, {}).setdefault(value)
    if missing := part_of.keys() - ids:
        raise ValueError(
            "Listed dialogues must be in data.json. Received: "
            f"{path} without {sorted(missing)[0]!r}."
        )
    return labels


def _schema(ontology, labels):
    """The ontology, and the slots and values that only labels have."""
    values = {slot: dict(known) for slot, known in ontology.items()}
    asked = set()
    for found in labels:
        for slot, known in found.items():
            asked |= set() if known else {slot}
            if known:
                values.setdefault(slot, {}).update(known)
    slots = [_slot(slot, values[slot]) for slot in values]
    slots += [
        services.Slot(
            slot, multiwoz_labels.description(slot), requestable_only=True
        )
        for slot in sorted(asked)
        if slot not in values
    ]
    intents = []
    for name in multiwoz_labels.DOMAINS:
        own = [s for s in values if multiwoz_labels.domain(s) == name]
        intents.append(
            services.Intent(
                f"find_{name}",
                f"Find or book a {name}",
                optional=tuple(own),
                keeps=tuple(slot for slot in values if slot not in own),
            )
        )
    service = services.Service(
        _SERVICE, "Visit to a city", tuple(intents), tuple(slots)
    )
    return services.Schema((service,))


def _slot(name, values):
    known = tuple(v for v in values if v != services.DONTCARE)
    is_closed = multiwoz_labels.is_closed(name) and known
    return services.Slot(
        name,
        multiwoz_labels.description(name),
        known if is_closed else None,
    )


def _read_dialogues(path):
    """Yields (id, place, exchanges) for each dialogue, one at a time."""
    for key, record in json_files.read_members(path):
        place = f"{path}, dialogue {key}"
        json_files.check_object(record, place)
        log = json_files.objects(record, "log", place)
        yield key, place, _exchanges(log, place)


def _exchanges(log, place):
    """Pairs of records: the user's turn, and the system's that answers.

    If the user speaks last, the answer is {}.
    """
    for number, record in enumerate(log):
        where = f"{place}, turn {number}"
        json_files.field(record, "text", str, where)
        metadata = json_files.field(record, "metadata", dict, where)
        if metadata and number % 2 == 0:
            raise ValueError(
                "User and system must take turns, the user first. Received: "
                f"{where}, the user's, with metadata."
            )
    return list(itertools.zip_longest(log[::2], log[1::2], fillvalue={}))


def _dialogues(path, schema, part_of, name):
    """Yields (place, `turns.Dialogue`) for the dialogues of a part."""
    (service,) = schema.services
    for key, place, exchanges in _read_dialogues(path):
        if part_of.get(key, "train") == name:
            found = tuple(_turns(exchanges, service, place))
            identity = key.removesuffix(".json")
            yield place, turns.Dialogue(identity, _SERVICE, found)


def _turns(exchanges, service, place):
    """A list of `turns.Turn`."""
    said, before, old, intent = [], "", {}, services.NONE
    for user, system in exchanges:
        text = " ".join(user["text"].split())
        said.append(turns.Turn(before, text, None))
        if not system:
            break
        before = " ".join(system["text"].split())
        slots = multiwoz_labels.state(system, place)
        spans = _settle(slots, said, service)
        changed = [slot for slot in slots if slots[slot] != old.get(slot)]
        acted = multiwoz_labels.acted_domains(user, place)
        for name in [*map(multiwoz_labels.domain, changed), *acted][:1]:
            intent = f"find_{name}"
        old = slots
        requested = multiwoz_labels.requested(user, place)
        said[-1] = turns.Turn(
            said[-1].system, text, slots, intent, requested, spans
        )
    return said


def _settle(slots, said, service):
    """Leaves closed slots one value; returns the spans of open ones."""
    spans = {}
    for slot, values in slots.items():
        if not service.slots_by_name[slot].is_open:
            slots[slot] = values[:1]
        elif values != (services.DONTCARE,):
            span = occurrences.latest(values, said)
            spans |= {slot: span} if span else {}
    return spans
