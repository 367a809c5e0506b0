"""The learning rate, against the same equation in float64 NumPy."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import schedules

STEPS = np.arange(1000)
# One argument after another leaves its default; the last has them all.
CASES = {
    "cosine": {},
    "warm-up": {"warmup_steps": 40},
    "to nothing": {"end": 0.0},
    "epochs": {"steps_per_epoch": 7, "epoch_decay": 0.97, "decay_epochs": 3},
    "noise": {"noise_probability": 0.3, "noise_scale": 0.2, "seed": 5},
    "all": {
        "start": 3e-3,
        "end": 1e-5,
        "warmup_steps": 100,
        "steps_per_epoch": 11,
        "epoch_decay": 0.9,
        "decay_epochs": 4,
        "noise_probability": 0.5,
        "noise_scale": 1.5,  # So strong that some rates would be negative.
        "seed": 2**32 - 1,
    },
}
M = 2**32


def make(**arguments):
    return schedules.CosineDecayWithNoise(
        **{"decay_steps": len(STEPS), **arguments}
    )


def oracle(schedule, steps=STEPS):
    """The rates, in float64, one step after another."""
    s, rates = schedule, []
    for step in steps:
        epoch = step // s.steps_per_epoch if s.steps_per_epoch else 0
        decay = s.epoch_decay ** (epoch // s.decay_epochs)
        if step < s.warmup_steps:
            rate = s.start * (step + 1) / s.warmup_steps * decay
        else:
            u = (step - s.warmup_steps) / (s.decay_steps - 1 - s.warmup_steps)
            cosine = (1 + np.cos(np.pi * min(u, 1))) / 2
            rate = max(s.end, (s.end + (s.start - s.end) * cosine) * decay)
        is_disturbed = hashed(s.seed, 0, step) < s.noise_probability
        distance = 1 - hashed(s.seed, 1, 0, step)
        angle = 2 * np.pi * hashed(s.seed, 1, 1, step)
        noise = np.sqrt(-2 * np.log(distance)) * np.cos(angle)
        noise *= is_disturbed * s.noise_scale
        rates.append(max(rate * (1 + noise), 0))
    return np.array(rates)


def hashed(key, *numbers):
    """A number in [0, 1), in Python's own integers."""

    def mix(x):
        x = (x ^ x >> 16) * 0x7FEB352D % M
        x = (x ^ x >> 15) * 0x846CA68B % M
        return x ^ x >> 16

    def fold_in(key, number):
        return mix(mix(key) ^ (int(number) * 0x9E3779B9 + 1) % M)

    for number in numbers:
        key = fold_in(key, number)
    return (key >> 8) * 2.0**-24


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_it_equals_its_oracle(arguments):
    schedule = make(**arguments)
    np.testing.assert_allclose(
        schedule(STEPS), oracle(schedule), **tolerance(schedule)
    )


def tolerance(schedule):
    """1e-6 of the rate, or where noise takes most of it away, of `start`."""
    return {"rtol": 1e-6, "atol": 1e-6 * schedule.start * schedule.noise_scale}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_eager_graph_and_xla_agree(arguments):
    schedule = make(**arguments)
    rates = np.asarray(schedule(STEPS))
    one_by_one = [schedule(int(step)) for step in STEPS[::50]]
    np.testing.assert_allclose(one_by_one, rates[::50], rtol=1e-6)
    for jit_compile in (False, True):
        compiled = tf.function(schedule, jit_compile=jit_compile)
        np.testing.assert_allclose(
            compiled(tf.constant(STEPS)), rates, **tolerance(schedule)
        )
        alone = [compiled(tf.constant(step)) for step in STEPS[::50]]
        np.testing.assert_allclose(alone, rates[::50], **tolerance(schedule))


@pytest.mark.parametrize(
    "step",
    [
        321,
        321.0,
        np.int64(321),
        np.float64(321),
        tf.constant(321, "int32"),
        tf.constant(321, "int64"),
        tf.constant(321, "float32"),
        keras.Variable(321, dtype="int64"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_a_step_of_any_type(step):
    schedule = make(**CASES["all"])
    rate = schedule(step)
    assert rate.dtype == "float32"
    assert rate.shape == ()
    np.testing.assert_allclose(rate, oracle(schedule, [321])[0], rtol=1e-5)


def test_the_warm_up_rises_evenly_from_above_nothing():
    rates = np.asarray(make(start=1.0, end=0.5, warmup_steps=10)(STEPS[:12]))
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    assert rates[10] == 1.0  # The cosine's first step.
    assert rates[11] < 1.0


def test_the_cosine_ends_with_the_last_step_and_stays_there():
    for arguments in ({}, {"warmup_steps": 999}, {"warmup_steps": 998}):
        rates = np.asarray(make(**arguments)([*STEPS, 5000, 2**31 - 1]))
        np.testing.assert_array_equal(rates[1000:], np.float32(5e-5))
        if arguments.get("warmup_steps") != 999:
            assert rates[999] == np.float32(5e-5)
            assert rates[998] > np.float32(5e-5)
    assert make(decay_steps=1)(1) == np.float32(5e-5)


def test_the_rate_falls_by_a_factor_at_the_epochs_named():
    arguments = {"start": 1.0, "end": 0.01, "decay_steps": 2**30}
    schedule = make(
        **arguments, steps_per_epoch=5, epoch_decay=0.5, decay_epochs=2
    )
    # So long a cosine is flat over these steps.
    steps = [0, 9, 10, 19, 20, 59, 60, 69]
    factors = [1, 1, 0.5, 0.5, 0.25, 0.5**5, 0.5**6, 0.5**6]
    np.testing.assert_allclose(schedule(steps), factors, rtol=1e-5)
    assert schedule(70) == np.float32(0.01)  # 0.5 ** 7 is below it.
    without = make(**arguments, epoch_decay=0.5, decay_epochs=2)
    np.testing.assert_allclose(without(steps), 1, rtol=1e-5)


def test_without_noise_it_is_never_below_the_end():
    schedule = make(steps_per_epoch=1, epoch_decay=0.5, decay_epochs=1)
    rates = np.asarray(schedule(STEPS))
    assert rates.min() == np.float32(5e-5)
    assert (rates == np.float32(5e-5)).mean() > 0.99


def test_the_noise_is_sparse_and_as_strong_as_asked():
    steps = np.arange(100_000)
    schedule = {"decay_steps": len(steps), "seed": 3}
    clean = np.asarray(make(**schedule)(steps))
    noisy = make(**schedule, noise_probability=0.05, noise_scale=0.1)(steps)
    noise = np.asarray(noisy) / clean - 1
    is_disturbed = np.abs(noise) > 1e-6
    count = is_disturbed.sum()
    assert abs(count - 5000) < 4 * (5000 * 0.95) ** 0.5
    np.testing.assert_array_equal(
        np.asarray(noisy)[~is_disturbed], clean[~is_disturbed]
    )
    noise = noise[is_disturbed]
    assert abs(noise.mean()) < 4 * 0.1 / count**0.5
    assert abs(noise.std() / 0.1 - 1) < 4 / (2 * count) ** 0.5
    # Disturbed steps neither cluster nor avoid each other.
    neighbours = (is_disturbed[1:] & is_disturbed[:-1]).mean()
    assert abs(neighbours - 0.05**2) < 4 * (0.05**2 / len(steps)) ** 0.5


def test_the_noise_belongs_to_seed_and_step():
    noise = {"noise_probability": 0.5, "noise_scale": 0.1}
    schedule = make(**noise, seed=1)
    rates = np.asarray(schedule(STEPS))
    order = np.random.default_rng(0).permutation(STEPS)
    np.testing.assert_array_equal(schedule(order), rates[order])
    np.testing.assert_array_equal(make(**noise, seed=1)(STEPS), rates)
    clean = np.asarray(make()(STEPS))
    other = np.asarray(make(**noise, seed=2)(STEPS))
    correlation = np.corrcoef(rates / clean, other / clean)[0, 1]
    assert abs(correlation) < 4 / len(STEPS) ** 0.5
    assert (rates != other).mean() > 0.7


def test_the_noise_never_makes_a_rate_negative():
    rates = np.asarray(make(noise_probability=1.0, noise_scale=5.0)(STEPS))
    assert rates.min() == 0.0
    assert 0.3 < (rates == 0.0).mean() < 0.5


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_optimizer_steps_by_it(jit_compile):
    schedule = make(**CASES["all"])
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(schedule)
    optimizer.build([weight])

    @tf.function(jit_compile=jit_compile)
    def step():
        optimizer.apply([tf.constant(-1.0)])

    for _ in range(150):
        step()
    np.testing.assert_allclose(
        float(weight), oracle(schedule, STEPS[:150]).sum(), rtol=1e-5
    )
    np.testing.assert_allclose(
        optimizer.learning_rate, oracle(schedule, [150])[0], rtol=1e-5
    )


def test_it_is_saved_with_its_optimizer():
    schedule = make(**CASES["all"])
    optimizer = keras.optimizers.AdamW(schedule)
    saved = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(saved)._learning_rate
    assert isinstance(again, schedules.CosineDecayWithNoise)
    assert again.get_config() == schedule.get_config()
    assert again.get_config() == {"decay_steps": 1000, **CASES["all"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            (
                {"decay_steps": value},
                "decay_steps must be an integer in [1, 2**31). Received: "
                f"decay_steps={value!r}.",
            )
            for value in (0, 2.5, 2**31)
        ),
        *(
            (
                {"warmup_steps": value},
                "warmup_steps must be an integer in [0, decay_steps). "
                f"Received: warmup_steps={value!r}, decay_steps=1000.",
            )
            for value in (-1, 1000, 0.5)
        ),
        *(
            (
                {"steps_per_epoch": value},
                "steps_per_epoch must be None or an integer in [1, 2**31). "
                f"Received: steps_per_epoch={value!r}.",
            )
            for value in (0, 1.5)
        ),
        *(
            (
                {"decay_epochs": value},
                "decay_epochs must be an integer in [1, 2**31). Received: "
                f"decay_epochs={value!r}.",
            )
            for value in (0, 1.5)
        ),
        *(
            (
                {"seed": value},
                "seed must be an integer in [0, 2**32). Received: "
                f"seed={value!r}.",
            )
            for value in (-1, 2**32, 0.5)
        ),
        *(
            (
                {"start": value},
                f"start must be positive. Received: start={value!r}.",
            )
            for value in (0.0, float("inf"), float("nan"))
        ),
        *(
            (
                {"end": value},
                "end must be in [0, start]. Received: "
                f"end={value!r}, start=0.0001.",
            )
            for value in (-1e-9, 2e-4, float("nan"))
        ),
        *(
            (
                {"epoch_decay": value},
                "epoch_decay must be in (0, 1]. Received: "
                f"epoch_decay={value!r}.",
            )
            for value in (0.0, 1.01, float("nan"))
        ),
        *(
            (
                {"noise_probability": value},
                "noise_probability must be in [0, 1]. Received: "
                f"noise_probability={value!r}.",
            )
            for value in (-0.1, 1.1, float("nan"))
        ),
        *(
            (
                {"noise_scale": value},
                "noise_scale must be at least 0. Received: "
                f"noise_scale={value!r}.",
            )
            for value in (-0.1, float("inf"), float("nan"))
        ),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(**arguments)
