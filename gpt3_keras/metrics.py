"""Metrics over a whole corpus, fed with sums and counts."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="gpt3_keras")
class CorpusMean(keras.metrics.Metric):
    """sum / count over everything seen since the last reset.

    Not a mean of batch means: a batch weighs as much as it holds. Sums are
    compensated (Kahan 1965), so that a billion small terms do not drown in
    float32.

    Call arguments of `update_state`:
        total: scalar, the sum over a batch.
        count: scalar, how much was summed.

    `result` is 0 before anything was counted.
    """

    def __init__(self, name="corpus_mean", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((), "zeros", name="total")
        self.lost = self.add_variable((), "zeros", name="lost")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, total, count):
        increment = ops.cast(total, self.dtype) - self.lost
        new_total = self.total + increment
        self.lost.assign((new_total - self.total) - increment)
        self.total.assign(new_total)
        self.count.assign_add(ops.cast(count, self.dtype))

    def result(self):
        return ops.divide_no_nan(self.total, self.count)


@keras.saving.register_keras_serializable(package="gpt3_keras")
class Perplexity(CorpusMean):
    """exp(nats per token) over a corpus.

    `update_state` takes the summed negative log-likelihood in nats and the
    number of tokens.
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def result(self):
        return ops.exp(super().result())
