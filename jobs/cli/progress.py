"""Shows what a night is doing: moving bars at a terminal, log lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from connectors.plurals import counted
from connectors.ports import LeadSource
from connectors.records import Found, Lead, LeadId, LeadPage, UnreadableLead
from jobs.nightly import Step

_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches a night: its steps, and the pages of leads as they arrive."""

    step: Callable[[Step], AbstractContextManager[object]]
    page: Callable[[LeadPage], None]


@dataclass(frozen=True, slots=True)
class WatchedSource:
    """A source that tells of each page it gives."""

    source: LeadSource
    page: Callable[[LeadPage], None]

    @property
    def is_spent(self) -> bool:
        """Whether the source is."""
        return self.source.is_spent

    def fetch_changes(
        self, since: datetime | None, *, resume: str | None, is_known: Callable[[LeadId, str], bool]
    ) -> Iterator[LeadPage]:
        """The source's pages, each told of before it is given."""
        for page in self.source.fetch_changes(since, resume=resume, is_known=is_known):
            self.page(page)
            yield page

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """The source's leads."""
        return self.source.fetch_each(ids)

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """The source's latest."""
        return self.source.fetch_latest(count)


@contextmanager
def watching(account: str, *, alone: bool = True) -> Iterator[Watcher]:
    """Watch one account's night: bars that go away with the block at a terminal, else log lines.

    Accounts side by side have lines only: their bars would be drawn over one another.
    """
    if not (alone and sys.stderr.isatty()):
        yield Watcher(_logged, lambda _: None)
        return
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars = _Bars(progress, account)
        yield Watcher(bars.step, bars.page)


def unwatched() -> Watcher:
    """Nobody watches."""
    return Watcher(_silent, lambda _: None)


@contextmanager
def _silent(_: Step) -> Iterator[None]:
    yield


@contextmanager
def _logged(step: Step) -> Iterator[None]:
    began = time.monotonic()
    _log.info("step began", step=step.value)
    yield
    _log.info("step ended", step=step.value, seconds=round(time.monotonic() - began, 1))


@dataclass(slots=True)
class _Bars:
    """One bar a step."""

    progress: Progress
    account: str
    current: TaskID | None = None
    leads: int = field(default=0)

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Draw the step's bar while it lasts, and tick it off."""
        # How much there is to do is known only once it is done, so the bar pulses until then.
        self.current = self.progress.add_task(f"{self.account}: {step.value}", total=None, done="")
        yield
        self.progress.update(self.current, total=1, completed=1)

    def page(self, page: LeadPage) -> None:
        """Count the leads of a page on the bar."""
        self.leads += len(page.leads) + len(page.unchanged)
        if self.current is not None:
            self.progress.update(self.current, done=counted(self.leads, "lead"))
