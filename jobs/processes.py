"""Run tasks in forked processes, so that they use every core."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Generic, TypeVar

from connectors.language import _
from jobs.cancellation import SIGNALS, run_in_threads

T = TypeVar("T")

_AT_MOST = 1.0
"""Seconds to wait for results: a signal that comes just before a wait begins is handled only once that ends."""
_INDEX_BYTES = 2
"""Bytes of a task's index in the queue."""
_MOST_TASKS = 2_000
"""Whose indices fit into a pipe's buffer, even where it is a single page."""


def run_in_parallel(tasks: Sequence[Callable[[], T]], lost: Callable[[int, str], T], *, at_once: int) -> Iterator[T]:
    """Yield the tasks' results, in the tasks' order: from a process a core where that is possible, else from threads.

    Call it while the process has no other thread and no open connection, since a fork copies both, broken.

    Args:
        tasks: what to run; in a process, its result must be picklable.
        lost: returns the result of the task with this index if its process died or it raised, and why.
        at_once: how many tasks run at a time, in all processes.
    """
    at_once = min(at_once, len(tasks))
    workers = min(available_cores(), at_once)
    if workers > 1 and len(tasks) <= _MOST_TASKS and _can_fork():
        yield from _run_in_processes(tasks, lost, workers=workers, at_once=at_once)
    else:
        yield from run_in_threads(tasks, at_once=at_once)


def available_cores() -> int:
    """Return how many cores this process may use; 1 where that is not known."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _can_fork() -> bool:
    # Elsewhere, system libraries do not survive a fork; and a lock that another thread holds would stay locked.
    return sys.platform == "linux" and threading.active_count() == 1


# ── in this process ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Worker:
    """A forked process, as its parent sees it."""

    process: ForkProcess
    results: Connection
    at_work: set[int] = field(default_factory=set)
    """The tasks that it has begun and not ended."""


@dataclass(frozen=True, slots=True)
class _Began:
    """A worker's message: it has taken this task."""

    index: int


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    """A worker's message: what a task returned."""

    index: int
    result: T


@dataclass(frozen=True, slots=True)
class _Raised:
    """A worker's message: a task raised this kind of error, or returned what cannot be pickled."""

    index: int
    why: str


def _run_in_processes(
    tasks: Sequence[Callable[[], T]], lost: Callable[[int, str], T], *, workers: int, at_once: int
) -> Iterator[T]:
    # Whoever reads an index runs that task. Pipes rather than locks: a process that is killed would leave one locked.
    queue, filling = os.pipe()
    os.write(filling, b"".join(index.to_bytes(_INDEX_BYTES) for index in range(len(tasks))))
    os.close(filling)
    # Only this process holds the end that is never written to, so the others learn of its death.
    lifeline, held = os.pipe()
    started: list[_Worker] = []
    try:
        for number in range(workers):
            threads = at_once // workers + (number < at_once % workers)
            ends = [held, *(each.results.fileno() for each in started)]
            try:
                started.append(_start(tasks, queue, lifeline, ends, threads=threads))
            except OSError:  # the machine has no room for another one: those that have started do it all
                break
        if started:
            yield from _results_in_order(started, lost, len(tasks))
        else:
            yield from run_in_threads(tasks, at_once=at_once)
    finally:
        _discard_pending(queue)
        for each in started:
            each.results.close()
        for each in started:
            each.process.join()
        for end in (queue, lifeline, held):
            os.close(end)


def _start(
    tasks: Sequence[Callable[[], T]], queue: int, lifeline: int, parents_ends: Sequence[int], *, threads: int
) -> _Worker:
    """Fork a worker; it closes the ends of pipes that are its parent's alone."""
    context = multiprocessing.get_context("fork")
    reading, writing = context.Pipe(duplex=False)
    options = {"parents_ends": [*parents_ends, reading.fileno()], "threads": threads}
    process = context.Process(target=_work, args=(tasks, queue, lifeline, writing), kwargs=options)
    # Until the worker ignores them: a handler of ours would take its parent's signal for a second one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        writing.close()
    return _Worker(process, reading)


def _results_in_order(workers: Sequence[_Worker], lost: Callable[[int, str], T], tasks: int) -> Iterator[T]:
    ended: dict[int, T] = {}
    following = 0
    working = {each.results: each for each in workers}
    while working:
        for results in wait(list(working), _AT_MOST):
            worker = working[results]  # type: ignore[index]  # it returns what it was given
            try:
                message = pickle.loads(worker.results.recv_bytes())  # noqa: S301 - from a process that we forked
            except (EOFError, OSError):
                worker.process.join()
                del working[worker.results]
                for index in worker.at_work:
                    ended[index] = lost(index, _how_it_ended(worker.process.exitcode))
                continue
            match message:
                case _Began(index):
                    worker.at_work.add(index)
                case _Ended(index, result):
                    worker.at_work.remove(index)
                    ended[index] = result
                case _Raised(index, why):
                    worker.at_work.remove(index)
                    ended[index] = lost(index, why)
        while following in ended:
            yield ended.pop(following)
            following += 1
    # Those that are missing were taken by a process that died before it could say so, or by none.
    for index in range(following, tasks):
        yield ended[index] if index in ended else lost(index, _("the processes that run accounts have all ended"))


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return _("its process ended with {exit_code}", exit_code=exit_code)
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return _("its process was ended by {name}, as the system does when memory runs out", name=name)
    return _("its process was ended by {name}", name=name)


def _discard_pending(queue: int) -> None:
    """Take every task that has not begun from the queue."""
    while os.read(queue, _INDEX_BYTES):
        pass


# ── in a worker ──────────────────────────────────────────────────────────────────────────────────


def _work(
    tasks: Sequence[Callable[[], object]],
    queue: int,
    lifeline: int,
    results: Connection,
    *,
    parents_ends: Sequence[int],
    threads: int,
) -> None:
    """Run tasks from the queue until it is empty, on as many threads."""
    # They reach the parent, which counts them and passes them on in the stop signal's shared memory.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for end in parents_ends:
        os.close(end)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    sending = threading.Lock()

    def send(packed: bytes) -> None:
        with sending:
            results.send_bytes(packed)

    def take_tasks() -> None:
        # Nobody reads results any longer once the parent gives up.
        with suppress(BrokenPipeError):
            while taken := os.read(queue, _INDEX_BYTES):
                index = int.from_bytes(taken)
                send(pickle.dumps(_Began(index)))
                send(_run_and_pack(index, tasks[index]))

    # Threads begin without the context that a fork copies.
    contexts = [copy_context() for _ in range(threads - 1)]
    helpers = [threading.Thread(target=each.run, args=(take_tasks,), name="account") for each in contexts]
    for each in helpers:
        each.start()
    take_tasks()
    for each in helpers:
        each.join()


def _run_and_pack(index: int, task: Callable[[], object]) -> bytes:
    """Run a task; return the pickled message about how it ended."""
    try:
        return pickle.dumps(_Ended(index, task()))
    except BaseException as error:  # noqa: BLE001 - the other tasks go on
        return pickle.dumps(_Raised(index, _("it raised {name}", name=type(error).__name__)))


def _end_with_parent(lifeline: int) -> None:
    """End this process as soon as its parent has ended; to the ledger that is a kill."""
    os.read(lifeline, 1)
    os._exit(1)
