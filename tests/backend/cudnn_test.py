"""cuDNN's recurrences as far as they go without a GPU.

TensorFlow traces its operation everywhere and runs it on a GPU alone. So: what
the operation is given, against Keras' own layers, which are known to work;
what comes of it, by an operation of the tests in its place that reads the
weights as NVIDIA's documentation lays them out; and where it may stand.
"""

import importlib
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

import gpt3_keras as gk
from gpt3_keras.backend.tensorflow import cudnn
from gpt3_keras.layers.recurrent import Recurrent
from tests import graphs
from tests import oracles
from tests.models import small

CELLS = ("gru", "lstm")
BATCH, TIME, WIDTH, UNITS = 2, 5, 3, 4
NAME, GRADIENT = "CudnnRNNV3", "CudnnRNNBackpropV3"

# Its package has a function of the same name.
keras_rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")


@pytest.fixture
def gpu(monkeypatch):
    """As if there were one."""
    monkeypatch.setattr(cudnn, "has_cudnn", lambda: True)


@pytest.fixture
def emulated(gpu, monkeypatch):
    """And with an operation that computes what cuDNN's does."""
    monkeypatch.setattr(tf.raw_ops, NAME, emulate)


def emulate(
    *, input, input_h, input_c, params, sequence_lengths, rnn_mode, time_major
):
    """The equations of `cudnnRNNMode_t`, in cuDNN's own order of gates."""
    batch, num_steps, width = input.shape
    units = input_h.shape[-1]
    assert not time_major
    assert input_h.shape == (batch, 1, units)
    np.testing.assert_array_equal(sequence_lengths, [num_steps] * batch)
    num_gates = {"gru": 3, "lstm": 4}[rnn_mode]
    sizes = [units * width] * num_gates + [units * units] * num_gates
    parts = tf.split(params, [*sizes, *[units] * 2 * num_gates])
    w, r, b_w, b_r = (
        parts[i * num_gates : (i + 1) * num_gates] for i in range(4)
    )

    def of_input(gate, x):
        return x @ tf.transpose(tf.reshape(w[gate], (units, width))) + b_w[gate]

    def of_state(gate, h):
        return h @ tf.transpose(tf.reshape(r[gate], (units, units))) + b_r[gate]

    def gru(x, h, c):
        reset = tf.sigmoid(of_input(0, x) + of_state(0, h))
        update = tf.sigmoid(of_input(1, x) + of_state(1, h))
        new = tf.tanh(of_input(2, x) + reset * of_state(2, h))
        return (1 - update) * new + update * h, c

    def lstm(x, h, c):
        i, f, new, o = (of_input(g, x) + of_state(g, h) for g in range(4))
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(new)
        return tf.sigmoid(o) * tf.tanh(c), c

    h, c = input_h[:, 0], input_c if rnn_mode == "gru" else input_c[:, 0]
    states = []
    for x in tf.unstack(input, axis=1):
        h, c = {"gru": gru, "lstm": lstm}[rnn_mode](x, h, c)
        states.append(h)
    return types.SimpleNamespace(output=tf.stack(states, axis=1))


def make(cell, dtype="float64"):
    layer = Recurrent(UNITS, cell, dtype=dtype)
    layer.build((None, None, WIDTH))
    return oracles.randomize(layer)


def in_step(layer, inputs):
    with cudnn.allowed(True):
        return layer(inputs)


def given(function, inputs, monkeypatch):
    """What `function` gives to cuDNN's operation."""
    calls = []

    def record(**arguments):
        calls.append(arguments)
        raise tf.errors.AbortedError(None, None, "recorded")

    monkeypatch.setattr(tf.raw_ops, NAME, record)
    with pytest.raises(tf.errors.AbortedError):
        function(tf.constant(inputs))
    # TensorFlow's default.
    return {"is_training": True, **calls[0]}


def of_cudnn(graph):
    return [x for x in graphs.operations(graph) if "Cudnn" in x.type]


def by_keras(cell, layer):
    """The call of Keras' own layer with the weights of ours."""
    biases = [layer.input_dense.bias.value, layer.recurrent_bias.value]
    is_gru = cell == "gru"
    zero = tf.zeros((BATCH, UNITS), "float64")
    function = keras_rnn._cudnn_gru if is_gru else keras_rnn._cudnn_lstm
    return lambda x: function(
        x,
        *([zero] if is_gru else [zero, zero]),
        kernel=layer.input_dense.kernel.value,
        recurrent_kernel=layer.recurrent_kernel.value,
        # Keras' LSTM has no bias of the inputs alone.
        bias=tf.stack(biases) if is_gru else biases[1],
        mask=None,
        time_major=False,
        go_backwards=False,
        return_sequences=True,
    )[1]


@pytest.mark.parametrize("cell", CELLS)
def test_it_is_given_what_keras_gives_it(gpu, monkeypatch, cell):
    layer = make(cell)
    if cell == "lstm":
        layer.input_dense.bias.assign(np.zeros(4 * UNITS))
    inputs = oracles.states(BATCH, TIME, WIDTH)
    ours = given(lambda x: in_step(layer, x), inputs, monkeypatch)
    theirs = given(by_keras(cell, layer), inputs, monkeypatch)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("batch", "length"), [(2, 5), (1, 3), (3, 1)])
def test_it_is_the_recurrence_with_its_gradient(emulated, cell, batch, length):
    layer = make(cell)
    inputs = tf.constant(oracles.states(batch, length, WIDTH))
    pull = oracles.states(batch, length, UNITS, seed=3)
    found = []
    for call in (lambda x: in_step(layer, x), lambda x: layer.prefill(x)[0]):
        weights = [weight.value for weight in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            states = call(inputs)
            value = tf.reduce_sum(pull * states)
        found.append([states, *tape.gradient(value, [inputs, *weights])])
    for fused, step_by_step in zip(*found, strict=True):
        np.testing.assert_allclose(fused, step_by_step, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(
    not tf.sysconfig.get_build_info()["is_cuda_build"],
    reason="this TensorFlow was not made for NVIDIA's GPUs",
)
@pytest.mark.parametrize("name", [NAME, GRADIENT])
def test_a_gpu_has_it_for_every_precision(name):
    found = {
        dtype
        for kernel in kernels.get_registered_kernels_for_op(name).kernel
        for constraint in kernel.constraint
        for dtype in constraint.allowed_values.list.type
    }
    assert found >= {tf.float32, tf.float16, tf.bfloat16}


def traced_step(model, step):
    """The operations of cuDNN in a graph of `train_step` or `test_step`."""
    x, y, weights = (
        {
            "token_ids": tf.TensorSpec((None, 8), "int32"),
            "padding_mask": tf.TensorSpec((None, 8), "bool"),
        },
        tf.TensorSpec((None, 8), "int32"),
        tf.TensorSpec((None, 8), "float32"),
    )
    traced = tf.function(getattr(model, step), autograph=False)
    graph = traced.get_concrete_function((x, y, weights)).graph
    return sorted(operation.type for operation in of_cudnn(graph))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"rnn": "lstm", "num_layers": 2, "dtype": "mixed_bfloat16"}],
)
def test_steps_leave_all_recurrences_to_it(gpu, arguments):
    model = small.model(**arguments)
    model.compile(micro_batches=2)
    model.optimizer.build(model.trainable_variables)
    number = 1 + arguments.get("num_layers", 1)
    found = traced_step(model, "train_step")
    assert found == number * [GRADIENT] + number * [NAME]
    assert traced_step(model, "test_step") == number * [NAME]


def test_without_a_gpu_there_is_none():
    model = small.model()
    model.compile()
    model.optimizer.build(model.trainable_variables)
    assert not traced_step(model, "train_step")


def test_xla_has_none(gpu):
    model = small.model()
    model.compile(jit_compile=True)
    data = small.dataset([small.batch(8, 5)])
    # It would not compile.
    history = model.fit(data, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method:UserWarning"
)
def test_rounded_weights_have_none(gpu):
    model = small.model()
    model.quantize("int8")
    model.compile()
    assert not traced_step(model, "test_step")


def test_no_export_has_any(gpu, tmp_path):
    model = small.text_model()
    model.compile()
    model.optimizer.build(model.trainable_variables)
    # A graph of a step, with cuDNN, is no graph of an export.
    assert traced_step(model, "train_step")
    gk.export_saved_model(model, tmp_path / "ours", max_new_tokens=4)
    model.export(tmp_path / "of Keras", verbose=False)
    ours, of_keras = (
        tf.saved_model.load(tmp_path / name) for name in ("ours", "of Keras")
    )
    for signature in [*ours.signatures.values(), *of_keras.signatures.values()]:
        assert not of_cudnn(signature.graph)
    found = ours.score(["air port"])
    np.testing.assert_allclose(
        found["log_prob"], model.score(["air port"])["log_prob"], rtol=1e-5
    )
