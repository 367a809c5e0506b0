r"""Writes summaries and measures them beside the text's own first sentence.

A row is the start token, the source, the separator, what the model writes,
and the end token that stops it:

    <|endoftext|>It rained. We stayed.\nTL;DR: Rain.<|endoftext|>
"""

import numpy as np

from gpt3_keras import backend
from gpt3_keras.evaluation import likelihood
from gpt3_keras.evaluation import rouge
from gpt3_keras.models import prompts
from gpt3_keras.samplers_beam import BeamSearchSampler

MEASURES = {"f1": rouge.best_f1, "duc": rouge.duc_recall}
SEPARATOR = "\nTL;DR:"
# Prompts are padded to multiples of this, so that few graphs are traced.
_WIDTH_STEP = 64


def evaluate_summaries(
    model, summaries, *, measure="f1", progress=None, **options
):
    """ROUGE of what a model writes, and of the lead baseline.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        summaries: iterable of `data.summaries.Summary`.
        measure: "f1", `rouge.best_f1`, with the source's first sentence as
            the baseline; or "duc", `rouge.duc_recall`, with its first 75
            bytes, which is NIST's baseline of DUC 2004.
        progress: function of (summaries written, summaries).
        **options: see `write_rows`.

    Returns:
        A dict: `"rouge1"`, `"rouge2"` and `"rougeL"`, means over the
        summaries, in [0, 1]; the same of the baseline, `"lead_rouge1"` and
        so on; `"copied_share"`, the share of the written tokens'
        probability that the pointer gave; `"mean_tokens"`, their number in a
        summary; `"num_summaries"`.

    Raises:
        ValueError: there is no summary, or an argument breaks its rule.
    """
    summaries = list(summaries)
    if measure not in MEASURES:
        raise ValueError(
            f"measure must be one of {', '.join(MEASURES)}. Received: "
            f"measure={measure!r}."
        )
    if not summaries:
        raise ValueError("There must be summaries. Received: none.")
    contexts, written = write_rows(
        model,
        [summary.source for summary in summaries],
        progress=progress,
        **options,
    )
    texts = _texts(model, written)
    leads = [
        summary.sentences[0] if measure == "f1" else summary.source
        for summary in summaries
    ]
    return {
        **score_texts(texts, summaries, measure),
        **{
            f"lead_{name}": value
            for name, value in score_texts(leads, summaries, measure).items()
        },
        "copied_share": _copied_share(model, contexts, written),
        "mean_tokens": float(np.mean([len(ids) for ids in written])),
        "num_summaries": len(summaries),
    }


def score_texts(texts, summaries, measure="f1"):
    """Means of ROUGE over texts, each against its summary's references.

    Args:
        texts: list of str, N.
        summaries: list of `data.summaries.Summary`, N.
        measure: "f1" or "duc".

    Returns:
        A dict of `rouge.MEASURES` to floats.
    """
    scores = [
        MEASURES[measure](text, summary.targets)
        for text, summary in zip(texts, summaries, strict=True)
    ]
    return {
        name: float(np.mean([score[name] for score in scores]))
        for name in rouge.MEASURES
    }


def write_summaries(model, sources, **options):
    """Summaries of texts.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        sources: list of str.
        **options: see `write_rows`.

    Returns:
        A list of str, without white space at their ends.
    """
    return _texts(model, write_rows(model, sources, **options)[1])


def write_rows(
    model,
    sources,
    *,
    separator=SEPARATOR,
    max_source_tokens=None,
    max_new_tokens=64,
    sampler=None,
    batch_size=8,
    progress=None,
):
    """Summaries of texts, as token ids.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        sources: list of str, N.
        separator: str, what stands between a text and its summary.
        max_source_tokens: int, how much of a text is read, from its
            beginning. Defaults to what the model has room for.
        max_new_tokens: int, the longest summary, its end token included.
        sampler: a KerasHub sampler. Defaults to a `BeamSearchSampler` that
            writes no run of three tokens twice.
        batch_size: int, rows at a time.
        progress: function of (summaries written, N), called after a batch.

    Returns:
        Two lists of N rows of ids: what the model read, and what it wrote,
        without the end token.

    Raises:
        ValueError: the model has no preprocessor, or no room for the
            separator, the new tokens and a token of the source.
    """
    if model.preprocessor is None:
        raise ValueError(
            "Sources are text: the model must have a preprocessor. Received: "
            "preprocessor=None."
        )
    limit = model.backbone.max_sequence_length - max_new_tokens
    rows = _prompts(model, sources, separator, max_source_tokens, limit)
    end = model.preprocessor.tokenizer.end_token_id
    if sampler is None:
        sampler = BeamSearchSampler(
            max_new_tokens=max_new_tokens, no_repeat_ngram=3
        )
    function = backend.compiled(
        lambda x: model.generate_step(x, [end], sampler), model
    )
    written, num_done = [None] * len(rows), 0
    for width, places in _batches(rows, batch_size, limit):
        # The last batch repeats a row: its graph is that of the others.
        padded = [*places, *places[-1:] * (batch_size - len(places))]
        x = prompts.pad([rows[i] for i in padded], width + max_new_tokens)
        outputs = {k: np.asarray(v) for k, v in function(x).items()}
        new = prompts.new_rows(
            outputs, [len(rows[i]) for i in padded], max_new_tokens, True
        )
        for place, ids in zip(places, new, strict=False):
            written[place] = ids[:-1] if ids[-1:] == [end] else ids
        num_done += len(places)
        if progress is not None:
            progress(num_done, len(rows))
    return rows, written


def _prompts(model, sources, separator, max_source_tokens, limit):
    """Rows of ids: the start token, the source as far as it fits, separator.

    The two texts are encoded apart, as `data.task_rows` does.
    """
    tokenizer = model.preprocessor.tokenizer
    *ids, separator = tokenizer.encode_batch([*sources, separator])
    room = limit - len(separator) - 1
    if room < 1:
        raise ValueError(
            "max_sequence_length must have room for the separator, the new "
            "tokens and a token of the source. Received: "
            f"max_sequence_length={model.backbone.max_sequence_length}, a "
            f"separator of {len(separator)} tokens and "
            f"max_new_tokens={model.backbone.max_sequence_length - limit}."
        )
    if max_source_tokens is not None:
        if max_source_tokens < 1:
            raise ValueError(
                "max_source_tokens must be positive. Received: "
                f"max_source_tokens={max_source_tokens}."
            )
        room = min(room, max_source_tokens)
    start = tokenizer.start_token_id
    return [[start, *source[:room], *separator] for source in ids]


def _batches(rows, batch_size, limit):
    """Yields (width, places of rows), rows of like lengths together."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        longest = len(rows[places[0]])
        width = -(-longest // _WIDTH_STEP) * _WIDTH_STEP
        yield min(width, limit), places


def _texts(model, rows):
    tokenizer = model.preprocessor.tokenizer
    special = set(tokenizer.special_token_ids)
    rows = [[i for i in row if i not in special] for row in rows]
    # Nothing at all is no row of ids to a tokenizer.
    texts = iter(tokenizer.detokenize([row for row in rows if row] or [[0]]))
    return [next(texts).strip() if row else "" for row in rows]


def _copied_share(model, contexts, written):
    """Of the written tokens' probability, what the pointer gave; mean."""
    pairs = [pair for pair in zip(contexts, written, strict=True) if pair[1]]
    if not pairs:
        return 0.0
    scores = likelihood.continuation_scores(model, *zip(*pairs, strict=True))
    return float(np.average(scores["copied"], weights=scores["num_tokens"]))
