"""A cache that decoding writes in place: the same numbers, and no copy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import backend
from gpt3_keras import functional
from tests import graphs

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="for TensorFlow alone"
)
SHAPES = {"states": (3, 5, 2), "keys": (3, 5, 4, 2)}


def arrays(seed=0):
    generator = np.random.default_rng(seed)
    return {
        name: generator.standard_normal(shape).astype("float32")
        for name, shape in SHAPES.items()
    }


def write(cache, updates, set_position):
    """Sets positions 1 to 3, each from what was there before."""

    def step(index, cache):
        return index + 1, {
            name: set_position(
                values, updates[name][:, :1] + values[:, :1], index
            )
            for name, values in cache.items()
        }

    return tf.while_loop(lambda index, _: index < 4, step, (1, cache))[1]


def traced(function):
    cache = {k: tf.TensorSpec(shape, tf.float32) for k, shape in SHAPES.items()}
    return tf.function(function, input_signature=[cache, cache])


@traced
def in_place(cache, updates):
    kept, set_position = backend.decoding_cache(cache)
    return write(kept, updates, set_position), cache


def test_it_is_the_same_and_leaves_what_it_was_given():
    cache, updates = arrays(), arrays(1)
    expected = write(
        *tf.nest.map_structure(tf.constant, (cache, updates)),
        functional.set_position,
    )
    found, given = in_place(cache, updates)
    for name in SHAPES:
        np.testing.assert_array_equal(found[name], expected[name])
        np.testing.assert_array_equal(given[name], cache[name])
        assert found[name].shape == SHAPES[name]


def test_no_operation_of_the_loop_copies_a_tensor():
    types = [
        op.type
        for op in graphs.operations(in_place.get_concrete_function().graph)
    ]
    assert types.count("InplaceUpdate") == types.count("DeepCopy") == 2
    assert "TensorScatterUpdate" not in types


def test_outside_of_a_graph_nothing_is_overwritten():
    cache = tf.nest.map_structure(tf.constant, arrays())
    kept, set_position = backend.decoding_cache(cache)
    set_position(kept["states"], tf.zeros((3, 1, 2)), 0)
    np.testing.assert_array_equal(cache["states"], arrays()["states"])
