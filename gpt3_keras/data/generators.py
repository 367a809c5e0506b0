"""Generators that tf.data's threads call, and that let a process end."""

import atexit
import threading
import time
import weakref

_QUIET_SECS = 0.1
_live = weakref.WeakSet()
_is_ending = threading.Event()


class Calls:
    """An iterator for `Dataset.from_generator`: Python ends after its calls.

    A thread of TensorFlow that is in Python when the interpreter ends never
    comes back, and who deletes its iterator waits for it: a script that stops
    with a dataset half read could hang for ever (TensorFlow 2.20). Here the
    interpreter first waits until no call is on its way, and later calls find
    nothing more to read.

    Args:
        iterator: what is read, by one thread at a time.
    """

    def __init__(self, iterator):
        self.num_calls = 0
        self.lock = threading.Lock()
        self._iterator = iterator
        _live.add(self)

    def __iter__(self):
        return self

    def __next__(self):
        self.num_calls += 1
        with self.lock:
            if _is_ending.is_set():
                raise StopIteration
            return next(self._iterator)


@atexit.register
def _end():
    """Waits for calls on their way, and for those that follow at once."""
    _is_ending.set()
    num_calls = None
    while _live and num_calls != (num_calls := _wait_for_calls()):
        time.sleep(_QUIET_SECS)


def _wait_for_calls():
    """How many calls there have been, the last of them over."""
    calls = list(_live)
    for each in calls:
        with each.lock:
            pass
    return sum(each.num_calls for each in calls)
