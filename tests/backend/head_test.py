"""The vocabulary head.

Its logs are float32 by design, too coarse for finite differences; these
are taken of its float64 oracle.
"""

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.backend.tensorflow import head as backend
from tests import gradients
from tests import oracles

# Chunks of three tokens.
V, D, CHUNK = 7, 4, 3
# Sizes below, at and beyond a chunk, whole chunks and not.
NUM_TOKENS = (1, 3, 4, 6, 8)
HEAD_SHAPES = [(None, D), (V, D), (None,), (None,)]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(backend, "CHUNK_TOKENS", CHUNK)


def head_example(num_tokens):
    """The differentiable arrays, the targets and the weights."""
    generator = np.random.default_rng(num_tokens)
    arrays = [
        generator.normal(0, 2, (num_tokens, D)),
        generator.normal(0, 1, (V, D)),
        np.log(generator.uniform(0.1, 0.9, num_tokens)),
        np.log(generator.uniform(0.1, 0.9, num_tokens)),
    ]
    # Repeated targets, the last id among them, and a weight of zero.
    targets = np.array([V - 1, 0, V - 1, 2, 2, V - 1, 1, 0], "int32")
    weights = np.array([1, 0.5, 1, 0, 2, 1, 0, 1], "float32")
    return arrays, targets[:num_tokens], weights[:num_tokens]


def mixture_loss(arrays, targets, weights, terms, learns=(True, True)):
    states, kernel, log_generate, log_copy = arrays
    return backend.mixture_loss(
        states,
        kernel,
        tf.constant(targets),
        tf.cast(log_generate, tf.float32),
        tf.cast(log_copy, tf.float32),
        tf.constant(weights),
        terms,
        learns,
    )


def mixture_oracle(arrays, targets, weights, terms):
    states, kernel, log_generate, log_copy = arrays
    return oracles.mixture_sum(
        states, kernel, targets, log_generate, log_copy, weights, terms
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("mode", gradients.MODES)
@pytest.mark.parametrize("num_tokens", NUM_TOKENS)
def test_mixture_loss(mode, num_tokens):
    arrays, targets, weights = head_example(num_tokens)
    rest = (targets, weights, (0.8, 0.3))
    gradients.check(
        mode,
        lambda *arrays: 2.5 * mixture_loss(arrays, *rest)[0],
        lambda *arrays: 2.5 * mixture_oracle(arrays, *rest),
        arrays,
        HEAD_SHAPES,
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("terms", [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_each_term_of_mixture_loss(terms):
    arrays, targets, weights = head_example(8)
    rest = (targets, weights, terms)
    gradients.check(
        "eager",
        lambda *arrays: mixture_loss(arrays, *rest)[0],
        lambda *arrays: mixture_oracle(arrays, *rest),
        arrays,
        HEAD_SHAPES,
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("mode", gradients.MODES)
def test_mixture_loss_with_a_tied_kernel(mode):
    arrays, targets, weights = head_example(8)
    token_ids = np.array([0, 2, 2, V - 1, 1, 0, 2, 3])
    rest = (targets, weights, (0.8, 0.3))

    def tied(embedding, *logs):
        return mixture_loss(
            (tf.gather(embedding, token_ids), embedding, *logs), *rest
        )[0]

    def oracle(embedding, *logs):
        return mixture_oracle((embedding[token_ids], embedding, *logs), *rest)

    gradients.check(
        mode, tied, oracle, arrays[1:], HEAD_SHAPES[1:], rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("mode", gradients.MODES)
def test_mixture_loss_without_targets_is_zero(mode):
    arrays, targets, weights = head_example(8)
    value, slopes = gradients.value_and_gradients(
        mode,
        lambda *arrays: mixture_loss(arrays, targets, weights * 0, (1.0, 1.0))[
            0
        ],
        arrays,
        HEAD_SHAPES,
    )
    assert value == 0
    for gradient in slopes:
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("ends", [(-1e4, -1e-4), (-1e-4, -3.1e4), (-1e4, -3e4)])
def test_mixture_loss_is_finite_with_a_saturated_gate(ends):
    arrays, targets, weights = head_example(8)
    arrays[2:] = [np.full(8, end) for end in ends]
    value, slopes = gradients.value_and_gradients(
        "eager",
        lambda *arrays: mixture_loss(arrays, targets, weights, (1.0, 0.0))[0],
        arrays,
        HEAD_SHAPES,
    )
    np.testing.assert_allclose(
        value,
        mixture_oracle(arrays, targets, weights, (1.0, 0.0)),
        rtol=1e-5,
        atol=1e-5,
    )
    assert all(np.isfinite(gradient).all() for gradient in slopes)


@pytest.mark.usefixtures("small_chunks")
def test_the_kernel_s_gradient_goes_where_it_is_to_be_added():
    arrays, targets, weights = head_example(8)
    arrays = [tf.constant(array, "float32") for array in arrays]
    states, kernel, *others = arrays
    targets, weights = tf.constant(targets), tf.constant(weights)
    start = tf.ones_like(kernel)
    with tf.GradientTape() as tape:
        tape.watch([states, kernel])
        total, _, added = backend.mixture_loss(
            *(states, kernel, targets, *others, weights, (1.0, 0.5)),
            kernel_gradient=start,
        )
    to_states, to_kernel = tape.gradient(total, [states, kernel])
    with tf.GradientTape() as tape:
        tape.watch([states, kernel])
        total, _, nothing = backend.mixture_loss(
            states, kernel, targets, *others, weights, (1.0, 0.5)
        )
    expected = tape.gradient(total, [states, kernel])
    assert to_kernel is None
    assert nothing is None
    np.testing.assert_array_equal(to_states, expected[0])
    np.testing.assert_allclose(added, 1 + expected[1], atol=1e-5)


@pytest.mark.usefixtures("small_chunks")
def test_log_probs_of_mixture_loss_are_values_alone():
    arrays, targets, weights = head_example(8)
    expected = oracles.log_softmax(arrays[0] @ arrays[1].T)
    expected = expected[np.arange(8), targets]
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        _, log_probs, _ = mixture_loss(tensors, targets, weights, (1.0, 0.5))
    np.testing.assert_allclose(log_probs, expected, rtol=1e-5)
    assert tape.gradient(log_probs, tensors) == [None] * 4


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("mode", gradients.MODES)
@pytest.mark.parametrize("num_tokens", NUM_TOKENS)
def test_target_log_probs(mode, num_tokens):
    (states, kernel, *_), targets, _ = head_example(num_tokens)
    targets = tf.constant(targets)
    function = gradients.in_mode(
        mode,
        lambda *tensors: backend.target_log_probs(
            *tensors, tf.constant(targets)
        ),
        HEAD_SHAPES[:2],
    )
    log_probs = function(tf.constant(states), tf.constant(kernel))
    expected = oracles.log_softmax(states @ kernel.T)
    np.testing.assert_allclose(
        log_probs, expected[np.arange(num_tokens), targets], rtol=1e-5
    )
    assert log_probs.dtype == "float32"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("mode", gradients.MODES)
@pytest.mark.parametrize(
    "learns", [(True, False), (False, True), (False, False)]
)
def test_mixture_loss_gives_what_learns_its_gradient(mode, learns):
    arrays, targets, weights = head_example(8)
    rest = (targets, weights, (0.8, 0.3))
    value, slopes = gradients.value_and_gradients(
        mode, lambda *a: mixture_loss(a, *rest)[0], arrays, HEAD_SHAPES
    )
    less, some = gradients.value_and_gradients(
        mode, lambda *a: mixture_loss(a, *rest, learns)[0], arrays, HEAD_SHAPES
    )
    np.testing.assert_array_equal(less, value)
    for gradient, whole, learn in zip(
        some, slopes, (*learns, True, True), strict=True
    ):
        np.testing.assert_array_equal(gradient, whole if learn else 0 * whole)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixture_loss_in_half_precision(dtype):
    """Probabilities of 2e-5, and most of the mixture is copied."""
    generator = np.random.default_rng(0)
    arrays = [
        generator.normal(0, 1, (8, D)),
        generator.normal(0, 0.1, (50257, D)),
        *np.log(generator.uniform(0.1, 0.9, (2, 8))),
    ]
    arrays = [array.astype("float32") for array in arrays]
    rest = (np.arange(8), np.ones(8, "float32"), (1.0, 0.0))

    def loss(states, *others):
        return mixture_loss((tf.cast(states, dtype), *others), *rest)[0]

    value, slopes = gradients.value_and_gradients(
        "eager", lambda *a: mixture_loss(a, *rest)[0], arrays, HEAD_SHAPES
    )
    half, half_slopes = gradients.value_and_gradients(
        "eager", loss, arrays, HEAD_SHAPES
    )
    np.testing.assert_allclose(half, value, rtol=2e-3)
    # The matrix' gradient where it is not a target: all of it is small.
    pairs = [*zip(half_slopes, slopes, strict=True)]
    pairs.append((half_slopes[1][8:], slopes[1][8:]))
    for gradient, expected in pairs:
        error = tf.norm(tf.cast(gradient, "float32") - expected)
        assert error < 0.05 * tf.norm(expected)
