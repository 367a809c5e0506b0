"""Metrics over a corpus: exact where a mean of means is not."""

import math

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.metrics import CorpusMean
from gpt3_keras.metrics import Perplexity
from gpt3_keras.metrics import TokensPerSecond


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


class Clock:
    """Seconds that pass when told to."""

    def __init__(self, monkeypatch):
        self.secs = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.secs)

    def batch(self, on_batch_end, counter, num_tokens, secs):
        self.secs += secs
        counter.update_state(0.0, num_tokens)
        logs = {}
        on_batch_end(0, logs)
        return logs.get("tokens_per_sec")


def test_tokens_per_second_leave_out_the_batch_that_compiles(monkeypatch):
    counter = CorpusMean()
    speed, clock = TokensPerSecond(counter), Clock(monkeypatch)
    speed.on_epoch_begin(0)
    batches = [(100.0, 60.0), (100.0, 2.0), (50.0, 1.0)]
    speeds = [
        clock.batch(speed.on_train_batch_end, counter, *batch)
        for batch in batches
    ]
    assert speeds == [None, 50.0, 50.0]


def test_tokens_per_second_of_an_epoch_are_its_trainings(monkeypatch):
    counter = CorpusMean()
    speed, clock = TokensPerSecond(counter), Clock(monkeypatch)
    speed.on_epoch_begin(0)
    for _ in range(2):
        clock.batch(speed.on_train_batch_end, counter, 100.0, 2.0)
    counter.reset_state()  # Validation, much faster.
    speed.on_test_begin()
    clock.batch(speed.on_test_batch_end, counter, 100.0, 1.0)
    assert clock.batch(speed.on_test_batch_end, counter, 100.0, 1.0) == 100.0
    logs = {}
    speed.on_epoch_end(0, logs)
    assert logs == {"tokens_per_sec": 50.0}


def test_tokens_per_second_survive_a_reset(monkeypatch):
    counter = CorpusMean()
    speed, clock = TokensPerSecond(counter), Clock(monkeypatch)
    speed.on_epoch_begin(0)
    for _ in range(3):
        clock.batch(speed.on_train_batch_end, counter, 100.0, 1.0)
    counter.reset_state()
    last = clock.batch(speed.on_train_batch_end, counter, 100.0, 1.0)
    assert last == 100.0
