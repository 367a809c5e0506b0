"""A small dialogue model and dialogues for it."""

import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from gpt3_keras.data import dialogue
from gpt3_keras.data import dialogue_batches
from gpt3_keras.data import dialogue_rows
from gpt3_keras.data import dialogue_schema
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.dialogue import GPT3DialogueModel
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from tests import oracles
from tests.data import dialogues


def _read_schema():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "schema.json")
        return dialogue_schema.read_schema(
            dialogues.write_json(path, dialogues.SCHEMA)
        )


SCHEMA = _read_schema()
SERVICE = SCHEMA.services[0]
FOODS = ("eritrean", "thai", "korean", "swiss")


def tokenizer():
    """Letters, and words of the dialogues that are tokens of their own."""
    letters = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
    merges = ["t h", "f o", "fo o", "Ġ foo", "n o", "no r", "nor th"]
    merged = [merge.replace(" ", "") for merge in merges]
    tokens = ["<|endoftext|>", *letters, *merged]
    return GPT3Tokenizer({t: i for i, t in enumerate(tokens)}, merges)


READER = dialogue_rows.DialogueReader(tokenizer(), SCHEMA, 400)


def make_dialogue(number, num_turns):
    """A dialogue of so many turns, about food that depends on its number."""
    food = FOODS[number % len(FOODS)]
    area = ("north", "south")[number // 2 % 2]
    labels = {"intent": "find", "slots": {"food": food}}
    labels["requested"] = ["phone"] if number % 2 else []
    turns = [{"system": "", "user": f"Any {food} food?", **labels}]
    if num_turns > 1:
        turns.append({"system": "Hm.", "user": "So?", "slots": None})
    if num_turns > 2:
        slots = {"food": food, "area": area}
        turns.append(
            {
                "system": f"In the {area}?",
                "user": "Yes.",
                **labels,
                "slots": slots,
            }
        )
    if num_turns > 3:
        slots = {"food": food, "name": "dontcare", "time": ["5 pm", "17:00"]}
        turns.append(
            {
                "system": "At 5 pm?",
                "user": "Book it.",
                "intent": "book",
                "slots": slots,
                "complete": True,
            }
        )
    record = {"id": f"d{number}", "turns": turns}
    return dialogue.parse_dialogue(record, SCHEMA, "here")


def batch(*num_turns, seed=0):
    """The triple of dialogues of so many turns."""
    rows = [
        READER.row(make_dialogue(i + seed, n)) for i, n in enumerate(num_turns)
    ]
    return dialogue_batches.make_batch(rows)


def dataset(batches):
    made = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=dialogue_batches.element_spec()
    )
    return made.apply(tf.data.experimental.assert_cardinality(len(batches)))


def model(**arguments):
    """A model whose weights are none of their initial values."""
    return oracles.randomize(new_model(**arguments))


def new_model(dtype="float32", dropout=0.0, hidden_dim=8, **arguments):
    """A model as it is made."""
    keras.utils.set_random_seed(0)
    backbone = GPT3Backbone(
        vocabulary_size=READER.tokenizer.vocabulary_size(),
        num_heads=2,
        hidden_dim=hidden_dim,
        max_sequence_length=256,
        pointer_hidden_dims=(6, 10),
        dropout=dropout,
        dtype=dtype,
    )
    return GPT3DialogueModel(
        backbone, num_heads=2, head_dropout=dropout, **arguments
    )


def weights_of(model):
    return {w.path: np.asarray(w, "float64") for w in model.weights}
