"""What only a pointer can do: repeat what was never seen before.

A row is a random sequence and the same again. No token tells which one comes
next, but for the place where the row said it before: a plain language model is
right once in `VOCABULARY_SIZE` times. The length varies from row to row, so a
position alone does not tell either.
"""

import keras
import numpy as np
import pytest

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from tests import sweep
from tests.models import small

VOCABULARY_SIZE = 128
HALF_LENGTHS = (16, 32)
BATCH_SIZE = 64


def repeating_rows(generator, num_rows):
    """The triple, and each row's half length. A half holds no token twice."""
    lengths = generator.integers(*HALF_LENGTHS, num_rows, endpoint=True)
    rows = [
        np.tile(generator.permutation(VOCABULARY_SIZE)[:length], 2)
        for length in lengths
    ]
    longest = 2 * HALF_LENGTHS[1] - 1
    x = small.padded([row[:-1] for row in rows], longest)
    y = small.padded([row[1:] for row in rows], longest)
    targets = y["padding_mask"].astype("float32")
    return (x, y["token_ids"], targets), lengths


def train(seed, num_steps, choices):
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    backbone = GPT3Backbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_heads=4,
        hidden_dim=64,
        max_sequence_length=2 * HALF_LENGTHS[1],
        pointer_hidden_dims=(16, 32),
        dropout=0.0,
        **choices,
    )
    model = GPT3CausalLM(backbone)
    model.compile(keras.optimizers.Adam(1e-2))
    for _ in range(num_steps):
        (x, y, sample_weight), _ = repeating_rows(generator, BATCH_SIZE)
        model.train_on_batch(x, y, sample_weight=sample_weight)
    return model


@pytest.mark.parametrize(
    ("seed", "num_steps", "choices"),
    [
        (0, 80, {}),
        sweep.case(1, 120, small.OTHER_CHOICES),
    ],
    ids=["default", "other"],
)
def test_a_repeat_is_copied_from_where_it_stands(seed, num_steps, choices):
    model = train(seed, num_steps, choices)
    generator = np.random.default_rng(1000 + seed)
    (x, y, sample_weight), lengths = repeating_rows(generator, 64)
    # From a half's last token on, but for that one: what follows it is the
    # first token again, and only a row that is known to repeat tells so.
    positions = np.arange(y.shape[1])
    repeats = (positions >= lengths[:, None]) & (sample_weight > 0)
    written = np.asarray(model(x)).argmax(axis=-1)
    assert (written == y)[repeats].mean() >= 0.99
    shown = model.attend(x["token_ids"], x["padding_mask"])
    pointed = shown["pointer_probs"].argmax(axis=-1)
    sources = positions + 1 - lengths[:, None]
    assert (pointed == sources)[repeats].mean() >= 0.99
    # And it knows what it copies from what it cannot know.
    assert shown["gate"][repeats].mean() < 0.1
    first = (positions < lengths[:, None] - 1) & (sample_weight > 0)
    assert shown["gate"][first].mean() > 0.5
