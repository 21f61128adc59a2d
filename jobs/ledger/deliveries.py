"""Deliveries: begun, moved along the table of fates, and asked for by what is due."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import assert_never

import sqlalchemy
from sqlalchemy import ColumnElement, and_, case, exists, func, or_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connectors.records import DeliveryKey, DestinationId, LeadId, OutcomeClass, Target
from jobs.ledger import labels
from jobs.ledger.fates import FROZEN, Fate, check_move
from jobs.ledger.ledger import Ledger
from jobs.ledger.request_state import went_out
from jobs.ledger.tables import (
    Adjustment,
    AdjustmentAttempt,
    AdjustmentTransition,
    Attempt,
    Delivery,
    LeadRow,
    Request,
    Sendable,
    Transition,
)
from jobs.rules.keys import delivery_key

WITH_REASON = frozenset({Fate.WITHHELD, Fate.SKIPPED, Fate.PENDING, Fate.EXPIRED, Fate.CANCELLED})
UNANSWERED = ("open", "lost")
SETTLED = frozenset({Fate.ACCEPTED, Fate.REJECTED, Fate.EXPIRED, Fate.UNCONFIRMED})
"""An answer, or the end of waiting for one, after which a correction may follow."""
SAYING_NOTHING = (OutcomeClass.UNKNOWN, OutcomeClass.EXPIRED)
"""Answers that leave a delivery in doubt once an earlier one was lost: too old now says nothing of the first time."""
SETTLED_BY_PLATFORM = frozenset({Fate.REJECTED, Fate.UNCONFIRMED})
HELD = "surge"
"""The reason of a pending delivery that waits for a human, because far more is due than usual."""
TOLD_BY_OTHERS = "already_sent"
"""The reason of a skipped delivery that a human says the platform has by other means; it never goes out."""
MAY_COUNT_TWICE = "may_count_twice"
"""The reason told of an accepted delivery that was sent again to a platform that may count one key twice."""
WHY = case(
    (col(Delivery.fate).in_(SETTLED_BY_PLATFORM), Delivery.code),
    (and_(col(Delivery.fate) == Fate.ACCEPTED, col(Delivery.may_count_twice)), MAY_COUNT_TWICE),
    else_=Delivery.reason,
)
"""What is told of where a delivery stands: the platform's word, or ours."""


def of_leads(session: Session, account: str, ids: Collection[LeadId]) -> dict[str, list[Delivery]]:
    """Every delivery of each of these leads."""
    found: dict[str, list[Delivery]] = {}
    for delivery in session.exec(
        select(Delivery).where(Delivery.account == account, col(Delivery.lead).in_(ids)).order_by(col(Delivery.id))
    ):
        found.setdefault(delivery.lead, []).append(delivery)
    return found


def move(session: Session, ledger: Ledger, delivery: Sendable, to: Fate, cause: str, *, now: datetime) -> None:
    """Move a delivery, and write down that it moved and why; staying where it is only updates its reason.

    An adjustment of one moves along the same table.

    Raises:
        IllegalMoveError: the table of fates does not have the move.
    """
    before = Fate(delivery.fate) if delivery.id is not None else None
    delivery.reason = cause if to in WITH_REASON else None
    if to is Fate.UNCONFIRMED:
        delivery.code = cause
    if before == to:
        session.add(delivery)
        return
    check_move(before, to)
    delivery.fate = to
    if to not in FROZEN:
        delivery.event = None
    session.add(delivery)
    if delivery.id is None:
        session.flush()
    if to in SETTLED:
        look_again(session, delivery)
    session.add(_transition(ledger, delivery, before, to, cause, now=now))


def _transition(
    ledger: Ledger, moved: Sendable, before: Fate | None, to: Fate, cause: str, *, now: datetime
) -> Transition | AdjustmentTransition:
    match moved:
        case Delivery():
            return Transition(
                account=moved.account,
                delivery=number(moved),
                run=ledger.run,
                at=now,
                from_fate=before,
                to_fate=to,
                cause=cause,
            )
        case Adjustment():
            return AdjustmentTransition(
                account=moved.account,
                adjustment=number(moved),
                run=ledger.run,
                at=now,
                from_fate=before,
                to_fate=to,
                cause=cause,
            )
    assert_never(moved)


def look_again(session: Session, settled: Sendable) -> None:
    """Have the lead looked at for corrections; what was retracted may also have to be told anew."""
    lead = session.get_one(LeadRow, (settled.account, settled.lead))
    lead.to_correct = True
    lead.to_plan = lead.to_plan or isinstance(settled, Adjustment)
    session.add(lead)


def tell_by_others(session: Session, ledger: Ledger, delivery: Delivery, *, now: datetime) -> None:
    """Have a delivery never go out, because the platform has it by other means; that is on record wherever it stood."""
    delivery.counts_from = delivery.assumed_at = delivery.agreed_in = delivery.not_before = None
    stood = Fate(delivery.fate)
    move(session, ledger, delivery, Fate.SKIPPED, TOLD_BY_OTHERS, now=now)
    if stood is Fate.SKIPPED:
        session.add(_transition(ledger, delivery, stood, stood, TOLD_BY_OTHERS, now=now))


def is_told_by_others(delivery: Delivery) -> bool:
    """Whether a human has said that the platform has it by other means."""
    return delivery.fate == Fate.SKIPPED and delivery.reason == TOLD_BY_OTHERS


def doubt(delivery: Sendable, request: int, *, since: datetime) -> None:
    """Note that the answer about a delivery's bytes was lost, with which request first and when that was sent."""
    delivery.doubtful_since = delivery.doubtful_since or since
    delivery.doubtful_request = delivery.doubtful_request or request


def due(
    session: Session,
    account: str,
    destination: str,
    conversions: Collection[str],
    *,
    now: datetime,
    new_by: datetime | None,
    agreed_in: int | None = None,
    limit: int,
) -> list[Delivery]:
    """Pending deliveries whose time has come, oldest conversion first.

    Of what the surge guard counts, only what was due by `new_by` already; where that is None, nothing. With
    `agreed_in` only what a human agreed to in that run.
    """
    wanted = list(_due(account, destination, conversions, now))
    if agreed_in is not None:
        wanted.append(col(Delivery.agreed_in) == agreed_in)
    again = ~_guarded()
    return list(
        session.exec(
            select(Delivery)
            .where(*wanted, again if new_by is None else or_(again, and_(*_time_has_come(new_by))))
            .order_by(col(Delivery.at), col(Delivery.id))
            .limit(limit)
        )
    )


def count_new(session: Session, account: str, destination: str, conversions: Collection[str], *, now: datetime) -> int:
    """How many deliveries are due that never went out, and that nobody agreed to."""
    wanted = _due(account, destination, conversions, now)
    return session.exec(select(func.count()).select_from(Delivery).where(*wanted, _guarded())).one()


def hold(session: Session, account: str, destination: str, conversions: Collection[str], *, now: datetime) -> None:
    """Note that the deliveries which never went out and are due wait for a human, where none agreed yet."""
    wanted = _due(account, destination, conversions, now)
    session.exec(
        update(Delivery).where(*wanted, _guarded()).values(reason=HELD).execution_options(synchronize_session=False)
    )


def release(session: Session, account: str) -> None:
    """Note that no delivery waits for a human any more."""
    held = (col(Delivery.account) == account, col(Delivery.fate) == Fate.PENDING, col(Delivery.reason) == HELD)
    session.exec(update(Delivery).where(*held).values(reason="due"))


def _due(
    account: str, destination: str, conversions: Collection[str], now: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Delivery.account) == account,
        col(Delivery.destination) == destination,
        col(Delivery.fate) == Fate.PENDING,
        col(Delivery.conversion).in_(conversions),
        *_time_has_come(now),
        ~labels.waiting(col(Delivery.lead), account),
    )


def _time_has_come(now: datetime) -> Iterator[ColumnElement[bool]]:
    """Whether both times have come that a delivery waits for: the plan's and the platform's."""
    for at in (col(Delivery.not_before), col(Delivery.deferred_until)):
        yield or_(at.is_(None), at <= now)


def _guarded() -> ColumnElement[bool]:
    """Whether the surge guard counts a delivery.

    It was in no request yet that reached its platform and was not refused whole, and no human agreed to it.
    """
    went = exists().where(
        col(Attempt.delivery) == col(Delivery.id), col(Request.id) == col(Attempt.request), went_out()
    )
    return and_(~went, col(Delivery.agreed_in).is_(None))


def in_doubt(session: Session, account: str, destination: str) -> dict[Target, list[Delivery]]:
    """Deliveries whose answer was lost, by where their bytes were sent."""
    found: dict[Target, list[Delivery]] = {}
    for delivery in session.exec(
        select(Delivery)
        .where(
            Delivery.account == account,
            Delivery.destination == destination,
            Delivery.fate == Fate.IN_DOUBT,
        )
        .order_by(col(Delivery.id))
    ):
        found.setdefault(target_of(delivery), []).append(delivery)
    return found


def by_fate(session: Session, account: str, fate: Fate) -> list[Delivery]:
    """Every delivery that stands at a fate."""
    return list(
        session.exec(
            select(Delivery).where(Delivery.account == account, Delivery.fate == fate).order_by(col(Delivery.id))
        )
    )


def open_or_awaited(session: Session, account: str) -> int:
    """How many deliveries will still move without anyone doing anything."""
    moving = (Fate.PENDING, Fate.IN_FLIGHT, Fate.SUBMITTED, Fate.IN_DOUBT)
    return session.exec(
        select(func.count()).select_from(Delivery).where(Delivery.account == account, col(Delivery.fate).in_(moving))
    ).one()


def standing(session: Session, account: str) -> Counter[tuple[str, str, str, str]]:
    """How many deliveries stand where: conversion, destination, fate, and its reason or the platform's code."""
    place = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.fate))
    # More columns than SQLModel's own `select` is typed for.
    rows = session.connection().execute(
        sqlalchemy.select(*place, WHY, func.count()).where(col(Delivery.account) == account).group_by(*place, WHY)
    )
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for conversion, destination, fate, reason, count in rows:
        counts[conversion, destination, fate, (reason or "").partition(":")[0]] += count
    return counts


def why(delivery: Sendable) -> str:
    """What is told of where a delivery stands; `WHY` for one that is in hand."""
    if delivery.fate in SETTLED_BY_PLATFORM:
        return delivery.code or ""
    if delivery.fate == Fate.ACCEPTED and isinstance(delivery, Delivery) and delivery.may_count_twice:
        return MAY_COUNT_TWICE
    return delivery.reason or ""


def moved_to(session: Session, ledger: Ledger, fate: Fate) -> int:
    """How many deliveries this run has moved to a fate."""
    return session.exec(
        select(func.count())
        .select_from(Transition)
        .where(Transition.account == ledger.account, Transition.run == ledger.run, Transition.to_fate == fate)
    ).one()


def rejected_in(session: Session, ledger: Ledger) -> list[Delivery]:
    """The deliveries this run saw rejected though nobody expected it, in their own order."""
    mine = (
        select(Transition.delivery)
        .where(Transition.run == ledger.run, Transition.to_fate == Fate.REJECTED)
        .scalar_subquery()
    )
    return list(
        session.exec(
            select(Delivery)
            .where(
                Delivery.account == ledger.account,
                Delivery.fate == Fate.REJECTED,
                Delivery.outcome != OutcomeClass.DROP_EXPECTED,
                col(Delivery.id).in_(mine),
            )
            .order_by(col(Delivery.id))
        )
    )


def put_off_again(session: Session, ledger: Ledger) -> list[Delivery]:
    """The deliveries a platform put off in this run, as it did in one before, in their own order.

    One that it put off when asked for its outcome may be on its way again already.
    """
    was_put_off = col(Attempt.outcome).in_((OutcomeClass.RETRY, OutcomeClass.DEFER))
    tonight = (
        select(Transition.id)
        .join(Attempt, and_(col(Attempt.delivery) == Transition.delivery, col(Attempt.code) == Transition.cause))
        .where(
            Transition.delivery == Delivery.id,
            Transition.run == ledger.run,
            Transition.to_fate == Fate.PENDING,
            or_(col(Delivery.fate) == Fate.PENDING, col(Transition.from_fate) == Fate.SUBMITTED),
            was_put_off,
        )
        .exists()
    )
    runs = _runs().where(Attempt.delivery == Delivery.id, was_put_off).scalar_subquery()
    return list(
        session.exec(
            select(Delivery)
            .where(
                Delivery.account == ledger.account,
                col(Delivery.fate).in_((Fate.PENDING, Fate.SUBMITTED)),
                tonight,
                runs > 1,
            )
            .order_by(col(Delivery.id))
        )
    )


def _runs() -> SelectOfScalar[int]:
    """In how many runs something was attempted."""
    return select(func.count(func.distinct(Request.run))).join(Attempt, col(Attempt.request) == col(Request.id))


def runs_in_doubt(session: Session, delivery: Sendable) -> int:
    """In how many runs the delivery was sent and nobody learnt what became of it, the first one among them."""
    place, whose = places_of(delivery)
    runs = select(func.count(func.distinct(Request.run))).join(place, col(place.request) == col(Request.id))
    return session.exec(
        runs.where(
            whose,
            col(place.request) >= (delivery.doubtful_request or 0),
            or_(col(Request.state).in_(UNANSWERED), col(place.outcome).in_(SAYING_NOTHING)),
        )
    ).one()


def places_of(sent: Sendable) -> tuple[type[Attempt] | type[AdjustmentAttempt], ColumnElement[bool]]:
    """The table of its places in requests, and which of them are its own."""
    match sent:
        case Delivery():
            return Attempt, col(Attempt.delivery) == sent.id
        case Adjustment():
            return AdjustmentAttempt, col(AdjustmentAttempt.adjustment) == sent.id
    assert_never(sent)


def target_of(delivery: Sendable) -> Target:
    """Where a delivery was sent."""
    parts = (delivery.transport, delivery.owner, delivery.action, delivery.source)
    transport, owner, action, source = (part or "" for part in parts)
    return Target(transport, owner, action, source)


def key_of(delivery: Sendable) -> DeliveryKey:
    """The key a platform knows it by."""
    return DeliveryKey(delivery.key)


def number(delivery: Sendable) -> int:
    """The row's number, which a stored delivery always has."""
    if delivery.id is None:
        raise ValueError("the delivery is not stored yet")
    return delivery.id


def ids_in_keys(session: Session, account: str, conversions: Collection[str]) -> Iterator[tuple[str, str]]:
    """Conversion ids that no delivery has, but that keys of a renamed conversion were made with, and its name now."""
    known = set(session.exec(select(Delivery.conversion).where(Delivery.account == account).distinct()))
    fresh = sorted(set(conversions) - known)
    if not fresh:
        return
    for row in session.exec(select(Delivery).where(Delivery.account == account)):
        for conversion in fresh:
            lead, destination = LeadId(row.lead), DestinationId(row.destination)
            if row.key == delivery_key(account, lead, conversion, destination, row.occurrence):
                yield conversion, row.conversion
