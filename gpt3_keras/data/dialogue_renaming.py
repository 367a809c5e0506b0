"""Dialogues with other values: the same words, about something else."""

import dataclasses
import functools

from gpt3_keras.data import dialogue_text
from gpt3_keras.data import hashing
from gpt3_keras.data import services

# Values that say nothing by themselves.
_NO_WORDS = ("true", "false", "yes", "no")


@dataclasses.dataclass(frozen=True)
class RenameValues:
    """Replaces values of closed slots by others of the same slot.

    "Any thai food?", food = thai  ->  "Any korean food?", food = korean

    A value is replaced all over a dialogue, in words and in states, and only
    if the words say it: whenever a state takes it, it stands in that turn. So
    "an inexpensive place", price = cheap, stays. A model learns where values
    are said, and not only which ones there are.

    Values that belong to several slots, that a constraint names, or that are
    no words, such as numbers, are left alone.

    Args:
        schema: a `services.Schema`.
        rate: float in [0, 1], share of the values that are replaced.
        seed: int.

    Call arguments:
        dialogue: a `turns.Dialogue`.
        epoch: int. Each has its own replacements.

    Returns:
        A `turns.Dialogue`.
    """

    schema: services.Schema
    rate: float
    seed: int = 0

    def __call__(self, dialogue, epoch=0):
        service = self.schema.services_by_name[dialogue.service]
        said = [
            [list(dialogue_text.mentions(text, service)) for text in pair]
            for pair in _texts(dialogue)
        ]
        new = self._draw(dialogue, service, said, epoch)
        if not new:
            return dialogue
        turns, moves = [], []
        for turn, mentions in zip(dialogue.turns, said, strict=True):
            changed = [
                _replace(text, found, service, new)
                for text, found in zip(
                    (turn.system, turn.user), mentions, strict=True
                )
            ]
            moves.append([move for _, move in changed])
            turns.append((turn, *(text for text, _ in changed)))
        return dataclasses.replace(
            dialogue,
            turns=tuple(
                _changed(turn, system, user, moves, service, new)
                for turn, system, user in turns
            ),
        )

    def _draw(self, dialogue, service, said, epoch):
        """Dict from (slot's number, candidate) to another candidate."""
        taken = _taken(dialogue, service)
        mentioned = {m[:2] for pair in said for found in pair for m in found}
        new = {}
        for s, slot in enumerate(service.slots):
            if slot.is_open or not _may_be_renamed(service, slot):
                continue
            present = {c for t, c in mentioned if t == s} | {
                c for t, c in taken if t == s
            }
            free = [
                c
                for c in range(2, len(slot.domain))
                if c not in present and (s, c) in _renamable(service)
            ]
            for c in sorted(present):
                draw = hashing.name_hash(
                    self.seed, epoch, dialogue.id, slot.name, c
                )
                if (
                    hashing.fraction(draw) < self.rate
                    and free
                    and (s, c) in _renamable(service)
                    and _is_said((s, c), taken.get((s, c), ()), said, slot)
                ):
                    new[s, c] = free.pop(draw % len(free))
        return new


def _texts(dialogue):
    return [(turn.system, turn.user) for turn in dialogue.turns]


def _taken(dialogue, service):
    """Dict from (slot, candidate) to the turns in which a state takes it."""
    taken, state = {}, {}
    for n, turn in enumerate(dialogue.turns):
        if turn.is_context:
            continue
        for s, slot in enumerate(service.slots):
            values = turn.slots.get(slot.name)
            if slot.is_open or not values or values[0] in services.RESERVED:
                continue
            if state.get(slot.name) != values:
                key = s, slot.domain.index(values[0])
                taken.setdefault(key, []).append(n)
        state = turn.slots
    return taken


def _is_said(key, turns, said, slot):
    """Whether words say a value where it is taken, and as it is written."""
    length = len(slot.domain[key[1]])
    for n in turns:
        if not any(m[:2] == key for found in said[n] for m in found):
            return False
    return all(
        end - start == length
        for pair in said
        for found in pair
        for *mention, start, end in found
        if tuple(mention) == key
    )


def _may_be_renamed(service, slot):
    return not any(
        slot.name in (rule.slot, rule.then_slot)
        and {*rule.values, *rule.then_values}
        - {services.NONE, services.DONTCARE, services.ANY}
        for rule in service.constraints
    )


@functools.cache
def _renamable(service):
    """The (slot, candidate) pairs whose text is a word of that slot alone."""
    pairs = set()
    for (owner, *others), value in _owners(service):
        is_word = value.replace(" ", "").isalpha()
        if is_word and not others and value not in _NO_WORDS:
            pairs.add(owner)
    return frozenset(pairs)


def _owners(service):
    """Yields the pairs that have a text, and the text in lower case."""
    for owners in dialogue_text.value_pattern(service)[1].values():
        s, c = owners[0]
        yield owners, dialogue_text.lower(service.slots[s].domain[c])


def _replace(text, mentions, service, new):
    """The text with new values; [(place, by how much later ones move)]."""
    pieces, moves, end_before = [], [], 0
    for s, c, start, end in mentions:
        if (s, c) in new:
            value = service.slots[s].domain[new[s, c]]
            pieces += [text[end_before:start], value]
            moves.append((start, len(value) - (end - start)))
            end_before = end
    return "".join([*pieces, text[end_before:]]), moves


def _changed(turn, system, user, moves, service, new):
    """A turn with its new words, values and spans."""
    if turn.is_context:
        return dataclasses.replace(turn, system=system, user=user)
    slots = dict(turn.slots)
    for s, c in new:
        slot = service.slots[s]
        if slots.get(slot.name) == (slot.domain[c],):
            slots[slot.name] = (slot.domain[new[s, c]],)
    spans = {}
    for name, span in turn.spans.items():
        of_text = moves[span.turn][span.speaker == "user"]
        shift = sum(by for place, by in of_text if place < span.start)
        inside = any(span.start <= place < span.end for place, _ in of_text)
        if not inside:
            spans[name] = span._replace(
                start=span.start + shift, end=span.end + shift
            )
    return dataclasses.replace(
        turn, system=system, user=user, slots=slots, spans=spans
    )
