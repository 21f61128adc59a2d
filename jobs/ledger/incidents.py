"""What alerts are based on, what each night did, and where incidents are kept."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import and_, distinct, exists, func, or_
from sqlmodel import Session, col, select

from connectors.records import OutcomeClass
from jobs.ledger.runs import NIGHTLY, RESOLVING, Ledger
from jobs.ledger.schema import STREAMED, Delivery, IncidentRow, RowKind, Run
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import AnomalyCause, AnomalyKind, Scope


class IncidentKind(StrEnum):
    """What an incident is about; within a scope, or with an anomaly or a version, it is one of its own."""

    SOURCE = "source"
    STOPPED = "stopped"
    EXPIRING = "expiring"
    HELD = "held"
    IN_DOUBT = "in_doubt"
    UNCONFIRMED = "unconfirmed"
    REJECTED = "rejected"
    ACCEPTANCE = "acceptance"
    NOTHING_SENT = "nothing_sent"
    ANOMALY = "anomaly"
    ENDS = "ends"


@dataclass(frozen=True, slots=True)
class IncidentId:
    """What tells an incident from others; notified once however often it is found, until it clears."""

    kind: IncidentKind
    about: Scope | AnomalyCause | str | None = None
    """None for the source, the name of a version that ends, an anomaly's cause; else a scope."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something a human is needed for, and the values it is worded with: counts, ids, nobody's data."""

    id: IncidentId
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Notice:
    """An incident in words."""

    title: str
    text: str
    """What happened, and what to do about it."""


def _written(cause: IncidentId) -> str:
    """How an incident's id is stored; `_read` reads it."""
    about = cause.about
    match about:
        case None:
            parts: Sequence[object] = ()
        case Scope():
            parts = (about.destination, about.corrections, about.former, about.action)
        case AnomalyCause():
            parts = (about.kind, *about.about)
        case _:
            parts = (about,)
    return json.dumps([cause.kind, *parts])


def _read(written: str) -> IncidentId:
    name, *parts = json.loads(written)
    match kind := IncidentKind(name):
        case IncidentKind.SOURCE:
            return IncidentId(kind)
        case IncidentKind.ENDS:
            return IncidentId(kind, str(parts[0]))
        case IncidentKind.ANOMALY:
            return IncidentId(kind, AnomalyCause(AnomalyKind(parts[0]), tuple(parts[1:])))
        case _:
            destination, corrections, former, action = parts
            return IncidentId(kind, Scope(destination, corrections, tuple(former), action))


@dataclass(frozen=True, slots=True)
class NightNumbers:
    """What one night did at one destination."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    """Without expected rejections."""
    unconfirmed: int = 0

    @property
    def settled(self) -> int:
        """How many were settled, without expected rejections."""
        return self.accepted + self.rejected + self.unconfirmed

    @property
    def acceptance(self) -> Fraction:
        """The share of those that was accepted."""
        return Fraction(self.accepted, self.settled)

    def __add__(self, other: "NightNumbers") -> "NightNumbers":
        return NightNumbers(
            self.sent + other.sent,
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.unconfirmed + other.unconfirmed,
        )


_ENDED = (0, 1, 3)
"""Exit codes of a run that did what it could; one that was refused, or broke, is no night."""


def dates(session: Session, ledger: Ledger, zone: ZoneInfo, *, since: datetime) -> dict[int, date]:
    """The night that each run since then belongs to, by its local date; the present run included.

    A date is a night if a run ended on it, or is under way; runs that died on that date belong to it too. A run that
    only asks for outcomes belongs to the night before it, even past midnight.
    """
    found: dict[int, date] = {}
    nights: set[date] = set()
    last: date | None = None
    for run in session.exec(
        select(Run).where(Run.account == ledger.account, Run.started_at >= since).order_by(col(Run.id))
    ):
        if run.id is None or (run.id != ledger.run and run.command not in (NIGHTLY, RESOLVING)):
            continue
        its_own = run.started_at.astimezone(zone).date()
        night = last or its_own if run.command == RESOLVING else its_own
        found[run.id] = night
        if run.id == ledger.run or (run.command == NIGHTLY and run.exit_code in _ENDED):
            nights.add(night)
        last = night
    return {run: night for run, night in found.items() if night in nights}


def numbers(
    session: Session, account: str, kind: RowKind, runs_wanted: Collection[int]
) -> dict[str, dict[int, NightNumbers]]:
    """What each of these runs did, by destination and run."""
    before, to = col(kind.moves.from_state), col(kind.moves.to_state)
    # What did not reach its platform goes back to pending. So does a suspect row, until something sent with it has
    # passed; it is rejected then.
    suspect = and_(before == DeliveryState.PENDING, to == DeliveryState.REJECTED)
    # Such as a lead that is sent by contact data and came without an ad.
    expected = exists().where(
        col(kind.attempted) == col(kind.moved),
        col(kind.attempts.code) == col(kind.moves.code),
        col(kind.attempts.outcome) == OutcomeClass.DROP_EXPECTED,
    )
    counted = (
        or_(and_(before == DeliveryState.IN_FLIGHT, to != DeliveryState.PENDING), suspect),
        to == DeliveryState.ACCEPTED,
        and_(to == DeliveryState.REJECTED, ~expected),
        to == DeliveryState.UNCONFIRMED,
    )
    place = (col(kind.sent.destination), col(kind.moves.run))
    rows = session.connection().execute(
        sqlalchemy.select(*place, *(func.count(distinct(col(kind.moved))).filter(moves) for moves in counted))
        .join(kind.sent, col(kind.sent.id) == kind.moved)
        .where(col(kind.moves.account) == account, col(kind.moves.run).in_(runs_wanted))
        .group_by(*place)
    )
    found: dict[str, dict[int, NightNumbers]] = defaultdict(dict)
    for destination, run, *counts in rows:
        found[destination][run] = NightNumbers(*counts)
    return found


def reached(session: Session, ledger: Ledger, kind: RowKind) -> set[tuple[str, str]]:
    """The destinations and actions that accepted something, at once or later, in this run."""
    rows = session.exec(
        select(kind.sent.destination, kind.sent.action)
        .join(kind.moves, col(kind.moved) == col(kind.sent.id))
        .where(
            kind.moves.account == ledger.account,
            kind.moves.run == ledger.run,
            col(kind.moves.to_state).in_((DeliveryState.SUBMITTED, DeliveryState.ACCEPTED)),
        )
        .distinct()
    )
    return {(destination, action or "") for destination, action in rows}


def pending(session: Session, account: str, destination: str) -> list[tuple[str, datetime]]:
    """The conversion of each delivery that waits for a destination, and when it expires."""
    rows = session.exec(
        select(Delivery.conversion, Delivery.expires_at).where(
            Delivery.account == account,
            Delivery.destination == destination,
            Delivery.state == DeliveryState.PENDING,
            col(Delivery.expires_at).is_not(None),
        )
    )
    return [(conversion, expires_at) for conversion, expires_at in rows if expires_at is not None]


def oldest_due(session: Session, account: str, *, now: datetime) -> datetime | None:
    """Since when the delivery that has been due the longest could have gone out; None where none is due."""
    rows = session.exec(
        select(Delivery.at, Delivery.not_before, Delivery.deferred_until).where(
            Delivery.account == account, Delivery.state == DeliveryState.PENDING
        ),
        execution_options=STREAMED,
    )
    times = (max(filter(None, row), default=now) for row in rows)
    return min((at for at in times if at <= now), default=None)


def last_success(session: Session, account: str) -> datetime | None:
    """When the last night ended that did not stop; a human may have been needed for it."""
    done = (Run.account == account, Run.command == NIGHTLY, col(Run.exit_code).in_((0, 1)))
    return session.exec(select(func.max(Run.ended_at)).where(*done)).one()


def on_record(session: Session, account: str) -> dict[IncidentId, IncidentRow]:
    """Every cause that was ever found."""
    rows = session.exec(select(IncidentRow).where(IncidentRow.account == account).order_by(col(IncidentRow.cause)))
    return {_read(row.cause): row for row in rows}


def note_found(
    session: Session, account: str, cause: IncidentId, row: IncidentRow | None, notice: Notice, *, now: datetime
) -> bool:
    """Record that an incident was found; whether it opens, so that every address is owed a notice."""
    opens = row is None or row.cleared_at is not None
    row = row or IncidentRow(account=account, cause=_written(cause), title="", text="", first_seen_at=now)
    row.title, row.text = notice.title, notice.text
    if opens:
        row.first_seen_at, row.notified_at, row.cleared_at, row.undelivered = now, None, None, "[]"
    session.add(row)
    return opens


def owe(session: Session, account: str, addresses: Collection[str]) -> list[IncidentRow]:
    """The undelivered notices, the oldest first, each with the present addresses that still get it.

    A notice that reached nobody is for every present address: a wrong address may have been corrected.
    """
    owed = []
    rows = session.exec(
        select(IncidentRow)
        .where(IncidentRow.account == account)
        .order_by(col(IncidentRow.first_seen_at), col(IncidentRow.cause))
    )
    for row in rows:
        if row.notified_at is None and (row.cleared_at is None or undelivered_addresses(row)):
            marks = sorted(addresses)
        else:
            marks = [mark for mark in undelivered_addresses(row) if mark in addresses]
        row.undelivered = json.dumps(marks)
        session.add(row)
        if marks:
            owed.append(row)
    return owed


def undelivered_addresses(row: IncidentRow) -> Sequence[str]:
    """The marks of the addresses that still get a notice."""
    marks: list[str] = json.loads(row.undelivered)
    return marks


def delivered(session: Session, account: str, cause: str, address: str, *, now: datetime) -> None:
    """Note that an address accepted a notice."""
    row = session.get_one(IncidentRow, (account, cause))
    row.undelivered = json.dumps([mark for mark in undelivered_addresses(row) if mark != address])
    row.notified_at = row.notified_at or now
    session.add(row)
