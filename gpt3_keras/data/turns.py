"""A dialogue: turns, what is known after each, and where it was said.

`dialogue` describes the file that they come from.
"""

import dataclasses
import typing

from gpt3_keras.data import services

SPEAKERS = ("system", "user")


class Span(typing.NamedTuple):
    """Characters [start, end) of an utterance.

    Args:
        speaker: "system" or "user".
        turn: int, from 0.
        start, end: int.
    """

    speaker: str
    turn: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Turn:
    """What the system said, what the user answered, and what is known then.

    Args:
        system, user: str.
        slots: dict from slot to a tuple of spellings, the first of which is
            the value; or None for context.
        intent: str.
        requested: tuple of str.
        spans: dict from slot to `Span`.
        complete: bool.
    """

    system: str
    user: str
    slots: dict[str, tuple[str, ...]] | None
    intent: str = services.NONE
    requested: tuple[str, ...] = ()
    spans: dict[str, Span] = dataclasses.field(default_factory=dict)
    complete: bool = False

    @property
    def is_context(self):
        """Whether the turn is read but has no state."""
        return self.slots is None

    def to_json(self):
        """The turn as an object of the file."""
        record = {"system": self.system, "user": self.user, "slots": None}
        if self.is_context:
            return record
        record["intent"] = self.intent
        record["slots"] = {
            name: values[0] if len(values) == 1 else list(values)
            for name, values in self.slots.items()
        }
        record["requested"] = list(self.requested)
        record["spans"] = {k: v._asdict() for k, v in self.spans.items()}
        return record | ({"complete": True} if self.complete else {})


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """Turns about one service.

    Args:
        id: str.
        service: str.
        turns: tuple of `Turn`.
    """

    id: str
    service: str
    turns: tuple[Turn, ...]

    def utterance(self, span):
        """The text that a `Span` counts in."""
        turn = self.turns[span.turn]
        return turn.user if span.speaker == "user" else turn.system

    def text(self, span):
        """The text that a `Span` stands for."""
        return self.utterance(span)[span.start : span.end]

    def to_json(self):
        """The dialogue as an object of the file."""
        turns = [turn.to_json() for turn in self.turns]
        return {"id": self.id, "service": self.service, "turns": turns}
