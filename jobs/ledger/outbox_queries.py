"""Deliveries and adjustments, found by their leads and by what is due."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime

import sqlalchemy
from sqlalchemy import ColumnElement, and_, case, exists, func, or_, tuple_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connectors.records import AdjustmentKind, DestinationId, LeadId, OutcomeClass, Target
from jobs.ledger import status_labels
from jobs.ledger.outbox import move, record_move, time_has_come, why_of
from jobs.ledger.requests import went_out
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    Adjustment,
    AdjustmentAttempt,
    AdjustmentTransition,
    Attempt,
    Delivery,
    LeadRow,
    Request,
    Transition,
)
from jobs.rules.delivery_state import FROZEN, OPEN, DeliveryState
from jobs.rules.model import delivery_key
from jobs.rules.reasons import Cause, Reason

_AT_ONCE = 1_000
"""Rows in memory at a time, where all are gone through."""
WHY = (col(Delivery.reason), col(Delivery.code), col(Delivery.may_count_twice))
"""What `outbox.why_of` takes; in SQL it would be worked out for every delivery, not for every kind of them."""


def of_leads(session: Session, account: str, ids: Collection[LeadId]) -> dict[str, list[Delivery]]:
    """Every delivery of each of these leads."""
    found: dict[str, list[Delivery]] = {}
    for delivery in session.exec(
        select(Delivery).where(Delivery.account == account, col(Delivery.lead).in_(ids)).order_by(col(Delivery.id))
    ):
        found.setdefault(delivery.lead, []).append(delivery)
    return found


def mark_sent_elsewhere(session: Session, ledger: Ledger, delivery: Delivery, *, now: datetime) -> None:
    """Have a delivery never go out, because the platform has it by other means; that is on record wherever it stood."""
    delivery.counts_from = delivery.assumed_at = delivery.approved_in = delivery.not_before = None
    stood = DeliveryState(delivery.state)
    move(session, ledger, delivery, DeliveryState.SKIPPED, Reason.ALREADY_SENT, now=now)
    if stood is DeliveryState.SKIPPED:
        session.add(record_move(ledger, delivery, stood, stood, Reason.ALREADY_SENT, now=now))


def is_sent_elsewhere(delivery: Delivery) -> bool:
    """Whether a human has said that the platform has it by other means."""
    return delivery.state == DeliveryState.SKIPPED and delivery.reason == Reason.ALREADY_SENT


def due(
    session: Session,
    account: str,
    destination: str,
    conversions: Collection[str],
    *,
    now: datetime,
    new_by: datetime | None,
    approved_in: int | None = None,
    after: Delivery | None = None,
    limit: int,
) -> list[Delivery]:
    """Pending deliveries whose time has come, oldest conversion first; those after one of them.

    Of what the surge guard counts, only what was due by `new_by` already; where that is None, nothing. With
    `approved_in` only what a human agreed to in that run.
    """
    wanted = list(_due(account, destination, conversions, now))
    if approved_in is not None:
        wanted.append(col(Delivery.approved_in) == approved_in)
    place = (col(Delivery.at), col(Delivery.id))
    if after is not None:
        wanted.append(tuple_(*place) > (after.at, after.id))
    again = ~_guarded()
    return list(
        session.exec(
            select(Delivery)
            .where(*wanted, again if new_by is None else or_(again, and_(*time_has_come(Delivery, new_by))))
            .order_by(*place)
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
        update(Delivery)
        .where(*wanted, _guarded())
        .values(reason=Reason.EXCESS_VOLUME, detail=None)
        .execution_options(synchronize_session=False)
    )


def _due(
    account: str, destination: str, conversions: Collection[str], now: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Delivery.account) == account,
        col(Delivery.destination) == destination,
        col(Delivery.state) == DeliveryState.PENDING,
        col(Delivery.conversion).in_(conversions),
        *time_has_come(Delivery, now),
        ~status_labels.waiting(col(Delivery.lead), account),
    )


def _guarded() -> ColumnElement[bool]:
    """Whether the surge guard counts a delivery.

    It was in no request yet that reached its platform and was not refused whole, and no human agreed to it.
    """
    went = exists().where(
        col(Attempt.delivery) == col(Delivery.id), col(Request.id) == col(Attempt.request), went_out()
    )
    return and_(~went, col(Delivery.approved_in).is_(None))


def standing(session: Session, account: str) -> Counter[tuple[str, str, str, Cause]]:
    """How many deliveries stand where: conversion, destination, state, and why."""
    place = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.state))
    # More columns than SQLModel's own `select` is typed for.
    rows = session.connection().execute(
        sqlalchemy.select(*place, *WHY, func.count()).where(col(Delivery.account) == account).group_by(*place, *WHY)
    )
    counts: Counter[tuple[str, str, str, Cause]] = Counter()
    for conversion, destination, state, reason, code, twice, count in rows:
        counts[conversion, destination, state, why_of(state, reason, code, may_count_twice=twice)] += count
    return counts


def put_off_again(session: Session, ledger: Ledger) -> list[str]:
    """The leads of the deliveries a platform put off in this run, as it did in one before, in their own order.

    One that it put off when asked for its outcome may be on its way again already.
    """
    was_put_off = col(Attempt.outcome).in_((OutcomeClass.RETRY, OutcomeClass.DEFER))
    late = func.max(case((col(Transition.from_state) == DeliveryState.SUBMITTED, 1), else_=0))
    # From tonight's moves to their deliveries: by the account all that waits would be gone through move by move.
    tonight = (
        select(Transition.delivery, late.label("late"))
        .join(Attempt, and_(col(Attempt.delivery) == Transition.delivery, col(Attempt.code) == Transition.code))
        .where(Transition.run == ledger.run, Transition.to_state == DeliveryState.PENDING, was_put_off)
        .group_by(col(Transition.delivery))
        .subquery()
    )
    runs = _runs().where(Attempt.delivery == Delivery.id, was_put_off).scalar_subquery()
    here = or_(
        col(Delivery.state) == DeliveryState.PENDING,
        and_(col(Delivery.state) == DeliveryState.SUBMITTED, tonight.c.late == 1),
    )
    return list(
        session.exec(
            select(Delivery.lead)
            .join(tonight, tonight.c.delivery == col(Delivery.id))
            .where(here, runs > 1)
            .order_by(col(Delivery.id))
        )
    )


def _runs() -> SelectOfScalar[int]:
    """In how many runs something was attempted."""
    return select(func.count(func.distinct(Request.run))).join(Attempt, col(Attempt.request) == col(Request.id))


def ids_in_keys(session: Session, account: str, conversions: Collection[str]) -> Iterator[tuple[str, str]]:
    """Conversion ids that no delivery has, but that keys of a renamed conversion were made with, and its name now.

    All deliveries are gone through where there is such an id, so only ids should be asked about that are new.
    """
    fresh = [each for each in sorted(conversions) if not is_any(session, account, each)]
    if not fresh:
        return
    made_of = (
        col(Delivery.key),
        col(Delivery.lead),
        col(Delivery.conversion),
        col(Delivery.destination),
        col(Delivery.occurrence),
    )
    rows = session.connection().execute(
        sqlalchemy.select(*made_of).where(col(Delivery.account) == account).execution_options(yield_per=_AT_ONCE)
    )
    for key, lead, named, destination, occurrence in rows:
        for conversion in fresh:
            if key == delivery_key(account, LeadId(lead), conversion, DestinationId(destination), occurrence):
                yield conversion, named


def is_any(session: Session, account: str, conversion: str, destination: str | None = None) -> bool:
    """Whether there ever was a delivery of a conversion, to one destination where that is named."""
    wanted = select(Delivery.id).where(Delivery.account == account, Delivery.conversion == conversion)
    if destination is not None:
        wanted = wanted.where(Delivery.destination == destination)
    return session.exec(wanted.limit(1)).first() is not None


UNSETTLED = OPEN | FROZEN
"""While a correction stands here, the next one of its delivery is not begun."""


def adjustments_of_leads(session: Session, account: str, ids: Collection[LeadId]) -> dict[int, list[Adjustment]]:
    """Every correction of these leads' deliveries, by delivery, in the order they were begun."""
    found: dict[int, list[Adjustment]] = {}
    for each in session.exec(
        select(Adjustment)
        .where(Adjustment.account == account, col(Adjustment.lead).in_(ids))
        .order_by(col(Adjustment.delivery), col(Adjustment.number))
    ):
        found.setdefault(each.delivery, []).append(each)
    return found


def due_adjustment_targets(
    session: Session, account: str, destination: str, *, now: datetime, new_by: datetime | None
) -> list[Target]:
    """Where corrections go whose time has come."""
    rows = session.exec(
        select(Adjustment.transport, Adjustment.owner, Adjustment.action, Adjustment.source)
        .where(*_due_adjustment(account, destination, now), _may_go(new_by))
        .distinct()
    )
    return sorted(Target(*row) for row in rows)


def due_adjustments(
    session: Session,
    account: str,
    destination: str,
    target: Target,
    *,
    now: datetime,
    new_by: datetime | None,
    after: Adjustment | None = None,
    limit: int,
) -> list[Adjustment]:
    """Corrections whose time has come, oldest first; those after one of them.

    Of those that were never tried, only what was due by `new_by` already; where that is None, nothing.
    """
    here = (Adjustment.transport, Adjustment.owner, Adjustment.action, Adjustment.source)
    place = (col(Adjustment.at), col(Adjustment.id))
    return list(
        session.exec(
            select(Adjustment)
            .where(
                *_due_adjustment(account, destination, now),
                _may_go(new_by),
                *(column == part for column, part in zip(here, _parts(target), strict=True)),
                *([] if after is None else [tuple_(*place) > (after.at, after.id)]),
            )
            .order_by(*place)
            .limit(limit)
        )
    )


def count_new_adjustments(session: Session, account: str, destination: str, *, now: datetime) -> int:
    """How many corrections are due that were never tried."""
    wanted = _due_adjustment(account, destination, now)
    return session.exec(select(func.count()).select_from(Adjustment).where(*wanted, ~_tried())).one()


def hold_adjustments(session: Session, account: str, destination: str, *, now: datetime) -> None:
    """Note that what is due and was never tried waits for a human."""
    wanted = (*_due_adjustment(account, destination, now), ~_tried())
    session.exec(
        update(Adjustment)
        .where(*wanted)
        .values(reason=Reason.EXCESS_VOLUME, detail=None)
        .execution_options(synchronize_session=False)
    )


def look_at_closed(session: Session, account: str, *, now: datetime) -> None:
    """Have leads looked at whose corrections wait, and whose time for them is over."""
    closed = select(Adjustment.lead).where(
        Adjustment.account == account, col(Adjustment.state).in_(OPEN), col(Adjustment.expires_at) < now
    )
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(closed))
        .values(to_correct=True)
        .execution_options(synchronize_session=False)
    )


def retracted(session: Session, account: str, ids: Collection[LeadId]) -> dict[int, datetime]:
    """The deliveries of these leads that were taken back whole, and the time they were taken back for."""
    rows = session.exec(
        select(Adjustment).where(
            Adjustment.account == account,
            col(Adjustment.lead).in_(ids),
            Adjustment.kind == AdjustmentKind.RETRACTION,
            Adjustment.state == DeliveryState.ACCEPTED,
        )
    )
    return {row.delivery: row.at for row in rows}


def history(session: Session, adjustment: int) -> list[AdjustmentTransition]:
    """Every move of a correction, oldest first."""
    return list(
        session.exec(
            select(AdjustmentTransition)
            .where(AdjustmentTransition.adjustment == adjustment)
            .order_by(col(AdjustmentTransition.id))
        )
    )


def _due_adjustment(account: str, destination: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Adjustment.account) == account,
        col(Adjustment.destination) == destination,
        col(Adjustment.state) == DeliveryState.PENDING,
        *time_has_come(Adjustment, now),
    )


def _parts(target: Target) -> tuple[str, str, str, str]:
    return target.transport, target.owner, target.action, target.source


def _may_go(new_by: datetime | None) -> ColumnElement[bool]:
    """Whether a correction was tried before, or was due by then for the first time; None lets no new one go."""
    return _tried() if new_by is None else or_(_tried(), and_(*time_has_come(Adjustment, new_by)))


def _tried() -> ColumnElement[bool]:
    """Whether a correction was in a request before: those that a platform keeps refusing whole are no surge."""
    return exists().where(col(AdjustmentAttempt.adjustment) == col(Adjustment.id))
