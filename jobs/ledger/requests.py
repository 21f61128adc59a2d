"""Requests and the attempts in them: what was about to be sent, what came back, and what is still unknown."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import assert_never

import sqlalchemy
from sqlalchemy import ColumnElement, exists, func, or_
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, col, select

from connectors.records import Outcome, OutcomeClass, Target
from jobs.ledger.outbox import number, places_of
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, AdjustmentAttempt, Attempt, Delivery, OutboxRow, Place, Request


class RequestState(StrEnum):
    """What is known of one wire call."""

    OPEN = "open"
    """The intent is committed; no receipt yet."""
    RECEIVED = "received"
    """Taken in by the platform; its outcome is to be asked for."""
    SETTLED = "settled"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    LOST = "lost"
    UNRESOLVED = "unresolved"
    """The platform never told."""


NOTHING_WENT_OUT = (RequestState.NOT_SENT, RequestState.REFUSED)
"""It never arrived, or was refused whole."""


def went_out() -> ColumnElement[bool]:
    """Whether a request may have left something with its platform."""
    return col(Request.state).not_in(NOTHING_WENT_OUT)


REFUSALS = frozenset(
    {
        OutcomeClass.DEFER,
        OutcomeClass.EXPIRED,
        OutcomeClass.FIX_DATA,
        OutcomeClass.DROP,
        OutcomeClass.DROP_EXPECTED,
        OutcomeClass.FIX_CONFIG,
        OutcomeClass.BUG,
        OutcomeClass.DUPLICATE,
    }
)
"""Answers about a row after which the platform does not have it from that request."""


def begin(
    session: Session,
    ledger: Ledger,
    target: Target,
    destination: str,
    batch: Sequence[OutboxRow],
    *,
    now: datetime,
) -> int:
    """Write down a request that is about to be made, with each delivery's place in it."""
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
    made = identity(request)
    session.add_all(_place(made, position, sent) for position, sent in enumerate(batch))
    return made


def _place(request: int, position: int, sent: OutboxRow) -> Place:
    match sent:
        case Delivery():
            return Attempt(request=request, position=position, delivery=number(sent))
        case Adjustment():
            return AdjustmentAttempt(request=request, position=position, adjustment=number(sent))
    assert_never(sent)


def get(session: Session, request: int) -> Request:
    """A request on record."""
    found = session.get(Request, request)
    if found is None:
        raise LookupError(f"no request {request}")
    return found


def rows(session: Session, request: int) -> list[tuple[Place, OutboxRow]]:
    """The attempts of a request with their deliveries, or adjustments, in the order they were sent."""
    delivered = session.exec(
        select(Attempt, Delivery)
        .join(Delivery, col(Delivery.id) == col(Attempt.delivery))
        .where(Attempt.request == request)
        .order_by(col(Attempt.position))
    )
    adjusted = session.exec(
        select(AdjustmentAttempt, Adjustment)
        .join(Adjustment, col(Adjustment.id) == col(AdjustmentAttempt.adjustment))
        .where(AdjustmentAttempt.request == request)
        .order_by(col(AdjustmentAttempt.position))
    )
    return [*delivered, *adjusted]


def sent_before(session: Session, sent: OutboxRow, request: int) -> bool:
    """Whether an earlier request may have brought the delivery, or adjustment, to the platform."""
    arrived = (RequestState.RECEIVED, RequestState.SETTLED, RequestState.LOST, RequestState.UNRESOLVED)
    place, whose = places_of(sent)
    earlier = (
        select(place.request)
        .join(Request, col(Request.id) == col(place.request))
        .where(
            whose,
            col(place.request) < request,
            col(Request.state).in_(arrived),
            or_(col(place.outcome).is_(None), col(place.outcome).not_in(REFUSALS)),
        )
    )
    return session.exec(earlier).first() is not None


def last_sent(session: Session, sent: OutboxRow) -> datetime | None:
    """When the last request was made that may have brought it to the platform; None where none did."""
    place, whose = places_of(sent)
    times = select(func.max(Request.sent_at)).join(place, col(place.request) == col(Request.id))
    return session.exec(times.where(whose, went_out())).one()


def first_sends(session: Session, account: str, destination: str, *, since: datetime) -> list[tuple[datetime, int]]:
    """When each request since then was made, and how many deliveries went out in it for the first time.

    What a human agreed to is left out: it says nothing of how much a night usually sends.
    """
    earlier = aliased(Attempt)
    agreed = exists().where(col(Delivery.id) == col(Attempt.delivery), col(Delivery.approved_in).is_not(None))
    again = _went_before(col(Attempt.request), col(earlier.request), col(earlier.delivery) == col(Attempt.delivery))
    return _sends(session, account, destination, col(Attempt.request), ~agreed, ~again, since=since)


def first_corrections(
    session: Session, account: str, destination: str, *, since: datetime
) -> list[tuple[datetime, int]]:
    """The same of corrections; each that was put back in the queue by hand went out before."""
    place, earlier = AdjustmentAttempt, aliased(AdjustmentAttempt)
    again = _went_before(col(place.request), col(earlier.request), col(earlier.adjustment) == col(place.adjustment))
    return _sends(session, account, destination, col(place.request), ~again, since=since)


def _went_before(request: Mapped[int], earlier: Mapped[int], same: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether what stands in a request went out in an earlier one: asked of each, for years of attempts may be."""
    before = aliased(Request)
    went = (col(before.id) == earlier, col(before.state).not_in(NOTHING_WENT_OUT))
    return exists().where(same, earlier < request, *went)


def _sends(
    session: Session,
    account: str,
    destination: str,
    request: Mapped[int],
    *counting: ColumnElement[bool],
    since: datetime,
) -> list[tuple[datetime, int]]:
    rows = session.connection().execute(
        sqlalchemy.select(col(Request.sent_at), func.count())
        .where(
            col(Request.account) == account,
            col(Request.destination) == destination,
            col(Request.sent_at) >= since,
            went_out(),
            col(Request.id) == request,
            *counting,
        )
        .group_by(col(Request.id))
    )
    return [(sent_at, count) for sent_at, count in rows]


def note(session: Session, attempt: Place, outcome: Outcome) -> None:
    """Write down what was answered about one row."""
    attempt.outcome, attempt.code = outcome.kind, outcome.code
    session.add(attempt)


def in_state(session: Session, account: str, state: RequestState) -> list[Request]:
    """Requests in a state, oldest first."""
    return list(
        session.exec(
            select(Request).where(Request.account == account, Request.state == state).order_by(col(Request.id))
        )
    )


def identity(request: Request) -> int:
    """The row's number, which a stored request always has."""
    if request.id is None:
        raise ValueError("the request is not stored yet")
    return request.id
