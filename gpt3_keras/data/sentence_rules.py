"""Where English and French sentences end: rules that rewrite a text.

A rule is a regular expression and what takes a match's place. The rules are
applied one after the other, each to the whole text; Python's `re` and
TensorFlow's RE2 read them alike, which leaves out looking ahead and behind.
Each writes one character for one character, and one byte for one byte, but
for the marks that it adds or takes away.

In the order of the rules, a stop (`.`, `!`, `?` or `…`) ends a sentence if
white space follows it, once quotes and brackets have been closed, except

* after an abbreviation that a name or a number follows: "Mr. Smith",
  "No. 5", "p. ex.", "M. Dupont";
* after initials and the like ("J. R. Smith", "the U.S. Army") unless the next
  word is one that begins sentences: "in the U.S. The";
* after the number of a line or of a list: "1. Flour";
* in English, between `?"` or `!"` and who says it: `"What?" I asked.`;
* before a lower-case letter, and so inside of "Eh bien ! il vint.";

and in any case

* where a full stop stands alone between spaces, and in English any stop, as
  in the tokenised text of the Penn Treebank and LAMBADA, where all words may
  be lower-case: "she said . then he left ." Only `? ''` goes on before a
  lower-case word;
* at a blank line. The end of a line alone is white space like any other.
"""

MARK = "\x01"  # Stands between sentences.
_KEPT = "\x03"  # A mark that stays, whatever follows.
_MAYBE = "\x02"  # A full stop that ends a sentence before some words only.
_PASSED = "\x04"  # A character that has no meaning to the rules.

SPACES = (
    " \t\n\v\f\r\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
)
_S = f"[{SPACES}]"
_LOWER = "a-zß-öø-ÿœ"
_LETTER = "A-Za-zÀ-ÖØ-öø-ÿŒœ"
_STOP = ".!?…"
_NO_WORD = f"(?:^|[^{_LETTER}])"
# A guillemet, or the quote of tokenised text, may stand off by a space.
_CLOSERS = "(?:[ \u00a0\u202f]?[»'”]|[\"’)\\]}*_])*"
_OPENERS = f"[\"'`“‘’«‹(\\[{{*_¡¿—–―{SPACES}-]*"

# Names follow these.
_TITLES = {
    "en": (
        "Mr|MR|Mrs|MRS|Ms|Messrs|Mme|Mlle|Dr|Drs|Prof|Rev|Hon|Gen|Col|Capt|Cpt|"
        "Cdr|Lieut|Lt|Sergt|Sgt|Maj|Adm|Gov|Sen|Rep|Pres|Supt|Insp|Fr|Mt|Ft|"
        "mr|mrs|ms|dr|prof|e\\.g|i\\.e|viz|cf|vs|et al|approx"
    ),
    "fr": (
        "M|MM|Mr|Mrs|Ms|Mme|Mmes|Mlle|Mlles|Mgr|Mgrs|Dr|Drs|Pr|Prof|St|Ste|"
        "Gal|Cdt|Cne|Lt|mme|mlle|mgr|cf|p\\.[ \u00a0\u202f]?ex|"
        "c\\.?[- \u00a0]?à[- \u00a0]?d|c\\.-à-d|i\\.e|env|av|apr"
    ),
}
# Numbers follow these.
_NUMBERED = {
    "en": (
        "No|Nos|no|nos|Vol|vol|Vols|vols|Ch|ch|Chap|chap|Fig|fig|Figs|figs|"
        "Sec|sec|Art|art|Op|op|pp|p|Eq|eq|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|"
        "Sept|Oct|Nov|Dec|c|ca"
    ),
    "fr": (
        "No|Nos|no|nos|n|N|vol|Vol|chap|Chap|ch|fig|Fig|art|Art|al|pp|p|t|"
        "liv|éd|janv|févr|avr|juil|sept|oct|nov|déc"
    ),
}
# Anything may follow these, and letters with stops between them.
_SHORT = {
    "en": "St|Ste|Jr|Sr|Esq|Inc|Ltd|Co|Corp|Bros|Ave|Dept|Ph\\.D|[A-HJ-Z]",
    "fr": "Cie|Bd|[A-ZÀ-ÖØ-ÞŒ]",
}
# What follows those at the beginning of a sentence.
_STARTERS = {
    "en": (
        "The|A|An|He|She|It|I|We|You|They|This|That|These|Those|There|Here|In|"
        "On|At|By|For|From|With|But|And|Or|So|Then|When|While|If|As|After|"
        "Before|What|Who|Why|How|Where|Which|Yes|No|Not|My|His|Her|Our|Their|"
        "Your|Its|Now|One|Some|All|Such|Still|Yet|Perhaps|Well"
    ),
    "fr": (
        "Le|La|Les|L|Un|Une|Des|Il|Elle|Ils|Elles|On|Je|J|Tu|Nous|Vous|Ce|C|"
        "Cet|Cette|Ces|Et|Mais|Ou|Où|Or|Donc|Car|Dans|En|À|A|Au|Aux|Pour|Par|"
        "Sur|Avec|Sans|Quand|Si|Comme|Puis|Alors|Son|Sa|Ses|Mon|Ma|Mes|Leur|"
        "Leurs|Notre|Votre|Qui|Que|Qu|Quel|Quelle|Tout|Tous"
    ),
}
_SPEAKER = (
    "(?:I|(?:(?:Mr|Mrs|Miss|Ms|Dr|Lady|Sir|Lord)\x04? )?[A-Z][a-z]+"
    "(?: [A-Z][a-z]+)?)"
)
_SAID = (
    "(?:said|says|asked|cried|exclaimed|replied|answered|whispered|shouted|"
    "muttered|murmured|inquired|enquired|called|demanded|remarked|repeated|"
    "returned|continued|added|thought|began|observed|went on)"
)


def _passed_over(language):
    """Full stops that end no sentence, or only before some words."""
    starters = _STARTERS[language]
    # In English "I" is a word, but for "I. M. Pei".
    pei = (f"({_NO_WORD}I)\\.( [A-Z]\\.)", rf"\1{_PASSED}\2")
    initials = f"(?:[{_LETTER}]\\.-?)+[{_LETTER}]|{_SHORT[language]}"
    return [
        # What a text holds of our own marks means nothing.
        ("[\x01-\x03]", _PASSED),
        (f"({_NO_WORD}(?:{_TITLES[language]}))\\.", rf"\1{_PASSED}"),
        (
            f"({_NO_WORD}(?:{_NUMBERED[language]}))\\.({_S}?[0-9])",
            rf"\1{_PASSED}\2",
        ),
        ("((?:^|\n)[ \t]*[0-9IVXLC]{1,5})\\.", rf"\1{_PASSED}"),
        (f"([{_STOP}] [0-9]{{1,3}})\\.", rf"\1{_PASSED}"),
        *([pei] if language == "en" else []),
        (f"({_NO_WORD}(?:{initials}))\\.", rf"\1{_MAYBE}"),
        (
            f"{_MAYBE}({_CLOSERS}{_S}{_OPENERS}(?:{starters})[{SPACES}'’,])",
            r".\1",
        ),
    ]


def _marked(language):
    """Marks: where they are put, and where they are taken away again."""
    # A word comes before, or an ellipsis that is a word; not ". . .".
    word = f"[^{_STOP}{SPACES}{MARK}{_KEPT}]|\\.\\.|…"
    standing_alone = f"((?:{word}){_S}"
    rules = [
        (f"([{_STOP}]{_CLOSERS}{_S}+)", rf"\1{MARK}"),
        # The stops of ". . ." come one after the other.
        (f"{MARK}([{_STOP}])", r"\1"),
        (f"{MARK}([»”]?[,;:])", r"\1"),
        # At the end of the text, where no white space follows.
        (f"([ \u00a0\u202f]){MARK}(»|”|'')", r"\1\2"),
        (f"{standing_alone}\\.(?: ''?)*{_S}+){MARK}", rf"\1{_KEPT}"),
    ]
    if language == "en":
        rules += [
            (f"{standing_alone}[!?]{_S}+){MARK}", rf"\1{_KEPT}"),
            (
                f"([!?…][\"'”’]+{_S}+){MARK}({_SPEAKER} {_SAID})",
                r"\1\2",
            ),
        ]
    return [
        *rules,
        (f"{MARK}({_OPENERS}[{_LOWER}])", r"\1"),
        (f"(\n[ \t\r]*\n{_S}*)[{MARK}{_KEPT}]?", rf"\1{_KEPT}"),
        (f"^({_S}+)[{MARK}{_KEPT}]", r"\1"),
        (_KEPT, MARK),
    ]


RULES = {
    language: tuple(_passed_over(language) + _marked(language))
    for language in ("en", "fr")
}
