"""Cooperative shutdown on a signal, and a pool of threads that it reaches."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HINT = b"stopping: an upload under way has five seconds to be answered; once more leaves at once\n"


class StoppedBySignal(KeyboardInterrupt):
    """A person or the system asked the command to stop."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__()
        self.number = number


class StopSignal:
    """Whether the command was asked to stop, for all its threads."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.number: int | None = None
        # A pipe that nobody empties: a signal's handler may write to it whatever locks the main thread holds, and it
        # wakes every thread that waits.
        self._wake, self._waker = os.pipe()
        self._last_checks: dict[int, float] = {}

    def close(self) -> None:
        """Close the pipe, once no thread naps any more."""
        os.close(self._wake)
        os.close(self._waker)

    def ask(self, number: int) -> None:
        """Have everything stop at its next chance; for a signal's handler."""
        self.number = number
        os.write(self._waker, b"!")

    def cancel_token(self) -> None:
        """Return where work may go on.

        Raises:
            StoppedBySignal: it must not.
        """
        me = threading.get_ident()
        if me in self._last_checks:
            self._last_checks[me] = time.monotonic()
        if self.number is not None:
            raise StoppedBySignal(self.number)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count this thread among those at work while the block runs; its checks for a stop show that it goes on."""
        me = threading.get_ident()
        self._last_checks[me] = time.monotonic()
        try:
            yield
        finally:
            del self._last_checks[me]

    def quiet_for(self) -> timedelta:
        """For how long the quietest thread at work has not checked for a stop; zero where none is at work."""
        last = min(list(self._last_checks.values()), default=None)
        return timedelta() if last is None else timedelta(seconds=time.monotonic() - last)

    def nap(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody asks to stop.

        Raises:
            StoppedBySignal: somebody did.
        """
        # Not `select`, which refuses descriptors beyond 1023.
        waiting = select.poll()
        waiting.register(self._wake, select.POLLIN)
        waiting.poll(seconds * 1000)
        self.cancel_token()


def go_on() -> None:
    """Nobody asks to stop."""


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask for a stop; not SIGHUP where whoever started the command said `nohup`."""
    return tuple(each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN)


@contextmanager
def stoppable() -> Iterator[StopSignal]:
    """Have the first Ctrl-C, SIGTERM or SIGHUP ask for a stop while the block runs, and the next one leave at once.

    Leaving at once is as safe as being killed: what was about to be sent is on record, and is replayed.
    """
    stop = StopSignal()

    def asked(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None:
            os._exit(128 + number)
        stop.ask(number)
        # A terminal that has hung up takes no hint.
        with suppress(OSError):
            if sys.stderr.isatty():
                os.write(2, _HINT)

    before = {number: signal.signal(number, asked) for number in stop_signals()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


T = TypeVar("T")


# Threads and not processes: the night waits for the wire, every connector holds what it needs by itself (Meta's
# library is never initialised for the whole process, Google's clients and sessions are made for each call), and one
# process hears one signal.
def run_in_threads(tasks: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[T]:
    """Each task's result, as they end; a single one runs on the calling thread.

    A task that raises ends them all, once those under way have ended; so it should return its failure instead.
    """
    if len(tasks) == 1:
        yield tasks[0]()
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="account") as pool:
        try:
            for future in as_completed([pool.submit(task) for task in tasks]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
