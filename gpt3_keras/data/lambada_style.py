r"""Writes text the way LAMBADA's plain text is written.

Lower case; tokens in the manner of the Penn Treebank, one space between them:
"do n't", "john 's", "gon na"; the stop at a sentence's end apart, not that of
"mr."; `` and '' for double quotes, ` and ' for single ones; "--" for a dash
between spaces; "..." for an ellipsis; -lrb- and -rrb- for brackets. Words
with a hyphen stay whole. Underscores, novels' italics, are left out. Text that
is written so already stays as it is.

The rules were taken down from the development passages. What is there and
not here: mistakes of their tokenizer, such as "bull 's - eye", and words
with no space at a dash, "universe-which".

Reference: the tokenization script of the Penn Treebank (MacIntyre 1995).
"""

import re

_APOSTROPHE = "\x01"  # One inside of a word, or in place of its letters.
_OPEN, _CLOSE = "\x02", "\x03"  # Double quotes.
_ELIDED = (
    "em|tis|twas|twere|twill|twould|cause|till?|bout|un|nd|n|s|m|d|re|ve|ll|t"
)
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Which of the marks are apostrophes, and which are quotes.
        (r"(?<=\w)['’](?=\w)", _APOSTROPHE),
        (rf"(?<!\w)['’‘](?=(?:{_ELIDED})\b)", _APOSTROPHE),
        (r"``|“", _OPEN),
        (r"''|”", _CLOSE),
        (r"(?<![^\s(\[—–`‘'’-])\"(?=\S)", _OPEN),
        (r'"', _CLOSE),
        (r"(?<![^\s(\[—–\x02-])['‘](?=\w)|‘", " ` "),
        (r"['’]", " ' "),
        (_OPEN, " `` "),
        (_CLOSE, " '' "),
        # Stops.
        (r"\.{3,}|\. \. \.|…", " ... "),
        (r"(?<!\.)\.(?=[\s`'’”\")\]]*(?:\n|$))", " . "),
        (r"([?!]+)", r" \1 "),
        (r"(;|(?<!\d):|:(?!\d))", r" \1 "),
        (r",(?!\d)|(?<!\d),", " , "),
        # Dashes and brackets.
        (r"[—―]+|--+", " -- "),
        (r" – ", " -- "),
        (r"\(", " -lrb- "),
        (r"\)", " -rrb- "),
        (r"\[", " -lsb- "),
        (r"\]", " -rsb- "),
        # Contractions.
        (rf"(?<=\w)n{_APOSTROPHE}t\b", f" n{_APOSTROPHE}t"),
        (
            rf"(?<=\w){_APOSTROPHE}(s|m|d|re|ve|ll)\b(?!{_APOSTROPHE})",
            rf" {_APOSTROPHE}\1",
        ),
        (r"\bcannot\b", "can not"),
        (r"\b(gon|wan)(na)\b", r"\1 \2"),
        (r"\bgotta\b", "got ta"),
        (rf"{_APOSTROPHE}t(is|was)\b", rf"{_APOSTROPHE}t \1"),
        (_APOSTROPHE, "'"),
    )
]


def as_lambada(sentences):
    r"""Sentences, each written as LAMBADA writes it.

    >>> as_lambada(["“Don't,” said Mr. Ray.", "“_She_’s gone—for good!”"])
    ["`` do n't , '' said mr. ray .", "`` she 's gone -- for good ! ''"]

    Args:
        sentences: list of str, whole sentences, for a stop at the end of one
            is a token of its own.

    Returns:
        A list of str, as many.
    """
    text = "\n".join([" ".join(sentence.split()) for sentence in sentences])
    text = re.sub("[\x01-\x03]", " ", text.lower().replace("_", ""))
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return [" ".join(line.split()) for line in text.split("\n")]
