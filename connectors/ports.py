"""Protocols between the jobs and the outside world; jobs depend on these, never on an adapter."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from connectors.records import (
    Adjustment,
    CheckFinding,
    Contact,
    ConversionEvent,
    EncodedEvent,
    Export,
    Found,
    Identifier,
    Lead,
    LeadId,
    LeadPage,
    ListedLead,
    PlatformStatement,
    Receipt,
    Resolution,
    SentRequest,
    SinkLimits,
    Target,
    TargetAssumptions,
    UnreadableLead,
)

if TYPE_CHECKING:
    from connectors.survey import SeenInLeads


class Clock(Protocol):
    """The only source of time: the machine's clock, or a sandbox's."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""

    def sleep_until(self, moment: datetime) -> None:
        """Sleep until `moment` or as soon as possible after it; return at once if it has passed."""


FindKnown = Callable[[Sequence[ListedLead]], Collection[ListedLead]]
"""Returns which of the leads on one page of a list are on record as listed."""


class LeadSource(Protocol):
    """Read-only access to leads for one night.

    Every fetch raises Misconfigured if the source refuses access (401, 403) or its answers don't match the settings,
    and Transient if it keeps failing after bounded retries.
    """

    @property
    def is_budget_spent(self) -> bool:
        """Whether the night's request budget, if there is one, is used up."""

    def fetch_changes(
        self, since: datetime | None, *, resume: str | None, find_known: FindKnown
    ) -> Generator[LeadPage, None, None]:
        """Yield the leads changed since `since` (all if None), one page at a time; close or exhaust the generator.

        If the night's request budget runs out, iteration ends after a page whose `resume` is set.

        Args:
            since: lower bound, applied if the source can filter; a superset may come back.
            resume: `LeadPage.resume` of an interrupted pull with the same `since`, to continue after that page.
            find_known: asked once for each page, after the earlier pages were taken; leads it returns are not
                read in full.
        """

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Yield each lead by id, in the given order; None for one the source reports deleted (404, 410).

        A file that need not have every lead yields NotInExport for one it lacks.
        If the night's request budget runs out, the remaining ids are not yielded.
        """

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """Return up to `count` of the most recently created leads, newest first, with as few requests as possible."""


@runtime_checkable
class ExposesLatestLeads(Protocol):
    """A source that also exposes what the leads that `fetch_latest` read hold."""

    seen: "SeenInLeads"


@runtime_checkable
class ReadsExports(Protocol):
    """A source that reads exported files, the newest one each night."""

    def open_newest_export(self, last: Export | None, *, read_until: datetime | None, accept: bool) -> Export:
        """Choose the newest file and check it whole; reading leads then reads this file.

        Args:
            last: the file read last.
            read_until: up to when leads were read before, from a file or not.
            accept: whether a human approved a file with far fewer leads or fewer columns than the last.

        Raises:
            Misconfigured: there is no file, or it must not be read: damaged, still being written, older than what was
                read before, or without a column it needs. The message says what to do.
        """

    @property
    def exported_at(self) -> datetime | None:
        """When the opened file was written: what it says was so then, not now. None before one is opened."""


class ConversionSink(Protocol):
    """Where conversions are sent; `submit` and `fetch_request_outcomes` make at most one wire call, without retries."""

    @property
    def limits(self) -> SinkLimits:
        """What this sink accepts."""

    def hash_contact(self, contact: Contact) -> tuple[Identifier, ...]:
        """Normalise and hash contact data by this platform's rules, dropping invalid parts. Pure."""

    def encode(self, event: ConversionEvent) -> bytes:
        """Return the event's bytes; equal events give equal bytes. Pure."""

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send events for one target in one request; never raises for the platform's answer.

        What it raises nevertheless leaves the events in doubt, unless it is NothingSent, and stops this sink alone.

        A validate-only sink has them checked instead, without counting any.
        """

    def fetch_request_outcomes(self, ticket: str, *, rows: int) -> Resolution:
        """Return the outcomes of a received request of `rows` events, if the platform has them yet.

        Raises:
            Transient: the status is unavailable; retry later.
            Misconfigured: the platform refuses to tell; that says nothing about other requests, or about uploads.
        """


@runtime_checkable
class LoadsLibrary(Protocol):
    """A sink whose encoding needs a library that is slow to load."""

    def load_library(self, target: Target) -> None:
        """Load what encoding for a target takes, so that `encode` and `encode_adjustment` are quick."""


@runtime_checkable
class SharesQuota(Protocol):
    """A sink whose platform counts requests of many accounts together."""

    def wait_for_quota(self, target: Target) -> AbstractContextManager[None]:
        """Wait, within bounds, until one more request for a target may go out, and count it for the block.

        Raises:
            Transient: it would take too long; with the time until there is a turn.
        """


@runtime_checkable
class AdjustmentSink(ConversionSink, Protocol):
    """A sink that also corrects counted conversions; `limits.corrects` lists what each transport supports."""

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """Return the correction's bytes for its target's transport; equal corrections give equal bytes. Pure.

        Raises:
            ValueError: the transport cannot carry it: a kind outside its `Correction.kinds`, a restatement without a
                value, or no event where the transport corrects by resending.
        """

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send corrections for one target in one request; never raises for the platform's answer.

        Pass the ticket of a `ReceivedForProcessing` to `ConversionSink.fetch_request_outcomes`. A validate-only sink
        has them checked instead.
        """


class PlatformInspector(Protocol):
    """Read-only checks against a platform; they never raise."""

    def preflight(self, expected: Sequence[TargetAssumptions]) -> Sequence[CheckFinding]:
        """Check that access, accounts and targets match what the settings assume."""

    def check_recent_uploads(self) -> Sequence[CheckFinding]:
        """Return what the platform reports about recent uploads."""


class PlatformStatementReader(Protocol):
    """Reads what a platform says about what it received; never raises, and what it may not read becomes a statement."""

    def read_statements(
        self, since: datetime, until: datetime, sent: Sequence[SentRequest]
    ) -> Sequence[PlatformStatement]:
        """Return the platform's statements about the requests sent from `since` to before `until`, oldest first."""


class Notifies(Protocol):
    """Sends notices to one address; never raises and never waits longer than ten seconds."""

    def send_message(self, title: str, text: str, *, urgent: bool = True, page: Path | None = None) -> bool:
        """Send one message, with a page attached if given, and return whether it was accepted."""


class DeadMansSwitchPinger(Protocol):
    """Reports a night to a dead man's switch; never raises and never waits longer than ten seconds."""

    def ping(self, *, failed: bool) -> bool:
        """Report success, or that the night failed, and return whether the ping was accepted."""
