"""What one run of an account works with: its ledger, its rules, its connectors and how it reads."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from connectors.http import CancelToken
from connectors.language import N_
from connectors.ports import Clock, LeadSource, PlatformStatementReader
from connectors.records import DestinationId
from jobs.cancellation import never_cancelled
from jobs.ledger.runs import Ledger
from jobs.logs import Log
from jobs.settings.compile import Rulebook, Sinks
from jobs.webhooks.inbox_reader import InboxReader

_log = Log(__name__)


class NightStep(StrEnum):
    """The steps of a night, as shown to a user."""

    PULL = N_("reading leads")
    RESOLVE = N_("asking for outcomes")
    PLAN = N_("deciding")
    DELIVER = N_("sending")
    VALIDATE = N_("having it checked")
    WAIT = N_("waiting for outcomes")


class ProgressDisplay(Protocol):
    """Shows the progress of a night's steps."""

    def __call__(
        self, step: NightStep, summary: Any, *, total: Callable[[], int] | None = None
    ) -> AbstractContextManager[object]:
        """Return a context that is active during a step; `summary` is the run's, `total` finds how much is to do."""


def no_progress_display(
    step: NightStep,  # noqa: ARG001
    summary: Any,  # noqa: ARG001
    *,
    total: Callable[[], int] | None = None,  # noqa: ARG001
) -> AbstractContextManager[object]:
    """A watch that shows nothing."""
    return nullcontext()


@contextmanager
def log_step_duration(
    step: NightStep,
    summary: Any,  # noqa: ARG001
    *,
    total: Callable[[], int] | None = None,  # noqa: ARG001
) -> Iterator[None]:
    """A watch that logs when a step began and how long it took."""
    began = time.monotonic()
    _log.info("step began", step=step.value)
    yield
    _log.info("step ended", step=step.value, seconds=round(time.monotonic() - began, 1))


class RunReadingScope(StrEnum):
    """What a run reads."""

    EVERYTHING = "everything"
    """Whatever changed: a night."""
    WEBHOOKS = "webhooks"
    """The leads that webhooks report, between nights."""
    NOTHING = "nothing"
    """No lead: it asks for outcomes and sends what has come due."""


class SyncMode(StrEnum):
    """How leads are read."""

    SINCE = "since"
    """The source lists what changed since a given time; everything is read once a week."""
    LIST = "list"
    """Every page of the list is read every time; digests show what changed."""
    DETAILS = "details"
    """The list only shows which leads exist; their data is on their own pages."""


class TwinAnswer(StrEnum):
    """What a person says of conversions that are held as possible twins, and of another field for the leads' ids."""

    SAME = "same_leads"
    OTHER = "other_leads"


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How far a pull reaches."""

    style: SyncMode
    overlap: timedelta
    """How far before the start of this pull the next one begins."""
    budget: timedelta
    """After this long, reading stops at the end of a page; the next night resumes there."""

    @property
    def reads_by_details(self) -> bool:
        """Whether leads are read by their own pages."""
        return self.style is SyncMode.DETAILS


@dataclass(frozen=True, slots=True)
class Deps:
    """The external dependencies of one account's run."""

    source: LeadSource
    sinks: Sinks
    clock: Clock
    jitter: Callable[[], float]
    """Returns a number in [0, 1) that spreads the waits between attempts."""
    sync_window: PullOptions
    accept_volume: bool = False
    """Whether a human approved tonight's excess volume."""
    twins: TwinAnswer | None = None
    """What a person said of twins, if they did."""
    accept_file: bool = False
    """Whether a human approved a file with far fewer leads or fewer columns than the last one."""
    accept_fewer: bool = False
    """Whether a human said that leads which are no longer shown were deleted, however many."""
    cancel_token: CancelToken = never_cancelled
    """Called before each request and each intent, so that a night can be stopped between two of them."""
    watch: ProgressDisplay = no_progress_display
    inbox: InboxReader = field(default_factory=InboxReader)
    """What webhooks have reported."""
    statement_readers: Mapping[DestinationId, PlatformStatementReader] = field(default_factory=dict)
    """Read what platforms say about what they received."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run of one account, which holds the ledger."""

    ledger: Ledger
    book: Rulebook
    deps: Deps

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        return self.deps.clock.now()

    def held_if_sent_by(self, destination: DestinationId) -> datetime | None:
        """Return when the state was restored, if what may have been sent there by then waits for a human."""
        return self.ledger.restored_at if destination in self.book.ask_when_lost else None
