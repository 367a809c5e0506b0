"""Last words: figures against the model's own, groups against hand counts."""

import math

import numpy as np
import pytest

from gpt3_keras.data.lambada import Passage
from gpt3_keras.evaluation import lambada
from tests.models import small

PASSAGES = [
    Passage("a port  on air", "port", "a.txt", 1),
    Passage("no air at a port ", "rail", "a.txt", 2),
    Passage("an airport", "lantern", "a.txt", 3),
    Passage("trail", "port", "a.txt", 4),
]


@pytest.fixture(scope="module")
def model():
    return small.text_model(max_sequence_length=32)


def test_figures_are_those_of_the_model(model):
    tokenizer = model.preprocessor.tokenizer
    nats, is_greedy = [], []
    for passage in PASSAGES:
        (context,) = tokenizer.encode_batch([passage.context.rstrip()])
        (row,) = tokenizer.encode_batch([f"{passage.context} {passage.target}"])
        row = [tokenizer.start_token_id, *row]
        log_probs = small.log_probs(model, row[:-1])[len(context) :]
        word = row[len(context) + 1 :]
        nats.append(log_probs[np.arange(len(word)), word].sum())
        is_greedy.append(bool((log_probs.argmax(-1) == word).all()))
    scores = lambada.word_scores(model, PASSAGES)
    np.testing.assert_allclose(scores["log_prob"], nats, atol=1e-5)
    assert scores["is_greedy"].tolist() == is_greedy
    figures = lambada.last_word(model, PASSAGES, batch_size=2)
    assert figures["perplexity"] == pytest.approx(
        math.exp(-sum(nats) / 4), rel=1e-5
    )
    assert figures["accuracy"] == sum(is_greedy) / 4
    assert figures["target_in_context"] == 1 / 4
    assert figures["num_passages"] == 4


def test_pairs_are_cut_as_the_harness_cuts_them(model):
    tokenizer = model.preprocessor.tokenizer
    contexts, continuations = lambada.encode_pairs(
        tokenizer, ["a port", "a port  ", ""], [" air", "air", "no"]
    )
    texts = ["a port", "a port", ""]
    start = tokenizer.start_token_id
    assert contexts == [[start, *r] for r in tokenizer.encode_batch(texts)]
    assert tokenizer.detokenize(continuations) == [" air", "  air", "no"]


@pytest.mark.parametrize(
    ("context", "target", "found"),
    [
        ("the cat saw", "cat", (1, 2)),
        ("cat , the Cat 's cat", "cat", (2, 1)),
        ("catcher, cat-flap, a-cat and Cat", "cat", (0, 0)),
        ("“cat”—one cat's way, cat--", "cat", (3, 2)),
        ("why not (this)", "(this)", (1, 1)),
    ],
)
def test_occurrences_are_of_whole_words(context, target, found):
    passage = Passage(context, target, "", 0)
    assert lambada._occurrences(passage) == found


SCORES = {
    "log_prob": np.log([0.5, 0.125, 0.25, 0.5]),
    "is_greedy": np.array([True, False, False, True]),
    "copied": np.array([0.9, 0.5, 0.0, 0.51]),
    "num_tokens": np.array([1, 2, 1, 7]),
    "num_occurrences": np.array([1, 2, 0, 0]),
    "distance": np.array([8, 9, 0, 0]),
}


def test_figures_by_hand():
    assert lambada.summarize(SCORES) == pytest.approx(
        {
            "accuracy": 0.5,
            "perplexity": 2 ** (7 / 4),
            "copied_share": 0.5,
            "target_in_context": 0.5,
            "accuracy_in_context": 0.5,
            "accuracy_elsewhere": 0.5,
            "num_passages": 4,
        }
    )


def test_groups_without_a_passage_have_no_accuracy():
    one = {name: values[:1] for name, values in SCORES.items()}
    assert lambada.summarize(one)["accuracy_elsewhere"] is None


def test_failures_by_hand():
    table = lambada.failures(SCORES)
    groups = [(r["by"], r["group"], r["num_passages"]) for r in table]
    assert groups == [
        ("in context", "yes", 2),
        ("in context", "no", 2),
        ("tokens", "1", 2),
        ("tokens", "2", 1),
        ("tokens", "4+", 1),
        ("occurrences", "1", 1),
        ("occurrences", "2", 1),
        ("distance", "1-8", 1),
        ("distance", "9-16", 1),
    ]
    assert table[3] == pytest.approx(
        {
            "by": "tokens",
            "group": "2",
            "num_passages": 1,
            "accuracy": 0.0,
            "perplexity": 8.0,
            "copied_share": 0.0,
        }
    )


def test_no_passage_is_refused(model):
    with pytest.raises(ValueError, match=r"must be passages\. Received: none"):
        lambada.last_word(model, [])


def test_a_model_of_token_ids_is_refused():
    with pytest.raises(ValueError, match="Received: preprocessor=None"):
        lambada.last_word(small.model(), PASSAGES)
