"""Requests and the attempts in them: what was about to be sent, what came back, and what is still unknown."""

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
    """What is known of one wire call."""

    OPEN = "open"
    """The intent is committed; no receipt yet."""
    RECEIVED = "received"
    """Accepted by the platform for processing; its outcome is to be asked for."""
    SETTLED = "settled"
    REFUSED = "refused"
    """Rejected whole."""
    NOT_SENT = "not_sent"
    """It never arrived."""
    LOST = "lost"
    UNRESOLVED = "unresolved"
    """The platform never gave an outcome."""


_MAY_HAVE_ARRIVED = (OutcomeClass.DONE, OutcomeClass.RETRY, OutcomeClass.UNKNOWN)
"""Answers about a row after which the platform may have it from that request."""
_INCONCLUSIVE = (OutcomeClass.UNKNOWN, OutcomeClass.EXPIRED)
"""Answers that leave a row in doubt once an earlier one was lost: too old now says nothing of the first time."""


def went_out(request: type[Request] = Request) -> ColumnElement[bool]:
    """Whether a request may have left something with its platform."""
    return col(request.state).not_in((RequestState.NOT_SENT, RequestState.REFUSED))


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that is committed and about to be made."""

    request: int
    target: Target
    numbers: tuple[int, ...]
    events: tuple[EncodedEvent, ...]


def begin(
    session: Session, ledger: Ledger, target: Target, destination: str, batch: Sequence[OutboxRow], *, now: datetime
) -> Intent:
    """Write down a request that is about to be made, with each row's place in it; their bytes are frozen."""
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
    """A request on record."""
    return session.get_one(Request, request)


def rows(session: Session, request: int) -> list[tuple[Place, OutboxRow]]:
    """The attempts of a request with their deliveries, or adjustments, in the order they were sent."""
    found: list[tuple[Place, OutboxRow]] = []
    for kind in KINDS:
        attempts = select(kind.attempts, kind.sent).join(kind.sent, col(kind.sent.id) == kind.attempted)
        found += session.exec(attempts.where(kind.attempts.request == request).order_by(col(kind.attempts.position)))
    return found


def sent_before(session: Session, sent: OutboxRow, request: int) -> bool:
    """Whether an earlier request may have brought the delivery, or adjustment, to the platform."""
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
    """When the last request was made that may have brought it to the platform; None where none did."""
    kind = row_kind(sent)
    times = select(func.max(Request.sent_at)).join(kind.attempts, col(kind.attempts.request) == col(Request.id))
    return session.exec(times.where(kind.attempted == sent.id, went_out())).one()


def last_request(session: Session, sent: OutboxRow) -> int:
    """The request it was last sent in; 0 where it never was."""
    kind = row_kind(sent)
    return session.exec(select(func.max(kind.attempts.request)).where(kind.attempted == sent.id)).one() or 0


def unanswered(session: Session, sent: OutboxRow) -> list[datetime]:
    """When each run that sent it without ever learning the outcome last did so; the first run first."""
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
    """When each request since then was made, and how many rows went out in it for the first time.

    Deliveries that a human approved are left out: they say nothing of how much a night usually sends. A correction
    that was put back in the queue by hand went out before.
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
    """Whether what is sent went out in an earlier request; asked attempt by attempt, as there may be years of them."""
    earlier, before = aliased(kind.attempts), aliased(Request)
    return exists().where(
        getattr(earlier, kind.name) == kind.attempted,
        col(earlier.request) < col(kind.attempts.request),
        col(before.id) == col(earlier.request),
        went_out(before),
    )


def note(session: Session, attempt: Place, outcome: Outcome) -> None:
    """Record what was answered about one row."""
    attempt.outcome, attempt.code = outcome.kind, outcome.code
    session.add(attempt)


def in_state(session: Session, account: str, state: RequestState) -> list[Request]:
    """Requests in a state, oldest first."""
    wanted = select(Request).where(Request.account == account, Request.state == state)
    return list(session.exec(wanted.order_by(col(Request.id))))
