"""Read leads' own pages several at once, and hand them on in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from connectors.errors import Transient, UnknownHost
from connectors.http import LONGEST_ASKED_FOR
from connectors.oplead.answers import OpleadAnswer, OpleadRefused, TooLarge
from connectors.records import LeadId

_READ_AHEAD = 4  # limit on queued pages, as a multiple of `at_once`
Page = Callable[[], OpleadAnswer]
"""Returns a page that was read, or raises why it was not."""
Queue = deque[tuple[LeadId, Future[OpleadAnswer]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAhead:
    """Has several requests in flight, and pauses as soon as one of them fails."""

    at_once: int
    take_slot: Callable[[int], bool]
    """Takes a slot for a request, or returns False rather than wait long with so many in flight."""
    request: Callable[[LeadId], OpleadAnswer]
    """Makes one attempt at a lead's page, whose slot is taken."""
    retried: Callable[[LeadId, Future[OpleadAnswer]], OpleadAnswer]
    """Returns a lead's page, repeating an attempt that failed."""

    def pages(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, Page], None, None]:
        """Yield each id with its page; what this promises is said at `OpleadClient.get_leads`."""
        queue: Queue = deque()
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="oplead") as pool:
            for lead_id in ids:
                while True:
                    yield from self._finished(queue)
                    running = [future for _, future in queue if not future.done()]
                    has_room = len(running) < self.at_once and len(queue) < _READ_AHEAD * self.at_once
                    is_paused = any(isinstance(failure, Transient) for failure in _failures(queue))
                    if has_room and not is_paused and self.take_slot(len(running)):
                        break
                    wait(running, return_when=FIRST_COMPLETED)
                queue.append((lead_id, pool.submit(self.request, lead_id)))
            while queue:
                wait([queue[0][1]])
                yield from self._finished(queue)

    def _finished(self, queue: Queue) -> Iterator[tuple[LeadId, Page]]:
        """Yield the finished pages at the head of the queue; raise any failure that affects every page."""
        for failure in _failures(queue):
            if _concerns_every_page(failure):
                raise failure
        while queue and queue[0][1].done():
            lead_id, future = queue.popleft()
            yield lead_id, partial(self.retried, lead_id, future)


def _failures(queue: Queue) -> Iterator[BaseException]:
    for _, future in queue:
        if future.done() and (failure := future.exception()) is not None:
            yield failure


def _concerns_every_page(failure: BaseException) -> bool:
    if isinstance(failure, UnknownHost):
        return True
    if isinstance(failure, Transient):
        return failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_FOR
    return not isinstance(failure, OpleadRefused | TooLarge)
