"""Metrics over a corpus: exact where a mean of means is not."""

import math

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.metrics import CorpusMean
from gpt3_keras.metrics import Perplexity


def test_a_batch_weighs_as_much_as_it_holds():
    metric = CorpusMean(name="loss")
    metric.update_state(9.0, 3.0)
    metric.update_state(1.0, 1.0)
    assert metric.result() == 2.5  # and not (3 + 1) / 2
    metric.reset_state()
    metric.update_state(4.0, 2.0)
    assert metric.result() == 2.0


def test_without_anything_counted_it_is_zero():
    assert CorpusMean().result() == 0.0
    metric = CorpusMean()
    metric.update_state(0.0, 0.0)
    assert metric.result() == 0.0


def test_perplexity_is_of_the_corpus():
    metric = Perplexity()
    assert metric.name == "perplexity"
    metric.update_state(10.0, 4.0)
    metric.update_state(2.0, 2.0)
    assert float(metric.result()) == pytest.approx(math.exp(12 / 6), rel=1e-6)


@pytest.mark.parametrize(
    ("jit_compile", "num_updates"), [(False, 20_000), (True, 1_000_000)]
)
def test_small_terms_do_not_drown(jit_compile, num_updates):
    # In float32, 2**24 plus one or less is 2**24 again.
    start = 2.0**24
    assert np.float32(start) + np.float32(1.0) == start
    metric = CorpusMean()
    metric.update_state(start, start)

    @tf.function(jit_compile=jit_compile)
    def run(num_updates):
        for _ in tf.range(num_updates):
            metric.update_state(0.1, 1.0)

    run(tf.constant(num_updates))
    total, count = start + 0.1 * num_updates, start + num_updates
    assert float(metric.total) == pytest.approx(total, rel=1e-7)
    assert float(metric.count) == pytest.approx(count, rel=1e-7)
    assert float(metric.result()) == pytest.approx(total / count, rel=2e-7)
