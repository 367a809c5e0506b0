"""Which states a service's rules allow, exactly.

Rules tie slots to each other. Slots that are tied, directly or through
others, form a group; what one group holds says nothing about another. Within
a slot, values that all rules treat alike form a class. So the states that are
allowed are few enough to be listed, and the probability that they have
together, under independent slots, is a product over groups of a sum over the
list:

    log p(allowed) = Σ_group logsumexp_assignment Σ_slot log p(class of slot)
"""

import itertools
import typing

import numpy as np

from gpt3_keras.data import services

# Assignments of classes to the slots of one group.
MAX_ASSIGNMENTS = 1 << 14


class Group(typing.NamedTuple):
    """Slots that rules tie to each other, and what they may hold together.

    Args:
        slots: tuple of str, S names.
        classes: for each slot a tuple of classes; a class is a tuple of
            values from the slot's `domain`. They part the domain.
        allowed: int32 (A, S), for each assignment that is allowed the class
            of each slot.
    """

    slots: tuple[str, ...]
    classes: tuple[tuple[tuple[str, ...], ...], ...]
    allowed: np.ndarray


def groups(service, intent, complete=False):
    """The groups of a service's slots under an intent.

    A slot that no rule is about is in no group: it may hold anything.

    Args:
        service: a `services.Service`.
        intent: str, one of `service.intent_names`.
        complete: bool, see `services.Service.rules`.

    Returns:
        A tuple of `Group`.

    Raises:
        ValueError: if a group has too many assignments to be listed.
    """
    return tuple(
        Group(slots, classes, allowed)
        for slots, classes, allowed, _ in _groups(service, intent, complete)
    )


def allows(service, intent, complete, slots):
    """Whether the rules allow a state.

    Labels of real dialogues now and then break a rule that holds otherwise:
    then the rule has nothing to teach.

    Args:
        service: a `services.Service`.
        intent: str.
        complete: bool.
        slots: dict from slot to a tuple of spellings, see `turns.Turn`.

    Returns:
        bool.
    """

    def value(name):
        return slots.get(name, (services.NONE,))[0]

    return not any(
        not _holds(value(rule.then_slot), rule.then_values)
        for rule in service.rules(complete)
        if rule.intent == intent
        or (rule.slot and _holds(value(rule.slot), rule.values))
    )


def check(service, place):
    """Raises unless each intent leaves a state that the rules allow.

    Args:
        service: a `services.Service`.
        place: str, where it stands, for the error.

    Raises:
        ValueError: naming the rules that exclude each other.
    """
    for intent in service.intent_names:
        for complete in (False, True):
            try:
                found = list(_groups(service, intent, complete))
            except ValueError as error:
                raise ValueError(f"{error} It stands in {place}.") from error
            for _, _, allowed, rules in found:
                if not len(allowed):
                    carried_out = ", carried out," if complete else ""
                    listed = "; ".join(str(rule) for rule in rules)
                    raise ValueError(
                        "Constraints must leave a state that they allow. "
                        f"Received: {place}: intent {intent!r}{carried_out} "
                        f"with {listed}."
                    )


def _groups(service, intent, complete):
    """Yields (slots, classes, allowed, rules) of each group."""
    rules = [
        rule
        for rule in service.rules(complete)
        if rule.intent in (None, intent)
    ]
    for slots, tied in _components(service, rules):
        domains = [service.slots_by_name[name].domain for name in slots]
        classes = [
            _classes(slot, domain, tied)
            for slot, domain in zip(slots, domains, strict=True)
        ]
        allowed = _allowed(slots, classes, tied)
        yield slots, tuple(classes), allowed, tied


def _components(service, rules):
    """Yields (slots, rules), for slots that the rules tie together."""
    owner = {slot.name: slot.name for slot in service.state_slots}
    for rule in rules:
        if rule.slot is not None:
            old, new = owner[rule.then_slot], owner[rule.slot]
            owner = {k: new if v == old else v for k, v in owner.items()}
    for root in dict.fromkeys(owner.values()):
        tied = [rule for rule in rules if owner[rule.then_slot] == root]
        if tied:
            yield tuple(k for k, v in owner.items() if v == root), tied


def _classes(slot, domain, rules):
    """Parts a domain into values that all rules treat alike."""
    sides = [
        values
        for rule in rules
        for name, values in (
            (rule.slot, rule.values),
            (rule.then_slot, rule.then_values),
        )
        if name == slot
    ]
    parts = {}
    for value in domain:
        key = tuple(_holds(value, values) for values in sides)
        parts.setdefault(key, []).append(value)
    return tuple(tuple(part) for part in parts.values())


def _holds(value, values):
    """Whether a value is one of `values`, where "*" is any given one."""
    return value in values or (
        services.ANY in values
        and value not in (services.NONE, services.DONTCARE)
    )


def _allowed(slots, classes, rules):
    """int32 (A, S): the assignments of classes that break no rule."""
    place = {slot: number for number, slot in enumerate(slots)}
    choices = [list(range(len(parts))) for parts in classes]
    # Each of these rules is about one slot: there is less to go through.
    for rule in rules:
        if rule.slot is None:
            s = place[rule.then_slot]
            choices[s] = [
                c
                for c in choices[s]
                if _holds(classes[s][c][0], rule.then_values)
            ]
    number = int(np.prod([len(choice) for choice in choices], dtype="float64"))
    if number > MAX_ASSIGNMENTS:
        raise ValueError(
            "Constraints must not tie so many slots together: their states "
            f"are listed one by one, at most {MAX_ASSIGNMENTS}. Received: "
            f"slots={list(slots)} with {number} states."
        )

    def matching(slot, values):
        parts = classes[place[slot]]
        return {c for c, part in enumerate(parts) if _holds(part[0], values)}

    tests = [
        (
            place[rule.slot],
            matching(rule.slot, rule.values),
            place[rule.then_slot],
            matching(rule.then_slot, rule.then_values),
        )
        for rule in rules
        if rule.slot is not None
    ]
    allowed = [
        assignment
        for assignment in itertools.product(*choices)
        if all(
            assignment[s] not in given or assignment[t] in then
            for s, given, t, then in tests
        )
    ]
    return np.array(allowed, "int32").reshape(-1, len(slots))
