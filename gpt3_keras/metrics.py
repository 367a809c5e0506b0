"""Metrics over a whole corpus, fed with sums and counts."""

import time

import keras
from keras import ops

from gpt3_keras import backend


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
        self.total = self._add_sum("total")
        self.total_excess = self._add_sum("total_excess")
        self.count = self._add_sum("count")
        self.count_excess = self._add_sum("count_excess")

    def _add_sum(self, name):
        # What comes in was summed over the replicas before.
        return self.add_variable(
            (), "zeros", aggregation="only_first_replica", name=name
        )

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


class TokensPerSecond(keras.callbacks.Callback):
    """Adds `tokens_per_sec`, target tokens a second, to the logs.

    Over the epoch so far, or the evaluation, without its first batch, in
    which the step is compiled. `GPT3CausalLM.fit` and `evaluate` add it.

    Args:
        counter: the `CorpusMean` whose count is of target tokens.
    """

    def __init__(self, counter):
        super().__init__()
        self.counter = counter
        self._training = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start()

    def on_test_begin(self, logs=None):
        self._start()

    def on_train_batch_end(self, batch, logs=None):
        self._measure(logs)
        self._training = logs.get("tokens_per_sec")

    def on_test_batch_end(self, batch, logs=None):
        self._measure(logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._training is not None:
            logs["tokens_per_sec"] = self._training

    def _start(self):
        self._start_secs = None
        self._tokens = self._last_count = 0.0

    def _measure(self, logs):
        count = float(backend.current_value(self.model, self.counter.count))
        if self._start_secs is None:
            self._start_secs = time.perf_counter()
        else:
            # Less than last time: somebody has reset the metrics since.
            is_new = count < self._last_count
            self._tokens += count - (0.0 if is_new else self._last_count)
            secs = time.perf_counter() - self._start_secs
            logs["tokens_per_sec"] = self._tokens / secs
        self._last_count = count
