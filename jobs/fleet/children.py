"""Processes that work on accounts: forked from one that has loaded everything, and replaced when they die."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from jobs.cancellation import SIGNALS
from jobs.fleet.work import WorkOrder, WorkResult

MOST_ORDERS = 200
"""A child is replaced after as many, so that no library's leak adds up."""
_OOM_SCORE, _MOST_OOM_SCORE = 200, 1000
"""Thousandths of the memory that there is, by which a child counts for more, and the most that the kernel takes."""
LONGEST_ORDER = 6 * 3600.0
"""Seconds after which work on one account is taken to hang, and its child is killed."""


class ChildDiedError(Exception):
    """The process that worked on an account ended before its result."""


class NurseryEndedError(Exception):
    """No more children can be started; the worker must be started again."""


class ChildNursery:
    """Forks children on request; itself forked before its parent has a thread or a connection.

    A fork copies both, broken; so a worker, which has both, cannot fork by itself.
    """

    def __init__(self, load: Callable[[], None], work: Callable[[WorkOrder], WorkResult]) -> None:
        """Fork the nursery; `load` runs in it once, and `work` in its children."""
        self._requests, theirs = socket.socketpair()
        # Only this process holds the end that is never written to, so that all others learn of its death.
        lifeline, self._held = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._pid = os.fork()
        if self._pid == 0:
            _run_as(lambda: _nurse(theirs, lifeline, load, work), closing=[self._requests.fileno(), self._held])
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        os.close(lifeline)

    def start_child(self) -> Connection:
        """Fork a child and return the connection to it.

        Raises:
            NurseryEndedError: the nursery was killed, or closed.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._requests, [b"!"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise NurseryEndedError from None
        return Connection(ours.detach())

    def close(self) -> None:
        """End the nursery and all children; once is enough."""
        if self._requests.fileno() >= 0:
            os.close(self._held)
            self._requests.close()
            os.waitpid(self._pid, 0)


@dataclass(slots=True)
class Child:
    """A place for one account at a time, with a process that works there."""

    nursery: ChildNursery
    _connection: Connection | None = field(default=None, init=False)
    _pid: int = field(default=0, init=False)
    _orders: int = field(default=0, init=False)

    def execute_work_order(self, order: WorkOrder) -> WorkResult:
        """Have the order done by the process; called on a thread of its own.

        Raises:
            ChildDiedError: the process died, or took so long that it was killed.
        """
        try:
            connection = self._connected()
            connection.send(order)
            if not connection.poll(LONGEST_ORDER):
                os.kill(self._pid, signal.SIGKILL)
            result = connection.recv()
        except (EOFError, OSError):
            self._leave()
            raise ChildDiedError from None
        self._orders += 1
        if self._orders >= MOST_ORDERS:
            self._leave()
        if isinstance(result, WorkResult):
            return result
        raise ChildDiedError

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection, self._orders = self.nursery.start_child(), 0
            self._pid = self._connection.recv()
        return self._connection

    def _leave(self) -> None:
        """Part with the process, which ends by itself if it lives."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# ── in the nursery and in a child ────────────────────────────────────────────────────────────────


def _run_as(main: Callable[[], None], *, closing: list[int]) -> None:
    """Run a forked process, which ends here: nothing of its parent's may run in it."""
    code = 1
    try:
        # The worker handles signals, and passes a stop on in shared memory.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for end in closing:
            os.close(end)
        main()
        code = 0
    finally:
        os._exit(code)


def _nurse(
    requests: socket.socket, lifeline: int, load: Callable[[], None], work: Callable[[WorkOrder], WorkResult]
) -> None:
    """Fork a child for each request, until the worker has ended."""
    load()
    gc.collect()
    gc.freeze()  # so that children share this memory for longer
    while True:
        message, ends, _flags, _address = socket.recv_fds(requests, 1, 1)
        _bury_children(os.WNOHANG if message else 0)
        if not message:
            return
        (end,) = ends
        if os.fork() == 0:
            _run_as(lambda end=end: _serve(end, lifeline, work), closing=[requests.fileno()])  # type: ignore[misc]
        os.close(end)


def _bury_children(options: int) -> None:
    """Wait for children that have ended, so that their time is counted as this process's; without options, for all."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _serve(end: int, lifeline: int, work: Callable[[WorkOrder], WorkResult]) -> None:
    """Do orders until the worker parts with this child."""
    threading.Thread(target=_end_with_worker, args=(lifeline,), daemon=True).start()
    _be_ended_first()
    connection: Connection = Connection(end)
    with suppress(EOFError, OSError):
        connection.send(os.getpid())
        while True:
            connection.send(work(connection.recv()))
            # Commands collect next to nothing by themselves: what accounts leave behind would add up.
            gc.collect()


def _be_ended_first() -> None:
    """Have the kernel end this process before the worker, which works on other accounts too, when memory runs out."""
    with suppress(OSError):
        score = Path("/proc/self/oom_score_adj")
        score.write_text(str(min(int(score.read_text()) + _OOM_SCORE, _MOST_OOM_SCORE)))


def _end_with_worker(lifeline: int) -> None:
    """End this process as soon as the worker has ended; to the ledger that is a kill."""
    os.read(lifeline, 1)
    os._exit(1)
