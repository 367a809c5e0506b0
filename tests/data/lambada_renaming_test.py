"""Passages of which some words are replaced, the same all over."""

import pytest

from gpt3_keras import GPT3Tokenizer
from gpt3_keras.data import lambada_renaming
from gpt3_keras.data import lambada_windows
from gpt3_keras.data.lambada import Passage
from gpt3_keras.data.lambada_renaming import Renaming
from tests.data.corpora import write_files

NEW = ["Fiona", "Gavin", "Osaka"]
PASSAGE = Passage(
    "`` good luck , rowan , '' said anna . rowan smiled at anna , and", "rowan",
    "a.txt", 0,
)  # fmt: skip
THINGS = Passage(
    "the garden was walking with friends when the garden", "friends", "a.txt", 0
)
NEW_WORDS = {
    "": ["robot", "yard", "film"],
    "ing": ["jumping"],
    "ed": [],
    "ly": [],
    "s": ["drivers", "trucks"],
}


def names_alone(rate, lowercase=True):
    return Renaming(NEW, rate, {}, 0.0, lowercase)


def words_alone(rate):
    return Renaming([], 0.0, NEW_WORDS, rate, lowercase=True)


def test_a_name_becomes_the_same_other_one_all_over():
    rename = names_alone(1.0)
    renamed = [rename(PASSAGE, {"Rowan", "Anna"}, base) for base in range(50)]
    pairs = set()
    for passage in renamed:
        words = passage.context.split()
        rowan, anna = words[4], words[8]
        expected = PASSAGE.context.replace("rowan", rowan).replace("anna", anna)
        assert passage == Passage(expected, rowan, "a.txt", 0)
        assert rowan != anna
        pairs.add((rowan, anna))
    new = {name.lower() for name in NEW}
    assert {rowan for rowan, _ in pairs} - {"rowan"} == new
    assert len(pairs) > 6


def test_the_same_base_gives_the_same_names():
    rename = names_alone(0.5)
    first, second = (
        [rename(PASSAGE, {"Rowan", "Anna"}, base) for base in range(20)]
        for _ in range(2)
    )
    assert first == second
    changed = sum(passage.target != "rowan" for passage in first)
    assert 0 < changed < 20


def test_a_rate_of_0_and_words_that_are_no_names_change_nothing():
    assert names_alone(0.0)(PASSAGE, {"Rowan"}, 3) == PASSAGE
    assert names_alone(1.0)(PASSAGE, {"Luc"}, 3) == PASSAGE


def test_names_that_are_there_already_are_not_given_again():
    passage = Passage("So Fiona met Rowan and Gavin near", "Osaka", "a.txt", 0)
    rename = names_alone(1.0, lowercase=False)
    assert rename(passage, {"Rowan"}, 0) == passage


@pytest.mark.parametrize("style", ["plain", "lambada"])
def test_training_passages_have_other_names_and_the_same_words(tmp_path, style):
    line = "So Rowan met Anna, and to her Rowan said that Anna"
    source = write_files(tmp_path, {"a.txt": f"{line} saw Rowan.\n" * 40})
    arguments = {"seed": 0, "epoch": 0, "style": style, "min_words": 10}
    rename = names_alone(1.0, lowercase=style == "lambada")
    plain, renamed = (
        list(
            lambada_windows.training_passages(
                source, **arguments, rename=rename
            )
        )
        for rename in (None, rename)
    )
    assert len(plain) == len(renamed) > 20
    names = {"rowan", "anna", *(name.lower() for name in NEW)}
    targets = set()
    for old, new in zip(plain, renamed, strict=True):
        pairs = {
            (a.lower(), b.lower())
            for a, b in zip(
                [
                    *old.context.replace(",", " ,").replace(".", " .").split(),
                    old.target,
                ],
                [
                    *new.context.replace(",", " ,").replace(".", " .").split(),
                    new.target,
                ],
                strict=True,
            )
            if a != b
        }
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert {word for pair in pairs for word in pair} <= names
        targets.add(new.target)
    assert len(targets) > 2


def test_a_common_word_becomes_the_same_other_one_of_its_ending():
    found = set()
    for base in range(30):
        renamed = words_alone(1.0)(THINGS, set(), base)
        words = renamed.context.split()
        assert words[1] == words[8]
        assert renamed.target == words[5]
        assert words[:1] + words[2:3] == ["the", "was"]
        found.add((words[1], words[3], words[4], words[5]))
    assert {garden for garden, *_ in found} == set(NEW_WORDS[""])
    assert {friends for *_, friends in found} == set(NEW_WORDS["s"])
    # "with" and "when" are never an answer.
    assert {(a, b) for _, a, b, _ in found} == {("jumping", "with")}


def test_names_are_no_common_words():
    passage = Passage("so rowan met rowan", "rowan", "a.txt", 0)
    assert words_alone(1.0)(passage, {"Rowan"}, 0) == passage


def test_the_rate_is_the_share_that_is_replaced():
    changed = sum(
        words_alone(0.2)(THINGS, set(), base).target != THINGS.target
        for base in range(1000)
    )
    assert 150 < changed < 250


def test_the_vocabulary_has_common_words_of_each_ending():
    words = lambada_renaming.words_of_vocabulary(GPT3Tokenizer())
    assert {"garden", "friend"} <= set(words[""])
    assert "walking" in words["ing"]
    assert not {"with", "London", "ing"} & {
        w for ws in words.values() for w in ws
    }
    assert 8_000 < sum(map(len, words.values())) < 14_000
    assert min(map(len, words.values())) > 100
