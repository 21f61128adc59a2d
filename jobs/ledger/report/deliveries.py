"""Queries for the page: conversions by night, after a run, held, sent and lost."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import ColumnElement, Row, and_, exists, func, or_
from sqlmodel import Session, col, select

from jobs.ledger import bulk
from jobs.ledger.leads.leads import IS_COUNTED, has_related_row
from jobs.ledger.outbox.outbox import WITH_REASON, cause_from_columns
from jobs.ledger.report.leads import Span
from jobs.ledger.report.queries import CENTS, StateCount, sum_of_cents
from jobs.ledger.runs import NIGHTLY, RESOLVING
from jobs.ledger.schema import (
    STREAMED,
    ClickIdRow,
    Delivery,
    LeadRow,
    Run,
    Transition,
    is_conversion,
    matches_delivery_kind,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Reason

_FROM, _TO = col(Transition.from_state), col(Transition.to_state)

# ── runs and nights ──────────────────────────────────────────────────────────────────────────────


def last_night(session: Session, account: str) -> Run | None:
    """Return the last run that was a whole night's work, ended or not."""
    nights = select(Run).where(Run.account == account, Run.command == NIGHTLY)
    return session.exec(nights.order_by(col(Run.id).desc()).limit(1)).first()


def runs_by_night(session: Session, account: str, zone: ZoneInfo, *, first: date, last: date) -> dict[date, list[int]]:
    """Return the runs of each day's nights; a run that only asks for outcomes belongs to the night before it."""
    # Two days more: the first run may ask for the outcomes of the night before.
    since = datetime.combine(first, time(), zone).astimezone(UTC) - timedelta(days=2)
    rows = session.exec(
        select(Run.id, Run.command, Run.started_at)
        .where(Run.account == account, Run.started_at >= since)
        .order_by(col(Run.id))
    )
    found: dict[date, list[int]] = {}
    night: date | None = None
    for run, command, started_at in rows:
        if command != RESOLVING or night is None:
            night = started_at.astimezone(zone).date()
        if run is not None and first <= night <= last:
            found.setdefault(night, []).append(run)
    return found


def state_counts_after_runs(session: Session, runs: Sequence[int]) -> Iterator[StateCount]:
    """Yield where the conversions that runs moved stood at the end of the last one."""
    place = (col(Delivery.conversion), col(Delivery.destination))
    rows = session.connection().execute(
        sqlalchemy.select(*place, *_STOOD, func.count().label("conversions"), sum_of_cents().label("cents"))
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(_is_last(col(Transition.run).in_(runs)), is_conversion())
        .group_by(*place, *_STOOD)
    )
    for row in rows:
        state, cents = DeliveryState(row.to_state), row.cents * CENTS
        yield StateCount(row.conversion, row.destination, state, _cause(row), row.conversions, cents)


_STOOD: tuple[Any, ...] = (_TO, col(Transition.reason), col(Transition.code), col(Delivery.may_count_twice))
"""The columns that say to which state a transition led, and why."""


def _is_last(*of: ColumnElement[bool]) -> ColumnElement[bool]:
    """Match the last of these transitions of each delivery."""
    return col(Transition.id).in_(select(func.max(Transition.id)).where(*of).group_by(col(Transition.delivery)))


def _cause(row: Row[Any]) -> Cause:
    """Return why a transition led to its state, from a row with the columns `_STOOD`."""
    reason = row.reason if row.to_state in WITH_REASON else None
    return cause_from_columns(row.to_state, reason, row.code, may_count_twice=row.may_count_twice)


def count_sent(session: Session, run: int) -> dict[DeliveryState, int]:
    """Return how many conversions a run sent, whatever the answer, by the state in which it left them."""
    sent = or_(
        and_(_FROM == DeliveryState.IN_FLIGHT, _TO != DeliveryState.PENDING),
        and_(_TO == DeliveryState.IN_FLIGHT, col(Delivery.state) == DeliveryState.IN_FLIGHT),
    )
    mine = col(Transition.run) == run
    was_sent = (
        select(Transition.delivery)
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(mine, is_conversion(), sent)
    )
    last = _is_last(mine, col(Transition.delivery).in_(was_sent))
    rows = session.exec(select(_TO, func.count()).where(last).group_by(_TO))
    return {DeliveryState(state): count for state, count in rows}


# ── conversions with their leads ─────────────────────────────────────────────────────────────────


def unsent_after_run(session: Session, run: int) -> Iterator[tuple[DeliveryState, Cause, Row[Any]]]:
    """Yield those that a run left held or expired, and why; those that are alike together.

    The columns are conversion, destination, value, facts and conversions, which is their number.
    """
    alike = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.value), col(LeadRow.facts))
    rows = session.connection().execute(
        sqlalchemy.select(*alike, *_STOOD, func.count().label("conversions"))
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .join(LeadRow, _of_its_lead())
        .where(
            _is_last(col(Transition.run) == run),
            is_conversion(),
            _TO.in_((DeliveryState.WITHHELD, DeliveryState.EXPIRED)),
        )
        .group_by(*alike, *_STOOD),
        execution_options=STREAMED,
    )
    for row in rows:
        yield DeliveryState(row.to_state), _cause(row), row


_UNMARKED = (Reason.NO_CLICK_ID, Reason.NO_IDENTIFIER)
"""Reasons that someone can mend only where they have a detail: an id that is there but cannot be told."""


def held_conversions(
    session: Session, account: str, reasons: Collection[Reason], *, expiring: Span | None = None
) -> Iterator[Row[Any]]:
    """Yield the conversions held for one of these reasons, the latest leads' first: each with its lead's facts.

    With `expiring`, those that expire at another time may be left out.

    The columns are lead, conversion, destination, reason, detail, expires_at, facts and has_click. What is held for
    want of a click id is left out where the lead has none at all: nothing brings one back.
    """
    rows: Iterable[Row[Any]] = session.connection().execute(
        sqlalchemy.select(
            *(col(Delivery.lead), col(Delivery.conversion), col(Delivery.destination), col(Delivery.reason)),
            *(
                col(Delivery.detail),
                col(Delivery.expires_at),
                col(LeadRow.facts),
                has_related_row(ClickIdRow, account).label("has_click"),
            ),
        )
        .join(LeadRow, _of_its_lead())
        .where(
            col(Delivery.account) == account,
            col(Delivery.state) == DeliveryState.WITHHELD,
            matches_delivery_kind(corrections=False),
            col(Delivery.reason).in_(reasons),
            or_(col(Delivery.reason).not_in(_UNMARKED), col(Delivery.detail).is_not(None)),
            sqlalchemy.true() if expiring is None else col(Delivery.expires_at).between(*expiring),
        )
        .order_by(col(LeadRow.created_at).desc(), col(Delivery.id)),
        execution_options=STREAMED,
    )
    yield from rows


def _of_its_lead() -> ColumnElement[bool]:
    return and_(col(LeadRow.account) == col(Delivery.account), col(LeadRow.id) == col(Delivery.lead))


def _was_moved(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(Transition.delivery) == col(Delivery.id), *conditions)


_SENT = or_(
    col(Delivery.state) == DeliveryState.IN_FLIGHT,
    # What did not reach the platform returns to pending.
    _was_moved(_FROM == DeliveryState.IN_FLIGHT, _TO != DeliveryState.PENDING),
)
_RECEIVED = _was_moved(_TO.in_((DeliveryState.SUBMITTED, DeliveryState.ACCEPTED)))
_PROGRESS = sqlalchemy.select(
    *(col(Delivery.lead), col(Delivery.destination), col(Delivery.conversion)),
    *(_SENT.label("sent"), _RECEIVED.label("received")),
    (col(Delivery.state) == DeliveryState.ACCEPTED).label("accepted"),
    col(Delivery.state).in_((DeliveryState.SKIPPED, DeliveryState.CANCELLED)).label("not_to_be_sent"),
).where(bulk.has_lead_among(col(Delivery.account), col(Delivery.lead)), matches_delivery_kind(corrections=False))


def conversion_progress(session: Session, account: str, leads: Collection[str]) -> Iterator[Row[Any]]:
    """Yield how far each conversion of these leads got.

    The columns are lead, destination, conversion, sent, received, accepted and not_to_be_sent.
    """
    yield from bulk.select_rows(session, _PROGRESS, account, leads)


def count_expired_conversions(session: Session, account: str) -> Iterator[Row[Any]]:
    """Yield how many conversions have expired, those that are alike together.

    The columns are conversion, destination, reason, code, value, facts and conversions, which is their number.
    `value` is on record where they were once to be sent, and `facts` are those of their leads.
    """
    alike = (
        *(col(Delivery.conversion), col(Delivery.destination), col(Delivery.reason), col(Delivery.code)),
        *(col(Delivery.value), col(LeadRow.facts)),
    )
    rows: Iterable[Row[Any]] = session.connection().execute(
        sqlalchemy.select(*alike, func.count().label("conversions"))
        .join(LeadRow, _of_its_lead())
        .where(
            col(Delivery.account) == account,
            col(Delivery.state) == DeliveryState.EXPIRED,
            matches_delivery_kind(corrections=False),
        )
        .group_by(*alike),
        execution_options=STREAMED,
    )
    yield from rows


def lost_conversions(session: Session, account: str, created: Span) -> Iterator[Row[Any]]:
    """Yield the expired conversions of leads created in a span.

    The columns are conversion, destination, held_for, facts and known_late, which is whether it happened
    in time but was known only after its window had closed.
    """
    came_late = _was_moved(col(Transition.from_state).is_(None), _TO == DeliveryState.EXPIRED)
    known_late = and_(came_late, col(Delivery.held_for).is_(None), col(Delivery.at) <= col(Delivery.expires_at))
    rows: Iterable[Row[Any]] = session.connection().execute(
        sqlalchemy.select(
            *(col(Delivery.conversion), col(Delivery.destination), col(Delivery.held_for), col(LeadRow.facts)),
            func.coalesce(known_late, sqlalchemy.false()).label("known_late"),
        )
        .join(LeadRow, _of_its_lead())
        .where(
            col(Delivery.account) == account,
            col(Delivery.state) == DeliveryState.EXPIRED,
            matches_delivery_kind(corrections=False),
            col(LeadRow.created_at) >= created[0],
            col(LeadRow.created_at) < created[1],
            IS_COUNTED,
        ),
        execution_options=STREAMED,
    )
    yield from rows
