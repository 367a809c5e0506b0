"""Steps of augmentation one after the other: in the graph, and for people."""

import random
import time

import pytest
import tensorflow as tf

from gpt3_keras.data import augmentation
from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import SwapSentences
from tests.data.augmentation_texts import TEXTS
from tests.data.corpora import write_files

STEPS = [
    SwapSentences(rate=0.7, language="en", seed=1),
    ReplaceCharacters(rate=0.2, alphabet="eéж한", seed=1),
]


def spans_of(text, generator):
    places = [generator.randrange(len(text) + 1) for _ in range(8)]
    return [tuple(sorted(places[i : i + 2])) for i in range(0, 8, 2)]


def pairs_dataset(texts, spans):
    return tf.data.Dataset.from_generator(
        lambda: zip(texts, spans, strict=True),
        output_signature=(
            tf.TensorSpec((), tf.string),
            tf.TensorSpec((None, 2), tf.int32),
        ),
    )


def test_spans_hold_the_same_text_before_and_after():
    generator = random.Random(1)
    texts = [x for x in TEXTS.values() for _ in range(8)]
    spans = [spans_of(x, generator) for x in texts]
    results = augmentation.augment_texts(texts, STEPS, spans)
    num_changed = 0
    for text, marked, (after, moved) in zip(texts, spans, results, strict=True):
        assert [text[start:end] for start, end in marked] == [
            after[start:end] for start, end in moved
        ]
        num_changed += after != text
    # Spans cover some texts altogether.
    assert num_changed > len(texts) / 5


def test_the_same_seed_gives_the_same_text_everywhere():
    texts = [*TEXTS.values()] * 3
    spans = [[(0, min(2, len(x)))] for x in texts]
    expected = augmentation.augment_texts(texts, STEPS, spans, first_index=7)
    dataset = augmentation.augmented(
        pairs_dataset(texts, spans), STEPS, first_index=7
    )
    for _ in range(2):
        found = [
            (text.decode(), [*map(tuple, moved.tolist())])
            for text, moved in dataset.as_numpy_iterator()
        ]
        assert found == expected
    # One by one, from the last to the first, and without a graph.
    for index in reversed(range(0, len(texts), 5)):
        text, moved = augmentation.apply_steps(
            STEPS, texts[index], spans[index], index + 7
        )
        moved = [*map(tuple, moved.numpy().tolist())]
        assert (text.numpy().decode(), moved) == expected[index]


def test_seed_and_index_and_kind_make_a_difference():
    text = "abcdefgh " * 50
    step = ReplaceCharacters(0.5, "XY", seed=1)
    results = augmentation.augment_texts([text] * 20, [step])
    assert len({after for after, _ in results}) == 20
    for other in (-1, 0, 2, 2**40):
        other = ReplaceCharacters(0.5, "XY", seed=other)
        assert augmentation.augment_texts([text], [other])[0] not in results
    index = tf.constant(3, "int64")
    assert not tf.reduce_any(
        step.uniform([8], index)
        == SwapSentences(0.5, seed=1).uniform([8], index)
    )


def test_epochs_differ_in_a_repeated_dataset():
    pair = (tf.constant("abcdefgh " * 9), tf.zeros((0, 2), "int32"))
    pairs = tf.data.Dataset.from_tensors(pair).repeat(3)
    found = augmentation.augmented(pairs, STEPS).as_numpy_iterator()
    assert len({text for text, _ in found}) == 3


INVALID = [b"ab\xff cd. Ef.", b"\xed\xa0\x80", b"\xc0\x80. A.", b"a. b\xe2\x80"]


@pytest.mark.parametrize("text", INVALID)
def test_what_is_not_utf8_is_left_alone(text):
    steps = [SwapSentences(1.0), ReplaceCharacters(1.0, "x")]
    after, spans = augmentation.apply_steps(steps, text, [(0, 900)], 0)
    assert after.numpy() == text
    assert spans.numpy().tolist() == [[0, 900]]


@pytest.mark.parametrize("text", [*INVALID, *map(str.encode, TEXTS.values())])
def test_a_rate_of_zero_changes_no_byte(text):
    steps = [SwapSentences(0.0), ReplaceCharacters(0, "x")]
    after, spans = augmentation.apply_steps(steps, text)
    assert after.numpy() == text
    assert spans.shape == (0, 2)


@pytest.mark.parametrize("span", [(-1, 2), (2, 1), (0, 9)])
@pytest.mark.parametrize(
    "step",
    [ReplaceCharacters(0.5, "x"), SwapSentences(0.5)],
    ids=["characters", "sentences"],
)
def test_a_span_outside_of_the_text_is_refused(step, span):
    message = r"Spans must be \(start, end\) in characters of the text"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        step("Émile é.", [span])


def test_a_span_outside_of_the_text_is_refused_in_a_dataset():
    pairs = pairs_dataset(["Émile é."], [[(0, 9)]])
    dataset = augmentation.augmented(pairs, STEPS)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"Spans must be .* of the text"
    ):
        list(dataset)


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), "0.1", None, True])
def test_a_wrong_rate_is_refused(rate):
    message = f"rate must be a number from 0 to 1. Received: rate={rate!r}."
    with pytest.raises(ValueError, match=message):
        ReplaceCharacters(rate, "x")
    with pytest.raises(ValueError, match=message):
        SwapSentences(rate)


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_wrong_seed_is_refused(seed):
    with pytest.raises(
        ValueError, match=f"seed must be an int. Received: seed={seed!r}."
    ):
        SwapSentences(0.5, seed=seed)


@pytest.mark.parametrize(
    "part", ["Émile is here. ", "a", "\n ", ". ", "👩\u200d🚀"]
)
def test_a_long_text_takes_a_moment(part):
    text = part * (200_000 // len(part))
    spans = [(10 * i, 10 * i + 5) for i in range(10_000)]
    start = time.perf_counter()
    [(after, moved)] = augmentation.augment_texts([text], STEPS, [spans])
    assert time.perf_counter() - start < 10
    assert len(after) == len(text)
    assert all(
        text[slice(*span)] == after[slice(*other)]
        for span, other in zip(spans, moved, strict=True)
    )


def test_examples_are_shown_before_and_after(tmp_path):
    lines = ["One. Two.", "", "abcdefghij", "é", "Last line. Here."]
    folder = write_files(tmp_path, {"a.txt": "\r\n".join(lines)})
    steps = [SwapSentences(1.0)]
    examples = augmentation.examples_before_and_after
    assert list(examples(folder, steps, 3)) == [
        ("One. Two.", "Two. One."),
        ("abcdefghij", "abcdefghij"),
        ("é", "é"),
    ]
    assert list(examples(folder, steps, 3, only_changed=True)) == [
        ("One. Two.", "Two. One."),
        ("Last line. Here.", "Here. Last line."),
    ]


def test_changes_are_marked():
    before, after = "One two, three.\nFour", "Onx two, three.\nFour five"
    found = augmentation.changes(before, after)
    assert found == [
        ("removed", "One"),
        ("added", "Onx"),
        ("same", " two, three.\nFour"),
        ("added", " five"),
    ]
    for text, left_out in ((before, "added"), (after, "removed")):
        assert text == "".join(x for kind, x in found if kind != left_out)
    assert augmentation.marked_changes(before, after) == (
        "[-One-]{+Onx+} two, three.\nFour{+ five+}"
    )
    assert augmentation.marked_changes("{a}", "{a}") == "{a}"
    assert augmentation.changes("", "") == []


@pytest.mark.parametrize(
    ("name", "language"), [("novels_en", "en"), ("novels_fr", "fr")]
)
def test_real_text_keeps_its_spans_and_its_length(name, language, real_data):
    path = sorted(real_data(name).glob("*.txt"))[3]
    text = path.read_bytes().decode("utf-8")[:100_000]
    lines = [line for line in text.splitlines() if len(line) > 200][:100]
    generator = random.Random(2)
    spans = [spans_of(line, generator) for line in lines]
    steps = [
        SwapSentences(1.0, language),
        ReplaceCharacters(0.05, augmentation.alphabet_of(path)),
    ]
    results = augmentation.augment_texts(lines, steps, spans)
    for line, marked, (after, moved) in zip(lines, spans, results, strict=True):
        assert len(after) == len(line)
        assert [line[slice(*x)] for x in marked] == [
            after[slice(*x)] for x in moved
        ]
