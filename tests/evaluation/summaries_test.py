"""Summaries that a model writes, and their figures."""

import numpy as np
import pytest

from gpt3_keras.data import summaries as read
from gpt3_keras.evaluation import rouge
from gpt3_keras.evaluation import summaries
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.samplers_beam import BeamSearchSampler
from tests.models import small

SOURCES = ["air port air", "plain rail", "a", "port " * 30, "airline"]
OPTIONS = {"separator": "o", "max_new_tokens": 4, "batch_size": 2}


def summary(sentences, *targets):
    source = " ".join(sentences)
    return read.Summary("x:1", source, targets, "x", 1, tuple(sentences))


@pytest.fixture(scope="module")
def model():
    return small.text_model(max_sequence_length=32)


@pytest.fixture(scope="module")
def written(model):
    return summaries.write_rows(model, SOURCES, **OPTIONS)


def test_a_row_is_start_source_separator_and_summary(model, written):
    tokenizer = model.preprocessor.tokenizer
    start, (separator,) = (
        tokenizer.start_token_id,
        tokenizer.encode_batch(["o"]),
    )
    contexts, _ = written
    # 32 positions, less 4 new tokens, the separator and the start token.
    room = 32 - 4 - len(separator) - 1
    for source, context in zip(SOURCES, contexts, strict=True):
        (ids,) = tokenizer.encode_batch([source])
        assert context == [start, *ids[:room], *separator]
    assert len(contexts[3]) == 28


def test_summaries_are_those_of_generate(model, written):
    end = model.preprocessor.tokenizer.end_token_id
    model.compile(
        sampler=BeamSearchSampler(max_new_tokens=4, no_repeat_ngram=3)
    )
    assert all(len(new) <= 4 and end not in new for new in written[1])
    # In one batch, and padded to other widths.
    outputs = model.generate(
        written[0], max_new_tokens=4, stop_token_ids=[end], strip_prompt=True
    )
    for ids, mask, new in zip(*outputs.values(), written[1], strict=True):
        ids = ids[mask].tolist()
        assert [i for i in ids if i != end] == new


def test_texts_have_no_white_space_or_special_tokens(model):
    tokenizer = model.preprocessor.tokenizer
    ids, (space,) = tokenizer.encode_batch(["air port", " "])
    rows = [[], [tokenizer.end_token_id], [space, *ids, space], [space]]
    assert summaries._texts(model, rows) == ["", "", "air port", ""]


def test_the_beginning_of_a_source_is_read(model):
    (row,) = summaries._prompts(model, ["port air port"], "o", 3, 28)
    ids, separator = model.preprocessor.tokenizer.encode_batch(
        ["port air port", "o"]
    )
    assert row[1:] == [*ids[:3], *separator]


def test_figures(model, written):
    contexts, new = written
    targets = ["air rail", "plain"]
    found = [summary([source], *targets) for source in SOURCES]
    found = [x._replace(sentences=(x.source[:3],)) for x in found]
    seen = []
    figures = summaries.evaluate_summaries(
        model, found, progress=lambda *x: seen.append(x), **OPTIONS
    )

    def mean(texts, name):
        return np.mean([rouge.best_f1(x, targets)[name] for x in texts])

    assert figures == {
        **{x: mean(summaries._texts(model, new), x) for x in rouge.MEASURES},
        **{
            f"lead_{x}": mean([y[:3] for y in SOURCES], x)
            for x in rouge.MEASURES
        },
        "copied_share": pytest.approx(
            copied_share(model, contexts, new), rel=1e-4
        ),
        "mean_tokens": np.mean([len(ids) for ids in new]),
        "num_summaries": 5,
    }
    assert seen == [(2, 5), (4, 5), (5, 5)]


def copied_share(model, contexts, new):
    """The pointer's part of each written token's probability, in the mean."""
    shares = []
    for context, ids in zip(contexts, new, strict=True):
        row = [*context, *ids]
        log_probs = small.log_probs(model, row)
        attended = model.attend(np.array([row], "int32"))
        for place in range(len(context), len(row)):
            before = np.array(row[:place])
            pointed = attended["pointer_probs"][0, place - 1, :place]
            copied = pointed[before == row[place]].sum()
            copied *= 1 - attended["gate"][0, place - 1]
            shares.append(copied / np.exp(log_probs[place - 1, row[place]]))
    return np.mean(shares)


def test_scores_by_hand():
    found = [summary("c", "a b", "x"), summary("e", "d f")]
    assert summaries.score_texts(["a b", "d"], found) == pytest.approx(
        {"rouge1": (1 + 2 / 3) / 2, "rouge2": 0.5, "rougeL": (1 + 2 / 3) / 2}
    )
    # Words of all references: a b x, and d f.
    recall = (2 / 3 + 1 / 2) / 2
    assert summaries.score_texts(["a b", "d"], found, "duc") == pytest.approx(
        {"rouge1": recall, "rouge2": 0.5, "rougeL": recall}
    )


def test_the_leads_of_duc_are_75_bytes(model, monkeypatch):
    monkeypatch.setattr(
        summaries, "write_rows", lambda *_, **__: ([[0, 1]], [[]])
    )
    # The first sentence has neither word; the first 75 bytes have one.
    found = [summary(["air", "plain " * 12, "late"], "plain late")]
    figures = summaries.evaluate_summaries(model, found, measure="duc")
    assert figures["lead_rouge1"] == 0.5
    assert figures["rouge1"] == figures["copied_share"] == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"measure": "bleu"},
            "measure must be one of f1, duc. Received: measure='bleu'.",
        ),
        (
            {"max_source_tokens": 0},
            "max_source_tokens must be positive. Received: "
            "max_source_tokens=0.",
        ),
        (
            {"max_new_tokens": 30},
            "max_sequence_length must have room for the separator, the new "
            "tokens and a token of the source. Received: "
            "max_sequence_length=32, a separator of 1 tokens and "
            "max_new_tokens=30.",
        ),
    ],
)
def test_an_argument_that_breaks_its_rule(model, options, text):
    with pytest.raises(ValueError, match="Received") as error:
        summaries.evaluate_summaries(
            model, [summary(["air"], "air")], **{**OPTIONS, **options}
        )
    assert str(error.value) == text


def test_what_is_missing(model):
    with pytest.raises(
        ValueError, match=r"There must be summaries\. Received:"
    ):
        summaries.evaluate_summaries(model, [])
    with pytest.raises(ValueError, match=r"Received: preprocessor=None\."):
        summaries.write_summaries(small.model(), ["air"])


def test_the_lead_of_scitldr(real_data):
    found = list(read.read_summaries(real_data("scitldr/dev.jsonl")))
    leads = [x.sentences[0] for x in found]
    assert summaries.score_texts(leads, found) == pytest.approx(
        {"rouge1": 0.3011, "rouge2": 0.1145, "rougeL": 0.2372}, abs=1e-4
    )


@pytest.mark.slow
def test_scitldr_from_the_file_to_the_figures(real_data):
    found = list(read.read_summaries(real_data("scitldr/dev.jsonl")))[:12]
    backbone = GPT3Backbone(
        vocabulary_size=50257,
        num_heads=2,
        hidden_dim=16,
        max_sequence_length=256,
    )
    preprocessor = GPT3CausalLMPreprocessor(GPT3Tokenizer(), 256)
    model = GPT3CausalLM(backbone, preprocessor)
    figures = summaries.evaluate_summaries(model, found, max_new_tokens=12)
    assert figures["num_summaries"] == 12
    assert 0 < figures["mean_tokens"] <= 12
    assert 0 <= figures["rouge2"] <= figures["rougeL"] <= figures["rouge1"] < 1
    # Nothing has been learnt: the pointer gives what stands in the source.
    assert figures["copied_share"] > 0.5
    texts = summaries.write_summaries(
        model, [x.source for x in found], max_new_tokens=12
    )
    scores = summaries.score_texts(texts, found)
    assert scores == {name: figures[name] for name in scores}
