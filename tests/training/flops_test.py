"""FLOPs by formula are those of the products that are executed."""

import math
import time

import pytest
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.training import flops
from gpt3_keras.training import phases
from tests.models import small

NUM_ROWS, LENGTH = 3, 7
ODD_SIZES = {"hidden_dim": 12, "pointer_hidden_dims": (5, 9, 4), "num_heads": 3}


class ProductCounter:
    """Adds up the FLOPs of every matrix product that TensorFlow executes.

    From the shapes alone: it knows nothing of the model.
    """

    def __init__(self):
        self.flops = 0

    def __call__(self, op_type, inputs, attrs, outputs, *names):
        if isinstance(attrs, tuple):
            attrs = dict(zip(attrs[::2], attrs[1::2], strict=True))
        if op_type == "Einsum":
            self.flops += self._einsum(inputs, attrs)
        elif op_type in ("MatMul", "BatchMatMulV2"):
            turned = attrs.get("transpose_a") or attrs.get("adj_x")
            inner = inputs[0].shape[-2 if turned else -1]
            self.flops += 2 * math.prod(outputs[0].shape) * inner

    def _einsum(self, inputs, attrs):
        sizes = {}
        labels = attrs["equation"].partition("->")[0].split(",")
        for names, x in zip(labels, inputs, strict=True):
            sizes.update(zip(names, x.shape, strict=True))
        return 2 * math.prod(sizes.values())

    def __enter__(self):
        op_callbacks.add_op_callback(self)
        return self

    def __exit__(self, *exception):
        op_callbacks.remove_op_callback(self)


def executed(backbone, training):
    """FLOPs of one eager pass over a batch, with gradients in training."""
    model = GPT3CausalLM(backbone)
    batch = small.batch(*[LENGTH] * NUM_ROWS)
    x, y, weights = (
        {name: tf.constant(value) for name, value in batch[0].items()},
        *map(tf.constant, batch[1:]),
    )
    tape = tf.GradientTape(watch_accessed_variables=False)
    with ProductCounter() as counter, tape:
        variables = [v.value for v in backbone.trainable_weights]
        for variable in variables:
            tape.watch(variable)
        sums = model.compute_losses(x, y, weights, training)
        if training:
            tape.gradient(sums["objective"], variables)
    return counter.flops


CHOICES = [
    {},
    small.OTHER_CHOICES,
    ODD_SIZES,
    {"num_layers": 3, "rnn": "lstm", "max_sequence_length": LENGTH},
]


@pytest.mark.parametrize("choices", CHOICES)
def test_the_formula_is_what_is_executed(choices):
    backbone = small.backbone(**choices)
    forward = flops.forward_flops(backbone, NUM_ROWS, LENGTH)
    step = flops.train_step_flops(backbone, NUM_ROWS, LENGTH)
    # Angles of sinusoidal positions are a product, too, but no work.
    is_sinusoidal = backbone.position_encoding == "sinusoidal"
    angles = is_sinusoidal * 2 * NUM_ROWS * LENGTH * backbone.hidden_dim
    assert executed(backbone, training=False) == forward + angles
    assert executed(backbone, training=True) == step + angles
    assert step == 3 * forward


@pytest.mark.parametrize(
    ("modules", "tolerance"),
    [
        (["embeddings", "encoder", "generator"], 0.05),
        (["pointer"], 0.05),
        (["generator"], 0.05),
        (["encoder", "pointer"], 0.05),
        # Recurrences make gradients of their frozen matrices, when run
        # eagerly; in a graph those that nobody wants are left out.
        (["embeddings"], 0.1),
    ],
)
@pytest.mark.parametrize("choices", CHOICES[:3])
def test_what_stands_still_costs_less(choices, modules, tolerance):
    backbone = small.backbone(**choices)
    phases.set_trainable(backbone, modules)
    step = flops.train_step_flops(backbone, NUM_ROWS, LENGTH)
    expected = pytest.approx(executed(backbone, True), rel=tolerance)
    assert step == expected


def test_frozen_blocks_pass_gradients_on():
    backbone = small.backbone(num_layers=3)
    phases.set_trainable(backbone, trainable_layers=1)
    step = flops.train_step_flops(backbone, NUM_ROWS, LENGTH)
    assert step == pytest.approx(executed(backbone, True), rel=0.05)
    forward = flops.forward_flops(backbone, NUM_ROWS, LENGTH)
    assert 2 * forward < step < 3 * forward


def test_rows_and_positions_add_up():
    backbone = small.backbone()
    of_one = flops.train_step_flops(backbone, 1, 8)
    assert flops.train_step_flops(backbone, 5, 8) == 5 * of_one
    # Attention and pointer look at every position from every position.
    assert flops.train_step_flops(backbone, 1, 16) > 2 * of_one


def test_the_device_is_measured():
    side = 512
    factor = tf.ones((side, side)) / side

    def secs():
        start = time.perf_counter()
        tf.matmul(factor, factor).numpy()
        return time.perf_counter() - start

    mine = 2 * side**3 / min(secs() for _ in range(9))
    measured = flops.matmul_flops_per_sec("float32")
    assert mine / 4 < measured < 8 * mine


def test_replicas_count_together(monkeypatch):
    monkeypatch.setattr(flops, "_LARGEST_SIDE", 512)
    monkeypatch.setattr(flops, "_product_secs", lambda *_: 1e-6)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    of_one = flops.matmul_flops_per_sec("float32", strategy)
    assert of_one == pytest.approx(2 * 512**3 / 1e-6)
    monkeypatch.setattr(
        type(strategy), "num_replicas_in_sync", property(lambda _: 8)
    )
    of_eight = flops.matmul_flops_per_sec("float32", strategy)
    assert of_eight == pytest.approx(8 * of_one)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_any_type_of_number_is_measured(dtype, monkeypatch):
    monkeypatch.setattr(flops, "_LARGEST_SIDE", flops._SMALLEST_SIDE)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    assert flops.matmul_flops_per_sec(dtype, strategy) > 1e8


def test_a_slow_device_is_not_kept_busy(monkeypatch):
    sides = []

    def product_secs(strategy, side, dtype):
        sides.append(side)
        return side**3 * 1e-9

    monkeypatch.setattr(flops, "_product_secs", product_secs)
    speed = flops.matmul_flops_per_sec("float32")
    assert speed == pytest.approx(2e9)
    assert sides == [256]
