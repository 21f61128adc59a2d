"""Tells a human once of each cause: which are new tonight, which stand, which have cleared; what is owed is kept."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from connectors.ports import Notifies
from connectors.records import DestinationId
from connectors.text import plain
from jobs.alerts.detectors import filtered_out_of
from jobs.alerts.incidents import (
    ACTS,
    NIGHTS,
    DestinationHistory,
    NightFacts,
    Thresholds,
    WaitingDelivery,
    causes,
    seen,
)
from jobs.alerts.incidents import nights as by_night
from jobs.ledger import incidents, queries
from jobs.ledger.incidents import IncidentAction, IncidentKind, NightNumbers
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import IncidentRow
from jobs.rules.adjustment import adjustments_of
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook, Sinks

_CODES = 3
"""How many of a platform's codes a notice names."""
_KINDS = (incidents.CONVERSIONS, incidents.CORRECTIONS)


@dataclass(frozen=True, slots=True)
class NotifyAddress:
    """Somewhere a human is told."""

    place: str
    """Where it stands in the settings, for sentences about it: the address itself is a secret."""
    by: Notifies


Addresses = Mapping[str, NotifyAddress]
"""By a mark that knows an address again and does not give it away."""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """A cause that stands tonight."""

    cause: str
    title: str
    text: str
    since: datetime
    is_new: bool


@dataclass(frozen=True, slots=True)
class UndeliveredNotice:
    """A notice that an address did not take."""

    place: str
    title: str


def update_incidents(
    ledger: Ledger, book: Rulebook, sinks: Sinks, summary: RunSummary, when: Thresholds, *, now: datetime
) -> tuple[OpenIncident, ...]:
    """Find tonight's causes and keep which of them are new and which have cleared; those that stand."""
    with ledger.writing() as session:
        facts = gather(session, ledger, book, sinks, summary, now=now)
        found = {cause.id: cause for cause in causes(facts, when)}
        on_record = incidents.on_record(session, ledger.account)
        new = set()
        for each in (*found, *(known for known in on_record if known not in found)):
            row = on_record.get(each)
            act = ACTS[incidents.record_of(row), seen(each, found.keys(), facts, when)]
            incidents.act(session, ledger.account, act, found.get(each), row, now=now)
            new |= {str(each)} if act is IncidentAction.OPEN else set()
        session.flush()
        rows = incidents.on_record(session, ledger.account).values()
        return tuple(_standing(row, is_new=row.cause in new) for row in rows if row.cleared_at is None)


def send_undelivered(
    ledger: Ledger, addresses: Addresses, zone: ZoneInfo, *, now: datetime
) -> tuple[UndeliveredNotice, ...]:
    """Send each address the notices it is owed; those that did not arrive, which stay owed.

    An address that does not take one is left alone for the rest of the run, so that a night waits for each only once.
    """
    with ledger.writing() as session:
        owed = incidents.owe(session, ledger.account, addresses.keys())
    failed = []
    for mark, address in addresses.items():
        is_down = False
        for row in owed:
            if mark not in incidents.undelivered(row):
                continue
            is_down = is_down or not address.by.send(
                plain(f"{ledger.account}: {row.title}"), plain(_text(row, zone), keep="\n")
            )
            if is_down:
                failed.append(UndeliveredNotice(address.place, row.title))
                continue
            with ledger.writing() as session:
                incidents.delivered(session, ledger.account, row.cause, mark, now=now)
    return tuple(failed)


def gather(
    session: Session, ledger: Ledger, book: Rulebook, sinks: Sinks, summary: RunSummary, *, now: datetime
) -> NightFacts:
    """What tonight did, and the nights before it, as the rules of notices look at it."""
    tonight = queries.begun(session, run=ledger.run, since=summary.started_at)
    return NightFacts(
        now=now,
        zone=book.zone,
        source_stopped=summary.source_stopped,
        was_read=summary.pulled.pages > 0,
        stopped=summary.stopped,
        reached=frozenset(_reached(session, ledger)),
        places=frozenset(_places(book, sinks)),
        held={destination: surge.sentence for destination, surge in summary.held.items()},
        destinations=tuple(_destinations(session, ledger, book, sinks, summary)),
        waiting=tuple(_waiting(session, ledger, book, {*summary.held, *summary.stopped})),
        anomalies=tuple(summary.review.alarms),
        begun=tuple(tonight),
        let_in=frozenset(queries.let_in(session, ledger.account, _filtered_out_before(session, ledger.account))),
        versions=frozenset(sink.limits.version for sink in sinks.values() if sink.limits.version is not None),
    )


def _filtered_out_before(session: Session, account: str) -> set[tuple[str, str]]:
    """The conversions and destinations on record as letting nobody in: others are not asked about."""
    anomalies = (each.about for each in incidents.on_record(session, account) if each.kind is IncidentKind.SILENCE)
    return {out for about in anomalies if (out := filtered_out_of(about)) is not None}


def _destinations(
    session: Session, ledger: Ledger, book: Rulebook, sinks: Sinks, summary: RunSummary
) -> Iterator[DestinationHistory]:
    # Two days more than are looked at: dates begin and end elsewhere than the present instant.
    since = summary.started_at - timedelta(days=NIGHTS + 2)
    dates = incidents.dates(session, ledger, book.zone, since=since)
    tonight = dates[ledger.run]
    for kind in _KINDS:
        did: dict[str, dict[int, NightNumbers]] = incidents.numbers(session, ledger.account, kind, dates)
        doubtful = incidents.in_doubt(session, ledger.account, kind)
        for destination in sorted({*sinks, *doubtful}):
            name = _name(kind, destination)
            now, before = by_night(dates, did.get(destination, {}), tonight)
            rejected = [(lead, code) for lead, _, place, code in summary.rejected if place == name]
            yield DestinationHistory(
                name,
                now,
                before,
                in_doubt=doubtful.get(destination, 0),
                asks_a_human=destination in book.ask_when_lost,
                rejected_leads=tuple(dict.fromkeys(lead for lead, _ in rejected)),
                rejected_codes=tuple(code for code, _ in Counter(code for _, code in rejected).most_common(_CODES)),
                corrects=destination if kind is incidents.CORRECTIONS else None,
            )


def _name(kind: incidents.RowKind, destination: str) -> str:
    """What a destination is called by what goes there."""
    return adjustments_of(DestinationId(destination)) if kind is incidents.CORRECTIONS else destination


def _places(book: Rulebook, sinks: Sinks) -> Iterator[str]:
    """Each destination and each action of it, and so for its corrections, as a stop names it."""
    for destination in sinks:
        yield destination
        for route in book.routes_to(destination):
            yield f"{destination}/{route.target.action}"
            if route.undo is not None or route.field_value is not None:
                yield adjustments_of(destination)
                yield f"{adjustments_of(destination)}/{route.target.action}"


def _reached(session: Session, ledger: Ledger) -> Iterator[str]:
    for kind in _KINDS:
        for destination, action in incidents.reached(session, ledger, kind):
            name = _name(kind, destination)
            yield name
            yield f"{name}/{action}"


def _waiting(session: Session, ledger: Ledger, book: Rulebook, blocked: Collection[str]) -> Iterator[WaitingDelivery]:
    """What waits at each place to which nothing goes, each delivery at one of them."""
    for destination in sorted({place.partition("/")[0] for place in blocked}):
        actions = {route.conversion: route.target.action for route in book.routes_to(DestinationId(destination))}
        for conversion, expires_at in incidents.pending(session, ledger.account, destination):
            places = (destination, f"{destination}/{actions.get(conversion)}")
            place = next((place for place in places if place in blocked), None)
            if place is not None:
                yield WaitingDelivery(place, expires_at)


def _standing(row: IncidentRow, *, is_new: bool) -> OpenIncident:
    return OpenIncident(row.cause, row.title, row.text, row.first_seen_at, is_new)


def _text(row: IncidentRow, zone: ZoneInfo) -> str:
    """What a human reads: when it was found, where that was not tonight, and whether it is over."""
    said: Sequence[str] = [row.text]
    if row.cleared_at is not None:
        said = [*said, f"Found on {row.first_seen_at.astimezone(zone):%Y-%m-%d}; it is over by now."]
    return "\n".join(said)
