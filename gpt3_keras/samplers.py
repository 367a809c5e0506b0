"""A sampler that draws the same token for the same seed, anywhere."""

import keras
import keras_hub
from keras import ops

from gpt3_keras import functional
from gpt3_keras import functional_random


@keras.saving.register_keras_serializable(package="gpt3_keras")
class SeededSampler(keras_hub.samplers.Sampler):
    """Temperature, top-k and top-p sampling without a state.

    The Gumbel-max trick: argmax_v (l_v / temperature + G_v) over the tokens
    that are kept draws from their softmax. The noise G depends on the seed,
    the position and the row alone, so that a run in Python, a later run, and
    the exported model write the same text. Every argument may be a scalar
    tensor.

    Args:
        temperature: float. 0 takes the likeliest token. Defaults to 1.
        top_k: int, keep the k likeliest tokens; 0 keeps all. Defaults to 0.
        top_p: float in (0, 1], keep the fewest likeliest tokens with
            together at least this probability. Defaults to 1.
        seed: int. Defaults to 0.

    Raises:
        ValueError: a number breaks its rule.

    Reference: Holtzman et al. 2020 (arXiv:1904.09751) for top-p; Gumbel 1954
    as in Maddison et al. 2014 (arXiv:1411.0030), eq. 2.
    """

    def __init__(self, temperature=1.0, top_k=0, top_p=1.0, seed=0):
        super().__init__()
        check_number("temperature", temperature, lambda x: x >= 0, "at least 0")
        check_number("top_k", top_k, lambda x: x >= 0, "at least 0")
        check_number("top_p", top_p, lambda x: 0 < x <= 1, "in (0, 1]")
        self.noise_temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed

    def __call__(
        self,
        next,
        prompt,
        cache=None,
        index=0,
        mask=None,
        stop_token_ids=None,
        hidden_states=None,
        model=None,
    ):
        """Writes `prompt` on from `index`, as every KerasHub sampler does.

        A loop of its own, because the noise depends on the position, and
        without `XlaDynamicUpdateSlice`, which a server may lack.
        """
        length = ops.shape(prompt)[1]
        index = ops.cast(index, "int32")
        mask = ops.zeros_like(prompt, "bool") if mask is None else mask
        mask = ops.cast(mask, "bool")

        def cond(prompt, cache, index):
            if stop_token_ids is None:
                return ops.convert_to_tensor(True)
            stops = functional.new_stops(prompt, mask, stop_token_ids)
            return ops.logical_not(ops.all(ops.any(stops, axis=-1)))

        def body(prompt, cache, index):
            logits, _, cache = next(prompt, cache, index)
            token = ops.argmax(self.perturb(logits, index), axis=-1)
            token = ops.cast(token, prompt.dtype)
            token = ops.where(mask[:, index], prompt[:, index], token)
            prompt = functional.set_position(prompt, token[:, None], index)
            return prompt, cache, index + 1

        return self.run_loop(
            cond,
            body,
            loop_vars=(prompt, () if cache is None else cache, index),
            maximum_iterations=length - index,
            model=model,
        )[0]

    def perturb(self, logits, index):
        """Logits (B, V) whose argmax is the draw for position `index`."""
        logits = ops.cast(logits, "float32")
        if _is_number(self.noise_temperature, 0):
            return logits
        temperature = ops.cast(self.noise_temperature, "float32")
        positive = ops.greater(temperature, 0.0)
        scaled = logits / ops.where(positive, temperature, 1.0)
        uniform = self._noise(ops.shape(logits), index)
        # Away from 0 and 1, where the double logarithm ends.
        uniform = ops.clip(uniform, 1e-20, 1.0 - 1e-7)
        drawn = self._keep_likeliest(scaled) - ops.log(-ops.log(uniform))
        return ops.where(positive, drawn, logits)

    def _noise(self, shape, index):
        """Uniform numbers (B, V), of this seed and position."""
        rows = ops.arange(shape[0], dtype="int32")
        key = functional_random.fold_in(self.seed, index)
        keys = functional_random.fold_in(key, rows)
        places = ops.arange(shape[1], dtype="int32")
        return functional_random.uniform(keys[:, None], places)

    def _keep_likeliest(self, logits):
        """Masks what top-k and top-p leave out; equal logits stay together."""
        if _is_number(self.top_k, 0) and _is_number(self.top_p, 1):
            return logits
        descending = -ops.sort(-logits, axis=-1)
        size = ops.shape(logits)[-1]
        top_k = ops.cast(self.top_k, "int32")
        top_k = ops.where(ops.greater(top_k, 0), top_k, size)
        top_k = ops.minimum(top_k, size)
        probs = functional.softmax(descending)
        before = ops.cumsum(probs, axis=-1) - probs
        # A rounded sum can reach 1 before the last token.
        top_p = ops.cast(self.top_p, "float32")
        top_p = ops.where(ops.less(top_p, 1.0), top_p, 2.0)
        kept = ops.logical_and(
            ops.less(ops.arange(size), top_k), ops.less(before, top_p)
        )
        last = ops.sum(ops.cast(kept, "int32"), axis=-1, keepdims=True) - 1
        last = ops.maximum(last, 0)
        least = ops.take_along_axis(descending, last, axis=-1)
        return functional.mask_logits(logits, ops.greater_equal(logits, least))

    def get_config(self):
        return {
            "temperature": self.noise_temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": self.seed,
        }


def _is_number(value, number):
    return isinstance(value, int | float) and value == number


def check_number(name, value, rule, words):
    """Raises where an argument is a number and breaks its rule."""
    if isinstance(value, int | float) and not rule(value):
        raise ValueError(f"{name} must be {words}. Received: {name}={value}.")
