"""Beam search with control of length and of repetition."""

import functools
import operator

import keras
import keras_hub
from keras import ops
from keras import tree

from gpt3_keras import functional
from gpt3_keras import samplers_repeats
from gpt3_keras.samplers import check_number

_NEVER = -1e9  # What may not be; sums of it stay finite.
# The arguments, and the least that each may be.
_LEAST = {
    "num_beams": 1,
    "length_penalty": 0,
    "min_new_tokens": 0,
    "max_new_tokens": 1,
    "no_repeat_ngram": 0,
}


@keras.saving.register_keras_serializable(package="gpt3_keras")
class BeamSearchSampler(keras_hub.samplers.BeamSampler):
    """Writes the likeliest text that a search of a few beams comes across.

    score(Y) = log p(Y) / lp(Y), lp(Y) = ((5 + |Y|) / 6) ** length_penalty

    Y are the tokens written after the prompt, the stop token included. A beam
    that stops is taken out and kept. A row is done after `num_beams` texts
    have stopped, or once no beam can come to a better score than the best of
    them: its result, or else the likeliest beam. (KerasHub's sampler writes
    on behind stop tokens, and compares sums that they have changed.)

    With `max_new_tokens` a row's result depends on its prompt alone, without
    it also on the room that the longest prompt of the batch leaves.

    Args:
        num_beams: int; 1 takes the likeliest token each time. Defaults to 4.
        length_penalty: float, at least 0, above which longer text is
            preferred. Defaults to 1.
        min_new_tokens: int, before these many no text stops. Defaults to 0.
        max_new_tokens: int, after these many a beam is left as it is; None
            for as many as there is room for.
        no_repeat_ngram: int, no run of these many tokens is written twice; 0
            allows all. The prompt may be repeated. Defaults to 0.

    Raises:
        ValueError: an argument breaks its rule.

    Reference: Wu et al. 2016 (arXiv:1609.08144), eq. 14, without its
    coverage; Paulus et al. 2017 (arXiv:1705.04304), section 2.5, for
    `no_repeat_ngram`.
    """

    def __init__(
        self,
        num_beams=4,
        length_penalty=1.0,
        min_new_tokens=0,
        max_new_tokens=None,
        no_repeat_ngram=0,
    ):
        super().__init__(num_beams)
        self.length_penalty = length_penalty
        self.min_new_tokens = min_new_tokens
        self.max_new_tokens = max_new_tokens
        self.no_repeat_ngram = no_repeat_ngram
        for name, least in _LEAST.items():
            rule = functools.partial(operator.le, least)
            check_number(name, getattr(self, name), rule, f"at least {least}")
        most = float("inf") if max_new_tokens is None else max_new_tokens
        rule = functools.partial(operator.ge, most)
        check_number("min_new_tokens", min_new_tokens, rule, f"at most {most}")

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
        """Writes `prompt` (B, T) on from `index`, as every KerasHub sampler.

        `mask`, bool (B, T), is True at the prompts, which begin the rows.
        """
        mask = ops.zeros_like(prompt, "bool") if mask is None else mask
        mask = ops.cast(mask, "bool")
        index = ops.cast(index, "int32")
        length = ops.shape(prompt)[1]
        starts = ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=1), index)
        ends = ops.zeros_like(starts) + length
        if self.max_new_tokens is not None:
            ends = ops.minimum(ends, starts + self.max_new_tokens)
        stops = list(stop_token_ids or ())

        def cond(beams, cache, index):
            return ops.logical_not(ops.all(beams["is_done"]))

        def body(beams, cache, index):
            logits, _, cache = next(beams["token_ids"], cache, index)
            log_probs = self._allowed_log_probs(
                logits, beams["token_ids"], starts, index, stops
            )
            candidates = self._candidates(beams["log_probs"], log_probs, stops)
            is_new = ops.logical_not(
                ops.logical_or(beams["is_done"], ops.less(index, starts))
            )
            stopped = self._stop(beams, candidates, is_new, starts, index)
            going, parents = self._go_on(beams, candidates, is_new, index)
            beams = {**stopped, **going}
            beams["is_done"] = self._is_done(beams, starts, index)
            cache = tree.map_structure(lambda x: _take(x, parents), cache)
            return beams, cache, index + 1

        cache = tree.map_structure(
            lambda x: ops.repeat(x, self.num_beams, axis=0),
            () if cache is None else cache,
        )
        beams = self.run_loop(
            cond,
            body,
            loop_vars=(self._begin(prompt, starts, ends), cache, index),
            maximum_iterations=length - index,
            model=model,
        )[0]
        return self._result(beams, stops)

    def _begin(self, prompt, starts, ends):
        """All beams of a row at its prompt, of which the first one counts."""
        zeros = ops.zeros_like(starts, "float32")
        is_first = ops.equal(ops.arange(self.num_beams), 0)[None]
        return {
            "token_ids": ops.repeat(prompt, self.num_beams, axis=0),
            "log_probs": zeros[:, None] + ops.where(is_first, 0.0, _NEVER),
            "stopped_ids": prompt,
            "stopped_score": zeros + _NEVER,
            "num_stopped": ops.zeros_like(starts),
            "ends": ends,
            "is_done": ops.greater_equal(starts, ends),
        }

    def _allowed_log_probs(self, logits, token_ids, starts, index, stops):
        """log p of the next token (B K, V), `_NEVER` where it may not be."""
        log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        starts = ops.repeat(starts, self.num_beams, axis=0)
        if self.min_new_tokens:
            vocabulary = ops.arange(ops.shape(logits)[-1])[None]
            is_early = ops.less(index - starts, self.min_new_tokens)[:, None]
            is_banned = ops.logical_and(is_early, _is_in(vocabulary, stops))
            log_probs = ops.where(is_banned, _NEVER, log_probs)
        if self.no_repeat_ngram:
            is_banned = samplers_repeats.would_repeat(
                token_ids, starts, index, self.no_repeat_ngram, log_probs
            )
            log_probs = ops.where(is_banned, _NEVER, log_probs)
        return log_probs

    def _candidates(self, beam_log_probs, log_probs, stops):
        """The best ways to go on or to stop, (B, N), the likeliest first.

        Without the stop tokens among them there are `num_beams` and more.
        """
        num_beams, size = self.num_beams, ops.shape(log_probs)[-1]
        log_probs = log_probs + ops.reshape(beam_log_probs, (-1, 1))
        log_probs, places = ops.top_k(
            ops.reshape(log_probs, (-1, num_beams * size)),
            min(num_beams * (1 + len(stops)), num_beams * size),
        )
        tokens = ops.cast(places % size, "int32")
        return {
            "log_probs": log_probs,
            "tokens": tokens,
            "parents": places // size,
            "is_stop": _is_in(tokens, stops),
        }

    def _stop(self, beams, candidates, is_new, starts, index):
        """Takes in the best of the candidates that stop here.

        Those count that are among the `num_beams` best.
        """
        log_probs = candidates["log_probs"]
        is_best = ops.arange(ops.shape(log_probs)[1])[None] < self.num_beams
        is_allowed = ops.greater(log_probs, _NEVER / 2)
        stops = candidates["is_stop"]
        for rule in (is_best, is_allowed, is_new[:, None]):
            stops = ops.logical_and(stops, rule)
        # One length: the likeliest of them has the best score.
        log_probs = ops.where(stops, log_probs, _NEVER)
        best = ops.argmax(log_probs, axis=1)[:, None]
        score = ops.max(log_probs, axis=1) / self._penalty(index + 1 - starts)
        score = ops.where(ops.any(stops, axis=1), score, _NEVER)
        is_better = ops.greater(score, beams["stopped_score"])
        parents = self._rows(
            ops.take_along_axis(candidates["parents"], best, axis=1)
        )
        token_ids = functional.set_position(
            ops.take(beams["token_ids"], parents, axis=0),
            ops.take_along_axis(candidates["tokens"], best, axis=1),
            index,
        )
        return {
            "stopped_ids": ops.where(
                is_better[:, None], token_ids, beams["stopped_ids"]
            ),
            "stopped_score": ops.where(
                is_better, score, beams["stopped_score"]
            ),
            "num_stopped": beams["num_stopped"]
            + ops.sum(ops.cast(stops, "int32"), axis=1),
        }

    def _go_on(self, beams, candidates, is_new, index):
        """The beams one token on, and the rows of those that they continue.

        Beams of rows that are done, or still read their prompt, stay; a row
        where nothing may follow ends.
        """
        log_probs, chosen = ops.top_k(
            ops.where(candidates["is_stop"], _NEVER, candidates["log_probs"]),
            self.num_beams,
        )
        is_stuck = ops.logical_and(is_new, log_probs[:, 0] <= _NEVER / 2)
        moves = ops.logical_and(is_new, ops.logical_not(is_stuck))[:, None]
        parents = ops.take_along_axis(candidates["parents"], chosen, axis=1)
        parents = ops.where(moves, parents, ops.arange(self.num_beams)[None])
        parents = self._rows(parents)
        token_ids = _take(beams["token_ids"], parents)
        tokens = ops.take_along_axis(candidates["tokens"], chosen, axis=1)
        tokens = ops.where(
            ops.repeat(moves, self.num_beams, axis=0),
            ops.reshape(tokens, (-1, 1)),
            ops.take(token_ids, index[None], axis=1),
        )
        return {
            "token_ids": functional.set_position(token_ids, tokens, index),
            "log_probs": ops.where(moves, log_probs, beams["log_probs"]),
            "ends": ops.where(is_stuck, index, beams["ends"]),
        }, parents

    def _is_done(self, beams, starts, index):
        """Whether a row has its result, bool (B,)."""
        # No beam gets likelier, and no penalty is above that of the end.
        bound = ops.max(beams["log_probs"], axis=1)
        bound = bound / self._penalty(beams["ends"] - starts)
        reasons = (
            ops.greater_equal(beams["num_stopped"], self.num_beams),
            ops.greater_equal(beams["stopped_score"], bound),
            ops.greater_equal(index + 1, beams["ends"]),
        )
        return ops.any(ops.stack(reasons), axis=0)

    def _result(self, beams, stops):
        """The best text that stopped; else the likeliest one, stopped now."""
        best = self._rows(ops.argmax(beams["log_probs"], axis=1)[:, None])
        token_ids = ops.take(beams["token_ids"], best, axis=0)
        if not stops:
            return token_ids
        places = ops.arange(ops.shape(token_ids)[1])[None]
        token_ids = ops.where(
            places < beams["ends"][:, None], token_ids, stops[0]
        )
        return ops.where(
            ops.greater(beams["num_stopped"], 0)[:, None],
            beams["stopped_ids"],
            token_ids,
        )

    def _penalty(self, num_tokens):
        """lp of texts of so many tokens, float32."""
        return ((5.0 + ops.cast(num_tokens, "float32")) / 6.0) ** (
            self.length_penalty
        )

    def _rows(self, beams):
        """Which rows of (B K, ...) the beams (B, N) of (B, K, ...) are."""
        first = ops.arange(ops.shape(beams)[0])[:, None] * self.num_beams
        return ops.reshape(first + ops.cast(beams, first.dtype), (-1,))

    def get_config(self):
        return {name: getattr(self, name) for name in _LEAST}


def _is_in(tokens, stops):
    """Where one of the stop tokens stands, bool."""
    return functional.new_stops(tokens, ops.zeros_like(tokens, "bool"), stops)


def _take(x, rows):
    """Rows of `x`, as many as it has, with its static shape."""
    return ops.reshape(ops.take(x, rows, axis=0), ops.shape(x))
