"""What a dialogue can be about: services, with intents, slots and rules.

`dialogue_schema` describes the file that they come from.
"""

import dataclasses
import functools
import typing

NONE = "none"
DONTCARE = "dontcare"
ANY = "*"
RESERVED = (NONE, DONTCARE, ANY)


class Rule(typing.NamedTuple):
    """If the intent, or the slot's value, is this, then that slot's is so.

    Args:
        intent: str, or None where the condition is on a slot.
        slot: str, or None where the condition is on the intent.
        values: tuple of str, the condition's; empty for an intent.
        then_slot: str.
        then_values: tuple of str.
    """

    intent: str | None
    slot: str | None
    values: tuple[str, ...]
    then_slot: str
    then_values: tuple[str, ...]

    def __str__(self):
        condition = f"intent is {self.intent!r}"
        if self.intent is None:
            condition = f"{self.slot!r} is in {list(self.values)}"
        return (
            f"if {condition} then {self.then_slot!r} is in "
            f"{list(self.then_values)}"
        )


@dataclasses.dataclass(frozen=True)
class Slot:
    """A thing that a user can give, or ask for; see `dialogue_schema`."""

    name: str
    description: str = ""
    values: tuple[str, ...] | None = None
    requestable_only: bool = False

    @property
    def is_open(self):
        """Whether the value is text of the dialogue."""
        return self.values is None

    @property
    def domain(self):
        """Tuple of str: "none", "dontcare", then the values, or "*"."""
        return (NONE, DONTCARE, *((ANY,) if self.is_open else self.values))


@dataclasses.dataclass(frozen=True)
class Intent:
    """What a user wants to do; see `dialogue_schema`."""

    name: str
    description: str = ""
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Service:
    """Intents and slots that belong together.

    Args:
        name, description: str.
        intents: tuple of `Intent`.
        slots: tuple of `Slot`.
        constraints: tuple of `Rule`, those that the file spells out.
    """

    name: str
    description: str = ""
    intents: tuple[Intent, ...] = ()
    slots: tuple[Slot, ...] = ()
    constraints: tuple[Rule, ...] = ()

    @property
    def state_slots(self):
        """Tuple of `Slot`: those that a state can give a value."""
        return tuple(s for s in self.slots if not s.requestable_only)

    @functools.cached_property
    def slots_by_name(self):
        """Dict from name to `Slot`."""
        return {slot.name: slot for slot in self.slots}

    @functools.cached_property
    def intent_names(self):
        """Tuple of str: "none", then the intents in their order."""
        return (NONE, *(intent.name for intent in self.intents))

    def rules(self, complete=False):
        """The constraints, and the rules that follow from the intents.

        Args:
            complete: bool, whether the intent is carried out on this turn, so
                that required slots must not be "none".

        Returns:
            A tuple of `Rule`.
        """
        rules = list(self.constraints)
        for intent in self.intents:
            taken = {*intent.required, *intent.optional, *intent.keeps}
            rules += [
                Rule(intent.name, None, (), slot.name, (NONE,))
                for slot in self.state_slots
                if slot.name not in taken
            ]
            if complete:
                rules += [
                    Rule(intent.name, None, (), name, (DONTCARE, ANY))
                    for name in intent.required
                ]
        return tuple(rules)

    def to_json(self):
        """The service as an object of the schema file."""
        return {
            "name": self.name,
            "description": self.description,
            "intents": [_lists(intent) for intent in self.intents],
            "slots": [_lists(slot) for slot in self.slots],
            "constraints": [_constraint_json(r) for r in self.constraints],
        }


@dataclasses.dataclass(frozen=True)
class Schema:
    """Services by name, in the order of their file.

    Args:
        services: tuple of `Service`.
    """

    services: tuple[Service, ...]

    @functools.cached_property
    def services_by_name(self):
        """Dict from name to `Service`."""
        return {service.name: service for service in self.services}


def _lists(item):
    """The JSON object of an intent or a slot."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(item).items()
        if value is not False
    }


def _constraint_json(rule):
    condition = {"slot": rule.slot, "in": list(rule.values)}
    if rule.intent is not None:
        condition = {"intent": rule.intent}
    consequence = {"slot": rule.then_slot, "in": list(rule.then_values)}
    return {"if": condition, "then": consequence}
