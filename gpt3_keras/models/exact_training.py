"""What every model here does in `fit` and `evaluate`, and its other graphs."""

import functools
import gc

from gpt3_keras import backend
from gpt3_keras import functional_random
from gpt3_keras.models import compilation


class ExactTraining:
    """Training whose result does not depend on how a batch is cut.

    A class beside Keras' `Model`. A model of it has `unpack`, from a batch to
    x, y and weights; `compute_losses` and `zero_losses`, sums over a batch;
    `_sums`, the metrics that they are added to. Its `compile` ends with
    `compile_step`.
    """

    def compile_step(
        self, optimizer, micro_batches, seed, jit_compile, **kwargs
    ):
        """The part of `compile` that is every model's; see `GPT3CausalLM`."""
        self.micro_batches = micro_batches
        self.seed = compilation.check_seed(seed)
        self.compiles_step = jit_compile
        super().compile(
            optimizer=compilation.check_optimizer(optimizer, self.backbone),
            loss=None,
            weighted_metrics=None,
            jit_compile=False,
            **kwargs,
        )

    def compile_from_config(self, config):
        compilation.from_config(self, config)

    @property
    def metrics(self):
        return self._sums.metrics

    def fit(self, *args, callbacks=None, **kwargs):
        """As `keras.Model.fit`; its logs also tell the tokens a second."""
        callbacks = self._sums.and_speed(callbacks)
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def evaluate(self, *args, callbacks=None, **kwargs):
        """As `keras.Model.evaluate`; its progress bar, too."""
        callbacks = self._sums.and_speed(callbacks)
        return super().evaluate(*args, callbacks=callbacks, **kwargs)

    def train_step(self, *args):
        """One update, as the backend's trainer calls it.

        With the batch; on JAX with the state before it.
        """
        return backend.train_step(self, *args)

    def test_step(self, *args):
        return backend.test_step(self, *args)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            backend.build_optimizer(self)
            self.train_function = backend.step_function(self, self.train_step)

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = backend.step_function(self, self.test_step)

    def _symbolic_build(self, *args, **kwargs):
        """Makes the optimizer's variables: the model is built.

        Keras' look at a first batch fails where several workers hold it.
        """
        backend.build_optimizer(self)

    _maybe_symbolic_build = _symbolic_build

    def graph(self, name, function):
        """A function of the model and of tensors as one graph, kept by name.

        Args:
            name: str.
            function: of the model and of what the graph is called with.

        Returns:
            A function of the latter alone; see `backend.compiled`.
        """
        graphs = vars(self).setdefault("_graphs", {})
        if name not in graphs:
            graphs[name] = backend.compiled(
                functools.partial(function, self), self
            )
        return graphs[name]

    def quantize(self, *args, **kwargs):
        """As `keras.Model.quantize`; graphs of earlier weights are dropped."""
        # Keras has Python's garbage collected after each weight, and to go
        # through all that is alive takes longer than all the rest.
        gc.freeze()
        try:
            super().quantize(*args, **kwargs)
        finally:
            gc.unfreeze()
        vars(self).pop("_graphs", None)

    def dropout_key(self):
        """What the dropout of the next step is drawn from, int32."""
        return functional_random.fold_in(self.seed, self.optimizer.iterations)

    def record(self, sums):
        """Adds the sums of a batch to the metrics; gives their results."""
        self._sums.update(sums)
        return self.get_metrics_result()
