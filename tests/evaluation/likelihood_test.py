"""Likelihoods in batches, against the model's own distributions, row by row."""

import numpy as np
import pytest

from gpt3_keras.evaluation import likelihood
from tests.models import small

LENGTH = small.MAX_SEQUENCE_LENGTH


@pytest.fixture(scope="module")
def model():
    return small.model()


def pairs(*lengths):
    """Contexts and continuations of so many tokens, which repeat some."""
    contexts = small.rows(*(c for c, _ in lengths), vocabulary_size=6)
    continuations = small.rows(
        *(n for _, n in lengths), seed=1, vocabulary_size=6
    )
    return contexts, continuations


def oracle(model, context, continuation):
    """The scores of one row, from log-probabilities of every token."""
    row = [*context, *continuation][-LENGTH - 1 :]
    log_probs = small.log_probs(model, row[:-1])[-len(continuation) :]
    attention = model.attend([row[:-1]])
    of_token = log_probs[np.arange(len(continuation)), continuation]
    copied = []
    for place, token in enumerate(continuation, -len(continuation)):
        here = np.array(row[:-1]) == token
        mass = (attention["pointer_probs"][0, place] * here).sum()
        copied.append((1 - attention["gate"][0, place]) * mass)
    return {
        "log_prob": of_token.sum(dtype="float64"),
        "is_greedy": (log_probs.argmax(-1) == continuation).all(),
        "copied": np.mean(copied / np.exp(of_token)),
        "num_tokens": len(continuation),
    }


def test_scores_are_those_of_the_model(model):
    contexts, continuations = pairs(
        (1, 1), (5, 3), (7, 1), (1, LENGTH), (LENGTH, 1), (4, 2), (6, 4)
    )
    # What the model would write itself, one of it but for the last token.
    for place in (1, 2, 5):
        for i in range(len(continuations[place])):
            row = [*contexts[place], *continuations[place][:i]]
            best = int(small.log_probs(model, row)[-1].argmax())
            continuations[place][i] = best
    continuations[5][-1] = (continuations[5][-1] + 1) % 30
    scores = likelihood.continuation_scores(model, contexts, continuations)
    for i, pair in enumerate(zip(contexts, continuations, strict=True)):
        for name, value in oracle(model, *pair).items():
            assert scores[name][i] == pytest.approx(value, abs=1e-5), name
    assert scores["is_greedy"][[1, 2, 5]].tolist() == [True, True, False]
    assert scores["log_prob"].dtype == "float64"
    assert 0 <= scores["copied"].min() < 0.5 < scores["copied"].max() < 1


def test_what_does_not_fit_loses_its_beginning(model):
    (context,), (continuation,) = pairs((LENGTH + 5, 3))
    cut = context[-(LENGTH + 1 - 3) :]
    long, short = (
        likelihood.continuation_scores(model, [ids], [continuation])
        for ids in (context, cut)
    )
    assert long["log_prob"] == pytest.approx(short["log_prob"], abs=1e-6)
    other = [cut[0], (cut[1] + 1) % 6, *cut[2:]]
    changed = likelihood.continuation_scores(model, [other], [continuation])
    assert abs(changed["log_prob"] - short["log_prob"]) > 1e-4


def test_batches_change_nothing_and_tell_their_progress(model):
    contexts, continuations = pairs(
        *[(n % 13 + 1, n % 3 + 1) for n in range(9)]
    )
    told = []
    together, alone = (
        likelihood.continuation_scores(
            model,
            contexts,
            continuations,
            batch_size,
            lambda *numbers: told.append(numbers),
        )
        for batch_size in (4, 1)
    )
    for name in together:
        np.testing.assert_allclose(
            together[name].astype("float64"), alone[name], atol=1e-5
        )
    assert told[-1] == (9, 9)
    assert told[-9:] == [(n + 1, 9) for n in range(9)]


def test_log_probs_alone_are_the_same(model):
    contexts, continuations = pairs((1, 1), (5, 3), (1, LENGTH), (LENGTH, 7))
    scores = likelihood.continuation_scores(model, contexts, continuations)
    sums = likelihood.continuation_log_probs(
        model, contexts, continuations, batch_size=2
    )
    np.testing.assert_allclose(sums, scores["log_prob"], atol=1e-5)


def test_no_row_at_all(model):
    scores = likelihood.continuation_scores(model, [], [])
    assert {name: len(values) for name, values in scores.items()} == {
        "log_prob": 0,
        "is_greedy": 0,
        "copied": 0,
        "num_tokens": 0,
    }


@pytest.mark.parametrize("context_length", [1, 5, LENGTH])
def test_rolling_windows_predict_every_token_once(model, context_length):
    start = 7
    documents = small.rows(0, 1, LENGTH, LENGTH + 1, 2 * LENGTH + 5)
    sums = likelihood.rolling_log_likelihood(
        model, documents, start, context_length
    )
    for document, total in zip(documents, sums, strict=True):
        ids, done, nats = [start, *document], 1, 0.0
        while done < len(ids):
            room = LENGTH if done == 1 else LENGTH + 1 - context_length
            end = min(done + room, len(ids))
            row = ids[max(end - 1 - LENGTH, 0) : end]
            log_probs = small.log_probs(model, row[:-1])
            for back in range(1, end - done + 1):
                nats += log_probs[-back, row[-back]]
            done = end
        assert total == pytest.approx(nats, abs=1e-4)
    assert sums[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1], []], [[2], [3]]), "each have a token.* 0 and 1 .*row 1"),
        (([[1]], [[]]), "each have a token.* 1 and 0 tokens in row 0"),
        (([[1]], [[2] * (LENGTH + 1)]), f"must fit.* {LENGTH + 1} tokens"),
        (([[1]], [[99]]), "must be in .*99, vocabulary_size=30"),
    ],
)
def test_wrong_rows_are_named(model, arguments, message):
    for function in (
        likelihood.continuation_scores,
        likelihood.continuation_log_probs,
    ):
        with pytest.raises(ValueError, match=message):
            function(model, *arguments)


@pytest.mark.parametrize("context_length", [0, LENGTH + 1])
def test_wrong_context_lengths_are_named(model, context_length):
    with pytest.raises(
        ValueError, match=f"Received: context_length={context_length}, max"
    ):
        likelihood.rolling_log_likelihood(model, [[1]], 0, context_length)


def test_widths_are_few():
    widths = {likelihood._width(n, 1024) for n in range(1, 1025)}
    assert sorted(widths) == [
        *(16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
    ]
    assert likelihood._width(100, 120) == 120
