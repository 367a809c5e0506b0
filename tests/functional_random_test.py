"""Random numbers that are hashes: as random as needed, and always the same."""

import math

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gpt3_keras import functional_random

KEYS = (0, 1, 2, 12345, 2**31, 2**32 - 1)
NUM_DRAWS = 1 << 17
COUNTERS = np.arange(NUM_DRAWS, dtype="int32")
M = 2**32


def draw(key, counters=COUNTERS):
    return np.asarray(functional_random.uniform(key, counters), "float64")


def unsigned(words):
    """Words of 32 bits as numbers in [0, 2³²)."""
    return np.asarray(words).view("uint32")


def bits(words):
    """(N, 32) zeros and ones of N words of 32 bits."""
    words = unsigned(words)
    return (words[:, None] >> np.arange(32, dtype="uint32")) & 1


# The hash.


def test_mix_and_fold_in_equal_python_s_integers():
    def mix(x):
        x = (x ^ x >> 16) * 0x7FEB352D % M
        x = (x ^ x >> 15) * 0x846CA68B % M
        return x ^ x >> 16

    words = np.random.default_rng(0).integers(0, M, 200, dtype="uint32")
    words[:3] = 0, 1, M - 1
    expected = [mix(int(x)) for x in words]
    mixed = functional_random.mix(tf.constant(words))
    assert mixed.dtype == "int32"
    np.testing.assert_array_equal(unsigned(mixed), expected)
    for number in (0, 1, 7, 2**31 - 1, -1):
        folded = functional_random.fold_in(tf.constant(words), number)
        expected = [
            mix(mix(int(x)) ^ (number * 0x9E3779B9 + 1) % M) for x in words
        ]
        np.testing.assert_array_equal(unsigned(folded), expected)


def test_mix_sends_no_two_words_to_one():
    words = np.arange(1 << 20, dtype="uint32") * np.uint32(4099)
    mixed = functional_random.mix(tf.constant(words))
    assert len(np.unique(mixed)) == len(words)


def test_every_bit_out_of_mix_depends_on_every_bit_in():
    words = np.random.default_rng(0).integers(0, M, 4000, dtype="uint32")
    before = bits(functional_random.mix(tf.constant(words)))
    for i in range(32):
        flipped = words ^ np.uint32(1 << i)
        after = bits(functional_random.mix(tf.constant(flipped)))
        share = (before != after).mean(axis=0)
        # 0.5 +- 0.008 if perfect; the hash itself is a little biased.
        assert share.min() > 0.44, i
        assert share.max() < 0.56, i


def test_numbers_and_keys_that_lie_side_by_side_make_other_keys():
    keys = np.arange(300, dtype="int32")
    made = functional_random.fold_in(keys[:, None], keys[None])
    assert made.shape == (300, 300)
    assert len(np.unique(made)) > 300 * 300 - 5  # 0.94 collide by chance.
    assert not np.array_equal(made, np.transpose(made))


def test_what_is_beyond_32_bits_is_cut_off():
    small, large = (
        functional_random.fold_in(3, tf.constant(number, "int64"))
        for number in (5, 2**40 + 5)
    )
    assert small == large == functional_random.fold_in(3, 5)


# Uniform and normal numbers.


@pytest.mark.parametrize("key", KEYS)
def test_uniform_numbers_are_uniform(key):
    numbers = draw(key)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    np.testing.assert_array_equal(numbers * 2**24 % 1, 0)
    assert abs(numbers.mean() - 0.5) < 4 * (1 / 12 / NUM_DRAWS) ** 0.5
    assert abs(numbers.var() - 1 / 12) < 4 * (1 / 180 / NUM_DRAWS) ** 0.5
    assert chi_square(numbers) < 46  # One in 20,000 is above, 15 free bins.


@pytest.mark.parametrize("counter", [0, 1, 77, 2**31 - 1])
def test_uniform_numbers_are_uniform_over_keys(counter):
    numbers = draw(tf.cast(COUNTERS, "uint32"), counter)
    assert chi_square(numbers) < 46


def chi_square(numbers):
    counts, _ = np.histogram(numbers, 16, (0, 1))
    expected = len(numbers) / 16
    return ((counts - expected) ** 2 / expected).sum()


@pytest.mark.parametrize("distance", [1, 2, 64, 512])
def test_neighbours_know_nothing_of_each_other(distance):
    numbers = draw(9)
    others = {
        "counters": draw(9, COUNTERS + distance),
        "keys": draw(9 + distance),
        "key for counter": draw(tf.cast(COUNTERS, "uint32"), 9),
    }
    for name, other in others.items():
        correlation = np.corrcoef(numbers, other)[0, 1]
        assert abs(correlation) < 4 / NUM_DRAWS**0.5, name
        # Nor do the pairs cluster in the unit square.
        pairs, _, _ = np.histogram2d(numbers, other, 8, ((0, 1), (0, 1)))
        expected = NUM_DRAWS / 64
        square = ((pairs - expected) ** 2 / expected).sum()
        assert square < 120, name  # One in 50,000 is above, 63 free bins.


@pytest.mark.parametrize("key", KEYS)
def test_normal_numbers_are_normal(key):
    numbers = np.asarray(functional_random.normal(key, COUNTERS), "float64")
    n = NUM_DRAWS
    assert abs(numbers.mean()) < 4 / n**0.5
    assert abs(numbers.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((numbers**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((numbers**4).mean() - 3) < 4 * (96 / n) ** 0.5
    for bound in (0.5, 1, 2, 3):
        share = math.erfc(bound / 2**0.5)
        found = (np.abs(numbers) > bound).mean()
        assert abs(found - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_normal_numbers_are_finite(monkeypatch):
    """Even of the uniform numbers at the two ends."""
    ends = tf.constant([0.0, 0.0, 1 - 2.0**-24, 1 - 2.0**-24])
    monkeypatch.setattr(
        functional_random,
        "uniform",
        lambda key, counters: ops.take(ends, counters),
    )
    numbers = np.asarray(functional_random.normal(0, np.arange(4)))
    assert np.isfinite(numbers).all()
    np.testing.assert_allclose(np.abs(numbers).max(), 5.768, rtol=1e-3)


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_eager_graph_and_xla_agree(name):
    function = getattr(functional_random, name)
    expected = np.asarray(function(7, COUNTERS))
    for jit_compile in (False, True):
        compiled = tf.function(function, jit_compile=jit_compile)
        numbers = compiled(tf.constant(7, "uint32"), tf.constant(COUNTERS))
        if name == "uniform":
            np.testing.assert_array_equal(numbers, expected)
        else:
            np.testing.assert_allclose(numbers, expected, atol=1e-6)


# The keys of rows.


TOKEN_IDS = np.array([[4, 9, 2, 7], [4, 9, 2, 0], [1, 1, 0, 0]], "int32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]], bool)


def row_keys(token_ids, mask, key=5):
    keys = functional_random.row_keys(token_ids, mask, key)
    assert keys.dtype == "int32"
    return np.asarray(keys)


def test_a_row_s_key_is_its_own():
    """Other rows, their order and padding change nothing."""
    keys = row_keys(TOKEN_IDS, MASK)
    assert len(set(keys)) == 3
    np.testing.assert_array_equal(
        row_keys(TOKEN_IDS[::-1], MASK[::-1]), keys[::-1]
    )
    for i in range(3):
        length = MASK[i].sum()
        alone = row_keys(
            TOKEN_IDS[i : i + 1, :length], MASK[i : i + 1, :length]
        )
        assert alone == keys[i]
    padded = np.pad(TOKEN_IDS, ((0, 0), (0, 5)), constant_values=3)
    mask = np.pad(MASK, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(row_keys(padded, mask), keys)
    np.testing.assert_array_equal(row_keys(padded, mask.astype(int)), keys)


def test_a_row_s_key_depends_on_key_tokens_and_length():
    keys = row_keys(TOKEN_IDS, MASK)
    assert (row_keys(TOKEN_IDS, MASK, 6) != keys).all()
    for i, t in np.argwhere(MASK):
        changed = TOKEN_IDS.copy()
        changed[i, t] += 1
        found = row_keys(changed, MASK) != keys
        np.testing.assert_array_equal(found, np.arange(3) == i)
    # Two tokens that change places are another row.
    assert row_keys(TOKEN_IDS[:, [1, 0, 2, 3]], MASK)[0] != keys[0]


def test_rows_of_text_share_no_key():
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 40, (20_000, 6), dtype="int32")
    rows = np.unique(rows, axis=0)
    keys = row_keys(rows, np.ones_like(rows, bool))
    assert len(np.unique(keys)) > len(rows) - 4  # 0.05 collide by chance.


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_row_s_key_is_the_same_when_compiled(jit_compile):
    compiled = tf.function(functional_random.row_keys, jit_compile=jit_compile)
    keys = compiled(
        tf.constant(TOKEN_IDS), tf.constant(MASK), tf.constant(5, "uint32")
    )
    np.testing.assert_array_equal(keys, row_keys(TOKEN_IDS, MASK))


# Dropout.


X = np.random.default_rng(0).normal(size=(3, 50, 64)).astype("float32")
ROW_KEYS = tf.constant([11, 12, 13], "int32")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_the_rest(rate):
    dropped = np.asarray(functional_random.dropout(X, rate, ROW_KEYS))
    kept = dropped != 0.0
    np.testing.assert_allclose(dropped[kept], X[kept] / (1 - rate), rtol=1e-6)
    deviation = (rate * (1 - rate) / X[0].size) ** 0.5
    for row in kept:
        assert abs(row.mean() - (1 - rate)) < 4 * deviation
    # Over keys, the mean of each number is the number itself.
    keys = tf.range(4000)
    x = np.full((4000, 2, 3), 2.0, "float32")
    means = np.asarray(functional_random.dropout(x, rate, keys)).mean(axis=0)
    deviation = 2 * (rate / (1 - rate) / 4000) ** 0.5
    assert (np.abs(means - 2) < 4 * deviation).all()


def test_rows_times_and_channels_are_dropped_apart():
    kept = np.asarray(functional_random.dropout(X, 0.5, ROW_KEYS)) != 0
    kept = kept - kept.mean()
    for a, b in (
        (kept[0], kept[1]),
        (kept[:, 1:], kept[:, :-1]),
        (kept[:, :, 1:], kept[:, :, :-1]),
    ):
        assert abs((a * b).mean() / 0.25) < 4 / a.size**0.5


def test_a_row_s_mask_is_the_same_in_any_batch():
    expected = functional_random.dropout(X, 0.3, ROW_KEYS)
    turned = functional_random.dropout(X[::-1], 0.3, ROW_KEYS[::-1])
    np.testing.assert_array_equal(turned[::-1], expected)
    alone = functional_random.dropout(X[1:2], 0.3, ROW_KEYS[1:2])
    np.testing.assert_array_equal(alone[0], expected[1])
    shorter = functional_random.dropout(X[:, :20], 0.3, ROW_KEYS)
    np.testing.assert_array_equal(shorter, expected[:, :20])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dropout_is_the_same_when_compiled(jit_compile):
    expected = functional_random.dropout(X, 0.3, ROW_KEYS)
    compiled = tf.function(
        lambda x, keys: functional_random.dropout(x, 0.3, keys),
        jit_compile=jit_compile,
        # Of unknown batch and length, as in training.
        input_signature=None
        if jit_compile
        else [
            tf.TensorSpec((None, None, 64)),
            tf.TensorSpec((None,), "int32"),
        ],
    )
    dropped = compiled(tf.constant(X), ROW_KEYS)
    np.testing.assert_array_equal(dropped == 0, expected == 0)
    np.testing.assert_allclose(dropped, expected, rtol=1e-6)


def test_no_key_and_no_rate_leave_everything_as_it_is():
    x = tf.constant(X)
    assert functional_random.dropout(x, 0.5, None) is x
    assert functional_random.dropout(x, 0.0, ROW_KEYS) is x
    assert functional_random.dropout(x, 0, ROW_KEYS) is x


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dropout_keeps_the_dtype_and_drops_the_same(dtype):
    x = tf.cast(X, dtype)
    dropped = functional_random.dropout(x, 0.25, ROW_KEYS)
    assert dropped.dtype == dtype
    expected = functional_random.dropout(X, 0.25, ROW_KEYS)
    np.testing.assert_array_equal(dropped == 0, expected == 0)
    np.testing.assert_allclose(tf.cast(dropped, "float32"), expected, rtol=1e-2)
