"""The pointer against its oracle: scores, context, gate; alone and shared."""

import numpy as np
import pytest

from gpt3_keras import functional
from gpt3_keras.layers.attention import Attention
from gpt3_keras.layers.pointer import Pointer
from tests import oracles

PADDING_MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)


def make(attention=None):
    layer = Pointer(6, 7, (3, 5), attention, dtype="float64")
    layer.build((None, None, 6))
    return oracles.randomize(layer)


def weights_of(layer):
    return {
        "query": oracles.weights_of(layer.query_dense),
        "key": oracles.kernel_of(layer.key_dense),
        "predecessor_share": np.asarray(layer.predecessor_share),
        "position_bias": np.asarray(layer.position_bias),
        "gate_denses": [oracles.weights_of(d) for d in layer.gate_denses],
        "gate_output": oracles.weights_of(layer.gate_output),
    }


def shared_attention():
    attention = Attention(2, 6, dtype="float64")
    attention.build((None, None, 6), (None, None, 6))
    return attention


@pytest.mark.parametrize("attention", [None, shared_attention])
def test_it_equals_its_oracle(attention):
    layer = make(attention and attention())
    states = oracles.states(2, 5, 6)
    scores, gates = oracles.pointer(states, PADDING_MASK, weights_of(layer))
    outputs = layer(states, PADDING_MASK)
    assert set(outputs) == {"pointer_logits", "gate_logits"}
    readable = np.isfinite(scores)
    logits = np.asarray(outputs["pointer_logits"])
    np.testing.assert_allclose(logits[readable], scores[readable], rtol=1e-6)
    assert (logits[~readable] == functional.MASKED_LOGIT).all()
    np.testing.assert_allclose(
        functional.softmax(logits), oracles.softmax(scores), rtol=1e-5
    )
    np.testing.assert_allclose(outputs["gate_logits"], gates, rtol=1e-5)


def test_step_by_step_it_is_the_same():
    layer = make()
    states = oracles.states(2, 5, 6)
    expected, cache = layer.prefill(states, np.ones((2, 5), bool))
    for t in range(5):
        here = slice(t, t + 1)
        outputs, cache = layer.decode(states[:, here], cache, t)
        for name in expected:
            np.testing.assert_allclose(
                outputs[name], expected[name][:, here], rtol=1e-5, atol=1e-7
            )


def test_shared_projections_are_the_same_weights():
    attention = shared_attention()
    layer = make(attention)
    assert layer.query_dense is attention.query_dense
    assert layer.key_dense is attention.key_dense
    shared = {id(weight) for weight in attention.weights}
    own = [weight for weight in layer.weights if id(weight) not in shared]
    # The query's kernel and bias, the key's kernel.
    assert len(own) == len(make().weights) - 3


def test_it_starts_without_a_preference_for_positions():
    layer = Pointer(6, 7)
    layer.build((None, None, 6))
    assert layer.position_bias.shape == (7, 7)
    assert not np.any(layer.position_bias)


def test_the_gate_starts_at_its_bias():
    layer = Pointer(6, 7, (3, 5), gate_bias=1.5)
    gates = layer(np.zeros((1, 4, 6)), np.ones((1, 4), bool))["gate_logits"]
    np.testing.assert_allclose(gates, 1.5, rtol=1e-6)


def test_the_network_has_the_article_widths_by_default():
    layer = Pointer(6, 7)
    layer.build((None, None, 6))
    shapes = [dense.kernel.shape for dense in layer.gate_denses]
    assert shapes == [(12, 64), (64, 768)]
    assert layer.gate_output.kernel.shape == (768, 1)
