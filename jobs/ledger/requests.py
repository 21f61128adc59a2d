"""Stored requests and their attempts: what was sent, the receipts, and the outcomes still unknown."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy
from sqlalchemy import ColumnElement, exists, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import DeliveryKey, EncodedEvent, Outcome, OutcomeClass, Target
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    KINDS,
    AttemptRow,
    Delivery,
    OutboxRow,
    Request,
    RowKind,
    stored_row_id,
)


class RequestState(StrEnum):
    """The state of one wire call."""

    OPEN = "open"
    """The intent is committed; there is no receipt yet."""
    RECEIVED = "received"
    """Accepted for processing; the outcome must be fetched later."""
    SETTLED = "settled"
    REFUSED = "refused"
    """Rejected as a whole."""
    NOT_SENT = "not_sent"
    """Never reached the platform."""
    LOST = "lost"
    """It may have been sent; no receipt came back."""
    UNRESOLVED = "unresolved"
    """Received, but the platform never provided an outcome."""


_NOTHING_KEPT = (RequestState.NOT_SENT, RequestState.REFUSED)
"""States of requests from which the platform has kept nothing."""
_ARRIVED = (RequestState.RECEIVED, RequestState.SETTLED, RequestState.LOST, RequestState.UNRESOLVED)
_MAY_HAVE_ARRIVED = (None, OutcomeClass.DONE, OutcomeClass.RETRY, OutcomeClass.UNKNOWN)
"""Row outcomes after which the platform may have the row from that request."""
_INCONCLUSIVE = (OutcomeClass.UNKNOWN, OutcomeClass.EXPIRED)
"""Row outcomes that don't settle an earlier lost receipt: a row too old now may still have been accepted then."""


def may_have_reached_platform(request: type[Request] = Request) -> ColumnElement[bool]:
    """Match requests from which the platform may have kept something."""
    return col(request.state).not_in(_NOTHING_KEPT)


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that is committed but not yet sent."""

    request: int
    target: Target
    numbers: tuple[int, ...]
    events: tuple[EncodedEvent, ...]


def record_intent(
    session: Session, ledger: Ledger, target: Target, destination: str, batch: Sequence[OutboxRow], *, now: datetime
) -> Intent:
    """Record a request that is about to be sent, with each row's position in it; the rows' bytes are frozen."""
    request = Request(
        account=ledger.account,
        run=ledger.run,
        destination=destination,
        transport=target.transport,
        owner=target.owner,
        action=target.action,
        sent_at=now,
        rows=len(batch),
        state=RequestState.OPEN,
    )
    session.add(request)
    session.flush()
    number, kind = stored_row_id(request), type(batch[0])
    place: Callable[..., AttemptRow] = kind.attempts
    session.add_all(
        place(request=number, position=position, **{kind.link: stored_row_id(sent)})
        for position, sent in enumerate(batch)
    )
    events = tuple(EncodedEvent(DeliveryKey(sent.key), sent.event or b"") for sent in batch)
    return Intent(number, target, tuple(map(stored_row_id, batch)), events)


def attempts_of_request(session: Session, request: int) -> list[tuple[AttemptRow, OutboxRow]]:
    """Return a request's attempts with their deliveries or adjustments, in the order they were sent."""
    found: list[tuple[AttemptRow, OutboxRow]] = []
    for kind in KINDS:
        pairs = select(kind.attempts, kind).join(kind, col(kind.id) == kind.attempt_row_id_column())
        found += session.exec(pairs.where(kind.attempts.request == request).order_by(col(kind.attempts.position)))
    return found


def attempts_of_row(session: Session, sent: OutboxRow) -> list[tuple[AttemptRow, Request]]:
    """Return a row's attempts with their requests, oldest first."""
    kind = type(sent)
    pairs = select(kind.attempts, Request).join(Request, col(Request.id) == col(kind.attempts.request))
    return list(session.exec(pairs.where(kind.attempt_row_id_column() == sent.id).order_by(col(Request.id))))


def sent_before(session: Session, sent: OutboxRow, request: int) -> bool:
    """Return whether an earlier request may have delivered this delivery or adjustment to the platform."""
    return any(
        attempt.request < request and earlier.state in _ARRIVED and attempt.outcome in _MAY_HAVE_ARRIVED
        for attempt, earlier in attempts_of_row(session, sent)
    )


def last_send_time(session: Session, sent: OutboxRow) -> datetime | None:
    """Return when the last request that may have brought this row to the platform was sent, or None."""
    times = (request.sent_at for _, request in attempts_of_row(session, sent) if request.state not in _NOTHING_KEPT)
    return max(times, default=None)


def last_request_id_of(session: Session, sent: OutboxRow) -> int:
    """Return the id of the last request containing this row, or 0 if there is none."""
    return max((attempt.request for attempt, _ in attempts_of_row(session, sent)), default=0)


def unanswered_sends(session: Session, sent: OutboxRow) -> list[datetime]:
    """Return, for each run that sent this row without learning its outcome, the last time it did; oldest run first."""
    lost = (RequestState.OPEN, RequestState.LOST)
    found = {
        request.run: request.sent_at
        for attempt, request in attempts_of_row(session, sent)
        if attempt.request >= (sent.in_doubt_request or 0)
        and (request.state in lost or attempt.outcome in _INCONCLUSIVE)
    }
    return list(found.values())


def first_sends_by_request(
    session: Session, kind: RowKind, account: str, destination: str, *, since: datetime
) -> list[tuple[datetime, int]]:
    """Return, for each request since `since`, its send time and how many of its rows went out for the first time.

    Human-approved deliveries are excluded because they don't reflect a night's usual volume. A correction requeued by
    hand has gone out before, so it isn't counted.
    """
    mine = (col(Request.account) == account, col(Request.destination) == destination, col(Request.sent_at) >= since)
    first = (
        sqlalchemy.select(col(Request.sent_at), func.count())
        .where(*mine, *_first_send_conditions(kind))
        .group_by(col(Request.id))
    )
    return [(sent_at, count) for sent_at, count in session.connection().execute(first)]


def count_first_sends(session: Session, kind: RowKind, destination: str, runs: Collection[int]) -> int:
    """Return how many rows went out for the first time in these runs, counted as by `first_sends_by_request`."""
    mine = (col(Request.run).in_(runs), col(Request.destination) == destination)
    return session.exec(select(func.count()).where(*mine, *_first_send_conditions(kind))).one() if runs else 0


def _first_send_conditions(kind: RowKind) -> list[ColumnElement[bool]]:
    """Match requests and their rows that went out for the first time."""
    first = [may_have_reached_platform(), col(Request.id) == col(kind.attempts.request), ~_has_earlier_send(kind)]
    if kind is Delivery:
        first.append(
            ~exists().where(col(Delivery.id) == kind.attempt_row_id_column(), col(Delivery.approved_in).is_not(None))
        )
    return first


def _has_earlier_send(kind: RowKind) -> ColumnElement[bool]:
    """Match attempts whose row went out in an earlier request; correlated, as there may be years of attempts."""
    earlier, before = aliased(kind.attempts), aliased(Request)
    return exists().where(
        getattr(earlier, kind.link) == kind.attempt_row_id_column(),
        col(earlier.request) < col(kind.attempts.request),
        col(before.id) == col(earlier.request),
        may_have_reached_platform(before),
    )


def record_outcome(session: Session, attempt: AttemptRow, outcome: Outcome) -> None:
    """Record the outcome of one attempt."""
    attempt.outcome, attempt.code = outcome.kind, outcome.code
    session.add(attempt)


def requests_in_state(session: Session, account: str, state: RequestState) -> list[Request]:
    """Return the requests in a state, oldest first."""
    wanted = select(Request).where(Request.account == account, Request.state == state)
    return list(session.exec(wanted.order_by(col(Request.id))))
