"""Augmentation of what is said in a dialogue, its labels moved along."""

import dataclasses

from gpt3_keras.data import dialogue_text
from gpt3_keras.data import hashing
from gpt3_keras.data import turns
from gpt3_keras.data.augmentation import augment_texts

_DIALOGUES_OF_AN_EPOCH = 1 << 20
_TEXTS_OF_A_DIALOGUE = 1 << 11


def augmented_dialogue(dialogue, service, steps, epoch):
    """A dialogue whose utterances went through some steps.

    Values of slots are kept wherever they are said, and the spans of the
    labels go where their texts go. What is drawn depends on the steps' seeds,
    the epoch and the dialogue's id alone.

    Args:
        dialogue: a `turns.Dialogue`.
        service: its `services.Service`.
        steps: see `augmentation.apply_steps`.
        epoch: int.

    Returns:
        A `turns.Dialogue`.
    """
    texts = [text for t in dialogue.turns for text in (t.system, t.user)]
    spellings = _open_values(dialogue, service)
    kept = [_value_spans(text, service, spellings) for text in texts]
    marked = _marked(dialogue)
    for place, start, end in marked.values():
        kept[place].append((start, end))
    number = hashing.name_hash(dialogue.id) % _DIALOGUES_OF_AN_EPOCH
    index = (epoch * _DIALOGUES_OF_AN_EPOCH + number) * _TEXTS_OF_A_DIALOGUE
    changed = augment_texts(texts, steps, kept, index)
    moved = [
        dict(zip(old, new, strict=True))
        for old, (_, new) in zip(kept, changed, strict=True)
    ]
    return dataclasses.replace(
        dialogue,
        turns=tuple(
            dataclasses.replace(
                turn,
                system=changed[2 * n][0],
                user=changed[2 * n + 1][0],
                spans={
                    slot: span._replace(
                        start=moved[place][start, end][0],
                        end=moved[place][start, end][1],
                    )
                    for slot, span in turn.spans.items()
                    for place, start, end in [marked[n, slot]]
                },
            )
            for n, turn in enumerate(dialogue.turns)
        ),
    )


def _open_values(dialogue, service):
    """Every spelling of an open slot's value in the dialogue's states."""
    return {
        spelling
        for turn in dialogue.turns
        for name, values in (turn.slots or {}).items()
        if service.slots_by_name[name].is_open
        for spelling in values
    }


def _value_spans(text, service, spellings):
    found = [(m[2], m[3]) for m in dialogue_text.mentions(text, service)]
    if spellings:
        found += dialogue_text.occurrences(text, spellings)
    return found


def _marked(dialogue):
    """Dict from (turn, slot) to (utterance, start, end) of its span."""
    return {
        (n, slot): (
            2 * span.turn + turns.SPEAKERS.index(span.speaker),
            span.start,
            span.end,
        )
        for n, turn in enumerate(dialogue.turns)
        for slot, span in turn.spans.items()
    }
