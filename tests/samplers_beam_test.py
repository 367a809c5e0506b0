"""Beam search: against every text there is, greedy search, and its rules."""

import itertools

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.samplers_beam import BeamSearchSampler
from tests import oracles
from tests.models import small

STOP = 3
VOCABULARY_SIZE = 4
PROMPTS = [[0], [2, 1, 0]]
# A language of its own: what follows depends on the two tokens before.
TABLE = oracles.log_softmax(
    np.random.default_rng(5).normal(size=(4, 4, 4)) * 1.5
)


def next_log_probs(token_ids):
    """log p of what follows a text, (V,)."""
    before = token_ids[-2] if len(token_ids) > 1 else token_ids[-1]
    return TABLE[before, token_ids[-1]]


def next_tokens(prompt, cache, index):
    """What a sampler calls. The cache counts the steps of each row."""
    last = tf.gather(prompt, index - 1, axis=1)
    before = tf.gather(prompt, tf.maximum(index - 2, 0), axis=1)
    log_probs = tf.gather_nd(
        TABLE.astype("float32"), tf.stack([before, last], 1)
    )
    return log_probs, None, cache + last[:, None]


def write(sampler, prompts=PROMPTS, length=7, stops=(STOP,), compiled=False):
    """The new tokens of each prompt, up to and with the stop token."""
    x = small.padded(prompts, length)

    def run(token_ids, mask):
        return sampler(
            next=next_tokens,
            prompt=token_ids,
            cache=tf.zeros((len(prompts), 1), "int32"),
            index=min(map(len, prompts)),
            mask=mask,
            stop_token_ids=list(stops) or None,
        )

    run = tf.function(run) if compiled else run
    rows = np.asarray(run(x["token_ids"], x["padding_mask"])).tolist()
    return [
        until_stop(row[len(prompt) :], stops)
        for row, prompt in zip(rows, prompts, strict=True)
    ]


def until_stop(written, stops):
    places = [i for i, token in enumerate(written) if token in stops]
    return written[: places[0] + 1] if places else written


def log_prob(prompt, written):
    total, text = 0.0, list(prompt)
    for token in written:
        total += next_log_probs(text)[token]
        text.append(token)
    return total


def score(prompt, written, length_penalty):
    penalty = ((5 + len(written)) / 6) ** length_penalty
    return log_prob(prompt, written) / penalty


def has_repeats(written, n):
    runs = list(zip(*(written[i:] for i in range(n)), strict=False))
    return len(runs) > len(set(runs))


def all_texts(num_tokens, least=0):
    """Every text that stops, of at most so many tokens."""
    for n in range(least, num_tokens):
        for text in itertools.product(range(STOP), repeat=n):
            yield [*text, STOP]


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("least", [0, 2])
@pytest.mark.parametrize("ngram", [0, 1, 2])
def test_enough_beams_find_the_best_of_all_texts(length_penalty, least, ngram):
    sampler = BeamSearchSampler(
        300,
        length_penalty=length_penalty,
        min_new_tokens=least,
        max_new_tokens=4,
        no_repeat_ngram=ngram,
    )
    expected = [
        max(
            (
                text
                for text in all_texts(4, least)
                if not ngram or not has_repeats(text, ngram)
            ),
            key=lambda text: score(prompt, text, length_penalty),
        )
        for prompt in PROMPTS
    ]
    assert write(sampler) == expected


def test_longer_texts_are_preferred_with_a_greater_penalty():
    lengths = [
        len(write(BeamSearchSampler(300, penalty, max_new_tokens=6), [[0]])[0])
        for penalty in (0.0, 2.0, 8.0)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_one_beam_is_greedy_search():
    for start in itertools.product(range(STOP), repeat=2):
        text, written = list(start), []
        while len(written) < 5 and STOP not in written:
            written.append(int(np.argmax(next_log_probs(text))))
            text.append(written[-1])
        assert write(BeamSearchSampler(1), [list(start)]) == [written]


def test_few_beams_are_as_a_plain_search_by_hand():
    """Sutskever et al. 2014, with `num_beams` texts that go on at a time."""
    prompts = [[i, j] for i in range(STOP) for j in range(STOP)]
    for num_beams, penalty in ((2, 0.0), (2, 3.0), (3, 1.0), (3, 3.0)):
        sampler = BeamSearchSampler(num_beams, penalty, max_new_tokens=5)
        found = write(sampler, prompts, 8, compiled=True)
        for prompt, written in zip(prompts, found, strict=True):
            expected = plain_search(prompt, num_beams, penalty, 5)
            # Where nothing stopped, the stop token follows the likeliest.
            assert written == [*expected, STOP][: len(written)]
            assert expected == written[: len(expected)]


def plain_search(prompt, num_beams, penalty, num_tokens):
    beams, stopped = [[]], []
    for _ in range(num_tokens):
        texts = [[*beam, v] for beam in beams for v in range(VOCABULARY_SIZE)]
        texts.sort(key=lambda text: -log_prob(prompt, text))
        stopped += [x for x in texts[:num_beams] if x[-1] == STOP]
        beams = [x for x in texts if x[-1] != STOP][:num_beams]
        if len(stopped) >= num_beams:
            break
    return max(stopped or beams, key=lambda x: score(prompt, x, penalty))


def test_no_run_of_tokens_is_written_twice():
    free = write(BeamSearchSampler(1), [[0], [1]], 40, stops=())
    for n in (1, 2, 3):
        assert all(has_repeats(text, n) for text in free)
        sampler = BeamSearchSampler(2, no_repeat_ngram=n, max_new_tokens=3 * n)
        for text in write(sampler, [[0], [1]], 40, stops=()):
            assert not has_repeats(text[: 3 * n], n)


def test_a_text_where_nothing_may_follow_ends():
    # Three tokens in all, none twice.
    sampler = BeamSearchSampler(2, no_repeat_ngram=1, min_new_tokens=5)
    (text,) = write(sampler, [[0]], 9)
    assert sorted(text) == [0, 1, 2, STOP]


def test_the_prompt_may_be_repeated():
    sampler = BeamSearchSampler(2, min_new_tokens=3, no_repeat_ngram=1)
    (text,) = write(sampler, [[2, 1, 0]], 9)
    assert sorted(text) == [0, 1, 2, STOP]


def test_length_is_kept():
    for least, most in ((0, 1), (3, 3), (2, 5)):
        sampler = BeamSearchSampler(
            2, min_new_tokens=least, max_new_tokens=most
        )
        for text in write(sampler, length=12):
            assert least <= len([x for x in text if x != STOP]) <= most
    assert write(BeamSearchSampler(2, min_new_tokens=1), [[0]], length=1) == [
        []
    ]


def test_several_stop_tokens():
    text = write(BeamSearchSampler(300, 0.0), [[0]], 5, stops=(STOP, 1))[0]
    texts = [
        [*start, stop]
        for n in range(4)
        for start in itertools.product((0, 2), repeat=n)
        for stop in (STOP, 1)
    ]
    assert text == max(texts, key=lambda x: score([0], x, 0.0))


def test_a_row_does_not_depend_on_the_others():
    prompts = [[0], [2, 1, 0], [1, 1], [2, 2, 2, 0]]
    sampler = BeamSearchSampler(
        3, max_new_tokens=4, min_new_tokens=1, no_repeat_ngram=2
    )
    together = write(sampler, prompts, 9)
    assert write(sampler, prompts[::-1], 12)[::-1] == together
    assert [write(sampler, [x], 9)[0] for x in prompts] == together
    assert write(sampler, prompts, 9, compiled=True) == together


@pytest.mark.parametrize("table", TABLE, ids=range(4))
def test_the_cache_follows_its_beam(table):
    """A model that knows of its tokens only what the cache holds."""

    def next_sums(prompt, cache, index):
        cache = cache + tf.gather(prompt, index - 1, axis=1)[:, None]
        log_probs = tf.gather(table.astype("float32"), cache[:, 0] % 4)
        return log_probs, None, cache

    def total(text):
        sums = np.cumsum([1, *text[:-1]]) % 4
        return sum(table[s, v] for s, v in zip(sums, text, strict=True))

    sampler = BeamSearchSampler(300, 0.0, 3, max_new_tokens=5)
    written = sampler(
        next=next_sums,
        prompt=tf.constant([[1, 0, 0, 0, 0, 0]]),
        cache=tf.zeros((1, 1), "int32"),
        index=1,
        stop_token_ids=[STOP],
    )
    text = until_stop(np.asarray(written)[0, 1:].tolist(), [STOP])
    assert text == max(all_texts(5, 3), key=total)


def test_a_model_writes_the_best_text():
    """Two new tokens by full search, rows of unlike lengths at once."""
    size = small.VOCABULARY_SIZE
    model, prompts = small.model(), small.rows(2, 4, seed=3)
    sampler = BeamSearchSampler(size, max_new_tokens=2, no_repeat_ngram=1)
    model.compile(sampler=sampler)
    written = model.generate(
        prompts, max_new_tokens=2, stop_token_ids=None, strip_prompt=True
    )["token_ids"]
    for prompt, new in zip(prompts, written, strict=True):
        x = small.padded([[*prompt, i] for i in range(size)])
        log_probs = np.asarray(model(x))
        sums = log_probs[0, len(prompt) - 1, :, None] + log_probs[:, -1]
        np.fill_diagonal(sums, -np.inf)
        assert new.tolist() == [*divmod(int(sums.argmax()), size)]


def test_its_config_makes_it_again():
    sampler = BeamSearchSampler(3, 0.5, 2, 9, 4)
    assert isinstance(sampler, keras_hub.samplers.BeamSampler)
    config = sampler.get_config()
    assert config == {
        "num_beams": 3,
        "length_penalty": 0.5,
        "min_new_tokens": 2,
        "max_new_tokens": 9,
        "no_repeat_ngram": 4,
    }
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(sampler)
    )
    assert again.get_config() == config


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"num_beams": 0},
            "num_beams must be at least 1. Received: num_beams=0.",
        ),
        (
            {"length_penalty": -1.0},
            "length_penalty must be at least 0. Received: length_penalty=-1.0.",
        ),
        (
            {"max_new_tokens": 0},
            "max_new_tokens must be at least 1. Received: max_new_tokens=0.",
        ),
        (
            {"no_repeat_ngram": -1},
            "no_repeat_ngram must be at least 0. Received: no_repeat_ngram=-1.",
        ),
        (
            {"min_new_tokens": 3, "max_new_tokens": 2},
            "min_new_tokens must be at most 2. Received: min_new_tokens=3.",
        ),
    ],
)
def test_an_argument_that_breaks_its_rule(arguments, text):
    with pytest.raises(ValueError, match="Received") as error:
        BeamSearchSampler(**arguments)
    assert str(error.value) == text
