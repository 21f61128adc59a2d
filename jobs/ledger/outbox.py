"""What is sent, conversions and corrections alike: moved along the table of states, and found by where it stands."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar, assert_never

from sqlalchemy import ColumnElement, func, or_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connectors.records import DeliveryKey, OutcomeClass, Target
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    Adjustment,
    AdjustmentAttempt,
    AdjustmentTransition,
    Attempt,
    Delivery,
    LeadRow,
    OutboxRow,
    Request,
    Transition,
)
from jobs.rules.delivery_state import FROZEN, DeliveryState, check_move
from jobs.rules.reasons import Cause, PlatformCode, Reason

Sent = TypeVar("Sent", Delivery, Adjustment)
_AT_ONCE = 1_000
"""Rows in memory at a time, where all are gone through."""

WITH_REASON = frozenset(
    {
        DeliveryState.WITHHELD,
        DeliveryState.SKIPPED,
        DeliveryState.PENDING,
        DeliveryState.EXPIRED,
        DeliveryState.CANCELLED,
        DeliveryState.UNCONFIRMED,
    }
)
UNANSWERED = ("open", "lost")
SETTLED = frozenset({DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED})
"""An answer, or the end of waiting for one, after which a correction may follow."""
SAYING_NOTHING = (OutcomeClass.UNKNOWN, OutcomeClass.EXPIRED)
"""Answers that leave a delivery in doubt once an earlier one was lost: too old now says nothing of the first time."""
WITH_CODE = frozenset({DeliveryState.PENDING, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED})
"""Where the platform's code says why, unless a reason of ours does."""


def move(
    session: Session,
    ledger: Ledger,
    delivery: OutboxRow,
    to: DeliveryState,
    cause: Cause,
    *,
    now: datetime,
    detail: str | None = None,
) -> None:
    """Move a delivery, and write down that it moved and why; staying where it is only updates its reason.

    An adjustment of one moves along the same table.

    Raises:
        IllegalMoveError: the table of states does not have the move.
    """
    before = DeliveryState(delivery.state) if delivery.id is not None else None
    is_ours = isinstance(cause, Reason)
    delivery.reason, delivery.detail = (cause, detail) if is_ours and to in WITH_REASON else (None, None)
    if not is_ours:
        delivery.code = cause
    if before == to:
        session.add(delivery)
        return
    check_move(before, to)
    delivery.state = to
    if to not in FROZEN:
        delivery.event = None
    session.add(delivery)
    if delivery.id is None:
        session.flush()
    if to in SETTLED:
        plan_again(session, delivery)
    session.add(record_move(ledger, delivery, before, to, cause, detail=detail, now=now))


def record_move(
    ledger: Ledger,
    moved: OutboxRow,
    before: DeliveryState | None,
    to: DeliveryState,
    cause: Cause,
    *,
    now: datetime,
    detail: str | None = None,
) -> Transition | AdjustmentTransition:
    """The record of a move, not stored yet."""
    record: Transition | AdjustmentTransition
    match moved:
        case Delivery():
            record = Transition(
                account=moved.account, delivery=number(moved), run=ledger.run, at=now, from_state=before, to_state=to
            )
        case Adjustment():
            record = AdjustmentTransition(
                account=moved.account, adjustment=number(moved), run=ledger.run, at=now, from_state=before, to_state=to
            )
        case _:
            assert_never(moved)
    if isinstance(cause, Reason):
        record.reason, record.detail = cause, detail
    else:
        record.code = cause
    return record


def plan_again(session: Session, settled: OutboxRow) -> None:
    """Have the lead looked at for corrections; what was retracted may also have to be told anew."""
    lead = session.get_one(LeadRow, (settled.account, settled.lead))
    lead.to_correct = True
    lead.to_plan = lead.to_plan or isinstance(settled, Adjustment)
    session.add(lead)


def mark_in_doubt(delivery: OutboxRow, request: int, *, since: datetime) -> None:
    """Note that the answer about a delivery's bytes was lost, with which request first and when that was sent."""
    delivery.in_doubt_since = delivery.in_doubt_since or since
    delivery.in_doubt_request = delivery.in_doubt_request or request


def by_state(session: Session, account: str, kind: type[Sent], state: DeliveryState) -> Iterator[Sent]:
    """Every one that stands at a state, some in memory at a time."""
    standing = select(kind).where(kind.account == account, kind.state == state).order_by(col(kind.id))
    yield from session.exec(standing.execution_options(yield_per=_AT_ONCE))


def in_doubt(session: Session, account: str, kind: type[Sent], destination: str) -> dict[Target, list[Sent]]:
    """Those whose answer was lost, by where their bytes were sent."""
    found: dict[Target, list[Sent]] = {}
    for row in by_state(session, account, kind, DeliveryState.IN_DOUBT):
        if row.destination == destination:
            found.setdefault(target_of(row), []).append(row)
    return found


def in_doubt_before(session: Session, account: str, before: datetime) -> list[OutboxRow]:
    """Every delivery and every correction whose answer was lost before that."""
    return [
        *_in_doubt_before(session, account, Delivery, before),
        *_in_doubt_before(session, account, Adjustment, before),
    ]


def _in_doubt_before(session: Session, account: str, kind: type[Sent], before: datetime) -> list[Sent]:
    doubtful = (kind.account == account, kind.state == DeliveryState.IN_DOUBT, col(kind.in_doubt_since) < before)
    return list(session.exec(select(kind).where(*doubtful).order_by(col(kind.id))))


def count_in_doubt(session: Session, account: str) -> Counter[str]:
    """How many deliveries and corrections there are whose answer was lost, by destination."""
    found: Counter[str] = Counter()
    kinds: tuple[type[OutboxRow], ...] = (Delivery, Adjustment)
    for kind in kinds:
        doubtful = (kind.account == account, kind.state == DeliveryState.IN_DOUBT)
        counts = select(kind.destination, func.count()).where(*doubtful).group_by(col(kind.destination))
        found.update(dict(session.exec(counts).all()))
    return found


def open_or_awaited(session: Session, account: str, kind: type[OutboxRow]) -> int:
    """How many will still move without anyone doing anything."""
    moving = (DeliveryState.PENDING, *FROZEN)
    wanted = select(func.count()).select_from(kind).where(kind.account == account, col(kind.state).in_(moving))
    return session.exec(wanted).one()


def moved_to(session: Session, ledger: Ledger, state: DeliveryState) -> int:
    """How many deliveries and corrections this run has moved to a state."""
    return sum(
        session.exec(
            select(func.count())
            .select_from(moves)
            .where(moves.account == ledger.account, moves.run == ledger.run, moves.to_state == state)
        ).one()
        for moves in (Transition, AdjustmentTransition)
    )


def rejected_in(session: Session, ledger: Ledger) -> list[OutboxRow]:
    """The deliveries, then the corrections, that this run saw rejected though nobody expected it."""
    deliveries = select(Transition.delivery).where(*_rejecting(ledger, Transition))
    corrections = select(AdjustmentTransition.adjustment).where(*_rejecting(ledger, AdjustmentTransition))
    return [*_rejected(session, Delivery, deliveries), *_rejected(session, Adjustment, corrections)]


def _rejecting(
    ledger: Ledger, moves: type[Transition] | type[AdjustmentTransition]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(moves.run) == ledger.run, col(moves.to_state) == DeliveryState.REJECTED


def _rejected(session: Session, kind: type[Sent], ids: SelectOfScalar[int]) -> list[Sent]:
    unexpected = (kind.state == DeliveryState.REJECTED, kind.outcome != OutcomeClass.DROP_EXPECTED)
    return list(session.exec(select(kind).where(col(kind.id).in_(ids), *unexpected).order_by(col(kind.id))))


def time_has_come(kind: type[OutboxRow], now: datetime) -> Iterator[ColumnElement[bool]]:
    """Whether both times have come that one waits for: the rules' and the platform's."""
    for at in (col(kind.not_before), col(kind.deferred_until)):
        yield or_(at.is_(None), at <= now)


def release(session: Session, account: str) -> None:
    """Note that no delivery and no correction waits for a human any more."""
    kinds: tuple[type[OutboxRow], ...] = (Delivery, Adjustment)
    for kind in kinds:
        held = (
            col(kind.account) == account,
            col(kind.state) == DeliveryState.PENDING,
            col(kind.reason) == Reason.EXCESS_VOLUME,
        )
        session.exec(update(kind).where(*held).values(reason=Reason.DUE))


def unanswered(session: Session, delivery: OutboxRow) -> list[datetime]:
    """When each run that sent the delivery, and never learnt what became of it, last did so; the first run first."""
    place, whose = places_of(delivery)
    sent = select(Request.run, Request.sent_at).join(place, col(place.request) == col(Request.id))
    lost = sent.where(
        whose,
        col(place.request) >= (delivery.in_doubt_request or 0),
        or_(col(Request.state).in_(UNANSWERED), col(place.outcome).in_(SAYING_NOTHING)),
    )
    return list(dict(session.exec(lost.order_by(col(Request.id))).all()).values())


def last_request(session: Session, sent: OutboxRow) -> int:
    """The request it was last sent in; 0 where it never was."""
    place, whose = places_of(sent)
    return session.exec(select(func.max(place.request)).where(whose)).one() or 0


def places_of(sent: OutboxRow) -> tuple[type[Attempt] | type[AdjustmentAttempt], ColumnElement[bool]]:
    """The table of its places in requests, and which of them are its own."""
    match sent:
        case Delivery():
            return Attempt, col(Attempt.delivery) == sent.id
        case Adjustment():
            return AdjustmentAttempt, col(AdjustmentAttempt.adjustment) == sent.id
    assert_never(sent)


def why(delivery: OutboxRow) -> Cause:
    """Why a delivery stands where it does."""
    may_count_twice = isinstance(delivery, Delivery) and delivery.may_count_twice
    return why_of(delivery.state, delivery.reason, delivery.code, may_count_twice=may_count_twice)


def why_of(state: str, reason: str | None, code: str | None, *, may_count_twice: bool) -> Cause:
    """The same, by the columns that say it."""
    if may_count_twice and state == DeliveryState.ACCEPTED:
        return Reason.MAY_COUNT_TWICE
    return cause_of(reason, code if state in WITH_CODE else None)


def cause_of(reason: str | None, code: str | None) -> Cause:
    """The cause that two columns hold: a reason of ours, else the platform's code."""
    return Reason(reason) if reason else PlatformCode(code or "")


def target_of(delivery: OutboxRow) -> Target:
    """Where a delivery was sent."""
    parts = (delivery.transport, delivery.owner, delivery.action, delivery.source)
    transport, owner, action, source = (part or "" for part in parts)
    return Target(transport, owner, action, source)


def key_of(delivery: OutboxRow) -> DeliveryKey:
    """The key a platform knows it by."""
    return DeliveryKey(delivery.key)


def number(delivery: OutboxRow) -> int:
    """The row's number, which a stored delivery always has."""
    if delivery.id is None:
        raise ValueError("the delivery is not stored yet")
    return delivery.id
