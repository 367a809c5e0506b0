"""The states that rules allow, against a search through all of them."""

import itertools
import random
import re

import numpy as np
import pytest

from gpt3_keras.data import dialogue_constraints
from gpt3_keras.data import services

SLOTS = (
    services.Slot("a", values=("1", "2", "3")),
    services.Slot("b"),
    services.Slot("c", values=("1", "2")),
    services.Slot("d", values=("1",)),
    services.Slot("e", requestable_only=True),
)


def random_service(seed):
    draw = random.Random(seed)

    def side():
        slot = draw.choice(SLOTS[:4])
        names = [*slot.domain, services.ANY]
        values = draw.sample(names, draw.randint(1, len(names) - 1))
        return slot.name, tuple(dict.fromkeys(values))

    rules = []
    while len(rules) < 4:
        given, then = side(), side()
        if given[0] != then[0]:
            rules.append(services.Rule(None, *given, *then))
    rules.append(services.Rule("x", None, (), *side()))
    intent = services.Intent("x", required=("a",), keeps=("b", "c"))
    return services.Service("s", "", (intent,), SLOTS, tuple(rules))


def allowed_states(service, intent, complete):
    """Each state that breaks no rule, found one by one."""

    def holds(value, values):
        is_any = "*" in values and value not in ("none", "dontcare")
        return value in values or is_any

    for values in itertools.product(*(slot.domain for slot in SLOTS[:4])):
        state = dict(zip("abcd", values, strict=True))
        broken = False
        for rule in service.rules(complete):
            applies = rule.intent == intent
            if rule.slot:
                applies = holds(state[rule.slot], rule.values)
            if applies and not holds(state[rule.then_slot], rule.then_values):
                broken = True
        if not broken:
            yield state


@pytest.mark.parametrize("seed", range(20))
def test_mass_of_allowed_states(seed):
    service = random_service(seed)
    random_state = np.random.RandomState(seed)
    probs = {
        slot.name: dict(
            zip(
                slot.domain,
                random_state.dirichlet(np.ones(len(slot.domain))),
                strict=True,
            )
        )
        for slot in SLOTS[:4]
    }
    for intent, complete in itertools.product(("none", "x"), (False, True)):
        expected = sum(
            np.prod([probs[slot][value] for slot, value in state.items()])
            for state in allowed_states(service, intent, complete)
        )
        mass = 1.0
        for group in dialogue_constraints.groups(service, intent, complete):
            parts = [
                [sum(probs[slot][v] for v in part) for part in parts]
                for slot, parts in zip(group.slots, group.classes, strict=True)
            ]
            mass *= sum(
                np.prod([part[c] for part, c in zip(parts, row, strict=True)])
                for row in group.allowed
            )
        assert mass == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_allows(seed):
    service = random_service(seed)
    allowed = list(allowed_states(service, "x", True))
    for values in itertools.product(*(slot.domain for slot in SLOTS[:4])):
        state = dict(zip("abcd", values, strict=True))
        slots = {k: (v, "also") for k, v in state.items() if v != "none"}
        found = dialogue_constraints.allows(service, "x", True, slots)
        assert found == (state in allowed)


def test_classes_part_the_domain():
    for group in dialogue_constraints.groups(random_service(0), "x"):
        for slot, parts in zip(group.slots, group.classes, strict=True):
            (domain,) = [s.domain for s in SLOTS if s.name == slot]
            assert sorted(v for part in parts for v in part) == sorted(domain)
        assert group.allowed.dtype == np.int32


def test_slots_without_rules_are_in_no_group():
    service = services.Service("s", "", (), SLOTS)
    assert dialogue_constraints.groups(service, "none") == ()


def test_too_many_states():
    slots = tuple(services.Slot(f"s{n}") for n in range(16))
    rules = tuple(
        services.Rule(None, f"s{n}", ("*",), f"s{n + 1}", ("*",))
        for n in range(15)
    )
    service = services.Service("s", "", (), slots, rules)
    message = "with 65536 states. It stands in here."
    with pytest.raises(ValueError, match=re.escape(message)):
        dialogue_constraints.check(service, "here")
