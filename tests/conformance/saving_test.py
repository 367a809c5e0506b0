"""Every entry through a .keras file, and in mixed precision."""

import keras
import numpy as np
import pytest

from tests import catalogue
from tests import oracles

pytestmark = [
    # Keras 3.15 turns TensorFlow's variables into arrays the old way.
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept:DeprecationWarning"
    ),
    # It says so of every optimizer that has not made a step.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optim"),
]


def as_model(entry, layer):
    """The layer as a functional model of symbolic inputs."""
    if entry.is_model:
        return layer
    inputs = []
    for place, kind in enumerate(entry.inputs):
        dtype, axes = catalogue.KINDS[kind]
        shape = [axis if isinstance(axis, int) else None for axis in axes[1:]]
        name = f"{place}_{kind}"
        inputs.append(keras.Input(shape, dtype=dtype, name=name))
    return keras.Model(inputs, layer(*inputs))


def call(entry, model):
    arrays = entry.arrays()
    arguments = entry.arguments(arrays) if entry.is_model else (arrays,)
    outputs = model(*arguments)
    flat = keras.tree.flatten(outputs)
    return [keras.ops.convert_to_numpy(output) for output in flat]


@pytest.mark.parametrize("name", catalogue.ENTRIES)
def test_a_file_gives_the_same_back(name, tmp_path):
    entry = catalogue.ENTRIES[name]
    model = as_model(entry, entry.make("float32"))
    oracles.randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for output, expected in zip(
        call(entry, loaded), call(entry, model), strict=True
    ):
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", catalogue.ENTRIES)
def test_symbolic_shapes_and_dtypes_are_the_real_ones(name):
    entry = catalogue.ENTRIES[name]
    model = as_model(entry, entry.make("float32"))
    symbols = keras.tree.flatten(model.output)
    for output, symbol in zip(call(entry, model), symbols, strict=True):
        assert output.dtype == symbol.dtype
        assert len(output.shape) == len(symbol.shape)
        for size, declared in zip(output.shape, symbol.shape, strict=True):
            assert declared in (None, size)


@pytest.mark.parametrize("name", catalogue.ENTRIES)
def test_mixed_precision_keeps_float32_weights_and_finite_outputs(name):
    entry = catalogue.ENTRIES[name]
    layer = entry.make("mixed_bfloat16")
    outputs = keras.tree.flatten(layer(*entry.arguments(entry.arrays())))
    assert all(weight.dtype == "float32" for weight in layer.weights)
    is_probabilities = name in ("mixture", "causal_lm")
    expected = "float32" if is_probabilities else "bfloat16"
    for output in outputs:
        assert keras.backend.standardize_dtype(output.dtype) == expected
        assert keras.ops.all(keras.ops.isfinite(output))
