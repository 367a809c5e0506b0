"""Numbers that depend on a seed and on names only.

Splits and orders are drawn from these, so that they are the same on every
machine, in every process, and whatever else has been drawn before.
"""

import hashlib

NUM_HASHES = 2**64
_MASK = NUM_HASHES - 1
_GOLDEN_RATIO = 0x9E3779B97F4A7C15


def name_hash(seed, *names):
    """An int in [0, 2⁶⁴) for a seed and some names, strings or ints."""
    text = "\0".join(map(str, (seed, *names)))
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def fraction(number):
    """A hash as a float in [0, 1); it follows from the upper half alone."""
    return (number >> 32) / 2**32


def counter_hash(base, counter):
    """The hash at a place of the sequence that starts from `base`.

    The finalizer of SplitMix64 (Steele, Lea and Flood 2014).

    Args:
        base: int in [0, 2⁶⁴).
        counter: non-negative int, or a uint64 array of those.

    Returns:
        An int in [0, 2⁶⁴), or a uint64 array of those.
    """
    # The products wrap by themselves in an array, by the mask in an int.
    x = (counter * _GOLDEN_RATIO & _MASK) + base & _MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)
