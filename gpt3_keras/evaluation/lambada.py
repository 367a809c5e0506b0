"""LAMBADA's last words: how many are told, how likely they are, which fail.

The figures are those of the task `lambada_openai` of lm-evaluation-harness
(Gao et al. 2024, doi:10.5281/zenodo.12608602): `acc` and `perplexity`.
"""

import re

import numpy as np

from gpt3_keras.evaluation import likelihood


def last_word(model, passages, batch_size=32, progress=None):
    """Accuracy and perplexity of the passages' last words.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        passages: iterable of `data.lambada.Passage`s.
        batch_size: int, the most passages at a time.
        progress: function of (passages done, passages).

    Returns:
        A dict; see `summarize`.
    """
    return summarize(word_scores(model, passages, batch_size, progress))


def word_scores(model, passages, batch_size=32, progress=None):
    """What the model makes of each passage's last word.

    The context and " " + the word are encoded together and then told apart,
    as the harness does; a row begins with the tokenizer's start token, as
    rows do in training.

    Args:
        model, passages, batch_size, progress: as for `last_word`.

    Returns:
        A dict of arrays (N,), for each passage:

        * `"log_prob"` float64, log p of all the word's tokens;
        * `"is_greedy"` bool, whether each of them is the likeliest;
        * `"copied"` float64, the share of their probability that the pointer
          gave, averaged over them;
        * `"num_tokens"` int64;
        * `"num_occurrences"` int64, how often the word stands in the context,
          as a whole word, not part of one with a hyphen, its case the same;
        * `"distance"` int64, from its last occurrence there to the end, in
          words: 1 if it is the context's last word, 0 if it does not occur.

    Raises:
        ValueError: there is no passage, or the model has no preprocessor.
    """
    passages = list(passages)
    if not passages:
        raise ValueError("There must be passages. Received: none.")
    if model.preprocessor is None:
        raise ValueError(
            "Passages are text: the model must have a preprocessor. Received: "
            "preprocessor=None."
        )
    contexts, continuations = encode_pairs(
        model.preprocessor.tokenizer,
        [passage.context for passage in passages],
        [f" {passage.target}" for passage in passages],
    )
    scores = likelihood.continuation_scores(
        model, contexts, continuations, batch_size, progress
    )
    found = np.array([_occurrences(passage) for passage in passages], "int64")
    return {
        **scores,
        "num_occurrences": found[:, 0],
        "distance": found[:, 1],
    }


def encode_pairs(tokenizer, contexts, continuations):
    """Token ids of contexts, start token first, and of their continuations.

    White space at a context's end goes to the continuation; both are encoded
    as one text, and cut where the context alone ends.

    Args:
        tokenizer: a `GPT3Tokenizer`.
        contexts, continuations: lists of str, N.

    Returns:
        Two lists of N rows of ids.

    Reference: `TemplateLM._encode_pair` of lm-evaluation-harness.
    """
    heads = [context.rstrip() for context in contexts]
    whole = tokenizer.encode_batch(
        [
            context + continuation
            for context, continuation in zip(
                contexts, continuations, strict=True
            )
        ]
    )
    heads = tokenizer.encode_batch(heads)
    start = tokenizer.start_token_id
    return (
        [[start, *ids] for ids in heads],
        [ids[len(head) :] for ids, head in zip(whole, heads, strict=True)],
    )


def summarize(scores):
    """The figures of some passages.

    Args:
        scores: dict from `word_scores`.

    Returns:
        A dict: `"accuracy"`, the share of words whose tokens are all the
        likeliest ones; `"perplexity"`, exp of minus the mean over passages
        of log p of the whole word; `"copied_share"`, the share of words to
        whose probability the pointer gave more than half (`"copied"` >
        1/2); `"target_in_context"`, the share of words that stand in their
        context; `"accuracy_in_context"` and `"accuracy_elsewhere"`, among
        those that do and do not (None where there is none);
        `"num_passages"`.
    """
    is_greedy = scores["is_greedy"]
    stands = scores["num_occurrences"] > 0
    return {
        "accuracy": float(is_greedy.mean()),
        "perplexity": float(np.exp(-scores["log_prob"].mean())),
        "copied_share": float((scores["copied"] > 0.5).mean()),
        "target_in_context": float(stands.mean()),
        "accuracy_in_context": _mean(is_greedy[stands]),
        "accuracy_elsewhere": _mean(is_greedy[~stands]),
        "num_passages": len(is_greedy),
    }


def failures(scores):
    """Where words fail: the figures of groups of passages.

    Args:
        scores: dict from `word_scores`.

    Returns:
        A list of dicts, for each group that is not empty: `"by"`, one of
        "in context", "tokens", "occurrences" and "distance" (the latter two
        among words in the context); `"group"`, such as "2" or "33-64";
        `"num_passages"`, `"accuracy"`, `"perplexity"`, `"copied_share"`.
    """
    stands = scores["num_occurrences"] > 0
    groups = [("in context", "yes", stands), ("in context", "no", ~stands)]
    for by, name, edges in (
        ("tokens", "num_tokens", (1, 2, 3, 4)),
        ("occurrences", "num_occurrences", (1, 2, 3, 4)),
        ("distance", "distance", (1, 9, 17, 33, 65, 129)),
    ):
        values = scores[name]
        for low, high in zip(edges, (*edges[1:], None), strict=True):
            chosen = values >= low
            if high is not None:
                chosen &= values < high
            groups.append((by, _interval(low, high), chosen))
    table = []
    for by, group, chosen in groups:
        if chosen.any():
            figures = summarize({k: v[chosen] for k, v in scores.items()})
            names = ("num_passages", "accuracy", "perplexity", "copied_share")
            row = {name: figures[name] for name in names}
            table.append({"by": by, "group": group, **row})
    return table


def _interval(low, high):
    """A group's name: the whole numbers from `low` to below `high`."""
    if high is None:
        return f"{low}+"
    return str(low) if high == low + 1 else f"{low}-{high - 1}"


def _occurrences(passage):
    """How often the target stands in the context, and how far from its end."""
    target = re.escape(passage.target)
    pattern = rf"(?<!\w)(?<!\w-){target}(?!\w|-\w)"
    places = [m.end() for m in re.finditer(pattern, passage.context)]
    if not places:
        return 0, 0
    return len(places), 1 + len(passage.context[places[-1] :].split())


def _mean(values):
    return float(values.mean()) if len(values) else None
