"""Rows of token ids of any lengths, to and from rectangular arrays.

Plain NumPy: it runs once a call, before and after the compiled part.
"""

import numpy as np


def is_text(inputs):
    """Whether `inputs` is a string, or a list or array of strings."""
    if isinstance(inputs, str | bytes):
        return True
    if isinstance(inputs, dict):
        return False
    first = inputs[0] if len(inputs) else 0
    return isinstance(first, str | bytes) or _is_string_tensor(inputs)


def _is_string_tensor(inputs):
    return getattr(getattr(inputs, "dtype", None), "name", "") == "string"


def token_rows(inputs, preprocessor=None):
    """`inputs` as a list of lists of token ids, without padding.

    Args:
        inputs: a string or strings (with a preprocessor); one row or several
            rows of ids; a dict of `"token_ids"` and `"padding_mask"`.
        preprocessor: its tokenizer is used for strings.

    Returns:
        The rows, and whether `inputs` was a single one.

    Raises:
        ValueError: strings without a preprocessor, or ids that are not whole
            numbers.
    """
    if isinstance(inputs, dict):
        ids = np.asarray(inputs["token_ids"])
        mask = np.asarray(inputs["padding_mask"]).astype(bool)
        return [_row(r[m]) for r, m in zip(ids, mask, strict=True)], False
    if is_text(inputs):
        if preprocessor is None:
            raise ValueError(
                "inputs must be token ids where the model has no "
                f"preprocessor. Received: inputs={inputs!r}."
            )
        single = isinstance(inputs, str | bytes)
        texts = [inputs] if single else list(np.asarray(inputs, dtype=object))
        return [_row(r) for r in preprocessor.tokenizer.tokenize(texts)], single
    single = len(inputs) > 0 and np.ndim(inputs[0]) == 0
    return [_row(r) for r in ([inputs] if single else inputs)], single


def score(function, model, inputs, start_token_id):
    """What `GPT3CausalLM.score` does; see there.

    Args:
        function: of (x, y), to the log-probabilities of y, float32 (B, T).
        model: the `GPT3CausalLM`.
        inputs, start_token_id: as `GPT3CausalLM.score` takes them.
    """
    rows, _ = token_rows(inputs, model.preprocessor)
    check_ids(rows, model.backbone.vocabulary_size)
    if start_token_id == "auto":
        start_token_id = default_start_token_id(model.preprocessor)
    x, y, contexts = shift(
        rows, start_token_id, model.backbone.max_sequence_length
    )
    return align(np.asarray(function(x, y)), rows, contexts)


def _row(ids):
    ids = np.asarray(ids)
    if ids.size and not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"Token ids must be whole numbers. Received: {ids.tolist()!r}."
        )
    return [int(i) for i in ids]


def check_dataset(max_new_tokens):
    """Raises where a dataset's rows are to be given so many new tokens."""
    if max_new_tokens is not None:
        raise ValueError(
            "max_new_tokens needs prompts, not a dataset; pass max_length. "
            f"Received: max_new_tokens={max_new_tokens}."
        )


def default_start_token_id(preprocessor):
    """The tokenizer's start token, None without a preprocessor."""
    return preprocessor and preprocessor.tokenizer.start_token_id


def check_ids(rows, vocabulary_size):
    """Raises for an id that the vocabulary does not have."""
    for row in rows:
        for i in row:
            if not 0 <= i < vocabulary_size:
                raise ValueError(
                    "Token ids must be in [0, vocabulary_size). Received: "
                    f"{i}, vocabulary_size={vocabulary_size}."
                )


def pad(rows, length, pad_id=0):
    """`rows` as model inputs: int32 ids and bool mask, (B, length)."""
    token_ids = np.full((len(rows), length), pad_id, "int32")
    padding_mask = np.zeros((len(rows), length), "bool")
    for i, row in enumerate(rows):
        token_ids[i, : len(row)] = row
        padding_mask[i, : len(row)] = True
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def shift(rows, start_id, max_length):
    """Rows to score, as model inputs and targets.

    A row that does not begin with `start_id` is given it as context; with
    None, or where it is there already, the first token is context only.

    Returns:
        x, y and the number of context tokens taken from each row (0 or 1).

    Raises:
        ValueError: a row needs more than `max_length` positions.
    """
    contexts = [int(start_id is None or row[:1] == [start_id]) for row in rows]
    full = [
        row if context else [start_id, *row]
        for row, context in zip(rows, contexts, strict=True)
    ]
    longest = max([len(row) - 1 for row in full], default=0)
    if longest > max_length:
        raise ValueError(
            "A sequence to score must fit max_sequence_length. Received: "
            f"{longest} tokens, max_sequence_length={max_length}."
        )
    x = pad([row[:-1] for row in full], max(longest, 1))
    y = pad([row[1:] for row in full], max(longest, 1))["token_ids"]
    return x, y, contexts


def align(log_probs, rows, contexts):
    """Scores at the positions of the rows' own tokens.

    Args:
        log_probs: float32 (B, T), of the targets that `shift` made.
        rows, contexts: what `shift` was given and returned.

    Returns:
        A dict of `"token_log_probs"` (B, longest row), `"log_prob"` (B,) and
        `"num_tokens"` (B,).
    """
    width = max([len(row) for row in rows], default=0)
    aligned = np.zeros((len(rows), width), "float32")
    counts = np.zeros(len(rows), "int32")
    for i, (row, context) in enumerate(zip(rows, contexts, strict=True)):
        counts[i] = max(len(row) - context, 0)
        aligned[i, context : len(row)] = log_probs[i, : counts[i]]
    return {
        "token_log_probs": aligned,
        "log_prob": aligned.sum(axis=1, dtype="float64").astype("float32"),
        "num_tokens": counts,
    }


def total_length(rows, max_length, max_new_tokens, model_length):
    """The width to write into.

    Raises:
        ValueError: both lengths given, no prompt, an empty prompt, a prompt
            that leaves no room, or a width beyond `model_length`.
    """
    if max_length is not None and max_new_tokens is not None:
        raise ValueError(
            "Only one of max_length and max_new_tokens can be given. "
            f"Received: max_length={max_length}, "
            f"max_new_tokens={max_new_tokens}."
        )
    lengths = [len(row) for row in rows]
    if not lengths or min(lengths) == 0:
        raise ValueError(
            "Every prompt must have at least one token. Received: prompts of "
            f"{lengths} tokens."
        )
    if max_new_tokens is not None:
        if max_new_tokens < 1:
            raise ValueError(
                "max_new_tokens must be positive. Received: "
                f"max_new_tokens={max_new_tokens}."
            )
        max_length = max(lengths) + max_new_tokens
    if max_length > model_length:
        raise ValueError(
            "Prompt and new tokens must fit the model's max_sequence_length. "
            f"Received: {max_length} tokens in all, prompts of up to "
            f"{max(lengths)}, max_sequence_length={model_length}."
        )
    if max(lengths) > max_length:
        raise ValueError(
            "A prompt must not be longer than max_length. Received: a prompt "
            f"of {max(lengths)} tokens, max_length={max_length}."
        )
    return max_length


def new_rows(outputs, prompt_lengths, max_new_tokens, strip_prompt):
    """Lists of ids out of a generate step's padded arrays."""
    rows = []
    for ids, mask, length in zip(
        outputs["token_ids"],
        outputs["padding_mask"],
        prompt_lengths,
        strict=True,
    ):
        end = int(mask.sum())
        if max_new_tokens is not None:
            end = min(end, length + max_new_tokens)
        rows.append(ids[length if strip_prompt else 0 : end].tolist())
    return rows
