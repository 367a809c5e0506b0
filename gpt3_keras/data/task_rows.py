r"""From examples of a task to rows of tokens: a context, then its answer.

```
context    what is read; may be cut to fit
prompt     what stands between the two, such as "\nTL;DR:"; never cut
answer     what is to be written; never cut
```
A row is the start token, the three of them, and where the answer is a text of
its own the end token. Each token has a weight as a target: 1 in the answer,
and in the context what the task says.
"""

import dataclasses
import itertools
import typing

import numpy as np

from gpt3_keras.data import batch
from gpt3_keras.data import shuffling
from gpt3_keras.data.epochs import Epochs
from gpt3_keras.data.epochs import as_dataset
from gpt3_keras.data.epochs import check_count

# Examples that are tokenised at a time, which a tokenizer may do in parallel.
_GROUP = 256


class Example(typing.NamedTuple):
    """One example of a task, as text."""

    context: str
    prompt: str
    answer: str


class Row(typing.NamedTuple):
    """Tokens, int32 (n + 1,), and their weights as targets, float32 (n + 1,).

    The first token is no target: its weight is 0.
    """

    token_ids: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class RowMaker:
    """Tokenises examples of one task.

    Args:
        tokenizer: a `GPT3Tokenizer`.
        sequence_length: int, T; a row has T + 1 tokens at most.
        context_weight: float, of the targets in context and prompt.
        keeps_end: bool, whether a context that is too long loses its
            beginning, not its end.
        adds_end: bool, whether the end token follows the answer.
        repeats: a `words.RepeatedWords`, or None. Tokens of the context that
            it finds have `repeated_weight`.
        repeated_weight: float.
    """

    tokenizer: object
    sequence_length: int
    context_weight: float = 0.0
    keeps_end: bool = True
    adds_end: bool = False
    repeats: object = None
    repeated_weight: float = 0.0

    def rows(self, examples):
        """Yields a `Row` for each `Example`.

        Raises:
            ValueError: prompt and answer alone are too long for a row.
        """
        examples = iter(examples)
        while group := list(itertools.islice(examples, _GROUP)):
            texts = [text for example in group for text in example]
            ids = iter(self.tokenizer.encode_batch(texts))
            for example in group:
                yield self._row(example, next(ids), next(ids), next(ids))

    def _row(self, example, context, prompt, answer):
        if self.adds_end:
            answer = [*answer, self.tokenizer.end_token_id]
        room = self.sequence_length - len(prompt) - len(answer)
        if room < 0:
            raise ValueError(
                "An answer must fit task.sequence_length. Received: "
                f"task.sequence_length={self.sequence_length}, and "
                f"{len(prompt) + len(answer)} tokens of "
                f"{example.answer[:40]!r}."
            )
        if len(context) > room:
            start = len(context) - room if self.keeps_end else 0
            context = context[start : start + room]
        read = [self.tokenizer.start_token_id, *context, *prompt]
        token_ids = np.array([*read, *answer], "int32")
        weights = np.full(len(token_ids), self.context_weight, "float32")
        if self.repeats is not None:
            weights[self.repeats(token_ids)] = self.repeated_weight
        weights[len(read) :] = 1.0
        weights[0] = 0.0
        return Row(token_ids, weights)


def make_batch(rows, sequence_length, pad_token_id):
    """The triple of some `Row`s, as NumPy arrays; see `batch.make_batch`."""
    x, y, _ = batch.make_batch(
        [row.token_ids for row in rows], sequence_length, pad_token_id
    )
    weights = np.zeros(y.shape, "float32")
    for i, row in enumerate(rows):
        weights[i, : len(row.weights) - 1] = row.weights[1:]
    return x, y, weights


def task_dataset(
    read,
    row_maker,
    *,
    batch_size,
    shuffle_buffer=0,
    seed=0,
    num_epochs=1,
    first_row=0,
):
    """Batches of a task's rows, as many in each epoch.

    Args:
        read: function from an epoch, an int, to an iterable of its
            `Example`s.
        row_maker: a `RowMaker`.
        batch_size, shuffle_buffer, seed, num_epochs, first_row: as for
            `pipeline.text_dataset`.

    Returns:
        A `tf.data.Dataset` of the triple that `batch` describes; its
        `sample_weight` may be any number that is not negative.
    """
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("shuffle_buffer", shuffle_buffer, 0),
        ("first_row", first_row, 0),
    ):
        check_count(name, value, least)

    def rows(epoch):
        made = row_maker.rows(read(epoch))
        if not shuffle_buffer:
            return made
        return shuffling.shuffle_rows(made, shuffle_buffer, seed, epoch)

    length = row_maker.sequence_length
    pad_token_id = row_maker.tokenizer.pad_token_id
    return as_dataset(
        Epochs(rows, None, num_epochs, first_row),
        lambda rows: make_batch(rows, length, pad_token_id),
        batch.element_spec(length, None if num_epochs else batch_size),
        batch_size,
    )
