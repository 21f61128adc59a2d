"""Stored requests and their attempts: what was sent, the receipts, and the outcomes still unknown."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy
from sqlalchemy import ColumnElement, bindparam, exists, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import DeliveryKey, EncodedEvent, OutcomeClass, Target
from jobs.ledger import bulk
from jobs.ledger.json_sql import json_id_list_table
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Attempt, Delivery, DeliveryRecord, Request, is_conversion, stored_row_id


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
    FAULTY = "faulty"
    """It may have been sent, but this program failed before it knew; uses up no replay."""
    UNRESOLVED = "unresolved"
    """Received, but the platform never provided an outcome."""


_NOTHING_KEPT = (RequestState.NOT_SENT, RequestState.REFUSED)
"""States of requests from which the platform has kept nothing."""
_ARRIVED = (
    RequestState.RECEIVED,
    RequestState.SETTLED,
    RequestState.LOST,
    RequestState.FAULTY,
    RequestState.UNRESOLVED,
)
_MAY_HAVE_ARRIVED = (OutcomeClass.DONE, OutcomeClass.RETRY, OutcomeClass.UNKNOWN)
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


_listed = json_id_list_table(bindparam("deliveries"))
_RECORD_ATTEMPTS = bulk.insert_into(Attempt).from_select(
    ["request", "position", "delivery"],
    sqlalchemy.select(bindparam("number", type_=bulk.table_of(Attempt).c.request.type), _listed.c.key, _listed.c.value),
)


def record_request_intent(
    session: Session,
    ledger: Ledger,
    target: Target,
    destination: str,
    batch: Sequence[DeliveryRecord],
    *,
    now: datetime,
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
    number = stored_row_id(request)
    numbers = tuple(map(stored_row_id, batch))
    session.connection().execute(_RECORD_ATTEMPTS, {"number": number, "deliveries": json.dumps(numbers)})
    events = tuple(EncodedEvent(DeliveryKey(sent.key), sent.event or b"") for sent in batch)
    return Intent(number, target, numbers, events)


def attempts_of_delivery(session: Session, sent: Delivery) -> list[tuple[Attempt, Request]]:
    """Return a delivery's attempts with their requests, oldest first."""
    pairs = select(Attempt, Request).join(Request, col(Request.id) == col(Attempt.request))
    return list(session.exec(pairs.where(Attempt.delivery == sent.id).order_by(col(Request.id))))


def sent_in_earlier_request(session: Session, request: int, deliveries: Sequence[int]) -> set[int]:
    """Return those of a request's deliveries that an earlier request may have brought to the platform."""
    earlier = (col(Attempt.request) < request, col(Request.state).in_(_ARRIVED))
    may_have_arrived = or_(col(Attempt.outcome).is_(None), col(Attempt.outcome).in_(_MAY_HAVE_ARRIVED))
    sent = select(Attempt.delivery).join(Request, col(Request.id) == col(Attempt.request))
    return set(
        session.exec(sent.where(bulk.column_in_ids(col(Attempt.delivery), deliveries), *earlier, may_have_arrived))
    )


def last_send_by_delivery(session: Session, deliveries: Sequence[int]) -> dict[int, datetime]:
    """Return when the last request that may have brought each delivery to the platform was sent, if one may have."""
    last = select(Attempt.delivery, func.max(col(Request.sent_at))).join(
        Request, col(Request.id) == col(Attempt.request)
    )
    arrived = (bulk.column_in_ids(col(Attempt.delivery), deliveries), may_have_reached_platform())
    return dict(session.exec(last.where(*arrived).group_by(col(Attempt.delivery))).all())


def is_unanswered() -> ColumnElement[bool]:
    """Match attempts, with their requests, whose outcome is unknown."""
    lost = col(Request.state).in_((RequestState.OPEN, RequestState.LOST, RequestState.FAULTY))
    return or_(lost, col(Attempt.outcome).in_(_INCONCLUSIVE))


def first_sends_by_request(
    session: Session, account: str, destination: str, *, corrections: bool, since: datetime
) -> list[tuple[datetime, int]]:
    """Return, for each request since `since`, its send time and how many rows went out in it for the first time.

    Human-approved deliveries are excluded because they don't reflect a night's usual volume. A correction requeued by
    hand has gone out before, so it isn't counted.
    """
    mine = (col(Request.account) == account, col(Request.destination) == destination, col(Request.sent_at) >= since)
    first = (
        sqlalchemy.select(col(Request.sent_at), func.count())
        .where(*mine, *_first_send_conditions(corrections=corrections))
        # PostgreSQL counts only a primary key as naming its row, which is here the account and the id.
        .group_by(col(Request.id), col(Request.sent_at))
    )
    return [(sent_at, count) for sent_at, count in session.connection().execute(first)]


def count_first_sends(session: Session, destination: str, runs: Collection[int], *, corrections: bool) -> int:
    """Return how many went out for the first time in these runs, counted as by `first_sends_by_request`."""
    mine = (col(Request.run).in_(runs), col(Request.destination) == destination)
    first = _first_send_conditions(corrections=corrections)
    return session.exec(select(func.count()).where(*mine, *first)).one() if runs else 0


def _first_send_conditions(*, corrections: bool) -> tuple[ColumnElement[bool], ...]:
    """Match requests and their attempts of conversions or corrections that went out for the first time."""
    is_wanted = ~is_conversion() if corrections else is_conversion()
    is_counted = exists().where(
        col(Delivery.id) == col(Attempt.delivery), is_wanted, col(Delivery.approved_in).is_(None)
    )
    return may_have_reached_platform(), col(Request.id) == col(Attempt.request), is_counted, ~_has_earlier_send()


def _has_earlier_send() -> ColumnElement[bool]:
    """Match attempts whose delivery went out in an earlier request; correlated: there may be years of attempts."""
    earlier, before = aliased(Attempt), aliased(Request)
    return exists().where(
        col(earlier.delivery) == col(Attempt.delivery),
        col(earlier.request) < col(Attempt.request),
        col(before.id) == col(earlier.request),
        may_have_reached_platform(before),
    )


def requests_in_state(session: Session, account: str, state: RequestState) -> list[Request]:
    """Return the requests in a state, oldest first."""
    wanted = select(Request).where(Request.account == account, Request.state == state)
    return list(session.exec(wanted.order_by(col(Request.id))))
