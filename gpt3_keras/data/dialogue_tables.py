"""A service's schema as arrays: texts, candidates and constraints."""

import functools

import numpy as np

from gpt3_keras.data import dialogue_constraints
from gpt3_keras.data import dialogue_text
from gpt3_keras.data import services

# Candidates that every slot has, and those that an open slot has beside them.
NONE, DONTCARE, NEW_SPAN, OLD_SPAN = range(4)


@functools.cache
def schema_arrays(reader, service):
    """The parts of x and of y that follow from the schema.

    Args:
        reader: a `dialogue_rows.DialogueReader`.
        service: a `services.Service`.

    Returns:
        Two dicts of arrays, see `dialogue_batches`.
    """
    describe = [
        (dialogue_text.words_of(item.name), item.description)
        for item in (*service.intents, *service.slots)
    ]
    texts = [
        f"{name}: {text}" if text and reader.describe else name
        for name, text in describe
    ]
    ids = [reader.ids(text) for text in (services.NONE, *texts)]
    num_intents = 1 + len(service.intents)
    numbers, rows = {}, []
    for slot in service.slots:
        names = slot.domain[:2] if slot.is_open else slot.domain
        if slot.requestable_only:
            names = names[:1]
        rows.append([numbers.setdefault(v, len(numbers)) for v in names])
    # An open slot has four candidates, two of which are spans.
    num_candidates = max(4, *map(len, rows))
    candidates = np.full((len(rows), num_candidates), -1, "int32")
    for row, of_slot in zip(candidates, rows, strict=True):
        row[: len(of_slot)] = of_slot
    x = {
        "intent_ids": stack([np.array(i) for i in ids[:num_intents]], -1),
        "slot_ids": stack([np.array(i) for i in ids[num_intents:]], -1),
        "text_ids": stack([np.array(reader.ids(v)) for v in numbers], -1),
        "candidates": candidates,
        "is_open": np.array(
            [s.is_open and not s.requestable_only for s in service.slots]
        ),
    }
    return x, _constraint_arrays(service, num_candidates)


def _constraint_arrays(service, num_candidates):
    """The tables of `functional_dialogue.allowed_log_mass`."""
    known, table = {}, []
    for complete in (False, True):
        for intent in service.intent_names:
            groups = dialogue_constraints.groups(service, intent, complete)
            table.append(
                [_assignments(group, service, known) for group in groups]
            )
    sizes = [np.array(a.shape) for groups in table for a in groups]
    num_groups = max(1, *map(len, table))
    width = np.max([(1, 1), *sizes], axis=0)
    assignments = np.full((len(table), num_groups, *width), -2, "int32")
    assignments[:, :, 0] = -1  # A group that is not there.
    for i, groups in enumerate(table):
        for g, group in enumerate(groups):
            assignments[i, g] = -2
            assignments[i, g, : group.shape[0]] = -1
            assignments[i, g, : group.shape[0], : group.shape[1]] = group
    classes = np.zeros((max(1, len(known)), num_candidates), "bool")
    class_slots = np.zeros(len(classes), "int32")
    for (slot, candidates), q in known.items():
        class_slots[q] = slot
        classes[q, list(candidates)] = True
    return {
        "class_slots": class_slots,
        "classes": classes,
        "assignments": assignments.reshape(2, -1, *assignments.shape[1:]),
    }


def _assignments(group, service, known):
    """A `Group`'s assignments as numbers of classes, int (A, V)."""
    numbers = []
    for name, classes in zip(group.slots, group.classes, strict=True):
        slot = service.slots_by_name[name]
        s = service.slots.index(slot)
        numbers.append(
            [
                known.setdefault((s, _candidate_set(slot, c)), len(known))
                for c in classes
            ]
        )
    return np.array(
        [
            [numbers[v][c] for v, c in enumerate(assignment)]
            for assignment in group.allowed
        ],
        "int32",
    )


def _candidate_set(slot, values):
    candidates = []
    for value in values:
        if value == services.ANY:
            candidates += [NEW_SPAN, OLD_SPAN]
        else:
            candidates.append(slot.domain.index(value))
    return tuple(sorted(candidates))


def stack(arrays, fill):
    """Arrays of one rank and of any sizes as one, filled up."""
    shape = np.max([a.shape for a in arrays], axis=0)
    out = np.full((len(arrays), *shape), fill, arrays[0].dtype)
    for i, a in enumerate(arrays):
        out[(i, *(slice(n) for n in a.shape))] = a
    return out
