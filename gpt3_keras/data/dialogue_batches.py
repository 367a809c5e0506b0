"""What a batch of dialogues is, and how a dialogue becomes its row.

The triple `(x, y, sample_weight)`. B dialogues of T tokens and N turns; a
schema of I intents and S slots, C candidates for a slot's value: "none",
"dontcare", then the values of a closed slot, or a new span and the old one.
Texts of the schema have L tokens, utterances W. -1 fills up.

| part                    | shape            | what                         |
|-------------------------|------------------|------------------------------|
| `x["token_ids"]`        | (B, T)           | what was said, and who       |
| `x["padding_mask"]`     | (B, T), bool     | True where there is a token  |
| `x["segment_ids"]`      | (B, T)           | 2n: system in turn n, 2n + 1:|
|                         |                  | user; -1: neither's words    |
| `x["utterances"]`       | (B, 2N, W)       | each one's tokens' places    |
| `x["intent_ids"]`       | (B, I, L)        | name, description            |
| `x["slot_ids"]`         | (B, S, L)        | name, description            |
| `x["text_ids"]`         | (B, X, L)        | texts of all candidates      |
| `x["candidates"]`       | (B, S, C)        | each one's text; -1: none    |
| `x["is_open"]`          | (B, S), bool     | whether a span is the value  |
| `x["mentions"]`         | (B, M, 5)        | turn, slot, candidate, first |
|                         |                  | and last token               |
| `y["intents"]`          | (B, N)           | what the user wants by then  |
| `y["slots"]`            | (B, N, S, 2)     | candidates: the turn before's|
|                         |                  | and this one's               |
| `y["requested"]`        | (B, N, S)        | 1 if asked about             |
| `y["spans"]`            | (B, N, S, K, 2)  | right spans of a new value   |
| `y["complete"]`         | (B, N), bool     | the intent is carried out    |
| `y["class_slots"]`      | (B, Q)           | the constraints, see         |
| `y["classes"]`          | (B, Q, C), bool  | `functional_dialogue`, of    |
| `y["assignments"]`      | (B, 2, I, G, A, V) | incomplete, complete turns |
| `sample_weight`         | (B, N), float32  | 1 where a turn has a state   |

Without a dtype: int32. A row is the start token, then for each turn a mark and
what the system said (if anything), a mark and what the user said. The turn
before is the last one that had a state. A slot that is only asked about, or
whose value no turn is judged by, has candidate -1.
"""

import functools

import numpy as np
import tensorflow as tf

from gpt3_keras.data import hashing
from gpt3_keras.data import shuffling
from gpt3_keras.data.dialogue_tables import stack
from gpt3_keras.data.epochs import Epochs
from gpt3_keras.data.epochs import as_dataset
from gpt3_keras.data.epochs import check_count

# Batches of like lengths are made from so many batches of rows.
_BATCHES_SORTED = 16

_RANKS = {
    "token_ids": 1,
    "padding_mask": 1,
    "segment_ids": 1,
    "utterances": 2,
    "intent_ids": 2,
    "slot_ids": 2,
    "text_ids": 2,
    "candidates": 2,
    "is_open": 1,
    "mentions": 2,
    "intents": 1,
    "slots": 3,
    "requested": 2,
    "spans": 4,
    "complete": 1,
    "class_slots": 1,
    "classes": 2,
    "assignments": 5,
}
_BOOLS = ("padding_mask", "is_open", "complete", "classes")
_LABELS = tuple(_RANKS)[10:]


def element_spec():
    """The `tf.TensorSpec`s of a batch, nested as the triple is."""
    specs = {
        name: tf.TensorSpec(
            [None] * (1 + rank), "bool" if name in _BOOLS else "int32"
        )
        for name, rank in _RANKS.items()
    }
    y = {name: specs.pop(name) for name in _LABELS}
    return specs, y, tf.TensorSpec([None, None], "float32")


def make_batch(rows):
    """The triple of some `Row`s, as NumPy arrays."""

    def joined(dicts):
        return {
            name: stack(
                [np.asarray(d[name]) for d in dicts],
                False if name in _BOOLS else _fill(name),
            ).astype("bool" if name in _BOOLS else "int32")
            for name in dicts[0]
        }

    x = joined([row.x for row in rows])
    y = joined([row.y for row in rows])
    return x, y, stack([row.sample_weight for row in rows], 0.0)


def _fill(name):
    return 0 if name in ("token_ids", "intents", "requested") else -1


def dialogue_dataset(
    dialogues,
    reader,
    *,
    batch_size,
    shuffle=True,
    seed=0,
    num_epochs=1,
    first_row=0,
    augment=None,
):
    """Batches of dialogues.

    Args:
        dialogues: list of `turns.Dialogue`.
        reader: a `DialogueReader`.
        batch_size: int, B.
        shuffle: bool; in each epoch another order, and batches of dialogues
            of about the same length. Else the order of `dialogues`.
        seed: int, of the order.
        num_epochs, first_row: see `pipeline.text_dataset`.
        augment: None, or a function of a dialogue and an epoch, see
            `DialogueReader.row`.

    Returns:
        A `tf.data.Dataset` of the triple in the module's docstring.
    """
    check_count("batch_size", batch_size, 1)
    check_count("first_row", first_row, 0)
    kept = None
    if augment is None:
        kept = [reader.row(dialogue) for dialogue in dialogues]

    def rows(epoch):
        order = range(len(dialogues))
        if shuffle:
            lengths = [_num_letters(d) for d in dialogues]
            order = _order(lengths, batch_size, seed, epoch)
        for i in order:
            if kept is not None:
                yield kept[i]
            else:
                change = functools.partial(augment, epoch=epoch)
                yield reader.row(dialogues[i], change)

    return as_dataset(
        Epochs(rows, len(dialogues), num_epochs, first_row),
        make_batch,
        element_spec(),
        batch_size,
    )


def _num_letters(dialogue):
    return sum(len(turn.system) + len(turn.user) for turn in dialogue.turns)


def _order(lengths, batch_size, seed, epoch):
    """An order of rows in which like lengths stand together."""
    order = shuffling.file_order(
        [str(i) for i in range(len(lengths))], seed, epoch
    )
    size = batch_size * _BATCHES_SORTED
    batches = []
    for start in range(0, len(order), size):
        part = sorted(order[start : start + size], key=lambda i: lengths[i])
        batches += [
            part[i : i + batch_size] for i in range(0, len(part), batch_size)
        ]
    base = hashing.name_hash(seed, epoch, "batches")
    # The last batch may be smaller: it stays the last one.
    *full, last = sorted(batches, key=len, reverse=True)
    numbers = sorted(
        range(len(full)), key=lambda i: hashing.counter_hash(base, i)
    )
    return [i for n in numbers for i in full[n]] + last
