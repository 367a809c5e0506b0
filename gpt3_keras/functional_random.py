"""Randomness without a state: every number is a hash of what it belongs to.

A key is a word of 32 bits; `fold_in` makes another from it and a number, and
`uniform` draws from it. The same key gives the same number on every backend,
in eager mode, in a graph, under XLA, on every replica, in every worker and
after every restart, and the numbers of a row do not depend on which other rows
stand in its batch.
"""

import math

from keras import ops

# Words of 32 bits are int32 here, whose products wrap on every backend;
# PyTorch has no arithmetic of uint32.
_WORD = "int32"


def _word(x):
    """The low 32 bits of a number, of an array or of a tensor."""
    if isinstance(x, int):
        return ops.convert_to_tensor((x + 2**31) % 2**32 - 2**31, _WORD)
    return ops.cast(x, _WORD)


def _shift(x, num_bits):
    """A shift to the right that fills up with zeros."""
    return ops.bitwise_and(
        ops.right_shift(x, num_bits), 2 ** (32 - num_bits) - 1
    )


_ODD = 0x9E3779B9  # 2^32 divided by the golden ratio


def mix(x):
    """A bijection of words whose every output bit depends on every input bit.

    Two rounds of multiply and xor-shift, the structure of MurmurHash3's
    finalizer (Appleby 2011) with constants of lower bias: Ettinger 2018-2022,
    "Hash Function Prospector", the pair 0x7feb352d, 0x846ca68b.
    """
    x = _word(x)
    x = ops.bitwise_xor(x, _shift(x, 16)) * _word(0x7FEB352D)
    x = ops.bitwise_xor(x, _shift(x, 15)) * _word(0x846CA68B)
    return ops.bitwise_xor(x, _shift(x, 16))


def fold_in(key, number):
    """A key made of a key and a number; shapes broadcast.

    Args:
        key: int32, or an int in [0, 2³²); or None, for no randomness.
        number: int, or an int tensor; what is beyond 32 bits is cut off.

    Returns:
        int32; None for None.
    """
    if key is None:
        return None
    number = _word(number) * _word(_ODD) + _word(1)
    return mix(ops.bitwise_xor(mix(key), number))


def row_keys(token_ids, padding_mask, key):
    """A key for each row, made of its tokens.

    The key follows the example wherever it is put: into another micro-batch,
    replica or worker, to another place in the batch, or beside more padding.

    Args:
        token_ids: int (B, T).
        padding_mask: bool (B, T), True at real tokens.
        key: int32 scalar, such as the run's seed with the step folded in.

    Returns:
        int32 (B,).
    """
    positions = ops.arange(ops.shape(token_ids)[1], dtype=_WORD)
    bits_BT = fold_in(fold_in(key, positions)[None], token_ids)
    # A sum of integers is the same in every order; it wraps at 2³².
    return mix(_word(ops.sum(bits_BT * _word(padding_mask), axis=1)))


def uniform(key, counters=0):
    """float32 in [0, 1), a multiple of 2⁻²⁴, for each counter under a key."""
    bits = _shift(fold_in(key, counters), 8)
    return ops.cast(bits, "float32") * 2.0**-24


def normal(key, counters=0):
    """float32, standard normal, at most 5.8 from zero.

    Reference: Box & Muller 1958, "A Note on the Generation of Random Normal
    Deviates". Not the quantile function: near 0 and 1 float32 has none.
    """
    # In (0, 1]: the logarithm of it ends.
    distance = 1.0 - uniform(fold_in(key, 0), counters)
    turn = uniform(fold_in(key, 1), counters)
    return ops.sqrt(-2.0 * ops.log(distance)) * ops.cos(2.0 * math.pi * turn)


def dropout(x, rate, keys):
    """Dropout whose mask for a row depends on the row's key alone.

    Args:
        x: float (B, T, D).
        rate: float in [0, 1), the share set to zero; the rest is scaled up.
        keys: int32 (B,), or None to leave `x` as it is.

    Returns:
        float (B, T, D).

    Reference: Srivastava et al. 2014, "Dropout", section 4, with the scale
    applied in training.
    """
    if keys is None or not rate:
        return x
    length, size = ops.shape(x)[1], x.shape[2]
    places_TD = (
        ops.arange(length, dtype=_WORD)[:, None] * size
        + ops.arange(size, dtype=_WORD)[None]
    )
    kept_BTD = ops.greater_equal(uniform(keys[:, None, None], places_TD), rate)
    return ops.where(kept_BTD, x / (1.0 - rate), ops.zeros_like(x))
