"""ROUGE-1, ROUGE-2 and ROUGE-L: how much of a reference a summary says.

Reference: Lin 2004, "ROUGE: A package for automatic evaluation of summaries".
Words, stems and matches are counted by the `rouge-score` package.
"""

import functools

from nltk.stem import porter
from rouge_score import rouge_scorer
from rouge_score import tokenize
from rouge_score import tokenizers

MEASURES = ("rouge1", "rouge2", "rougeL")
DUC_BYTES = 75


def best_f1(prediction, references):
    """F1 against the best reference, each measure with its own.

    Of each reference, with m its n-grams (for ROUGE-L its words), p the
    prediction's and h those in both (the longest common subsequence):
    P = h / p, R = h / m, F1 = 2PR / (P + R). This is the evaluation of
    SciTLDR (Cachola et al. 2020, arXiv:2004.15011, section 5.3).

    Args:
        prediction: str.
        references: strings, at least one.

    Returns:
        A dict of `MEASURES` to floats.

    Raises:
        ValueError: there is no reference.
    """
    _check(references)
    scores = _scorer().score_multi(list(references), prediction)
    return {name: float(score.fmeasure) for name, score in scores.items()}


def duc_recall(prediction, references, num_bytes=DUC_BYTES):
    """Recall within 75 bytes, as `ROUGE-1.5.5.pl -n 2 -m -b 75` has it.

    R = sum over references of h / sum over references of m, with h and m as
    in `best_f1`: the script's default for several references, "-f A". Like
    the script, this cuts references at the same length as the prediction,
    in the middle of a word if need be. It differs in the stems of few words:
    the script first looks up irregular forms (`went`, `go`) in WordNet's
    lists, and has a rule of its own for `-ement`.

    Args:
        prediction, references: as in `best_f1`.
        num_bytes: int, how much of a text counts, in UTF-8.

    Returns:
        A dict of `MEASURES` to floats; 0 where the references have nothing
        to find.

    Raises:
        ValueError: there is no reference.
    """
    _check(references)
    scorer = _duc_scorer()
    hits, totals = dict.fromkeys(MEASURES, 0.0), dict.fromkeys(MEASURES, 0)
    prediction = first_bytes(prediction, num_bytes)
    for reference in references:
        reference = first_bytes(reference, num_bytes)
        num_words = len(_duc_tokenizer().tokenize(reference))
        scores = scorer.score(reference, prediction)
        for name, length in zip(MEASURES, (1, 2, 1), strict=True):
            total = max(num_words - length + 1, 0)
            hits[name] += round(scores[name].recall * total)
            totals[name] += total
    return {
        name: hits[name] / totals[name] if totals[name] else 0.0
        for name in MEASURES
    }


def first_bytes(text, num_bytes=DUC_BYTES):
    """The beginning of a text in UTF-8; no character is cut in two.

    Args:
        text: str. Its lines count as one, with a space between them.
        num_bytes: int.
    """
    line = " ".join(text.splitlines()).encode("utf-8")
    return line[:num_bytes].decode("utf-8", "ignore")


class _PorterTokenizer(tokenizers.Tokenizer):
    """Words stemmed as by the script of Porter's site, which is ROUGE's."""

    def __init__(self):
        mode = porter.PorterStemmer.MARTIN_EXTENSIONS
        self._stem = functools.cache(porter.PorterStemmer(mode).stem)

    def stem(self, word):
        return self._stem(word)

    def tokenize(self, text):
        return tokenize.tokenize(text, self)


@functools.cache
def _scorer():
    return rouge_scorer.RougeScorer(list(MEASURES), use_stemmer=True)


@functools.cache
def _duc_tokenizer():
    return _PorterTokenizer()


@functools.cache
def _duc_scorer():
    return rouge_scorer.RougeScorer(list(MEASURES), tokenizer=_duc_tokenizer())


def _check(references):
    if isinstance(references, str) or not len(references):
        raise ValueError(
            "references must be strings, at least one. Received: "
            f"references={references!r}."
        )
