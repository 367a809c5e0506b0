"""Augmentation on the way from text to rows of tokens.

Text k of epoch e has the index `e * 2³² + k`: the same seed gives the same
text in a run that goes on where another was interrupted.
"""

import itertools
import re

from gpt3_keras.data import sentences
from gpt3_keras.data.augmentation import augment_texts

_TEXTS_OF_AN_EPOCH = 1 << 32
_GROUP = 64


def augmented_examples(examples, steps, epoch, language=None):
    """Yields `task_rows.Example`s, their contexts changed by some steps.

    Words of the answer are kept wherever they stand in the context: what
    could be copied still can. Prompt and answer are left alone.

    Args:
        examples: iterable of `Example`s.
        steps: see `augmentation.apply_steps`.
        epoch: int.
        language: where given, the answer ends the context's last sentence,
            which then stays last and as it is; see
            `sentences.split_sentences`.
    """
    index = epoch * _TEXTS_OF_AN_EPOCH
    examples = iter(examples)
    while group := list(itertools.islice(examples, _GROUP)):
        places = [_last_sentence(x.context, language) for x in group]
        heads = [
            example.context[:place]
            for example, place in zip(group, places, strict=True)
        ]
        spans = [
            _occurrences(head, example.answer)
            for head, example in zip(heads, group, strict=True)
        ]
        changed = augment_texts(heads, steps, spans, index)
        index += len(group)
        for example, place, (head, _) in zip(
            group, places, changed, strict=True
        ):
            yield example._replace(context=head + example.context[place:])


def augmented_pieces(pieces, steps, epoch):
    """Yields `text.Piece`s with text, changed by some steps.

    Args:
        pieces: iterable of `Piece`s.
        steps, epoch: as for `augmented_examples`.
    """
    index = epoch * _TEXTS_OF_AN_EPOCH
    pieces = iter(pieces)
    while group := list(itertools.islice(pieces, _GROUP)):
        texts = [piece.content for piece in group]
        changed = augment_texts(texts, steps, None, index)
        index += len(group)
        for piece, (content, _) in zip(group, changed, strict=True):
            yield piece._replace(content=content)


def _last_sentence(context, language):
    """Where the sentence begins that the answer ends; else the context's end.

    White space before it belongs to the end: a sentence that comes to stand
    there keeps its distance.
    """
    if language is None or not context:
        return len(context)
    start = sentences.split_sentences(context, language)[-1][0]
    return len(context[:start].rstrip())


def _occurrences(text, answer):
    """Spans of the answer's words in a text."""
    words = set(re.findall(r"\w+", answer))
    return [
        match.span()
        for match in re.finditer(r"\w+", text)
        if match.group() in words
    ]
