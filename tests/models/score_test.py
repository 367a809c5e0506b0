"""Scoring: log-probabilities of whole sequences, however they are given."""

import re

import numpy as np
import pytest

from tests.models import small


@pytest.fixture(scope="module")
def model():
    return small.model()


def log_probs_by_calls(model, row):
    """Of tokens 1, 2, ... of a row, one call of the model for each."""
    return [
        small.log_probs(model, row[:t])[-1, row[t]] for t in range(1, len(row))
    ]


def test_a_token_s_score_is_its_log_probability(model):
    rows = small.rows(9, 5, 2)
    scores = model.score(rows)
    assert scores["token_log_probs"].shape == (3, 9)
    for i, row in enumerate(rows):
        expected = np.zeros(9)
        expected[1 : len(row)] = log_probs_by_calls(model, row)
        np.testing.assert_allclose(
            scores["token_log_probs"][i], expected, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            scores["log_prob"][i], expected.sum(), rtol=1e-5
        )
    assert scores["num_tokens"].tolist() == [8, 4, 1]
    assert scores["token_log_probs"].dtype == np.float32


def test_all_forms_of_ids_score_alike(model):
    rows = small.rows(6, 6)
    expected = model.score(rows)
    x = small.padded(rows, length=10, pad_id=29)
    for form in (np.array(rows), [np.array(row) for row in rows], x):
        scores = model.score(form)
        for name in expected:
            np.testing.assert_allclose(
                scores[name], expected[name], rtol=1e-5, err_msg=name
            )


def test_a_single_row_is_a_batch_of_one(model):
    (row,) = small.rows(7)
    scores = model.score(row)
    assert scores["token_log_probs"].shape == (1, 7)
    np.testing.assert_allclose(
        scores["log_prob"], sum(log_probs_by_calls(model, row)), rtol=1e-5
    )


def test_order_and_company_change_nothing(model):
    rows = small.rows(9, 3, 6)
    together = model.score(rows)["log_prob"]
    turned = model.score(rows[::-1])["log_prob"][::-1]
    alone = [model.score([row])["log_prob"][0] for row in rows]
    np.testing.assert_allclose(turned, together, rtol=1e-5)
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_a_start_token_makes_the_first_token_count(model):
    rows = [[3, 4, 5], [29, 4, 5], [29]]
    scores = model.score(rows, start_token_id=29)
    assert scores["num_tokens"].tolist() == [3, 2, 0]
    first = log_probs_by_calls(model, [29, 3, 4, 5])
    second = log_probs_by_calls(model, [29, 4, 5])
    np.testing.assert_allclose(
        scores["token_log_probs"],
        [first, [0.0, *second], [0.0, 0.0, 0.0]],
        rtol=1e-5,
        atol=1e-5,
    )


def test_an_empty_row_scores_nothing(model):
    scores = model.score([[], [1, 2, 3], [4]])
    assert scores["num_tokens"].tolist() == [0, 2, 0]
    assert scores["log_prob"][0] == scores["log_prob"][2] == 0.0
    np.testing.assert_allclose(
        scores["log_prob"][1],
        sum(log_probs_by_calls(model, [1, 2, 3])),
        rtol=1e-5,
    )


def test_no_rows_score_nothing(model):
    scores = model.score([])
    assert scores["token_log_probs"].shape == (0, 0)
    assert scores["log_prob"].shape == scores["num_tokens"].shape == (0,)


def test_a_row_may_fill_the_model(model):
    # The last token is a target only.
    (row,) = small.rows(small.MAX_SEQUENCE_LENGTH + 1)
    assert model.score([row])["num_tokens"] == [small.MAX_SEQUENCE_LENGTH]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            [[1] * 18],
            {},
            "A sequence to score must fit max_sequence_length. Received: 17 "
            "tokens, max_sequence_length=16.",
        ),
        (
            [[1] * 17],
            {"start_token_id": 2},
            "A sequence to score must fit max_sequence_length. Received: 17 "
            "tokens, max_sequence_length=16.",
        ),
        (
            [[1, 2], [3, 30]],
            {},
            "Token ids must be in [0, vocabulary_size). Received: 30, "
            "vocabulary_size=30.",
        ),
        (
            [[1, -1]],
            {},
            "Token ids must be in [0, vocabulary_size). Received: -1, "
            "vocabulary_size=30.",
        ),
        (
            [[1.5, 2.0]],
            {},
            "Token ids must be whole numbers. Received: [1.5, 2.0].",
        ),
        (
            "some text",
            {},
            "inputs must be token ids where the model has no preprocessor. "
            "Received: inputs='some text'.",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(model, inputs, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        model.score(inputs, **options)
