"""LAMBADA's way of writing, against forms seen in its passages."""

import pytest

from gpt3_keras.data import lambada
from gpt3_keras.data import lambada_style


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("He  SAT\tdown.", "he sat down ."),
        ("“Why?” she said.", "`` why ? '' she said ."),
        ('"Why?" she said, "no."', "`` why ? '' she said , `` no . ''"),
        ("‘Why?’ she said.", "` why ? ' she said ."),
        ("'Why?' she said.", "` why ? ' she said ."),
        ("“‘Why?’ it says.”", "`` ` why ? ' it says . ''"),
        ("I don’t, can't, won't.", "i do n't , ca n't , wo n't ."),
        ("John's, I'm, he'd, we’ll", "john 's , i 'm , he 'd , we 'll"),
        ("the boys' house", "the boys ' house"),
        ("Take 'em; 'tis well", "take 'em ; 't is well"),
        ("I cannot; gonna, wanna", "i can not ; gon na , wan na"),
        ("at nine o'clock, ma'am", "at nine o'clock , ma'am"),
        ("Mr. Ray and Dr. Lee left.", "mr. ray and dr. lee left ."),
        ("Well… no... so. . . yes", "well ... no ... so ... yes"),
        ("gone—for good--all", "gone -- for good -- all"),
        ("a twenty-five-year-old", "a twenty-five-year-old"),
        ("(so [it] is)", "-lrb- so -lsb- it -rsb- is -rrb-"),
        ("1,000 men at 9:30; so: no", "1,000 men at 9:30 ; so : no"),
        ("What?! _She_ did!", "what ?! she did !"),
        ("He said “go.”", "he said `` go . ''"),
    ],
)
def test_forms(text, written):
    assert lambada_style.as_lambada([text]) == [written]


def test_each_sentence_stays_one():
    texts = ["One.", "", "Two\nlines—", "—three", "“Four.”"]
    assert lambada_style.as_lambada(texts) == [
        "one .",
        "",
        "two lines --",
        "-- three",
        "`` four . ''",
    ]


def test_what_is_written_so_stays_as_it_is():
    written = (
        "`` i do n't , '' mr. ray 's boys ' ` dog ' said ... -- -lrb- no -rrb- "
        "i 'm gon na go , ca n't , at 9:30 ; he 'd left ."
    )
    assert lambada_style.as_lambada([written]) == [written]


def test_the_development_passages_stay_as_they_are(real_data):
    passages = lambada.read_passages(real_data("lambada"))
    texts = [f"{passage.context} {passage.target}" for passage in passages]
    written = lambada_style.as_lambada(texts)
    num_changed = sum(a != b for a, b in zip(texts, written, strict=True))
    # Curly quotes, "i. . .", "yahoo!": what their tokenizer passed over.
    assert num_changed <= 0.005 * len(texts)
