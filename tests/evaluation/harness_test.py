"""lm-evaluation-harness drives our models, to the figures we give ourselves."""

import json
import math
import os
import pathlib
import re
import runpy
import sys
import types

import pytest

from gpt3_keras.data import lambada as passages_of
from gpt3_keras.evaluation import lambada
from gpt3_keras.evaluation import likelihood
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from tests.models import small

HARNESS = pathlib.Path(likelihood.__file__).with_name("harness.py")
TEXTS = [
    "a port on air to a port",
    "no rail at an airport a  rail",
    "a pilot on a train a plane to trail a pilot to a port on a train",
    "air port",
]


@pytest.fixture(scope="module")
def lm_eval():
    """The harness, which is to find everything on this machine."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return pytest.importorskip(
        "lm_eval", reason="lm-eval, of the extra [lm-eval], is not installed"
    )


@pytest.fixture(scope="module")
def harness(lm_eval):
    from gpt3_keras.evaluation import harness

    return harness


@pytest.fixture(scope="module")
def model():
    return small.text_model(max_sequence_length=12)


@pytest.fixture(scope="module")
def lm(harness, model):
    return harness.GPT3HarnessLM(model, batch_size=2)


def task(path, folder, output_type, text, target, metrics):
    """A task on a local file of JSON lines."""
    return {
        "task": f"local_{output_type}",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(path)},
            "cache_dir": str(folder / "cache"),
        },
        "output_type": output_type,
        "test_split": "test",
        "doc_to_text": text,
        "doc_to_target": target,
        "metric_list": [{"metric": metric} for metric in metrics],
    }


def run(lm_eval, lm, folder, texts):
    """The harness' figures: of LAMBADA, and of rolling perplexity."""
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    context = "{{text.split(' ')[:-1]|join(' ')}}"  # As of lambada_openai.
    target = "{{' '+text.split(' ')[-1]}}"
    last_words = task(
        path, folder, "loglikelihood", context, target, ["acc", "perplexity"]
    )
    metrics = ["word_perplexity", "byte_perplexity", "bits_per_byte"]
    rolling = task(
        path, folder, "loglikelihood_rolling", "", "{{text}}", metrics
    )
    results = lm_eval.simple_evaluate(
        lm,
        tasks=[last_words, rolling],
        bootstrap_iters=0,
        task_manager=lm_eval.tasks.TaskManager(include_defaults=False),
    )["results"]
    return (
        path,
        results["local_loglikelihood"],
        results["local_loglikelihood_rolling"],
    )


def check(lm_eval, lm, model, folder, texts):
    path, last_words, rolling = run(lm_eval, lm, folder, texts)
    ours = lambada.last_word(model, passages_of.read_passages(path))
    assert last_words["acc,none"] == ours["accuracy"]
    assert last_words["perplexity,none"] == pytest.approx(
        ours["perplexity"], rel=1e-5
    )
    tokenizer = model.preprocessor.tokenizer
    nats = likelihood.rolling_log_likelihood(
        model, tokenizer.encode_batch(texts), tokenizer.start_token_id
    ).sum()
    num_words = sum(len(re.split(r"\s+", text)) for text in texts)
    num_bytes = sum(len(text.encode()) for text in texts)
    for name, value in (
        ("word_perplexity", math.exp(-nats / num_words)),
        ("byte_perplexity", math.exp(-nats / num_bytes)),
        ("bits_per_byte", -nats / num_bytes / math.log(2)),
    ):
        assert rolling[f"{name},none"] == pytest.approx(value, rel=1e-5), name


def test_its_figures_are_ours(lm_eval, lm, model, tmp_path):
    tokenizer = model.preprocessor.tokenizer
    assert len(tokenizer.encode_batch(TEXTS)[2]) > 2 * lm.max_length
    check(lm_eval, lm, model, tmp_path, TEXTS)


@pytest.mark.slow
def test_its_figures_are_ours_on_real_text(
    lm_eval, harness, real_data, tmp_path
):
    passages = passages_of.read_passages(real_data("lambada"))
    texts = [f"{p.context} {p.target}" for p in passages][:40]
    wikitext = real_data("wikitext2") / "valid.txt"
    articles = wikitext.read_text(encoding="utf-8").split("\n = ")
    texts += [article.strip() for article in articles[1:3]]
    model = GPT3CausalLM(
        small.backbone(vocabulary_size=50257, max_sequence_length=64),
        GPT3CausalLMPreprocessor(GPT3Tokenizer()),
    )
    check(lm_eval, harness.GPT3HarnessLM(model), model, tmp_path, texts)


def requests(*arguments):
    return [types.SimpleNamespace(args=each) for each in arguments]


def test_every_row_begins_with_the_start_token(lm, model):
    tokenizer = model.preprocessor.tokenizer
    start = tokenizer.start_token_id
    pairs = [("a port", " on air"), ("a port ", "on air"), ("", "port")]
    answers = lm.loglikelihood(requests(*pairs), disable_tqdm=True)
    for (context, continuation), (log_prob, is_greedy) in zip(
        pairs, answers, strict=True
    ):
        (row,) = tokenizer.encode_batch([context + continuation])
        (read,) = tokenizer.encode_batch([context.rstrip()])
        log_probs = small.log_probs(model, [start, *row[:-1]])[len(read) :]
        own = log_probs[range(len(log_probs)), row[len(read) :]]
        assert log_prob == pytest.approx(own.sum(), abs=1e-5)
        assert is_greedy == (log_probs.argmax(-1) == row[len(read) :]).all()
    assert lm.prefix_token_id == lm.eot_token_id == start
    assert lm.tok_encode("<|endoftext|>a") == [start, *lm.tok_encode("a")[1:]]


def test_what_is_written_is_the_greedy_text(lm, model):
    contexts = ["a port", "rail", "a pilot on a train at an airport on a plane"]
    written = lm.generate_until(
        requests(
            *((c, {"until": ["!"], "max_gen_toks": 4}) for c in contexts),
            ("rail", {"until": [], "max_gen_toks": 2}),
        )
    )
    for context, text, number in zip(
        [*contexts, "rail"], written, (4, 4, 4, 2), strict=True
    ):
        row = lm.tok_encode(context)[-(lm.max_length - number) :]
        new = []
        for _ in range(number):
            best = int(small.log_probs(model, [*row, *new])[-1].argmax())
            if best == lm.eot_token_id:
                break
            new.append(best)
        assert text == lm._decode(new)
    assert len(set(written)) > 1


def test_what_is_written_ends_before_a_stop_sequence(lm):
    (whole,) = lm.generate_until(requests(("rail", {"max_gen_toks": 4})))
    stop = whole[1:3]
    (text,) = lm.generate_until(
        requests(("rail", {"until": ["zz", stop], "max_gen_toks": 4}))
    )
    assert text == whole[: whole.index(stop)] != whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_gen_toks": 12}, "leave room.* max_gen_toks=12, max_seq"),
        ({"max_gen_toks": 0}, "must be positive.* max_gen_toks=0"),
        ({"num_beams": 2, "max_gen_toks": 2}, "A task may set.* num_beams"),
    ],
)
def test_options_that_it_cannot_follow_are_named(lm, options, message):
    with pytest.raises(ValueError, match=message):
        lm.generate_until(requests(("rail", options)))


def test_a_model_of_token_ids_is_refused(harness):
    with pytest.raises(ValueError, match="Received: preprocessor=None"):
        harness.GPT3HarnessLM(small.model())


def test_without_the_harness_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(
        ImportError, match=re.escape("pip install 'gpt3-keras[lm-eval]'")
    ):
        runpy.run_path(str(HARNESS))
