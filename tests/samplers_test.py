"""The seeded sampler draws from the softmax, and the same every time."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.samplers import SeededSampler
from tests import oracles

LOGITS = np.array([1.2, -0.3, 0.4, 2.0, -1.5, 0.9], "float32")


def draws(sampler, logits=LOGITS, num_steps=40, num_rows=500):
    """Token ids, one for each position and row."""
    rows = np.broadcast_to(logits, (num_rows, len(logits)))
    step = tf.function(lambda i: tf.argmax(sampler.perturb(rows, i), axis=-1))
    return np.stack([step(tf.constant(i)) for i in range(num_steps)])


def assert_drawn_from(ids, probs):
    """Pearson's test, on draws that the seed has fixed."""
    counts = np.bincount(ids.reshape(-1), minlength=len(probs))
    assert (counts[probs == 0] == 0).all()
    kept = probs > 0
    expected = probs[kept] * ids.size
    statistic = ((counts[kept] - expected) ** 2 / expected).sum()
    # Mean and deviation of a chi-square variable with that many choices.
    freedom = kept.sum() - 1
    assert statistic <= freedom + 3 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature):
    ids = draws(SeededSampler(temperature=temperature, seed=1))
    assert_drawn_from(ids, oracles.softmax(LOGITS / temperature))


def test_draws_of_rows_and_positions_are_independent():
    ids = draws(SeededSampler(seed=2))
    probs = oracles.softmax(LOGITS)
    pairs = np.outer(probs, probs).reshape(-1)
    # Disjoint pairs of neighbours, as one draw from 36.
    assert_drawn_from(ids[0::2] * 6 + ids[1::2], pairs)
    assert_drawn_from(ids[:, 0::2] * 6 + ids[:, 1::2], pairs)


@pytest.mark.parametrize("top_k", [1, 3, 6, 100])
def test_top_k_leaves_the_others_out(top_k):
    probs = oracles.softmax(LOGITS)
    probs[np.argsort(-probs)[top_k:]] = 0.0
    assert_drawn_from(
        draws(SeededSampler(top_k=top_k, seed=3)), probs / probs.sum()
    )


@pytest.mark.parametrize("top_p", [1e-6, 0.4, 0.7, 0.95, 1.0])
def test_top_p_keeps_the_fewest_that_suffice(top_p):
    probs = oracles.softmax(LOGITS)
    kept, mass = [], 0.0
    for token in np.argsort(-probs):
        if mass >= top_p:
            break
        kept.append(token)
        mass += probs[token]
    probs = np.where(np.isin(np.arange(6), kept), probs, 0.0)
    assert_drawn_from(
        draws(SeededSampler(top_p=top_p, seed=4)), probs / probs.sum()
    )


def test_top_k_and_top_p_together_leave_out_what_either_does():
    sampler = SeededSampler(top_k=2, top_p=0.9, seed=5)
    assert set(np.unique(draws(sampler))) == {0, 3}
    sampler = SeededSampler(top_k=5, top_p=0.3, seed=5)
    assert set(np.unique(draws(sampler))) == {3}


def test_temperature_zero_takes_the_likeliest():
    greedy = draws(SeededSampler(temperature=0), num_steps=3)
    assert (greedy == 3).all()
    greedy = draws(SeededSampler(temperature=0, top_k=2, seed=9), num_steps=3)
    assert (greedy == 3).all()


def test_logits_far_apart_stay_finite():
    logits = np.array([-3e4, 0.0, -1e4, 3e4], "float32")
    for temperature in (0.0, 1e-3, 1.0, 1e3):
        sampler = SeededSampler(temperature=temperature, top_p=0.9)
        assert np.isfinite(sampler.perturb(logits[None], 0)).all()


def test_a_draw_depends_on_seed_and_position():
    again = draws(SeededSampler(seed=7), num_steps=4)
    np.testing.assert_array_equal(
        draws(SeededSampler(seed=7), num_steps=4), again
    )
    assert (draws(SeededSampler(seed=8), num_steps=4) != again).any()
    assert (again[0] != again[1]).any()
    backwards = [
        np.argmax(
            SeededSampler(seed=7).perturb(np.tile(LOGITS, (500, 1)), i), axis=-1
        )
        for i in reversed(range(4))
    ]
    np.testing.assert_array_equal(backwards[::-1], again)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"temperature": 0.0},
        {"temperature": 0.7, "top_k": 3},
        {"top_p": 0.8, "seed": 5},
        {"temperature": 1.5, "top_k": 4, "top_p": 0.9, "seed": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("logits", ["close", "far apart"])
def test_tensors_are_as_good_as_numbers(arguments, logits):
    arguments = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 0,
        **arguments,
    }
    logits = LOGITS if logits == "close" else LOGITS * 20
    logits = np.tile(logits, (4, 1))
    dtypes = {"top_k": "int32", "seed": "int32"}

    @tf.function
    def perturb(tensors, index):
        return SeededSampler(**tensors).perturb(logits, index)

    tensors = {
        name: tf.constant(value, dtypes.get(name, "float32"))
        for name, value in arguments.items()
    }
    np.testing.assert_allclose(
        perturb(tensors, tf.constant(3)),
        SeededSampler(**arguments).perturb(logits, 3),
        rtol=1e-6,
    )


def test_it_is_a_keras_hub_sampler():
    sampler = SeededSampler(temperature=0.0)
    assert isinstance(sampler, keras_hub.samplers.Sampler)

    def next(prompt, cache, index):
        # The token after i is i + 1.
        token = prompt[:, index - 1]
        logits = tf.one_hot(token + 1, 10) * 5.0
        return logits, tf.zeros((2, 1)), cache

    prompt = tf.constant([[1, 0, 0, 0], [5, 6, 0, 0]])
    mask = tf.constant(
        [[True, False, False, False], [True, True, False, False]]
    )
    written = sampler(next, prompt, index=1, mask=mask, stop_token_ids=[8])
    np.testing.assert_array_equal(written, [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_its_config_makes_it_again():
    config = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 4}
    sampler = SeededSampler(**config)
    assert sampler.get_config() == config
    assert SeededSampler.from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("argument", "value", "text"),
    [
        (
            "temperature",
            -0.5,
            "temperature must be at least 0. Received: temperature=-0.5.",
        ),
        ("top_k", -1, "top_k must be at least 0. Received: top_k=-1."),
        ("top_p", 0, "top_p must be in (0, 1]. Received: top_p=0."),
        ("top_p", 1.5, "top_p must be in (0, 1]. Received: top_p=1.5."),
        (
            "temperature",
            float("nan"),
            "temperature must be at least 0. Received: temperature=nan.",
        ),
    ],
)
def test_a_number_that_breaks_its_rule(argument, value, text):
    with pytest.raises(ValueError, match=argument) as error:
        SeededSampler(**{argument: value})
    assert str(error.value) == text
