"""What becomes of the rows of requests: a few statements for all rows that are settled alike."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, func, literal
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col

from connectors.records import OutcomeClass, Target
from jobs.ledger.bulk import column_in_ids, table_of
from jobs.ledger.outbox.outbox import (
    SETTLED,
    SentRow,
    StateChange,
    delivery_state_columns,
    flag_for_correction_check,
    record_delivery_transitions,
)
from jobs.ledger.outbox.requests import RequestState, is_unanswered
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Attempt, Delivery, Request, is_correction, matches_delivery_kind
from jobs.rules.delivery_state import DeliveryState, check_delivery_move
from jobs.rules.reasons import Cause

_KNOWN: tuple[ColumnElement[Any] | Mapped[Any], ...] = (
    col(Delivery.id),
    col(Delivery.lead),
    col(Delivery.state),
    col(Delivery.kind),
    col(Delivery.conversion),
    col(Delivery.destination),
    col(Delivery.action),
    col(Delivery.original),
    col(Delivery.in_doubt_since).is_not(None),
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The state that rows enter, and why."""

    state: DeliveryState
    cause: Cause
    detail: str | None = None
    outcome: OutcomeClass | None = None
    """The class of the platform's answer; None without one."""
    deferred_until: datetime | None = None
    """A new delay set by the platform; None leaves the last one."""


def sent_rows(session: Session, request: int) -> list[SentRow]:
    """Return the rows of a request, in the order they were sent."""
    sent = sqlalchemy.select(*_KNOWN).join(Attempt, col(Attempt.delivery) == col(Delivery.id))
    return _rows(session, sent.where(col(Attempt.request) == request).order_by(col(Attempt.position)))


def row_positions_in_request(session: Session, request: int) -> list[int]:
    """Return the places in a request of the rows still on record, in the order of `sent_rows`."""
    places = sqlalchemy.select(col(Attempt.position)).where(col(Attempt.request) == request)
    return list(session.connection().scalars(places.order_by(col(Attempt.position))))


def rows_in_doubt_before(session: Session, account: str, before: datetime) -> list[SentRow]:
    """Return the deliveries in doubt since before a time, conversions first."""
    in_doubt = sqlalchemy.select(*_KNOWN).where(*_in_doubt(account), col(Delivery.in_doubt_since) < before)
    return _rows(session, in_doubt.order_by(is_correction(), col(Delivery.id)))


def _rows(session: Session, statement: Select[*tuple[object, ...]]) -> list[SentRow]:
    return list(map(SentRow._make, session.connection().execute(statement).all()))


def _in_doubt(account: str) -> tuple[ColumnElement[bool], ...]:
    return col(Delivery.account) == account, col(Delivery.state) == DeliveryState.IN_DOUBT


# ── settling ─────────────────────────────────────────────────────────────────────────────────────


def settle_rows(
    session: Session,
    ledger: Ledger,
    rows: Collection[SentRow],
    to: Settlement,
    *,
    now: datetime,
    request: Request | None = None,
) -> None:
    """Move rows, just read, to a state and record the transitions; those already in it only get the cause.

    `request` is the one that sent them, whose answer may now be lost.

    Raises:
        IllegalMoveError: the state table doesn't allow a move.
    """
    if not rows:
        return
    for before in sorted({DeliveryState(row.state) for row in rows} - {to.state}):
        check_delivery_move(before, to.state)
        leaving = [row.id for row in rows if row.state == before]
        record_delivery_transitions(
            session, ledger, StateChange(before, to.state, to.cause, to.detail), leaving, now=now
        )
    these = column_in_ids(col(Delivery.id), [row.id for row in rows])
    session.connection().execute(sqlalchemy.update(table_of(Delivery)).where(these).values(_changes(to, request)))
    if to.state in SETTLED:
        flag_for_correction_check(session, ledger, rows)


def _changes(to: Settlement, request: Request | None) -> dict[str, object]:
    """The columns that a settlement sets."""
    changes = delivery_state_columns(to.state, to.cause, to.detail)
    if to.outcome is not None:
        changes["outcome"] = to.outcome
    if to.deferred_until is not None:
        changes["deferred_until"] = to.deferred_until
    if to.state is DeliveryState.IN_DOUBT and request is not None:
        # The first request whose answer about these bytes was lost, and when it was sent.
        changes["in_doubt_since"] = func.coalesce(
            col(Delivery.in_doubt_since), literal(request.sent_at, table_of(Delivery).c.in_doubt_since.type)
        )
        changes["in_doubt_request"] = func.coalesce(col(Delivery.in_doubt_request), request.id)
    return changes


def record_outcomes(
    session: Session, request: int, rows: Collection[SentRow], outcome: OutcomeClass | None, code: str
) -> None:
    """Record the same outcome for these attempts of a request."""
    attempts = (col(Attempt.request) == request, column_in_ids(col(Attempt.delivery), [row.id for row in rows]))
    changed = sqlalchemy.update(table_of(Attempt)).where(*attempts).values(outcome=outcome, code=code)
    session.connection().execute(changed)


def defer_rows(session: Session, request: int, until: datetime) -> None:
    """Defer every row of a request by the platform's delay."""
    sent = sqlalchemy.select(col(Attempt.delivery)).where(col(Attempt.request) == request)
    these = col(Delivery.id).in_(sent)
    session.connection().execute(sqlalchemy.update(table_of(Delivery)).where(these).values(deferred_until=until))


# ── rows in doubt ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RowInDoubt:
    """A delivery in doubt, and how it was sent so far."""

    row: SentRow
    target: Target
    """The target its bytes were sent to."""
    since: datetime | None
    deferred_until: datetime | None
    last_request: int
    """The id of the last request containing it, or 0 if there is none."""
    unanswered: tuple[datetime, ...]
    """For each run that sent it without learning its outcome, the last time; oldest run first."""
    faulty: int
    """In how many of those runs this program failed, which says nothing about the platform."""


def rows_in_doubt(session: Session, account: str, destination: str, *, corrections: bool) -> Iterator[RowInDoubt]:
    """Yield the conversions or corrections in doubt at a destination, by id."""
    here = (
        *_in_doubt(account),
        col(Delivery.destination) == destination,
        matches_delivery_kind(corrections=corrections),
    )
    sends: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    faulty: defaultdict[int, set[int]] = defaultdict(set)
    last: dict[int, int] = {}
    requests: tuple[ColumnElement[Any] | Mapped[Any], ...] = (
        *(col(Attempt.delivery), col(Request.id), col(Request.run), col(Request.sent_at), col(Request.state)),
        is_unanswered() & (col(Request.id) >= func.coalesce(col(Delivery.in_doubt_request), 0)),
    )
    sent = (
        sqlalchemy.select(*requests)
        .join(Attempt, col(Attempt.request) == col(Request.id))
        .join(Delivery, col(Delivery.id) == col(Attempt.delivery))
    )
    connection = session.connection()
    for delivery, request, run, at, state, unanswered in connection.execute(
        sent.where(*here).order_by(col(Request.id))
    ):
        last[delivery] = request
        if unanswered:
            sends[delivery][run] = at
        if state == RequestState.FAULTY:
            faulty[delivery].add(run)
    place = (col(Delivery.transport), col(Delivery.owner), col(Delivery.action), col(Delivery.source))
    delays = (col(Delivery.in_doubt_since), col(Delivery.deferred_until))
    found = sqlalchemy.select(*delays, *place, *_KNOWN).where(*here).order_by(col(Delivery.id))
    for since, deferred_until, transport, owner, action, source, *known in connection.execute(found):
        row = SentRow._make(known)
        target = Target(transport or "", owner or "", action or "", source or "")
        runs = tuple(sends[row.id].values())
        yield RowInDoubt(row, target, since, deferred_until, last.get(row.id, 0), runs, len(faulty[row.id]))
