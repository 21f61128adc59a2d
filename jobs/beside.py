"""Does the work of several accounts side by side, a bounded number at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")


# Threads and not processes: the night waits for the wire, every connector holds what it needs by itself (Meta's
# library is never initialised for the whole process, Google's clients and sessions are made for each call), and one
# process hears one signal.
def side_by_side(tasks: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[T]:
    """What each task gave, as they end; one alone is done by the calling thread.

    A task that raises ends them all, once those under way have ended; so it should give its failure instead.
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
