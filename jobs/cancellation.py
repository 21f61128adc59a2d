"""Cooperative shutdown on a signal, and a thread pool that supports it."""

import mmap
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import timedelta
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HINT = b"stopping: an upload under way has five seconds to be answered; once more leaves at once\n"


class StoppedBySignal(KeyboardInterrupt):
    """Raised after a user or the system has asked the command to stop."""

    def __init__(self, number: int) -> None:
        """Store the signal number."""
        super().__init__()
        self.number = number


class StopSignal:
    """A stop request, shared by all threads of a command and by the processes that it forks."""

    def __init__(self) -> None:
        """Start with no stop requested."""
        # Memory that forked processes share, not copy.
        self._number = mmap.mmap(-1, 1)
        # A pipe that is never drained: a signal handler may write to it whatever locks the main thread holds, and one
        # write wakes every waiting thread, in every process.
        self._wake, self._waker = os.pipe()
        self._last_checks: dict[int, float] = {}

    @property
    def signal_number(self) -> int | None:
        """The number of the signal that requested the stop, if any did."""
        return self._number[0] or None

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once a stop is requested, and stays so."""
        return self._wake

    def close(self) -> None:
        """Close the pipe, once no thread naps any longer."""
        os.close(self._wake)
        os.close(self._waker)

    def request_graceful_stop(self, number: int) -> None:
        """Request a stop at the next check; safe to call from a signal handler."""
        self._number[0] = number
        os.write(self._waker, b"!")

    def raise_if_stop_requested(self) -> None:
        """Return if work may continue.

        Raises:
            StoppedBySignal: a stop was requested.
        """
        me = threading.get_ident()
        if me in self._last_checks:
            self._last_checks[me] = time.monotonic()
        if self.signal_number is not None:
            raise StoppedBySignal(self.signal_number)

    @contextmanager
    def register_working_thread(self) -> Iterator[None]:
        """Register this thread as working while the block runs; its stop checks then show that it makes progress."""
        me = threading.get_ident()
        self._last_checks[me] = time.monotonic()
        try:
            yield
        finally:
            del self._last_checks[me]

    def time_since_stop_check(self) -> timedelta:
        """Return the longest time since a working thread last checked for a stop; zero if none is working."""
        last = min(list(self._last_checks.values()), default=None)
        return timedelta() if last is None else timedelta(seconds=time.monotonic() - last)

    def nap(self, seconds: float) -> None:
        """Sleep, waking early if a stop is requested.

        Raises:
            StoppedBySignal: a stop was requested.
        """
        # Not `select`, which rejects descriptors above 1023.
        waiting = select.poll()
        waiting.register(self._wake, select.POLLIN)
        waiting.poll(seconds * 1000)
        self.raise_if_stop_requested()


def never_cancelled() -> None:
    """A cancel token that never stops anything."""


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that request a stop; SIGHUP is left out if the command was started with `nohup`."""
    return tuple(each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN)


@contextmanager
def handle_stop_signals() -> Iterator[StopSignal]:
    """Treat the first Ctrl-C, SIGTERM or SIGHUP in the block as a stop request, and the next one as an immediate exit.

    An immediate exit is as safe as being killed: whatever was about to be sent is on record and is replayed.
    """
    stop = StopSignal()

    def on_stop_signal(number: int, _frame: FrameType | None) -> None:
        if stop.signal_number is not None:
            os._exit(128 + number)
        stop.request_graceful_stop(number)
        # Writing to a terminal that has hung up fails.
        with suppress(OSError):
            if sys.stderr.isatty():
                os.write(2, _HINT)

    before = {number: signal.signal(number, on_stop_signal) for number in stop_signals()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


T = TypeVar("T")


def run_in_threads(tasks: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[T]:
    """Yield the tasks' results, in the tasks' order; a single task runs on the calling thread.

    Each task has the caller's context, in which it is known what language to speak.

    If a task raises, pending tasks are cancelled and running ones finish first; so a task should return its failure.
    """
    if len(tasks) == 1:
        yield tasks[0]()
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="account") as pool:
        try:
            for future in [pool.submit(copy_context().run, task) for task in tasks]:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
