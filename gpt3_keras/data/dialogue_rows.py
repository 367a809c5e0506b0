"""A dialogue as the arrays of one row; `dialogue_batches` says which."""

import dataclasses
import typing

import numpy as np

from gpt3_keras.data import dialogue_text
from gpt3_keras.data import services
from gpt3_keras.data.dialogue_tables import DONTCARE
from gpt3_keras.data.dialogue_tables import NEW_SPAN
from gpt3_keras.data.dialogue_tables import NONE
from gpt3_keras.data.dialogue_tables import OLD_SPAN
from gpt3_keras.data.dialogue_tables import schema_arrays

# The latest places of a value that are right spans.
MAX_SPANS = 6


class Row(typing.NamedTuple):
    """A dialogue as arrays, and what leads back from them to its text.

    Args:
        x, y: dicts of arrays, see `dialogue_batches`, without B.
        sample_weight: float32 (N,).
        texts: list of 2N str, the utterances.
        starts, ends: int (T,), each token's characters in its utterance.
    """

    x: dict
    y: dict
    sample_weight: np.ndarray
    texts: list
    starts: np.ndarray
    ends: np.ndarray

    def text(self, first, last):
        """The text from one token to another of the same utterance."""
        text = self.texts[self.x["segment_ids"][first]]
        return text[max(self.starts[first], 0) : self.ends[last]].strip()


@dataclasses.dataclass(frozen=True, eq=False)
class DialogueReader:
    """Makes rows of dialogues.

    Args:
        tokenizer: a `GPT3Tokenizer`.
        schema: a `services.Schema`.
        sequence_length: int, the most tokens that a row may have.
        lowercase: bool, whether all text is read in lower case. The values
            that are found keep theirs.
        describe: bool, whether descriptions are read beside names.
    """

    tokenizer: object
    schema: services.Schema
    sequence_length: int = 1024
    lowercase: bool = True
    describe: bool = True

    def row(self, dialogue, augment=None):
        """The `Row` of a `turns.Dialogue`.

        Args:
            dialogue: a `turns.Dialogue`.
            augment: None, or a function of a dialogue that returns another,
                its labels moved along.

        Raises:
            ValueError: it has more than `sequence_length` tokens.
        """
        if augment is not None:
            dialogue = augment(dialogue)
        service = self.schema.services_by_name[dialogue.service]
        tokens = self._tokens(dialogue)
        if len(tokens.ids) > self.sequence_length:
            raise ValueError(
                "A dialogue must have at most sequence_length="
                f"{self.sequence_length} tokens. Received: dialogue "
                f"{dialogue.id!r} with {len(tokens.ids)}."
            )
        schema_x, schema_y = schema_arrays(self, service)
        x = {
            "token_ids": np.array(tokens.ids, "int32"),
            "padding_mask": np.ones(len(tokens.ids), "bool"),
            "segment_ids": tokens.segments,
            "utterances": tokens.utterances(),
            **schema_x,
            "mentions": _mentions(tokens, service),
        }
        y = {**_labels(dialogue, service, tokens), **schema_y}
        weights = [float(not turn.is_context) for turn in dialogue.turns]
        return Row(
            x,
            y,
            np.array(weights, "float32"),
            tokens.texts,
            tokens.starts,
            tokens.ends,
        )

    def ids(self, text):
        """Token ids of a text of the schema."""
        text = dialogue_text.lower(text) if self.lowercase else text
        return self.tokenizer.encode_batch([" " + text])[0]

    def _tokens(self, dialogue):
        texts = [t for turn in dialogue.turns for t in (turn.system, turn.user)]
        read = [dialogue_text.lower(t) if self.lowercase else t for t in texts]
        marks = self.tokenizer.encode_batch([*dialogue_text.MARKS.values()])
        encoded = self.tokenizer.encode_batch([f" {text}" for text in read])
        ids, segments = [self.tokenizer.start_token_id], [-1]
        starts, ends, firsts, spans = [0], [0], [], []
        for number, (text, piece) in enumerate(zip(read, encoded, strict=True)):
            is_silent = not text.strip()
            mark = [] if is_silent else marks[number % 2]
            span = dialogue_text.align(
                text, [] if is_silent else piece, self.tokenizer
            )
            ids += mark
            firsts.append(len(ids))
            ids += span.ids
            segments += [-1] * len(mark) + [number] * len(span.ids)
            starts += [0] * len(mark) + span.starts.tolist()
            ends += [0] * len(mark) + span.ends.tolist()
            spans.append(span)
        return _Tokens(
            ids,
            np.array(segments, "int32"),
            texts,
            spans,
            firsts,
            np.array(starts, "int32"),
            np.array(ends, "int32"),
        )


class _Tokens(typing.NamedTuple):
    """All tokens of a dialogue, and those of each utterance."""

    ids: list
    segments: np.ndarray
    texts: list
    spans: list
    firsts: list
    starts: np.ndarray
    ends: np.ndarray

    def utterances(self):
        """int32 (2N, W), the places of each utterance's tokens."""
        width = max(1, *(len(span.ids) for span in self.spans))
        places = np.full((len(self.spans), width), -1, "int32")
        for i, (first, span) in enumerate(
            zip(self.firsts, self.spans, strict=True)
        ):
            places[i, : len(span.ids)] = first + np.arange(len(span.ids))
        return places

    def tokens_of(self, utterance, start, end):
        """(first, last) token in the row of some characters."""
        first, last = self.spans[utterance].tokens_of(start, end)
        return self.firsts[utterance] + first, self.firsts[utterance] + last


def _mentions(tokens, service):
    found = [
        (i // 2, slot, candidate, *tokens.tokens_of(i, start, end))
        for i, text in enumerate(tokens.texts)
        if len(tokens.spans[i].ids)
        for slot, candidate, start, end in dialogue_text.mentions(text, service)
    ]
    return np.array(found or [[-1] * 5], "int32")


def _labels(dialogue, service, tokens):
    """`y` without the constraints."""
    num_turns, num_slots = len(dialogue.turns), len(service.slots)
    intents = np.zeros(num_turns, "int32")
    slots = np.full((num_turns, num_slots, 2), -1, "int32")
    requested = np.zeros((num_turns, num_slots), "int32")
    spans = np.full((num_turns, num_slots, MAX_SPANS, 2), -1, "int32")
    state = {}
    for n, turn in enumerate(dialogue.turns):
        if turn.is_context:
            continue
        intents[n] = service.intent_names.index(turn.intent)
        for s, slot in enumerate(service.slots):
            requested[n, s] = slot.name in turn.requested
            if slot.requestable_only:
                continue
            before, now = state.get(slot.name), turn.slots.get(slot.name)
            slots[n, s] = _candidates(slot, before, now)
            if slot.is_open and slots[n, s, 1] == NEW_SPAN:
                places = _right_spans(tokens, n, now)
                spans[n, s, : len(places)] = places
        state = turn.slots
    width = max(1, (spans[..., 0] >= 0).sum(axis=-1).max())
    return {
        "intents": intents,
        "slots": slots,
        "requested": requested,
        "spans": spans[:, :, :width],
        "complete": np.array([turn.complete for turn in dialogue.turns]),
    }


def _candidates(slot, before, now):
    """The candidates that a slot's spellings are, before and now."""
    if not slot.is_open:
        return [
            slot.domain.index(values[0]) if values else NONE
            for values in (before, now)
        ]
    kinds = []
    for values in (before, now):
        kind = OLD_SPAN if values else NONE
        kinds.append(DONTCARE if values == (services.DONTCARE,) else kind)
    if kinds[1] == OLD_SPAN:
        known = {v.casefold() for v in before or ()}
        if not known & {v.casefold() for v in now}:
            kinds[1] = NEW_SPAN
    return kinds


def _right_spans(tokens, turn, values):
    """The last places, up to a turn, of one of some spellings: (k, 2)."""
    places = [
        tokens.tokens_of(i, start, end)
        for i, text in enumerate(tokens.texts[: 2 * turn + 2])
        if len(tokens.spans[i].ids)
        for start, end in dialogue_text.occurrences(text, values)
    ]
    return np.array(places[-MAX_SPANS:], "int32").reshape(-1, 2)
