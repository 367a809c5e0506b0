"""A run that is asked to stop does so between two steps."""

import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(KeyboardInterrupt):
    """The run has stopped because it was asked to; its checkpoint is saved.

    Args:
        number: of the signal.
        step: int, the last one that was made.
    """

    def __init__(self, number, step):
        self.number = number
        self.exit_code = 128 + number
        self.step = step
        super().__init__(
            f"stopped by {signal.Signals(number).name} after step {step}; the "
            "same command continues from there"
        )


class StopRequest:
    """Listens, while it is entered, for signals that ask to stop.

    The first one is noted; a second one has its usual effect, at once.
    """

    def __init__(self):
        self.signal = None
        self._handlers = {}

    def __enter__(self):
        for number in SIGNALS:
            try:
                self._handlers[number] = signal.signal(number, self._note)
            except ValueError:  # Not the main thread, which hears them.
                break
        return self

    def _note(self, number, frame):
        self.signal = number
        self._restore()

    def _restore(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def __exit__(self, *exception):
        self._restore()
