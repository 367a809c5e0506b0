"""Strings to the language model's inputs, and its outputs to strings."""

import keras
import keras_hub
from keras_hub.src.utils.tensor_utils import preprocessing_function

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.models.tokenizer_fast import as_rows
from gpt3_keras.models.tokenizer_graph import check_lengths


@keras.saving.register_keras_serializable(package="gpt3_keras")
class GPT3CausalLMPreprocessor(keras_hub.models.CausalLMPreprocessor):
    """Tokenises, packs and pads strings for `GPT3CausalLM`.

    For training, `start + ids + end`, cut or padded to `sequence_length + 1`
    tokens, gives inputs and, one later, targets. Text that is longer is cut:
    `data.text_dataset` packs it into rows without losing any. A prompt is
    never cut.

    Args:
        tokenizer: a `GPT3Tokenizer`.
        sequence_length: int, T.
        add_start_token: bool, whether text begins with the start token.
        add_end_token: bool, whether training text ends with the end token.

    Call arguments:
        x: a string, or strings (B,).
        y, sample_weight: not used; the text brings its own.
        sequence_length: int, in place of the constructor's.

    Returns:
        KerasHub's triple: x = {`"token_ids"` int32 (B, T), `"padding_mask"`
        bool (B, T)}, y = int32 (B, T) and sample_weight = bool (B, T), True
        where a target counts.

    Masking: True at real tokens. Padding stands on the right.

    Raises:
        ValueError: `sequence_length` is not a positive integer; in
            `generate_preprocess`, a prompt leaves no room for a new token (in
            a graph, `InvalidArgumentError` when it runs).

    Example:

    ```python
    >>> preprocessor = GPT3CausalLMPreprocessor(GPT3Tokenizer(), 6)
    >>> x, y, sample_weight = preprocessor(["It's a test"])
    >>> x["token_ids"]
    <tf.Tensor: shape=(1, 6), dtype=int32,
     numpy=array([[50256,  1026,   338,   257,  1332, 50256]], dtype=int32)>
    >>> prompt = preprocessor.generate_preprocess("It's a")
    >>> preprocessor.generate_postprocess(prompt)
    "It's a"

    ```
    """

    backbone_cls = GPT3Backbone
    tokenizer_cls = GPT3Tokenizer

    def __init__(
        self,
        tokenizer,
        sequence_length=1024,
        add_start_token=True,
        add_end_token=True,
        **kwargs,
    ):
        if not isinstance(sequence_length, int) or sequence_length < 1:
            raise ValueError(
                "sequence_length must be a positive integer. Received: "
                f"sequence_length={sequence_length!r}."
            )
        super().__init__(
            tokenizer, sequence_length, add_start_token, add_end_token, **kwargs
        )

    def _generate_preprocess_python(self, x, sequence_length=None):
        return self._pack_prompts(x, sequence_length, _check_lengths_eagerly)

    @preprocessing_function
    def _generate_preprocess_tf(self, x, sequence_length=None):
        return self._pack_prompts(x, sequence_length, check_lengths)

    def _pack_prompts(self, x, sequence_length, check_lengths):
        if not self.built:
            self.build(None)
        if sequence_length is None:
            sequence_length = self.sequence_length
        token_ids = self.tokenizer.tokenize(x)
        # At least one place stays free for a new token.
        check_lengths(token_ids, sequence_length - self.add_start_token - 1)
        token_ids, padding_mask = self.packer(
            token_ids,
            sequence_length=sequence_length,
            add_start_value=self.add_start_token,
            add_end_value=False,
        )
        return {"token_ids": token_ids, "padding_mask": padding_mask}


def _check_lengths_eagerly(token_ids, limit):
    rows, _ = as_rows(token_ids)
    longest = max(map(len, rows), default=0)
    if longest > limit:
        raise ValueError(
            "A prompt must leave room for a new token. Received: a prompt of "
            f"{longest} tokens, room for {limit}."
        )
