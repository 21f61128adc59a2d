"""Asks for several things at once and gives what came of each in the order asked for; no thread outlives it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

_AHEAD = 4  # times as many as are under way may have come and wait for one before them

K = TypeVar("K")
T = TypeVar("T")


def in_order(
    ask: Callable[[K], T],
    keys: Iterable[K],
    *,
    at_once: int,
    may_begin: Callable[[int], bool],
    stops: Callable[[BaseException], bool],
    pauses: Callable[[BaseException], bool],
) -> Generator[tuple[K, Future[T]], None, None]:
    """Each key and what came of asking for it, in order, while up to `at_once` more are asked for.

    Only the calling thread waits for its turn and takes keys, a bounded number ahead of what it was given. Close
    the generator, or run it to its end: it then returns when every answer has come.

    Args:
        ask: asks for one, on another thread.
        keys: what to ask for.
        at_once: how many may be under way.
        may_begin: told how many are under way, waits until one more may be; False to have one of those end first.
        stops: whether a failure is everyone's; then nothing more is asked for, and it is raised at once.
        pauses: whether nothing more is asked for until a failure has been handed out.
    """
    line: deque[tuple[K, Future[T]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="oplead") as pool:
        for key in keys:
            while True:
                yield from _come(line, stops)
                under_way = [future for _, future in line if not future.done()]
                has_room = len(under_way) < at_once and len(line) < _AHEAD * at_once
                paused = any(pauses(failure) for failure in _failures(line))
                if has_room and not paused and may_begin(len(under_way)):
                    break
                wait(under_way, return_when=FIRST_COMPLETED)
            line.append((key, pool.submit(ask, key)))
        while line:
            wait([line[0][1]])
            yield from _come(line, stops)


def _come(line: deque[tuple[K, Future[T]]], stops: Callable[[BaseException], bool]) -> Iterator[tuple[K, Future[T]]]:
    """What has come and stands at the head of the line, unless something in it stops everyone."""
    for failure in _failures(line):
        if stops(failure):
            raise failure
    while line and line[0][1].done():
        yield line.popleft()


def _failures(line: Iterable[tuple[K, Future[T]]]) -> Iterator[BaseException]:
    for _, future in line:
        if future.done() and (failure := future.exception()) is not None:
            yield failure
