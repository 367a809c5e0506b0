"""Where sentences end, in English and in French, in Python and in the graph."""

import random
import time

import pytest
import tensorflow as tf

from gpt3_keras.data import sentence_rules
from gpt3_keras.data import sentences

ENGLISH = {
    "plain": ["It rains. ", "Does it? ", "It does! ", "Yes"],
    "titles": ["Mr. Hale met Dr. Donne and Mrs. Gray of St. Paul. ", "He ran."],
    "titles_in_a_row": ["So Prof. Dr. J. R. R. Lee. ", "MR. DOE came."],
    "latin": ["Fruit, e.g. plums, i.e. Prunus, vs. Rubus, cf. Linn. ", "Yes."],
    "at_the_end": ["He sold pens, ink etc. ", "He left."],
    "initials": ["J. R. Smith and I. M. Pei met. ", "So did I. ", "Good."],
    "country": ["He left the U.S. ", "The U.S. Army stayed in the U.K. base."],
    "hours": ["At 5 p.m. Jane woke. ", "At 6 a.m. ", "She slept."],
    "street": ["He lives in Main St. ", "He likes St. James."],
    "numbers": ["It cost 3.5 pounds. ", "No. 5 won. ", "No. ", "See p. 12."],
    "dates": ["On Jan. 5 it froze. ", "In 1848. ", "A cold year."],
    "list": ["1. Flour. ", "2. Eggs. ", "3. Milk."],
    "chapter": ["CHAPTER XI.\n", "I rose.\n", "IV. Of the moon"],
    "ellipsis": ["Well... perhaps... not... ", "He sighed… and left… ", "So."],
    "spaced_ellipsis": ["And . . . then . . . nothing. ", "Well . . . ", "No."],
    "quotes": [
        '"Stop." ',
        "“Go.” ",
        "‘Why?’ ",
        "(He went.) ",
        "[Yes.] ",
        "No.",
    ],
    "quote_in_quote": ["“He said ‘no.’” ", "“So?”"],
    "speech": ['"What?" he said. ', "“Go!” cried she. ", "‘Oh!’ and ‘Ah!’"],
    "speaker": [
        '"What?" I asked. ',
        '"No!" Mr. Poe said. ',
        "“Why?” Al cried.",
    ],
    "not_a_speaker": ['"What?" ', "Mr. Poe left. ", '"No!" ', "I went."],
    "dash": ["“Oh!”—he laughed. ", "Yes! — she did. ", "— So."],
    "comma": [
        '"No!", he said. ',
        "So! , I said. ",
        "Is it (he asked!), then? ",
        "So.",
    ],
    "lower_case": ["Ah! what a day. ", "See approx. five."],
    "no_space": ["See a.b.c or x.org/a?b=c. ", "Version 2.0!"],
    "tokenised": [
        "`` nineteen , '' she said , and he ... . ",
        "she left . ",
        "`` good luck , mr. rowan . '' ",
        "he went . ",
        "`` what ? '' he said . ",
        "who ? ",
        "`` me ! ''",
    ],
    "single_tokenised": ["` it was n't him . ' ", "she ran ."],
    "paragraphs": [
        "A title\n\n",
        "and text\r\n \r\n",
        "“so”\n\n\n",
        "No. ",
        "Go",
    ],
    "lines": ["He\nran. \r\n", "She\r\ndid."],
    "white_space": ["\n\n \tIt is. \n\n ", "So. \u00a0\n"],
    "wide_spaces": ["It is.\u2003", "So.\u3000", "No.\u2028", "Yes"],
    "other_scripts": ["Привет. ", "Да. ", "你好. ", "再见! ", "👩‍🚀. ok"],
    "marks": ["It is\x01 so.\x02 No\x03. ", "Yes\x04."],
    "only_white_space": [" \n\n "],
    "empty": [],
}
FRENCH = {
    "plain": ["Il pleut. ", "Vraiment\u00a0? ", "Vraiment ! ", "Oui"],
    "titles": ["M. Hulot et Mme. Roux, MM. Dumas, Mlle. É. Zola. ", "Il vint."],
    "foreign": ["Mrs. Weldon et Mr. Fogg. ", "Le Dr. Roux."],
    "short": ["Des fruits, p. ex. des prunes, c.-à-d. cela, etc. ", "Oui."],
    "christ": ["En 50 av. J.-C. on bâtit. ", "Vers 60 av. J.-C. ", "Il meurt."],
    "numbers": ["Il coûte 3.5 ou 3,5 francs. ", "Le 1er mai. ", "Voir p. 12."],
    "names": [
        "J. Verne et V. Hugo. ",
        "A.-M. Ampère. ",
        "Louis X. ",
        "Il dort.",
    ],
    "guillemets": ["«\u00a0Oui.\u00a0» ", "« Non. » ", "«Si.» ", "Il partit."],
    "narrow": ["«\u202fOui\u202f!\u202f» ", "« Non »\u202f! ", "Il rit."],
    "speech": [
        "«Oui!» dit-il. ",
        "« Non ! » cria Luc. ",
        "« Si\u00a0? », fit-il.",
    ],
    "dashes": ["– Vous savez. ", "— Oui ! — dit-il. ", "– Non."],
    "lower_case": ["Eh bien ! il vint. ", "Quoi ? dit-elle. ", "Ô ! âme."],
    "capitals": ["Il vint. ", "À midi. ", "Œuvre. ", "Été. ", "« Ça. »"],
    "ellipsis": ["Mais... non… oui... ", "Elle part. ", "En 18..., il vint."],
    "list": ["1. Œufs. ", "2. Lait.\n\n", "et\n\n", "V. Hugo et I. I. Roux."],
    "tokenised": ["il vint . ", "elle . . . dort . ", "où ? ici !"],
    "white_space": [
        "\n\n Oui. ",
        "Dors\x01. ",
        "Non! », dit-il. ",
        "Si ! , fit-il.",
    ],
    "other_quotes": ['Il dit : "Non." ', "“Oui.” ", "L'été."],
}


CASES = [
    pytest.param(language, parts, id=f"{language}-{name}")
    for language, examples in (("en", ENGLISH), ("fr", FRENCH))
    for name, parts in examples.items()
]


def split(text, language):
    """The sentences, and the lengths that the graph finds."""
    spans = sentences.split_sentences(text, language)
    chars, num_bytes = sentences.sentence_lengths(tf.constant(text), language)
    parts = [text[start:end] for start, end in spans]
    assert chars.numpy().tolist() == [*map(len, parts)]
    assert num_bytes.numpy().tolist() == [len(x.encode()) for x in parts]
    return parts


@pytest.mark.parametrize(("language", "parts"), CASES)
def test_sentences_end_where_a_reader_ends_them(language, parts):
    assert split("".join(parts), language) == parts


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_any_text_is_covered_and_the_graph_agrees(language):
    generator = random.Random(0)
    pieces = [*" .!?…\n\t\"'”’»«([)]-—,;:_`\x01\x02\x03\r\u00a0", *"aAéÉ1IM"]
    pieces += [
        "Mr.",
        "e.g.",
        " . ",
        "''",
        "``",
        "U.S.",
        "The ",
        " said",
        "\n\n",
    ]
    pieces += ["M.", "p. ex.", "Il ", "e\u0301", "👩‍🚀", "한", "م"]
    for _ in range(150):
        length = generator.randrange(60)
        text = "".join(generator.choices(pieces, k=length))
        parts = split(text, language)
        assert "".join(parts) == text
        # White space belongs to the sentence before it.
        space = f"[{sentence_rules.SPACES}]"
        starts = tf.strings.regex_full_match(parts[1:] or ["a"], f"{space}.*")
        assert not tf.reduce_any(starts)


@pytest.mark.parametrize("language", ["", "de", "EN", None])
def test_another_language_is_refused(language):
    for function in (sentences.split_sentences, sentences.sentence_lengths):
        with pytest.raises(
            ValueError,
            match=(
                'language must be "en" or "fr". Received: '
                f"language={language!r}."
            ),
        ):
            function("It is.", language)


@pytest.mark.parametrize(
    "part",
    [" ", "\n", "\n ", ".", ". ", "?»", "A.", '"', ". '", " '", "1. ", "I. "],
)
def test_half_a_megabyte_takes_a_moment(part):
    text = "." + part * (500_000 // len(part))
    start = time.perf_counter()
    parts = split(text, "en")
    # About half a second; hours if the time grew with the square.
    assert time.perf_counter() - start < 20
    assert "".join(parts) == text


@pytest.mark.parametrize(
    ("name", "language"), [("novels_en", "en"), ("novels_fr", "fr")]
)
def test_real_text_is_cut_alike_everywhere(name, language, real_data):
    for path in sorted(real_data(name).glob("*.txt"))[1:4]:
        text = path.read_bytes().decode("utf-8")[:200_000]
        parts = split(text, language)
        assert "".join(parts) == text
        # Novels have sentences of 20 words, more or less.
        assert 50 < len(text) / len(parts) < 200


def test_tokenised_text_is_cut_at_its_stops(real_data):
    path = real_data("lambada") / "lambada_development_plain_text.txt"
    text = path.read_bytes().decode("utf-8")[:200_000]
    parts = split(text, "en")
    num_stops = text.count(" . ")
    num_inside = sum(part.rstrip(" '").count(" . ") for part in parts)
    assert num_inside < 0.01 * num_stops
