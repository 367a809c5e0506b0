"""Figures that change only on purpose: `python -m tests.golden.figures`.

That command writes the golden files anew; a change that should move numbers
shows both in its diff.
"""

import pathlib

import keras
import numpy as np

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM

FOLDER = pathlib.Path(__file__).parent
VOCABULARY_SIZE = 40
LENGTH = 16

CHOICES = {
    "gru": {},
    "gru_sharing": {"share_pointer_parameters": True},
    "lstm": {"rnn": "lstm"},
    "lstm_sharing": {
        "rnn": "lstm",
        "num_layers": 2,
        "share_pointer_parameters": True,
        "position_encoding": "sinusoidal",
        "tie_word_embeddings": False,
    },
}
# Of these two, the ten losses: between them they hold every choice.
TRAINED = ("gru", "lstm_sharing")
COLUMNS = (
    "loss",
    "language_model_loss",
    "generator_loss",
    "pointer_loss",
    "gate_loss",
    "copied_share",
)


def make_backbone(choices):
    return GPT3Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_heads=2,
        hidden_dim=16,
        max_sequence_length=LENGTH,
        pointer_hidden_dims=(8, 12),
        dropout=0.0,
        **choices,
    )


def weight_paths(choices):
    """A line for each weight: where it stands and how large it is."""
    weights = make_backbone(choices).weights
    return [f"{weight.path} {list(weight.shape)}" for weight in weights]


def ten_losses(choices):
    """What `fit` logs at each of ten steps on the same rows that repeat."""
    keras.utils.set_random_seed(0)
    model = GPT3CausalLM(make_backbone(choices))
    generator = np.random.default_rng(0)
    halves = generator.integers(0, VOCABULARY_SIZE, (8, LENGTH // 2 + 1))
    rows = np.concatenate([halves, halves], axis=1)[:, : LENGTH + 1]
    num_real = np.arange(LENGTH, LENGTH - 8, -1)[:, None]
    real = np.arange(LENGTH) < num_real
    x = {"token_ids": rows[:, :-1], "padding_mask": real}
    history = model.fit(
        x,
        rows[:, 1:],
        sample_weight=real.astype("float32"),
        batch_size=8,
        epochs=10,
        shuffle=False,
        verbose=0,
    ).history
    return np.array([history[column] for column in COLUMNS]).T


def as_table(losses):
    """Text lines, a step each, under the columns' names."""
    rows = [" ".join(f"{value:.6f}" for value in row) for row in losses]
    return [" ".join(COLUMNS), *rows]


def paths_file(name):
    return FOLDER / f"weight_paths_{name}.txt"


def losses_file(name):
    return FOLDER / f"losses_{name}.txt"


def write():
    """Writes every golden file."""
    files = {paths_file(k): weight_paths(v) for k, v in CHOICES.items()}
    for name in TRAINED:
        files[losses_file(name)] = as_table(ten_losses(CHOICES[name]))
    for file, lines in files.items():
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
