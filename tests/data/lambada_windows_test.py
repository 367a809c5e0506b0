"""Training passages: where they are cut, which are taken, in which order."""

import random

import pytest

from gpt3_keras.data import lambada_cuts
from gpt3_keras.data import lambada_windows
from gpt3_keras.data.lambada import Passage
from tests.data.corpora import write_files

NAMES = ("Anna", "Boris", "Clara", "dagger", "engine", "forest", "garden")
FILLERS = ("with", "never", "the", "from", "her")
CUT = {"min_words": 10, "max_words": 30}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of sentences, each of which ends in one of a few names."""
    draw = random.Random(0)
    texts = {}
    for i in range(10):
        sentences = []
        for number in range(40):
            words = draw.choices(FILLERS, k=draw.randrange(2, 9))
            words += [f"thing{i}x{number}", draw.choice(NAMES)]
            sentences.append(" ".join(["So", *words]) + ".")
        texts[f"{i}.txt"] = "\n".join(sentences)
    return write_files(tmp_path_factory.mktemp("novels"), texts)


def passages(source, seed=0, epoch=0, **arguments):
    arguments = {**CUT, **arguments}
    return list(
        lambada_windows.training_passages(
            source, seed=seed, epoch=epoch, **arguments
        )
    )


def expected(path):
    """Every passage of a file that ends a sentence, one by one."""
    sentences = path.read_text().splitlines()
    made = []
    for last, sentence in enumerate(sentences):
        for first in reversed(range(last)):
            context = " ".join(sentences[first:last])
            if len(context.split()) > CUT["min_words"]:
                break
        else:
            continue
        context, target = f"{context} {sentence[:-1]}".rsplit(" ", 1)
        if len(context.split()) < CUT["max_words"]:
            made.append(Passage(context, target, str(path), 0))
    return made


def stands_in_context(passage):
    words = passage.context.replace(".", "").split()
    return passage.target in words


def test_every_sentence_ends_a_passage(folder):
    made = passages(folder, copied_share=1.0)
    wanted = [p for i in range(10) for p in expected(folder / f"{i}.txt")]
    wanted = [p for p in wanted if stands_in_context(p)]
    assert len(made) > 50
    assert sorted(made) == sorted(wanted)
    assert made != wanted


def test_passages_of_short_blocks_are_passages_of_the_text(folder, monkeypatch):
    monkeypatch.setattr(lambada_windows, "_BLOCK_CHARS", 700)
    made = passages(folder, copied_share=1.0)
    wanted = {p for i in range(10) for p in expected(folder / f"{i}.txt")}
    assert 50 < len(set(made)) == len(made)
    assert set(made) < wanted


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8, 1.0])
def test_the_share_of_copied_targets(share, folder):
    counts = lambada_windows.window_counts(folder, **CUT)
    made = passages(folder, copied_share=share)
    num_copied = sum(map(stands_in_context, made))
    assert num_copied == pytest.approx(share * len(made), abs=10)
    kinds = counts["num_copied"], counts["num_passages"] - counts["num_copied"]
    taken = num_copied, len(made) - num_copied
    assert any(0 <= kinds[i] - taken[i] <= 20 for i in range(2))


def test_seed_and_epoch_give_the_order(folder):
    first = passages(folder)
    assert passages(folder) == first
    for other in (passages(folder, epoch=1), passages(folder, seed=1)):
        assert other != first
        assert sorted(other) == sorted(first)
    files = [passage.file for passage in first]
    assert len(set(files[:20])) > 2


def test_another_epoch_takes_other_passages_where_not_all_are_taken(folder):
    first, second = (
        set(passages(folder, epoch=epoch, copied_share=0.9)) for epoch in (0, 1)
    )
    assert len(first) == pytest.approx(len(second), abs=10)
    assert first != second


def test_any_word_may_end_a_passage(tmp_path):
    text = "The cat saw the dog. A dog, Mr. Lee's cat-flap and 3cats saw Cat."
    write_files(tmp_path, {"a.txt": text})
    arguments = {"ends": "word", "min_words": 4, "min_letters": 3}
    made = passages(tmp_path, copied_share=1.0, **arguments)
    assert made == [
        Passage("The cat saw the dog. A", "dog", str(tmp_path / "a.txt"), 0)
    ]
    absent = passages(tmp_path, copied_share=0.0, **arguments)
    assert {passage.target for passage in absent} == {"Cat"}


def test_style_of_lambada(tmp_path):
    text = "“The Cat _saw_ me,” he said. I didn’t, Mr. Lee—“No, the cat!”"
    write_files(tmp_path, {"a.txt": text})
    (made,) = passages(tmp_path, style="lambada", min_words=6)
    assert made.context == (
        "`` the cat saw me , '' he said . i did n't , mr. lee -- `` no , the"
    )
    assert made.target == "cat"


def test_white_space_of_plain_text_is_one_space(tmp_path):
    write_files(tmp_path, {"a.txt": "The  cat\nsaw\tus here.\n\nI, the  cat!"})
    (made,) = passages(tmp_path, min_words=4)
    assert made[:2] == ("The cat saw us here. I, the", "cat")


def test_french(tmp_path):
    text = "« Où est M. Dupont ? » dit-il au chat. Il vit le chat."
    write_files(tmp_path, {"a.txt": text})
    (made,) = passages(tmp_path, min_words=6, language="fr")
    assert made[:2] == (text[: -len(" chat.")], "chat")


@pytest.mark.parametrize(
    "text", ["Short.", "…\n\n…\n\n…", "12 34. 56 78.", "a" * 5000, "One. " * 50]
)
def test_text_without_a_passage_has_none(text, tmp_path):
    write_files(tmp_path, {"a.txt": text})
    for ends in lambada_cuts.ENDS:
        for style in lambada_cuts.STYLES:
            arguments = {"ends": ends, "style": style, "min_words": 3}
            assert passages(tmp_path, copied_share=0.0, **arguments) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"copied_share": 1.5}, r"must be in \[0, 1\].* copied_share=1.5"),
        ({"style": "ptb"}, '"plain" or "lambada".* style=\'ptb\''),
        ({"ends": "line"}, '"sentence" or "word".* ends=\'line\''),
        ({"language": "de"}, "language='de'"),
        ({"min_words": 0}, "at least 1.* min_words=0"),
        ({"min_letters": 0}, "at least 1.* min_letters=0"),
        ({"max_words": 11}, "leave room.* max_words=11, min_words=10"),
    ],
)
def test_wrong_arguments_are_named_at_once(arguments, message, folder):
    arguments = {**CUT, **arguments}
    with pytest.raises(ValueError, match=message):
        lambada_windows.training_passages(folder, seed=0, epoch=0, **arguments)


def test_held_out_passages_are_refused_at_once(tmp_path):
    write_files(tmp_path, {"lambada_test_plain_text.txt": "a b"})
    with pytest.raises(ValueError, match="not for training"):
        lambada_windows.training_passages(tmp_path, seed=0, epoch=0)


def test_novels(real_data):
    novel = real_data("novels_en") / "ENG18652_Carroll.txt"
    counts = lambada_windows.window_counts(novel)
    made = lambada_windows.training_passages(
        novel, seed=0, epoch=0, style="lambada", ends="word"
    )
    assert 500 < counts["num_passages"] < 2000
    assert 0.05 < counts["num_copied"] / counts["num_passages"] < 0.3
    for passage in made:
        assert 51 < passage.context.count(" ") + 2 <= 170
        assert passage.target in passage.context.split(" ")
