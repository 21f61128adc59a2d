"""Questions about an account's state that a person asks; nothing here changes it."""

import operator
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy
from sqlalchemy import Integer, cast, func
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger.deliveries import WHY
from jobs.ledger.fates import Fate
from jobs.ledger.request_state import RequestState
from jobs.ledger.sendables import HELD, Sent, places_of, why
from jobs.ledger.tables import (
    Adjustment,
    AdjustmentTransition,
    Delivery,
    LeadRow,
    Request,
    Run,
    Sendable,
    Transition,
    UnreadableLeadRow,
)

NEAR_IDS = 5
_AT_ONCE = 1_000
"""Rows in memory at a time, where all are gone through."""
_CENTS = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Tally:
    """Deliveries that stand alike."""

    conversion: str
    destination: str
    fate: Fate
    reason: str
    """The rules' code or the platform's, without a detail; `due` for what goes out next."""
    count: int
    value: Decimal
    """What they are worth together, as far as they have a value."""
    due_at: datetime | None = None
    """When the first of them may go out, where they wait for a time."""
    held_for: str | None = None
    """What they were held for until their time ran out, by code."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one conversion of one lead, or a correction of it, stands."""

    lead: str
    conversion: str
    destination: str
    fate: Fate
    reason: str
    """As a tally has it."""
    since: datetime
    """When it came to its fate; its reason may have become another one meanwhile."""
    is_correction: bool
    held_for: str | None = None
    """What it was held for until its time ran out, by code."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """Requests whose outcome is not known yet."""

    requests: int
    deliveries: int
    ask_at: datetime | None
    """From when on the first of them is worth asking about."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One request a delivery was in."""

    sent_at: datetime
    state: str
    ticket: str | None
    code: str | None
    """What was answered about the delivery, else about the request."""


def tallies(
    session: Session, account: str, *, now: datetime, run: int | None = None, agreed_in: int | None = None
) -> tuple[Tally, ...]:
    """Where deliveries stand, all of them, those that moved in a run, or those a human agreed to in one.

    Ordered by conversion and fate.
    """
    mine = [col(Delivery.account) == account]
    if run is not None:
        # The run is of one account already, and by that all its deliveries would be gone through, move by move.
        mine = [col(Delivery.id).in_(select(Transition.delivery).where(Transition.run == run))]
    if agreed_in is not None:
        mine.append(col(Delivery.agreed_in) == agreed_in)
    return ordered([*_settled_tallies(session, mine), *_pending_tallies(session, mine, now)])


def ordered(found: Iterable[Tally]) -> tuple[Tally, ...]:
    """By conversion and destination, then as fates follow one another, the most frequent reason first."""
    order = list(Fate)
    place = operator.attrgetter("conversion", "destination")

    def key(each: Tally) -> tuple[str | int, ...]:
        return (*place(each), order.index(each.fate), -each.count, each.reason, each.held_for or "")

    return tuple(sorted(found, key=key))


def _settled_tallies(session: Session, mine: Sequence[sqlalchemy.ColumnElement[bool]]) -> list[Tally]:
    place = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.fate))
    # A value is text with two decimals, so that it adds up exactly.
    cents = func.sum(cast(func.replace(Delivery.value, ".", ""), Integer))
    rows = session.connection().execute(
        sqlalchemy.select(*place, WHY, col(Delivery.held_for), func.count(), cents)
        .where(*mine, col(Delivery.fate) != Fate.PENDING)
        .group_by(*place, WHY, col(Delivery.held_for))
    )
    counts: Counter[tuple[str, str, str, str, str | None]] = Counter()
    worth: Counter[tuple[str, str, str, str, str | None]] = Counter()
    for conversion, destination, fate, reason, held_for, count, sum_of_cents in rows:
        key = (conversion, destination, fate, (reason or "").partition(":")[0], held_for)
        counts[key] += count
        worth[key] += sum_of_cents or 0
    return [
        Tally(conversion, destination, Fate(fate), reason, count, worth[key] * _CENTS, held_for=held_for)
        for key, count in counts.items()
        for conversion, destination, fate, reason, held_for in [key]
    ]


def _pending_tallies(session: Session, mine: Sequence[sqlalchemy.ColumnElement[bool]], now: datetime) -> list[Tally]:
    counts: Counter[tuple[str, str, str]] = Counter()
    worth: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    first: dict[tuple[str, str, str], datetime] = {}
    pending = select(Delivery).where(*mine, Delivery.fate == Fate.PENDING)
    for row in session.exec(pending.execution_options(yield_per=_AT_ONCE)):
        key, due_at = (row.conversion, row.destination, reason_told(row, now)), due_time(row)
        counts[key] += 1
        worth[key] += Decimal(row.value or 0)
        if due_at is not None and due_at > now:
            first[key] = min(due_at, first.get(key, due_at))
    return [Tally(*key[:2], Fate.PENDING, key[2], count, worth[key], first.get(key)) for key, count in counts.items()]


def stands(session: Session, account: str, fates: Collection[Fate], *, now: datetime) -> Iterator[Stand]:
    """Every delivery at one of these fates, then every correction at one, each kind's last to come there first."""
    deliveries = select(func.max(Transition.at)).where(Transition.delivery == Delivery.id)
    yield from _stands(session, account, Delivery, deliveries.scalar_subquery(), fates, now=now)
    corrections = select(func.max(AdjustmentTransition.at)).where(AdjustmentTransition.adjustment == Adjustment.id)
    yield from _stands(session, account, Adjustment, corrections.scalar_subquery(), fates, now=now)


def _stands(
    session: Session,
    account: str,
    kind: type[Sent],
    since: sqlalchemy.ScalarSelect[datetime],
    fates: Collection[Fate],
    *,
    now: datetime,
) -> Iterator[Stand]:
    rows = session.exec(
        select(kind, since)
        .where(kind.account == account, col(kind.fate).in_(fates))
        .order_by(since.desc(), col(kind.id))
        .execution_options(yield_per=_AT_ONCE)
    )
    for row, at in rows:
        yield Stand(
            row.lead,
            row.conversion,
            row.destination,
            Fate(row.fate),
            reason_told(row, now),
            at,
            is_correction=isinstance(row, Adjustment),
            held_for=row.held_for if isinstance(row, Delivery) else None,
        )


def reason_told(row: Sendable, now: datetime) -> str:
    """Why something stands where it does, without a detail; `due` for what goes out next."""
    if row.fate == Fate.PENDING and row.reason != HELD:
        due_at = due_time(row)
        if due_at is None or due_at <= now:
            return "due"
    return why(row).partition(":")[0]


def due_time(delivery: Sendable) -> datetime | None:
    """When a pending delivery may go out: its own time, or the platform's delay where that is later."""
    times = [at for at in (delivery.not_before, delivery.deferred_until) if at is not None]
    return max(times, default=None)


def awaited(session: Session, account: str) -> Awaited:
    """What the platforms still owe an answer to."""
    waiting = (Request.account == account, Request.state == RequestState.RECEIVED)
    counts = select(func.count(), func.coalesce(func.sum(Request.rows), 0), func.min(Request.resolve_after))
    return Awaited(*session.exec(counts.where(*waiting)).one())


def last_run(session: Session, account: str) -> Run | None:
    """The latest run, ended or not."""
    return session.exec(select(Run).where(Run.account == account).order_by(col(Run.id).desc()).limit(1)).first()


def unreadable(session: Session, account: str) -> list[UnreadableLeadRow]:
    """Leads that could not be read when last seen."""
    return list(
        session.exec(
            select(UnreadableLeadRow).where(UnreadableLeadRow.account == account).order_by(col(UnreadableLeadRow.id))
        )
    )


def lead(session: Session, account: str, lead_id: str) -> LeadRow | None:
    """What is kept of a lead."""
    return session.get(LeadRow, (account, lead_id))


def near_ids(session: Session, account: str, text: str) -> list[LeadId]:
    """Some ids that hold this text, for someone who mistyped one."""
    rows = session.exec(
        select(LeadRow.id)
        .where(LeadRow.account == account, col(LeadRow.id).contains(text, autoescape=True))
        .order_by(col(LeadRow.id))
        .limit(NEAR_IDS)
    )
    return [LeadId(found) for found in rows]


def history(session: Session, delivery: int) -> list[Transition]:
    """Every move of a delivery, oldest first."""
    return list(session.exec(select(Transition).where(Transition.delivery == delivery).order_by(col(Transition.id))))


def sendings(session: Session, sent: Sendable) -> list[Sending]:
    """Every request a delivery, or adjustment, was in, oldest first."""
    place, whose = places_of(sent)
    rows = session.exec(
        select(place.code, Request)
        .join(Request, col(Request.id) == col(place.request))
        .where(whose)
        .order_by(col(Request.id))
    )
    return [Sending(request.sent_at, request.state, request.ticket, code or request.code) for code, request in rows]


def sent(session: Session, account: str) -> list[Delivery]:
    """Every delivery that ever went out and is settled."""
    settled = (Fate.ACCEPTED, Fate.REJECTED, Fate.UNCONFIRMED)
    return list(
        session.exec(
            select(Delivery)
            .where(Delivery.account == account, col(Delivery.fate).in_(settled))
            .order_by(col(Delivery.id))
        )
    )


def corrections(session: Session, account: str) -> Iterator[Adjustment]:
    """Every correction that was ever begun, in the order they were."""
    begun = select(Adjustment).where(Adjustment.account == account).order_by(col(Adjustment.id))
    yield from session.exec(begun.execution_options(yield_per=_AT_ONCE))
