"""What holds for every entry: the future, padding and row order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import catalogue
from tests import oracles

BATCH, LENGTH = 3, 5
PADDED = [
    name
    for name, entry in catalogue.ENTRIES.items()
    if "padding_mask" in entry.inputs
]


@pytest.fixture(scope="module", params=catalogue.ENTRIES)
def case(request):
    """An entry, what it makes with random weights, and arrays to call it."""
    entry = catalogue.ENTRIES[request.param]
    keras.utils.set_random_seed(0)
    layer = entry.make("float32")
    arrays = entry.arrays(BATCH, LENGTH)
    layer(*entry.arguments(arrays))
    return entry, oracles.randomize(layer), arrays


def call(entry, layer, arrays):
    outputs = tf.nest.flatten(layer(*entry.arguments(arrays)))
    return [output.numpy() for output in outputs]


def check_future(function, inputs):
    """Outputs at t have exactly no gradient from inputs after t.

    Inputs and outputs have their positions on axis 1.
    """
    for t in range(LENGTH):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = sum(
                tf.reduce_sum(tf.sin(output[:, t]))
                for output in tf.nest.flatten(function(inputs))
            )
        for gradient in tape.gradient(total, inputs):
            assert not np.any(gradient[:, t + 1 :])
            # At first, attention has no choice and so no gradient.
            assert t == 0 or np.any(gradient[:, t])


@pytest.mark.parametrize("case", catalogue.LAYERS, indirect=True)
def test_the_future_has_no_gradient(case):
    entry, layer, arrays = case
    floats = [i for i, x in enumerate(arrays) if x.dtype == "float32"]

    def function(inputs):
        mixed = list(arrays)
        for place, tensor in zip(floats, inputs, strict=True):
            mixed[place] = tensor
        return layer(*entry.arguments(mixed))

    check_future(function, [tf.constant(arrays[place]) for place in floats])


@pytest.mark.parametrize("name", ["backbone", "backbone_other_choices"])
def test_the_future_has_no_gradient_through_the_backbone(name):
    backbone = catalogue.MODELS[name].make("float32")
    oracles.randomize(backbone)
    embeddings = backbone.get_layer("embeddings_add").output
    padding_mask = backbone.input["padding_mask"]
    behind = keras.Model([embeddings, padding_mask], backbone.output)
    x = oracles.states(BATCH, LENGTH, catalogue.HIDDEN_DIM).astype("float32")
    real = tf.ones((BATCH, LENGTH), tf.int32)
    check_future(lambda inputs: behind([*inputs, real]), [tf.constant(x)])


def changed_where(entry, arrays, is_changed):
    """Other tokens and other states where `is_changed`, bool (B, T)."""
    changed = []
    for kind, x in zip(entry.inputs, arrays, strict=True):
        x = x.copy()
        if kind == "token_ids":
            other = (x + 1) % catalogue.VOCABULARY_SIZE
            x[is_changed] = other[is_changed]
        elif x.dtype == "float32":
            x[is_changed] += 7.0
        changed.append(x)
    return changed


def check_equal_where(is_compared, outputs, expected):
    for output, value in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(
            output[is_compared], value[is_compared], rtol=1e-5, atol=1e-6
        )


def test_later_inputs_change_nothing(case):
    entry, layer, arrays = case
    expected = call(entry, layer, arrays)
    for t in range(LENGTH - 1):
        is_later = np.broadcast_to(np.arange(LENGTH) > t, (BATCH, LENGTH))
        outputs = call(entry, layer, changed_where(entry, arrays, is_later))
        check_equal_where(~is_later, outputs, expected)
        assert any(
            np.any(output[is_later] != value[is_later])
            for output, value in zip(outputs, expected, strict=True)
        )


@pytest.mark.parametrize("case", PADDED, indirect=True)
def test_what_stands_in_padding_changes_nothing(case):
    entry, layer, arrays = case
    real = arrays[entry.inputs.index("padding_mask")]
    assert not real.all()
    outputs = call(entry, layer, changed_where(entry, arrays, ~real))
    check_equal_where(real, outputs, call(entry, layer, arrays))


@pytest.mark.parametrize("case", PADDED, indirect=True)
def test_how_much_padding_there_is_changes_nothing(case):
    entry, layer, arrays = case
    real = arrays[entry.inputs.index("padding_mask")]
    wide = [
        np.pad(x, [(0, 0), (0, 2)] + [(0, 0)] * (x.ndim - 2)) for x in arrays
    ]
    outputs = [x[:, :LENGTH] for x in call(entry, layer, wide)]
    expected = call(entry, layer, arrays)
    # The pointer's last axis is as wide as its input.
    outputs = [
        x if x.shape == value.shape else x[..., :LENGTH]
        for x, value in zip(outputs, expected, strict=True)
    ]
    check_equal_where(real, outputs, expected)


def test_rows_do_not_see_each_other(case):
    entry, layer, arrays = case
    order = np.array([2, 0, 1])
    expected = call(entry, layer, arrays)
    mixed = call(entry, layer, [x[order] for x in arrays])
    alone = call(entry, layer, [x[1:2] for x in arrays])
    for output, row, value in zip(mixed, alone, expected, strict=True):
        np.testing.assert_allclose(output, value[order], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(row, value[1:2], rtol=1e-5, atol=1e-6)
