"""A model as EleutherAI's lm-evaluation-harness drives it.

Needs the extra `gpt3-keras[lm-eval]`. A task of one's own is a dict, or a
YAML file, that names local files; the harness's tasks download theirs.
"""

import itertools
import json

import numpy as np

from gpt3_keras.evaluation import likelihood
from gpt3_keras.models import prompts
from gpt3_keras.samplers import SeededSampler

try:
    from lm_eval import utils as harness_utils
    from lm_eval.api.model import TemplateLM
    from lm_eval.models.utils import normalize_gen_kwargs
except ImportError as error:
    raise ImportError(
        "The adapter needs lm-evaluation-harness; install it with "
        f"`pip install 'gpt3-keras[lm-eval]'`. Received: {error}."
    ) from error


class GPT3HarnessLM(TemplateLM):
    """A `GPT3CausalLM` behind the interface of `lm_eval.api.model.LM`.

    Every row begins with the tokenizer's start token, as rows do in training;
    the harness itself puts one before an empty context only. A context that
    does not fit loses its beginning, start token and all.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        batch_size: int, the most rows at a time.
        max_gen_toks: int, how many tokens `generate_until` writes at most
            where the task does not say.

    Raises:
        ValueError: the model has no preprocessor.

    Example:

    ```python
    lm_eval.simple_evaluate(GPT3HarnessLM(model), tasks=[{
        "task": "lambada_local",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "lambada_test.jsonl"}},
        "output_type": "loglikelihood",
        "test_split": "test",
        "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}",
        "doc_to_target": "{{' '+text.split(' ')[-1]}}",
        "metric_list": [{"metric": "acc"}, {"metric": "perplexity"}],
    }])
    ```
    """

    def __init__(self, model, batch_size=32, max_gen_toks=64):
        super().__init__()
        if model.preprocessor is None:
            raise ValueError(
                "The harness works on text: the model must have a "
                "preprocessor. Received: preprocessor=None."
            )
        self.model = model
        self.batch_size = batch_size
        self.max_gen_toks = max_gen_toks

    @property
    def max_length(self):
        """The longest row of inputs, in tokens."""
        return self.model.backbone.max_sequence_length

    @property
    def eot_token_id(self):
        return self._tokenizer.end_token_id

    @property
    def prefix_token_id(self):
        return self._tokenizer.start_token_id

    @property
    def _tokenizer(self):
        return self.model.preprocessor.tokenizer

    def tok_encode(self, string, add_special_tokens=None, **kwargs):
        """Token ids; the start token first, unless told not to add it."""
        (ids,) = self._tokenizer.encode_batch([string])
        if add_special_tokens is False or ids[:1] == [self.prefix_token_id]:
            return ids
        return [self.prefix_token_id, *ids]

    def _loglikelihood_tokens(self, requests, disable_tqdm=False, **kwargs):
        texts, contexts, continuations = zip(*requests, strict=True)
        scores = likelihood.continuation_scores(
            self.model, contexts, continuations, self.batch_size
        )
        answers = list(
            zip(
                scores["log_prob"].tolist(),
                scores["is_greedy"].tolist(),
                strict=True,
            )
        )
        for pair, answer in zip(texts, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", pair, answer)
        return answers

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        owners, contexts, continuations = [], [], []
        for owner, request in enumerate(requests):
            windows = harness_utils.get_rolling_token_windows(
                self.tok_encode(request.args[0], add_special_tokens=False),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for window in windows:
                context, continuation = harness_utils.make_disjoint_window(
                    window
                )
                owners.append(owner)
                contexts.append(context)
                continuations.append(continuation)
        log_probs = likelihood.continuation_log_probs(
            self.model, contexts, continuations, self.batch_size
        )
        sums = np.bincount(owners, log_probs, len(requests)).tolist()
        for request, answer in zip(requests, sums, strict=True):
            self.cache_hook.add_partial(
                "loglikelihood_rolling", request.args, answer
            )
        return sums

    def generate_until(self, requests, disable_tqdm=False):
        texts = [None] * len(requests)

        def options(place):
            return json.dumps(requests[place].args[1], sort_keys=True)

        order = sorted(range(len(requests)), key=options)
        for _, places in itertools.groupby(order, options):
            places = list(places)
            written = self._write(
                [requests[place].args[0] for place in places],
                normalize_gen_kwargs(
                    requests[places[0]].args[1], self.max_gen_toks
                ),
            )
            for place, text in zip(places, written, strict=True):
                texts[place] = text
                self.cache_hook.add_partial(
                    "generate_until", requests[place].args, text
                )
        return texts

    def _write(self, contexts, options):
        """What follows each context, up to the first stop sequence."""
        max_new_tokens = options.pop("max_gen_toks")
        stops = [stop for stop in options.pop("until") if stop]
        room = self.max_length - max_new_tokens
        if not 1 <= room < self.max_length:
            raise ValueError(
                "max_gen_toks must be positive and leave room for a context. "
                f"Received: max_gen_toks={max_new_tokens}, "
                f"max_sequence_length={self.max_length}."
            )
        writer = self._writer(options)
        rows = [self.tok_encode(context)[-room:] for context in contexts]
        texts = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            lengths = [len(rows[i]) for i in places]
            x = prompts.pad(
                [rows[i] for i in places], max(lengths) + max_new_tokens
            )
            outputs = {k: np.asarray(v) for k, v in writer(x).items()}
            new = prompts.new_rows(outputs, lengths, max_new_tokens, True)
            for i, ids in zip(places, new, strict=True):
                texts[i] = _until(self._decode(ids), stops)
        return texts

    def _decode(self, ids):
        special = set(self._tokenizer.special_token_ids)
        return self._tokenizer.detokenize(
            [[i for i in ids if i not in special]]
        )[0]

    def _writer(self, options):
        """A graph that writes on from prompts; one for each sampler."""
        known = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}
        unknown = sorted({*options} - {*known, "do_sample"})
        if unknown:
            raise ValueError(
                "A task may set until, max_gen_toks, do_sample, "
                f"{', '.join(known)}. Received: {', '.join(unknown)}."
            )
        chosen = {**known, **options}
        if not chosen.pop("do_sample", False):
            chosen["temperature"] = 0.0
        sampler, stop_token_ids = SeededSampler(**chosen), [self.eot_token_id]
        return self.model.graph(
            f"harness {sorted(chosen.items())}",
            lambda model, x: model.generate_step(x, stop_token_ids, sampler),
        )


def _until(text, stops):
    """The part of a text before any of some strings.

    >>> _until("yes, or no?", ["?", " or"])
    'yes,'
    """
    return text[: min([text.find(s) for s in stops if s in text], default=None)]
