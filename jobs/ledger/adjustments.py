"""Corrections of accepted deliveries, asked for by their leads and by what is due."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, tuple_, update
from sqlmodel import Session, col, select

from connectors.records import AdjustmentKind, LeadId, Target
from jobs.ledger.fates import FROZEN, OPEN, Fate
from jobs.ledger.sendables import HELD, time_has_come
from jobs.ledger.tables import Adjustment, AdjustmentAttempt, AdjustmentTransition, LeadRow

UNSETTLED = OPEN | FROZEN
"""While a correction stands here, the next one of its delivery is not begun."""


def of_leads(session: Session, account: str, ids: Collection[LeadId]) -> dict[int, list[Adjustment]]:
    """Every correction of these leads' deliveries, by delivery, in the order they were begun."""
    found: dict[int, list[Adjustment]] = {}
    for each in session.exec(
        select(Adjustment)
        .where(Adjustment.account == account, col(Adjustment.lead).in_(ids))
        .order_by(col(Adjustment.delivery), col(Adjustment.number))
    ):
        found.setdefault(each.delivery, []).append(each)
    return found


def due_targets(
    session: Session, account: str, destination: str, *, now: datetime, new_by: datetime | None
) -> list[Target]:
    """Where corrections go whose time has come."""
    rows = session.exec(
        select(Adjustment.transport, Adjustment.owner, Adjustment.action, Adjustment.source)
        .where(*_due(account, destination, now), _may_go(new_by))
        .distinct()
    )
    return sorted(Target(*row) for row in rows)


def due(
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
                *_due(account, destination, now),
                _may_go(new_by),
                *(column == part for column, part in zip(here, _parts(target), strict=True)),
                *([] if after is None else [tuple_(*place) > (after.at, after.id)]),
            )
            .order_by(*place)
            .limit(limit)
        )
    )


def count_new(session: Session, account: str, destination: str, *, now: datetime) -> int:
    """How many corrections are due that were never tried."""
    wanted = _due(account, destination, now)
    return session.exec(select(func.count()).select_from(Adjustment).where(*wanted, ~_tried())).one()


def hold(session: Session, account: str, destination: str, *, now: datetime) -> None:
    """Note that what is due and was never tried waits for a human."""
    wanted = (*_due(account, destination, now), ~_tried())
    session.exec(update(Adjustment).where(*wanted).values(reason=HELD).execution_options(synchronize_session=False))


def look_at_closed(session: Session, account: str, *, now: datetime) -> None:
    """Have leads looked at whose corrections wait, and whose time for them is over."""
    closed = select(Adjustment.lead).where(
        Adjustment.account == account, col(Adjustment.fate).in_(OPEN), col(Adjustment.expires_at) < now
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
            Adjustment.fate == Fate.ACCEPTED,
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


def _due(account: str, destination: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Adjustment.account) == account,
        col(Adjustment.destination) == destination,
        col(Adjustment.fate) == Fate.PENDING,
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
