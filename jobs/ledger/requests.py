"""Stored requests and their attempts: what was sent, the receipts, and the outcomes still unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy
from sqlalchemy import ColumnElement, exists, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import DeliveryKey, EncodedEvent, Outcome, OutcomeClass, Target
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    CONVERSIONS,
    KINDS,
    Delivery,
    OutboxRow,
    Place,
    Request,
    RowKind,
    identity,
    row_kind,
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


_MAY_HAVE_ARRIVED = (OutcomeClass.DONE, OutcomeClass.RETRY, OutcomeClass.UNKNOWN)
"""Row outcomes after which the platform may have the row from that request."""
_INCONCLUSIVE = (OutcomeClass.UNKNOWN, OutcomeClass.EXPIRED)
"""Row outcomes that don't settle an earlier lost receipt: a row too old now may still have been accepted then."""


def went_out(request: type[Request] = Request) -> ColumnElement[bool]:
    """Match requests from which the platform may have kept something."""
    return col(request.state).not_in((RequestState.NOT_SENT, RequestState.REFUSED))


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that is committed but not yet sent."""

    request: int
    target: Target
    numbers: tuple[int, ...]
    events: tuple[EncodedEvent, ...]


def begin(
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
    number, kind = identity(request), row_kind(batch[0])
    place: Callable[..., Place] = kind.attempts
    session.add_all(
        place(request=number, position=position, **{kind.name: identity(sent)}) for position, sent in enumerate(batch)
    )
    events = tuple(EncodedEvent(DeliveryKey(sent.key), sent.event or b"") for sent in batch)
    return Intent(number, target, tuple(map(identity, batch)), events)


def get(session: Session, request: int) -> Request:
    """Return a stored request."""
    return session.get_one(Request, request)


def rows(session: Session, request: int) -> list[tuple[Place, OutboxRow]]:
    """Return a request's attempts with their deliveries or adjustments, in the order they were sent."""
    found: list[tuple[Place, OutboxRow]] = []
    for kind in KINDS:
        attempts = select(kind.attempts, kind.sent).join(kind.sent, col(kind.sent.id) == kind.attempted)
        found += session.exec(attempts.where(kind.attempts.request == request).order_by(col(kind.attempts.position)))
    return found


def sent_before(session: Session, sent: OutboxRow, request: int) -> bool:
    """Return whether an earlier request may have delivered this delivery or adjustment to the platform."""
    arrived = (RequestState.RECEIVED, RequestState.SETTLED, RequestState.LOST, RequestState.UNRESOLVED)
    kind = row_kind(sent)
    outcome = col(kind.attempts.outcome)
    earlier = (
        select(kind.attempts.request)
        .join(Request, col(Request.id) == col(kind.attempts.request))
        .where(
            kind.attempted == sent.id,
            col(kind.attempts.request) < request,
            col(Request.state).in_(arrived),
            or_(outcome.is_(None), outcome.in_(_MAY_HAVE_ARRIVED)),
        )
    )
    return session.exec(earlier).first() is not None


def last_sent(session: Session, sent: OutboxRow) -> datetime | None:
    """Return when the last request that may have brought this row to the platform was sent, or None."""
    kind = row_kind(sent)
    times = select(func.max(Request.sent_at)).join(kind.attempts, col(kind.attempts.request) == col(Request.id))
    return session.exec(times.where(kind.attempted == sent.id, went_out())).one()


def last_request(session: Session, sent: OutboxRow) -> int:
    """Return the id of the last request containing this row, or 0 if there is none."""
    kind = row_kind(sent)
    return session.exec(select(func.max(kind.attempts.request)).where(kind.attempted == sent.id)).one() or 0


def unanswered(session: Session, sent: OutboxRow) -> list[datetime]:
    """Return, for each run that sent this row without learning its outcome, the last time it did; oldest run first."""
    kind = row_kind(sent)
    lost = (
        select(Request.run, Request.sent_at)
        .join(kind.attempts, col(kind.attempts.request) == col(Request.id))
        .where(
            kind.attempted == sent.id,
            col(kind.attempts.request) >= (sent.in_doubt_request or 0),
            or_(
                col(Request.state).in_((RequestState.OPEN, RequestState.LOST)),
                col(kind.attempts.outcome).in_(_INCONCLUSIVE),
            ),
        )
    )
    return list(dict(session.exec(lost.order_by(col(Request.id))).all()).values())


def first_sends(
    session: Session, kind: RowKind, account: str, destination: str, *, since: datetime
) -> list[tuple[datetime, int]]:
    """Return, for each request since `since`, its send time and how many of its rows went out for the first time.

    Human-approved deliveries are excluded because they don't reflect a night's usual volume. A correction requeued by
    hand has gone out before, so it isn't counted.
    """
    attempts = (
        sqlalchemy.select(col(Request.sent_at), func.count())
        .where(
            col(Request.account) == account,
            col(Request.destination) == destination,
            col(Request.sent_at) >= since,
            went_out(),
            col(Request.id) == col(kind.attempts.request),
            ~_went_before(kind),
        )
        .group_by(col(Request.id))
    )
    if kind is CONVERSIONS:
        approved = exists().where(col(Delivery.id) == kind.attempted, col(Delivery.approved_in).is_not(None))
        attempts = attempts.where(~approved)
    return [(sent_at, count) for sent_at, count in session.connection().execute(attempts)]


def _went_before(kind: RowKind) -> ColumnElement[bool]:
    """Match attempts whose row went out in an earlier request; correlated, as there may be years of attempts."""
    earlier, before = aliased(kind.attempts), aliased(Request)
    return exists().where(
        getattr(earlier, kind.name) == kind.attempted,
        col(earlier.request) < col(kind.attempts.request),
        col(before.id) == col(earlier.request),
        went_out(before),
    )


def note(session: Session, attempt: Place, outcome: Outcome) -> None:
    """Record the outcome of one attempt."""
    attempt.outcome, attempt.code = outcome.kind, outcome.code
    session.add(attempt)


def in_state(session: Session, account: str, state: RequestState) -> list[Request]:
    """Return the requests in a state, oldest first."""
    wanted = select(Request).where(Request.account == account, Request.state == state)
    return list(session.exec(wanted.order_by(col(Request.id))))
