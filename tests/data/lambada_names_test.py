"""Names of passages, and others in their place."""

import pytest

from gpt3_keras import GPT3Tokenizer
from gpt3_keras.data import lambada_names
from gpt3_keras.data import lambada_windows
from gpt3_keras.data.lambada import Passage
from gpt3_keras.data.lambada_names import RenameNames
from tests.data.corpora import write_files

NEW = ["Fiona", "Gavin", "Osaka"]
PASSAGE = Passage(
    "`` good luck , rowan , '' said anna . rowan smiled at anna , and", "rowan",
    "a.txt", 0,
)  # fmt: skip


def test_names_are_words_with_a_capital_inside_of_sentences():
    text = (
        "Then Rowan, Will and Zoë left. They saw Rowan. Who saw Zoë? Oh, Will "
        "will, and will. They would. Mr Ray, Mr Ray. Once with Rex. IBM, IBM."
    )
    assert lambada_names.find_names(text) == {"Rowan", "Zoë", "Ray"}


def test_a_word_that_begins_sentences_alone_is_no_name():
    assert lambada_names.find_names("Perhaps. Perhaps! Perhaps?") == set()


def test_the_vocabulary_has_names_and_no_common_words():
    names = lambada_names.names_of_vocabulary(GPT3Tokenizer())
    assert 3_000 < len(names) < 6_000
    assert {"Fiona", "Moscow"} <= set(names)
    assert not {"The", "Good", "Will", "IBM"} & set(names)
    assert names == sorted(names)


def test_a_name_becomes_the_same_other_one_all_over():
    rename = RenameNames(NEW, 1.0, lowercase=True)
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
    rename = RenameNames(NEW, 0.5, lowercase=True)
    first, second = (
        [rename(PASSAGE, {"Rowan", "Anna"}, base) for base in range(20)]
        for _ in range(2)
    )
    assert first == second
    changed = sum(passage.target != "rowan" for passage in first)
    assert 0 < changed < 20


def test_a_rate_of_0_and_words_that_are_no_names_change_nothing():
    assert RenameNames(NEW, 0.0, True)(PASSAGE, {"Rowan"}, 3) == PASSAGE
    assert RenameNames(NEW, 1.0, True)(PASSAGE, {"Luc"}, 3) == PASSAGE


def test_names_that_are_there_already_are_not_given_again():
    passage = Passage("So Fiona met Rowan and Gavin near", "Osaka", "a.txt", 0)
    rename = RenameNames(NEW, 1.0, lowercase=False)
    assert rename(passage, {"Rowan"}, 0) == passage


@pytest.mark.parametrize("style", ["plain", "lambada"])
def test_training_passages_have_other_names_and_the_same_words(tmp_path, style):
    line = "So Rowan met Anna, and to her Rowan said that Anna"
    source = write_files(tmp_path, {"a.txt": f"{line} saw Rowan.\n" * 40})
    arguments = {"seed": 0, "epoch": 0, "style": style, "min_words": 10}
    rename = RenameNames(NEW, 1.0, lowercase=style == "lambada")
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
