"""The backbone: sizes, arguments, and who sees whom."""

import re

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gpt3_keras import functional_random
from gpt3_keras.models.backbone import GPT3Backbone
from tests.models import small


def test_the_article_s_sizes():
    backbone = GPT3Backbone()
    d, v, t = 512, 50257, 1024
    norm = 2 * d
    dense = d * d + d
    gru = (d * 3 * d + 3 * d) + (d * 3 * d + 3 * d)
    key = d * d
    block = 2 * norm + 3 * dense + key + gru + dense
    gate = (2 * d * 64 + 64) + (64 * 768 + 768) + (768 + 1)
    pointer = dense + key + gate + t * t + d
    embeddings = v * d + t * d
    expected = embeddings + (block + norm) + pointer + (block + norm)
    assert backbone.count_params() == expected == 33_729_601
    assert backbone.get_config()["max_parameters"] == 500_000_000


def test_sharing_saves_the_pointer_s_projections():
    own = small.backbone()
    shared = small.backbone(share_pointer_parameters=True)
    assert own.count_params() - shared.count_params() == 2 * 8 * 8 + 8
    attention = shared.encoder.blocks[-1].attention
    assert shared.pointer.query_dense is attention.query_dense
    assert shared.pointer.key_dense is attention.key_dense


def test_a_model_that_is_too_large_is_refused():
    arguments = small.backbone_arguments()
    size = GPT3Backbone(**arguments).count_params()
    assert GPT3Backbone(**arguments, max_parameters=size).built
    message = (
        "The model must not have more than max_parameters weights. Received: "
        f"{size:,} weights, max_parameters={size - 1:,}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        GPT3Backbone(**arguments, max_parameters=size - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            (
                {name: value},
                f"{name} must be a positive integer. Received: "
                f"{name}={value!r}.",
            )
            for name in (
                "vocabulary_size",
                "num_layers",
                "num_heads",
                "hidden_dim",
                "max_sequence_length",
                "max_parameters",
            )
            for value in (0, 2.5)
        ),
        (
            {"num_heads": 3},
            "num_heads must divide hidden_dim. Received: num_heads=3, "
            "hidden_dim=8.",
        ),
        (
            {"dropout": 1.0},
            "dropout must be in [0, 1). Received: dropout=1.0.",
        ),
        (
            {"dropout": -0.1},
            "dropout must be in [0, 1). Received: dropout=-0.1.",
        ),
        (
            {"rnn": "elman"},
            "cell must be one of ('gru', 'lstm'). Received: cell='elman'.",
        ),
        (
            {"position_encoding": "rotary"},
            "position_encoding must be one of ('learned', 'sinusoidal'). "
            "Received: position_encoding='rotary'.",
        ),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GPT3Backbone(**small.backbone_arguments(**arguments))


def test_the_config_makes_the_same_backbone():
    backbone = small.backbone(**small.OTHER_CHOICES, dropout=0.25)
    again = GPT3Backbone.from_config(backbone.get_config())
    assert again.get_config() == backbone.get_config()
    assert [w.path for w in again.weights] == [w.path for w in backbone.weights]


@pytest.mark.parametrize(
    "choices", [{}, small.OTHER_CHOICES], ids=["", "other"]
)
def test_padding_and_order_change_nothing(choices):
    backbone = small.backbone(**choices)
    rows = small.rows(6, 9, 3)
    together = backbone(small.padded(rows, length=12, pad_id=7))
    turned = backbone(small.padded(rows[::-1], length=12, pad_id=3))
    for i, row in enumerate(rows):
        t = len(row)
        real = {
            "encoder_states": np.s_[:t],
            "generator_states": np.s_[:t],
            "gate_logits": np.s_[:t],
            "pointer_logits": np.s_[:t, :t],
        }
        alone = backbone(small.padded([row]))
        for name, part in real.items():
            for outputs, place in ((together, i), (turned, -1 - i)):
                np.testing.assert_allclose(
                    np.asarray(outputs[name])[place][part],
                    alone[name][0],
                    rtol=1e-4,
                    atol=1e-5,
                    err_msg=name,
                )


@pytest.mark.parametrize(
    "choices", [{}, small.OTHER_CHOICES], ids=["", "other"]
)
def test_the_future_has_no_gradient(choices):
    """Through every output at t, each input embedding after t gets zero."""
    backbone = small.backbone(**choices)
    x = small.padded(small.rows(7, 7))
    embedded = tf.Variable(backbone.embed(x["token_ids"]))
    mask = ops.convert_to_tensor(x["padding_mask"])
    position = 3
    with tf.GradientTape() as tape:
        h = backbone.encoder(embedded, mask)
        outputs = {
            "encoder_states": h,
            "generator_states": backbone.generator(embedded, h, mask),
            **backbone.pointer(h, mask),
        }
        seen = sum(
            tf.reduce_sum(tf.sin(value[:, position]))
            for value in outputs.values()
        )
    gradient = np.asarray(tape.gradient(seen, embedded))
    assert np.all(gradient[:, position + 1 :] == 0.0)
    assert np.all(np.abs(gradient[:, : position + 1]).max(axis=-1) > 0.0)


def test_dropout_is_on_in_training_only():
    backbone = small.backbone(dropout=0.5)
    x = small.padded(small.rows(7, 5))
    states = [
        np.asarray(backbone(x, training=training)["generator_states"])
        for training in (False, False, True, True)
    ]
    np.testing.assert_array_equal(states[0], states[1])
    assert np.abs(states[2] - states[3]).max() > 0.1
    assert np.abs(states[2] - states[0]).max() > 0.1


def test_every_place_has_a_dropout_of_its_own(monkeypatch):
    seen = []
    plain = functional_random.dropout

    def recorded(x, rate, keys):
        seen.append(tuple(np.asarray(keys)))
        return plain(x, rate, keys)

    backbone = small.backbone(num_layers=2, dropout=0.5)
    monkeypatch.setattr(functional_random, "dropout", recorded)
    x = small.padded(small.rows(7, 5))
    backbone(x, training=True, dropout_key=3)
    # The embeddings; both branches of two blocks; those of the generator.
    assert len(seen) == 1 + 2 * 2 + 2
    assert len({key for keys in seen for key in keys}) == 2 * len(seen)


def test_a_key_makes_the_dropout_of_a_row_whatever_stands_beside_it():
    backbone = small.backbone(dropout=0.5)
    rows = small.rows(7, 5, 6)

    def states(x, key):
        outputs = backbone(x, training=True, dropout_key=key)
        return np.asarray(outputs["generator_states"])

    expected = states(small.padded(rows), 3)
    turned = states(small.padded(rows[::-1], length=9), 3)
    for i, row in enumerate(rows):
        np.testing.assert_allclose(
            turned[-1 - i, : len(row)], expected[i, : len(row)], atol=1e-5
        )
    other = states(small.padded(rows), 4)
    assert np.abs(other - expected).max() > 0.1
