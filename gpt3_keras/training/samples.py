"""What a model writes, and where it points, while it is being trained."""

import io
import textwrap

import numpy as np

from gpt3_keras import backend
from gpt3_keras.models import generation
from gpt3_keras.models import prompts
from gpt3_keras.samplers import SeededSampler

_PROMPT_TOKENS = 16
_NEW_TOKENS = 64
_PASSAGE_TOKENS = 36
_LINE_LETTERS = 100


class SampleWriter:
    """Writes on from held-out text, and draws the pointer on some of it.

    The prompt is the beginning of the first held-out row; what is drawn is
    the beginning of that row of the first held-out batch which repeats most.
    They are the same every time, and so is the sampler's seed, that of the
    config: what changes is the model alone.

    Training does not notice: nothing is compiled anew, no random state is
    read, no metric is touched.

    Args:
        experiment: an `Experiment`.
        board: a `TensorBoardWriter`; it gets a text `sample` and a picture
            `pointer`.
        draw: function of (attention, tokens, file), which draws the pointer,
            see `GPT3CausalLM.attend`, as a PNG into a binary file.

    Call arguments:
        step: int, the updates made so far.
    """

    def __init__(self, experiment, board, draw):
        self.board = board
        self.draw = draw
        self.model = experiment.writer()
        self.tokenizer = experiment.model.preprocessor.tokenizer
        options = experiment.config.generation.as_dict()
        num_new_tokens = min(options.pop("max_new_tokens"), _NEW_TOKENS)
        sampler = SeededSampler(**options)
        stop_token_ids = [self.tokenizer.end_token_id]

        rows = _first_rows(experiment.text_data()[-1].validation)
        model_length = self.model.backbone.max_sequence_length
        self.prompt = rows[0][: min(_PROMPT_TOKENS, (model_length + 1) // 2)]
        self.length = min(len(self.prompt) + num_new_tokens, model_length)
        passages = [row[: _PASSAGE_TOKENS + 1] for row in rows]
        self.passage = max(passages, key=_num_repeats)
        self.generate = backend.compiled(
            lambda inputs: generation.generate_step(
                self.model, inputs, stop_token_ids, sampler
            ),
            self.model,
        )

    def __call__(self, step):
        self.board.text(step, "sample", self._text())
        self.board.image(step, "pointer", self._picture())

    def _text(self):
        """The prompt, a mark, and what the model writes after it."""
        inputs = prompts.pad(
            [self.prompt], self.length, self.tokenizer.pad_token_id
        )
        outputs = self.generate(inputs)
        (new,) = prompts.new_rows(
            {name: np.asarray(value) for name, value in outputs.items()},
            [len(self.prompt)],
            max_new_tokens=None,
            strip_prompt=True,
        )
        text = f"{self._read(self.prompt)} ▶{self._read(new)}"
        return "\n".join(
            textwrap.fill(line, _LINE_LETTERS) for line in text.split("\n")
        )

    def _read(self, token_ids):
        special = self.tokenizer.special_token_ids
        return self.tokenizer.detokenize(
            [token for token in token_ids if token not in special]
        )

    def _picture(self):
        attention = self.model.attend([self.passage[:-1]])
        picture = io.BytesIO()
        self.draw(
            {name: value[0] for name, value in attention.items()},
            [self.tokenizer.detokenize([token]) for token in self.passage],
            picture,
        )
        return picture.getvalue()


def _first_rows(dataset):
    """The first batch's rows with their last targets, padding cut off."""
    ((x, y, _),) = dataset.take(1).as_numpy_iterator()
    lengths = x["padding_mask"].sum(axis=-1)
    return [
        [*ids[:length].tolist(), int(targets[length - 1])]
        for ids, targets, length in zip(x["token_ids"], y, lengths, strict=True)
        if length
    ]


def _num_repeats(passage):
    """How many tokens of a passage stand in it before."""
    return len(passage) - len(set(passage))
