"""The Protocols between the jobs and the outside world; an adapter is known only by them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from connectors.records import (
    Adjustment,
    AssumedTarget,
    CheckFinding,
    Contact,
    EncodedEvent,
    Event,
    Found,
    Identifier,
    Lead,
    LeadId,
    LeadPage,
    Limits,
    Receipt,
    Resolution,
    Target,
    UnreadableLead,
)
from connectors.survey import Survey


class Clock(Protocol):
    """The only source of time: the machine's, or a sandbox's."""

    def now(self) -> datetime:
        """The present instant, aware UTC."""

    def sleep_until(self, moment: datetime) -> None:
        """Return at `moment` or as soon as possible after; at once if it has passed."""


class LeadSource(Protocol):
    """Where leads are read, for one night; it never writes there.

    Each fetch raises Misconfigured where the source refuses us (401, 403) or answers in a shape the settings do not
    describe, and Transient where it kept failing after bounded retries.
    """

    @property
    def is_spent(self) -> bool:
        """Whether a night's requests are limited, and used up."""

    def fetch_changes(
        self, since: datetime | None, *, resume: str | None, is_known: Callable[[LeadId, str], bool]
    ) -> Iterator[LeadPage]:
        """Yield the leads changed since `since` (all, when None), a page at a time.

        Where a night's requests are limited and used up, no page follows one that names a place to resume.

        Args:
            since: where the source can filter, only changes from then on are asked for; a superset may come back.
            resume: a `LeadPage.resume` of an interrupted pull with the same `since`, to go on after that page.
            is_known: whether a lead with this digest is on record already, so that its details are not read.
        """

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Each lead by its id, in the order asked for; None where the source says it was deleted (404, 410).

        Where a night's requests are limited, what is left of them is spent here, and the last ids are not read.
        """

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """The leads that were created last, `count` of them at most, newest first; reads no more than it must."""


@runtime_checkable
class ShowsLatest(Protocol):
    """A source that also shows which other fields the leads it fetched latest have."""

    @property
    def shown(self) -> int:
        """How many leads these are."""

    @property
    def shown_paths(self) -> Sequence[str]:
        """Every dotted path that they share."""

    def filled(self, path: str) -> int:
        """On how many of them something stands at a dotted path."""


class SurveysSource(Protocol):
    """Looks at a source of leads that nobody has described yet; it only reads."""

    def survey(self, *, leads: int) -> Survey:
        """Find out how the source answers and where things stand, from about so many leads.

        Raises:
            Misconfigured: the source refuses us, whichever way the token is shown.
            Transient: it kept failing after bounded retries.
        """


class ConversionSink(Protocol):
    """Where conversions are sent. One call of `submit` or `resolve` is one wire call, without retries of its own."""

    @property
    def limits(self) -> Limits:
        """What this sink can take."""

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """Normalise and hash contact data by this platform's rules; invalid parts are dropped. Pure."""

    def encode(self, event: Event) -> bytes:
        """The event's bytes, the same for the same event. Pure."""

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send events of one target in one request; never raises for what the platform answers.

        A sink made to validate only has them checked instead, and counted nowhere.
        """

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Ask what became of a received request of `rows` events.

        Raises:
            Transient: it could not be asked; ask again later.
            Misconfigured: the platform refuses us.
        """


@runtime_checkable
class Adjusts(ConversionSink, Protocol):
    """A sink that also corrects what it has counted; what, and by which transport, its `limits.corrects` say."""

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """The correction's bytes for its target's transport, the same for the same correction. Pure.

        Raises ValueError for what that transport cannot do: a kind outside its `Correction.kinds`, a restatement
        without a value, a transport that corrects by sending the event anew without one.
        """

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send corrections of one target in one request; never raises for what the platform answers.

        A `Received` one's ticket is asked for by `ConversionSink.resolve`. A sink made to validate only has them
        checked instead.
        """


class Inspects(Protocol):
    """What can be looked up with a platform; it changes nothing there and never raises."""

    def preflight(self, expected: Sequence[AssumedTarget]) -> Sequence[CheckFinding]:
        """Whether access, accounts and targets are as the settings take them to be."""

    def diagnose(self) -> Sequence[CheckFinding]:
        """What the platform itself reports of recent uploads."""


class Notifies(Protocol):
    """Sends messages to one address of a human; it never raises and never waits longer than ten seconds."""

    def send(self, title: str, text: str) -> bool:
        """Send one message; whether it was taken."""


class Pings(Protocol):
    """Tells a dead man's switch that a night took place; it never raises and never waits longer than ten seconds."""

    def ping(self, *, failed: bool) -> bool:
        """Say that all is well, or that the night failed; whether that was taken."""
