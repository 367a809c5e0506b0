"""Metrics over a whole corpus, fed with sums and counts."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="gpt3_keras")
class CorpusMean(keras.metrics.Metric):
    """sum / count over everything seen since the last reset.

    Not a mean of batch means: a batch weighs as much as it holds. Both sums
    are compensated (Kahan 1965), so that a billion small terms do not drown
    in float32.

    Call arguments of `update_state`:
        total: scalar, the sum over a batch.
        count: scalar, how much was summed.

    `result` is 0 before anything was counted.
    """

    def __init__(self, name="corpus_mean", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((), "zeros", name="total")
        self.total_excess = self.add_variable((), "zeros", name="total_excess")
        self.count = self.add_variable((), "zeros", name="count")
        self.count_excess = self.add_variable((), "zeros", name="count_excess")

    def update_state(self, total, count):
        self._add(total, self.total, self.total_excess)
        self._add(count, self.count, self.count_excess)

    def _add(self, term, running_sum, excess):
        """Kahan's addition; `excess` is what rounding added too much."""
        term = ops.cast(term, self.dtype) - excess
        new_sum = running_sum + term
        excess.assign((new_sum - running_sum) - term)
        running_sum.assign(new_sum)

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
