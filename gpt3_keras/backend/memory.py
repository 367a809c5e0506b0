"""What the C library does with memory that is freed."""

import ctypes
import functools

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_SETTINGS = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 1 << 27}


@functools.cache
def keep_freed_memory():
    """Freed memory stays with this process, for the arrays of the next step.

    By itself glibc gives every large array back to the system at once, which
    then hands out the next one page by page, each filled with zeros: a fifth
    of a train step on a processor; see `DESIGN.md`. Up to 2 GB stay.

    Returns:
        bool, False where the C library is another one and nothing happens.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(name, value) for name, value in _SETTINGS.items()]
    return all(done)
