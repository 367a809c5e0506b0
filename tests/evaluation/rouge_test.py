"""ROUGE, against counts by hand and loops."""

import collections
import time

import numpy as np
import pytest

from gpt3_keras.evaluation import rouge


def test_f1_by_hand():
    # Words: the cat sat down | the cat lay down there.
    scores = rouge.best_f1("The cat sat down.", ["the cat lay down there"])
    # 3 words of 4 and 5; 1 pair of 3 and 4; the cat ... down.
    assert scores == pytest.approx(
        {
            "rouge1": 2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5),
            "rouge2": 2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4),
            "rougeL": 2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5),
        }
    )


def test_the_order_counts_for_the_longest_subsequence():
    scores = rouge.best_f1("a b c d", ["c d a b"])
    assert scores == pytest.approx(
        {"rouge1": 1.0, "rouge2": 2 / 3, "rougeL": 0.5}
    )


def test_each_measure_takes_its_best_reference():
    scores = rouge.best_f1("a b c d", ["d c b a", "a b x y"])
    assert scores == pytest.approx(
        {"rouge1": 1.0, "rouge2": 1 / 3, "rougeL": 0.5}
    )


def test_words_are_stemmed_and_repetition_is_not_rewarded():
    assert rouge.best_f1("Trains, training", ["train trained"])["rouge1"] == 1
    assert rouge.best_f1("rain rain rain", ["rain fell"])["rouge1"] == (
        pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    )


def test_recall_adds_up_over_the_references():
    """Formula A: hits of all references over lengths of all references."""
    scores = rouge.duc_recall("a b c", ["a b", "a x c y b z", "q"])
    assert scores == pytest.approx(
        # Words: 2 + 3 + 0 of 2 + 6 + 1. Pairs: 1 of 1 + 5 + 0.
        # Subsequences: a b; a c, or a b; none.
        {"rouge1": 5 / 9, "rouge2": 1 / 6, "rougeL": 4 / 9}
    )


def test_recall_is_of_75_bytes():
    filler = "x" * 70
    reference = "wall"
    # "wall" ends at byte 75; with one more x it is cut to "wal".
    assert rouge.duc_recall(f"{filler} wall", [reference])["rouge1"] == 1
    assert rouge.duc_recall(f"{filler}x wall", [reference])["rouge1"] == 0
    assert rouge.duc_recall(f"{filler}x wall", ["wal"])["rouge1"] == 1


def test_references_are_cut_as_well():
    reference = "rain " * 15 + "snow"
    assert len(reference[:75].split()) == 15
    assert rouge.duc_recall("rain " * 15, [reference])["rouge1"] == 1
    assert rouge.duc_recall("snow", [reference])["rouge1"] == 0


def test_the_first_bytes():
    assert rouge.first_bytes("a" * 80) == "a" * 75
    assert rouge.first_bytes("short") == "short"
    assert rouge.first_bytes("one\ntwo\r\nthree") == "one two three"
    # é is two bytes, at 74 and 75; the euro sign three.
    assert rouge.first_bytes("a" * 74 + "é") == "a" * 74
    assert rouge.first_bytes("a" * 73 + "éb") == "a" * 73 + "é"
    assert rouge.first_bytes("€€", 5) == "€"
    assert rouge.first_bytes("  a", 2) == "  "


def test_stems_are_those_of_the_script():
    # Porter's own site and ROUGE's script stem "dying" so; NLTK does not.
    tokenize = rouge._duc_tokenizer().tokenize
    assert tokenize("dying possibly archaeology relational") == [
        "dy",
        "possibl",
        "archaeolog",
        "relat",
    ]
    # Words of three letters stay.
    assert tokenize("Its gas was-used") == ["its", "gas", "was", "us"]


def test_nothing_in_common_and_nothing_at_all():
    zeros = dict.fromkeys(rouge.MEASURES, 0.0)
    for measure in (rouge.best_f1, rouge.duc_recall):
        assert measure("", ["a b"]) == zeros
        assert measure("a b", ["..."]) == zeros
        assert measure("a b", ["c d"]) == zeros
        assert measure("a b", ["a b"]) == dict.fromkeys(rouge.MEASURES, 1.0)


@pytest.mark.parametrize("measure", [rouge.best_f1, rouge.duc_recall])
@pytest.mark.parametrize("references", [[], (), "a reference"])
def test_references_are_needed(measure, references):
    with pytest.raises(ValueError, match="Received") as error:
        measure("a", references)
    assert str(error.value) == (
        "references must be strings, at least one. Received: "
        f"references={references!r}."
    )


def words(generator, count):
    return [f"w{i}" for i in generator.integers(0, 12, count)]


def ngram_hits(prediction, reference, n):
    def counts(text):
        runs = zip(*(text[i:] for i in range(n)), strict=False)
        return collections.Counter(runs)

    found, wanted = counts(prediction), counts(reference)
    hits = sum(min(found[run], wanted[run]) for run in wanted)
    return hits, wanted.total()


def lcs(a, b):
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + lcs(a[:-1], b[:-1])
    return max(lcs(a[:-1], b), lcs(a, b[:-1]))


def test_recall_against_loops():
    generator = np.random.default_rng(0)
    for _ in range(20):
        prediction = words(generator, generator.integers(0, 9))
        references = [words(generator, generator.integers(1, 9)) for _ in "abc"]
        pairs = {
            "rouge1": [ngram_hits(prediction, x, 1) for x in references],
            "rouge2": [ngram_hits(prediction, x, 2) for x in references],
            "rougeL": [(lcs(prediction, x), len(x)) for x in references],
        }
        expected = {}
        for name, counts in pairs.items():
            hits, totals = np.sum(counts, axis=0)
            expected[name] = hits / max(totals, 1)
        scores = rouge.duc_recall(
            " ".join(prediction), [" ".join(x) for x in references]
        )
        assert scores == pytest.approx(expected)


@pytest.mark.slow
def test_500_documents_take_seconds():
    generator = np.random.default_rng(0)
    texts = [" ".join(words(generator, 12)) for _ in range(2500)]
    start = time.perf_counter()
    for i in range(500):
        rouge.duc_recall(texts[i], texts[500 + 4 * i : 504 + 4 * i])
    assert time.perf_counter() - start < 5
