"""What alerts are found from and remembered in: what each night did, and which incidents are open."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import ColumnElement, and_, distinct, exists, func, or_
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from connectors.records import OutcomeClass
from jobs.ledger.runs import NIGHTLY, RESOLVING, Ledger
from jobs.ledger.schema import (
    Adjustment,
    AdjustmentAttempt,
    AdjustmentTransition,
    Attempt,
    Delivery,
    IncidentRow,
    Run,
    Transition,
)
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
    """Though nobody expected it."""
    unconfirmed: int = 0

    @property
    def settled(self) -> int:
        """How many were settled; a rejection that was to be expected says nothing."""
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


class IncidentRecord(StrEnum):
    """What is on record of a cause."""

    NONE = "none"
    OPEN = "open"
    CLEARED = "cleared"


class IncidentAction(StrEnum):
    """What becomes of its record."""

    OPEN = "open"
    """A message is owed to every address."""
    KEEP = "keep"
    """It is in the report; a message is owed only where one did not arrive."""
    CLEAR = "clear"
    """The next time it is found it is told again."""
    LEAVE = "leave"


_ENDED = (0, 1, 3)
"""Exit codes of a run that did what it could; one that was not let in, or broke, is no night."""
_ARRIVED = (
    DeliveryState.SUBMITTED,
    DeliveryState.ACCEPTED,
    DeliveryState.REJECTED,
    DeliveryState.EXPIRED,
    DeliveryState.UNCONFIRMED,
    DeliveryState.IN_DOUBT,
)
"""Where a delivery stands after a request that may have left it with its platform."""

_AT_ONCE = 1_000
"""Rows in memory at a time, where all are gone through."""


@dataclass(frozen=True, slots=True)
class RowKind:
    """The tables of what is sent: conversions, or corrections of them."""

    sent: type[Delivery] | type[Adjustment]
    moves: type[Transition] | type[AdjustmentTransition]
    moved: Mapped[int]
    """Which one moved."""
    attempts: type[Attempt] | type[AdjustmentAttempt]
    attempted: Mapped[int]
    """Which one stood there in a request."""


CONVERSIONS = RowKind(Delivery, Transition, col(Transition.delivery), Attempt, col(Attempt.delivery))
CORRECTIONS = RowKind(
    Adjustment,
    AdjustmentTransition,
    col(AdjustmentTransition.adjustment),
    AdjustmentAttempt,
    col(AdjustmentAttempt.adjustment),
)


def dates(session: Session, ledger: Ledger, zone: ZoneInfo, *, since: datetime) -> dict[int, date]:
    """The night each run since then belongs to, by its local date; the present run's among them.

    A date is a night where a run came to its end on it, or is under way. What died on that date sent something too,
    and a run that only asks for outcomes belongs to the night before it, also past midnight.
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
    found: dict[str, dict[int, NightNumbers]] = defaultdict(dict)
    to = col(kind.moves.to_state)
    rows = session.connection().execute(
        sqlalchemy.select(
            col(kind.sent.destination),
            col(kind.moves.run),
            _how_many(kind, _went_out(kind)),
            _how_many(kind, to == DeliveryState.ACCEPTED),
            _how_many(kind, and_(to == DeliveryState.REJECTED, ~_was_expected(kind))),
            _how_many(kind, to == DeliveryState.UNCONFIRMED),
        )
        .join(kind.sent, col(kind.sent.id) == kind.moved)
        .where(col(kind.moves.account) == account, col(kind.moves.run).in_(runs_wanted))
        .group_by(col(kind.sent.destination), col(kind.moves.run))
    )
    for destination, run, sent, accepted, rejected, unconfirmed in rows:
        found[destination][run] = NightNumbers(sent, accepted, rejected, unconfirmed)
    return found


def reached(session: Session, ledger: Ledger, kind: RowKind) -> set[tuple[str, str]]:
    """The destinations and actions that took something, or told that they had, in this run."""
    rows = session.exec(
        select(kind.sent.destination, kind.sent.action)
        .join(kind.moves, kind.moved == col(kind.sent.id))
        .where(
            kind.moves.account == ledger.account,
            kind.moves.run == ledger.run,
            col(kind.moves.to_state).in_((DeliveryState.SUBMITTED, DeliveryState.ACCEPTED)),
        )
        .distinct()
    )
    return {(destination, action or "") for destination, action in rows}


def in_doubt(session: Session, account: str, kind: RowKind) -> dict[str, int]:
    """How many stand in doubt, by destination."""
    rows = session.exec(
        select(kind.sent.destination, func.count())
        .where(kind.sent.account == account, kind.sent.state == DeliveryState.IN_DOUBT)
        .group_by(col(kind.sent.destination))
    )
    return dict(list(rows))


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
        execution_options={"yield_per": _AT_ONCE},
    )
    times = (max(filter(None, row), default=now) for row in rows)
    return min((at for at in times if at <= now), default=None)


def last_success(session: Session, account: str) -> datetime | None:
    """When the last night ended that did not stop; a human may have been needed for it."""
    return session.exec(
        select(func.max(Run.ended_at)).where(
            Run.account == account, Run.command == NIGHTLY, col(Run.exit_code).in_((0, 1))
        )
    ).one()


def _how_many(kind: RowKind, moves: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(distinct(kind.moved)).filter(moves)


def _went_out(kind: RowKind) -> ColumnElement[bool]:
    before, to = col(kind.moves.from_state), col(kind.moves.to_state)
    sent = and_(before == DeliveryState.IN_FLIGHT, to.in_(_ARRIVED))
    # A row that was blamed goes back until something sent with it has passed, and is rejected then.
    blamed = and_(before == DeliveryState.PENDING, to == DeliveryState.REJECTED)
    return or_(sent, blamed)


def _was_expected(kind: RowKind) -> ColumnElement[bool]:
    """Whether a rejection alarms nobody: as of a lead that is sent by contact data and came without an ad."""
    return exists().where(
        kind.attempted == kind.moved,
        col(kind.attempts.code) == col(kind.moves.code),
        col(kind.attempts.outcome) == OutcomeClass.DROP_EXPECTED,
    )


def on_record(session: Session, account: str) -> dict[IncidentId, IncidentRow]:
    """Every cause that was ever found."""
    rows = session.exec(select(IncidentRow).where(IncidentRow.account == account).order_by(col(IncidentRow.cause)))
    return {_read(row.cause): row for row in rows}


def record_of(row: IncidentRow | None) -> IncidentRecord:
    """Where a cause stands."""
    if row is None:
        return IncidentRecord.NONE
    return IncidentRecord.OPEN if row.cleared_at is None else IncidentRecord.CLEARED


def act(
    session: Session,
    account: str,
    act: IncidentAction,
    cause: IncidentId,
    row: IncidentRow | None,
    *,
    notice: Notice | None,
    now: datetime,
) -> None:
    """Keep what becomes of an incident; `notice` words it, where it was found tonight."""
    match act:
        case IncidentAction.OPEN if notice is not None:
            # One that came back before anybody heard of it is still the first message owed.
            opened = row or IncidentRow(account=account, cause=_written(cause), title="", text="", first_seen_at=now)
            opened.title, opened.text = notice.title, notice.text
            opened.first_seen_at, opened.notified_at, opened.cleared_at, opened.undelivered = now, None, None, "[]"
            session.add(opened)
        case IncidentAction.KEEP if row is not None and notice is not None:
            row.title, row.text = notice.title, notice.text
            session.add(row)
        case IncidentAction.CLEAR if row is not None:
            row.cleared_at = now
            session.add(row)
        case _:
            pass


def owe(session: Session, account: str, addresses: Collection[str]) -> list[IncidentRow]:
    """The notices that addresses are owed, the oldest first; what no address is left to be told is owed no more.

    A notice that reached nobody is owed to every address there is now: the one it was meant for may have been mended.
    """
    owed = []
    rows = session.exec(
        select(IncidentRow)
        .where(IncidentRow.account == account)
        .order_by(col(IncidentRow.first_seen_at), col(IncidentRow.cause))
    )
    for row in rows:
        if row.notified_at is None and (row.cleared_at is None or undelivered(row)):
            marks = sorted(addresses)
        else:
            marks = [mark for mark in undelivered(row) if mark in addresses]
        row.undelivered = json.dumps(marks)
        session.add(row)
        if marks:
            owed.append(row)
    return owed


def undelivered(row: IncidentRow) -> Sequence[str]:
    """The marks of the addresses that are still owed a notice."""
    marks: list[str] = json.loads(row.undelivered)
    return marks


def delivered(session: Session, account: str, cause: str, address: str, *, now: datetime) -> None:
    """Note that an address took a notice."""
    row = session.get_one(IncidentRow, (account, cause))
    row.undelivered = json.dumps([mark for mark in undelivered(row) if mark != address])
    row.notified_at = row.notified_at or now
    session.add(row)
