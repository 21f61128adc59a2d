"""Ends a command between two requests when a person or the system asks it to, and at once when asked again."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Heed = Callable[[], None]
"""Asked before each request and each intent; raises StoppedBySignal where the command was asked to stop."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HINT = b"stopping: an upload under way has five seconds to be answered; once more leaves at once\n"


class StoppedBySignal(KeyboardInterrupt):
    """A person or the system asked the command to stop."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__()
        self.number = number


class Stop:
    """Whether the command was asked to stop; told to all its threads."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.number: int | None = None
        # A pipe that nobody empties: a signal's handler may write to it whatever locks the main thread holds, and it
        # wakes every thread that waits.
        self._ear, self._bell = os.pipe()

    def close(self) -> None:
        """Let go of the pipe, once no thread naps any more."""
        os.close(self._ear)
        os.close(self._bell)

    def ask(self, number: int) -> None:
        """Have everything stop at its next chance; for a signal's handler."""
        self.number = number
        os.write(self._bell, b"!")

    def heed(self) -> None:
        """Return where work may go on.

        Raises:
            StoppedBySignal: it must not.
        """
        if self.number is not None:
            raise StoppedBySignal(self.number)

    def nap(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody asks to stop.

        Raises:
            StoppedBySignal: somebody did.
        """
        # Not `select`, which refuses descriptors beyond 1023.
        ear = select.poll()
        ear.register(self._ear, select.POLLIN)
        ear.poll(seconds * 1000)
        self.heed()


def go_on() -> None:
    """Nobody asks to stop."""


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Have the first Ctrl-C or SIGTERM ask for a stop while the block runs, and the next one leave at once.

    Leaving at once is as safe as being killed: what was about to be sent is on record, and is replayed.
    """
    stop = Stop()

    def asked(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None:
            os._exit(128 + number)
        stop.ask(number)
        if sys.stderr.isatty():
            os.write(2, _HINT)

    before = {number: signal.signal(number, asked) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
