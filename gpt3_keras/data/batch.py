"""What a batch of training data is.

KerasHub's triple `(x, y, sample_weight)`, B rows of T tokens:

| part                | shape  | dtype   |                               |
|---------------------|--------|---------|-------------------------------|
| `x["token_ids"]`    | (B, T) | int32   | what the model reads          |
| `x["padding_mask"]` | (B, T) | bool    | True where there is a token   |
| `y`                 | (B, T) | int32   | the next token of each        |
| `sample_weight`     | (B, T) | float32 | how much each target counts   |

Padding stands on the right, with the end-of-text token's id. A target counts
only where there is a token: 1 in plain text, and in a task's rows any number
that is not negative.
"""

import numpy as np
import tensorflow as tf

_DTYPES = {
    "x['token_ids']": "int32",
    "x['padding_mask']": "bool",
    "y": "int32",
    "sample_weight": "float32",
}


def element_spec(sequence_length, batch_size=None):
    """The `tf.TensorSpec`s of a batch, nested as the triple is.

    Args:
        sequence_length: int, T.
        batch_size: int, B, or None where it varies.
    """
    ids, mask, y, sample_weight = (
        tf.TensorSpec((batch_size, sequence_length), dtype)
        for dtype in _DTYPES.values()
    )
    return {"token_ids": ids, "padding_mask": mask}, y, sample_weight


def make_batch(rows, sequence_length, pad_token_id):
    """The triple of some rows, as NumPy arrays.

    >>> x, y, weight = make_batch([np.array([9, 1, 2])], 3, pad_token_id=9)
    >>> x["token_ids"], x["padding_mask"]
    (array([[9, 1, 9]], dtype=int32), array([[ True,  True, False]]))
    >>> y, weight
    (array([[1, 2, 9]], dtype=int32), array([[1., 1., 0.]], dtype=float32))

    Args:
        rows: list of int (n + 1,) arrays, n <= T, see `packing.pack`.
        sequence_length: int, T.
        pad_token_id: int.
    """
    num_targets = np.array([len(row) - 1 for row in rows])
    padding_mask = np.arange(sequence_length) < num_targets[:, None]
    token_ids = np.full((len(rows), sequence_length), pad_token_id, "int32")
    targets = token_ids.copy()
    for i, row in enumerate(rows):
        token_ids[i, : len(row) - 1] = row[:-1]
        targets[i, : len(row) - 1] = row[1:]
    x = {"token_ids": token_ids, "padding_mask": padding_mask}
    return x, targets, padding_mask.astype("float32")


def check_batch(batch, vocabulary_size=None):
    """Raises unless a batch of one's own is what this page says.

    Args:
        batch: the triple, of arrays or tensors that hold values.
        vocabulary_size: int, or None to let any id pass that is not negative.

    Raises:
        ValueError: with the part, the rule and what was received.
    """
    parts = _parts(batch)
    shape = parts["y"].shape
    for name, dtype in _DTYPES.items():
        part = parts[name]
        if part.dtype != dtype or part.shape != shape or part.ndim != 2:
            raise ValueError(
                f"{name} must be {dtype} (B, T), of one shape with the other "
                f"parts. Received: {name} is {part.dtype} {part.shape}, y has "
                f"the shape {shape}."
            )
    ids, mask, y, sample_weight = (parts[name] for name in _DTYPES)
    limit = np.inf if vocabulary_size is None else vocabulary_size
    for name, part in (("x['token_ids']", ids), ("y", y)):
        _check(
            (part >= 0) & (part < limit),
            part,
            f"{name} must be token ids below vocabulary_size={limit}",
        )
    _check(
        mask == np.logical_and.accumulate(mask, axis=1),
        mask,
        "x['padding_mask'] must be True, then False: padding is on the right",
    )
    _check(
        np.isfinite(sample_weight)
        & (sample_weight >= 0)
        & (mask | (sample_weight == 0)),
        sample_weight,
        "sample_weight must be finite, not negative, and 0 at padding",
    )


def _parts(batch):
    try:
        x, y, sample_weight = batch
        parts = [x["token_ids"], x["padding_mask"], y, sample_weight]
    except (TypeError, ValueError, KeyError, IndexError):
        raise ValueError(
            "A batch must be ({'token_ids', 'padding_mask'}, y, "
            f"sample_weight). Received: {_outline(batch)}."
        ) from None
    return dict(zip(_DTYPES, map(np.asarray, parts), strict=True))


def _outline(batch):
    """What `batch` is made of, in short."""
    if isinstance(batch, dict):
        return f"a dict of {sorted(map(str, batch))}"
    if isinstance(batch, list | tuple):
        return f"({', '.join(map(_outline, batch))})"
    return type(batch).__name__


def _check(holds, values, rule):
    if not holds.all():
        place = tuple(int(i) for i in np.argwhere(~holds)[0])
        raise ValueError(f"{rule}. Received: {values[place]} at {place}.")
