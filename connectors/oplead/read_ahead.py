"""Read several pages at once, and hand them on in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from connectors.errors import Transient, UnknownHost
from connectors.http import LONGEST_ASKED_FOR
from connectors.oplead.answers import OpleadAnswer, OpleadRefused, TokenRefused, TooLarge

T = TypeVar("T")
Page = Callable[[], OpleadAnswer]
"""Returns a page that was read, or raises why it was not."""
Queue = deque[tuple[T, Future[OpleadAnswer]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAhead(Generic[T]):
    """Has several requests in flight, and pauses as soon as one of them fails."""

    at_once: int
    queued: int
    """The most pages requested and not yet handed on."""
    in_turn: bool = False
    """Whether every failure waits until the pages before it are handed on, and ends the reading after its page."""
    take_slot: Callable[[int], bool]
    """Takes a slot for a request, or returns False rather than wait long with so many not yet handed on."""
    request: Callable[[T], OpleadAnswer]
    """Makes one attempt at a page, whose slot is taken."""
    retried: Callable[[T, Future[OpleadAnswer]], OpleadAnswer]
    """Returns a page, repeating an attempt that failed."""

    def pages(self, ids: Iterable[T]) -> Generator[tuple[T, Page], None, None]:
        """Yield each id with its page, as `OpleadClient.get_lead_details` and `get_pages` promise."""
        queue: Queue[T] = deque()
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="oplead") as pool:
            for one in ids:
                while True:
                    if (yield from self._finished(queue)):
                        return
                    running = [future for _, future in queue if not future.done()]
                    has_room = len(running) < self.at_once and len(queue) < self.queued
                    is_paused = any(self.in_turn or isinstance(failure, Transient) for failure in _failures(queue))
                    if has_room and not is_paused and self.take_slot(len(queue)):
                        break
                    wait(running, return_when=FIRST_COMPLETED)
                queue.append((one, pool.submit(self.request, one)))
            while queue:
                wait([queue[0][1]])
                if (yield from self._finished(queue)):
                    return

    def _finished(self, queue: Queue[T]) -> Generator[tuple[T, Page], None, bool]:
        """Yield the finished pages at the head of the queue, and return whether one of them ends the reading.

        A failure that affects every page is raised at once, unless pages are read in turn.
        """
        for failure in _failures(queue):
            if not self.in_turn and _concerns_every_page(failure):
                raise failure
        while queue and queue[0][1].done():
            one, future = queue.popleft()
            yield one, partial(self.retried, one, future)
            if self.in_turn and future.exception() is not None:
                return True
        return False


def _failures(queue: Queue[T]) -> Iterator[BaseException]:
    for _, future in queue:
        if future.done() and (failure := future.exception()) is not None:
            yield failure


def _concerns_every_page(failure: BaseException) -> bool:
    if isinstance(failure, UnknownHost):
        return True
    if isinstance(failure, Transient):
        return failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_FOR
    if isinstance(failure, TokenRefused):
        return not failure.is_known
    return not isinstance(failure, OpleadRefused | TooLarge)
