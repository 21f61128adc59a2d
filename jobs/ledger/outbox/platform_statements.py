"""What platforms said about what they received, and our own counts of the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_
from sqlmodel import Session, col, delete, select

from connectors.records import (
    CountedRowsFilter,
    DestinationId,
    OutcomeClass,
    PlatformStatement,
    SentRequest,
    StatementSubject,
    Target,
)
from jobs.ledger.outbox.requests import may_have_reached_platform
from jobs.ledger.schema import Attempt, Delivery, PlatformStatementRow, Request, matches_delivery_kind


def replace_platform_statements(
    session: Session, account: str, destination: DestinationId, said: Sequence[PlatformStatement], *, now: datetime
) -> None:
    """Record what a platform says, in place of what it said of this destination before."""
    here = (col(PlatformStatementRow.account) == account, col(PlatformStatementRow.destination) == destination)
    session.execute(delete(PlatformStatementRow).where(*here))
    for position, each in enumerate(said):
        row = PlatformStatementRow(
            account=account,
            destination=destination,
            position=position,
            subject=each.subject,
            name=each.name,
            value=str(each.value),
            as_of=each.as_of,
            read_at=now,
        )
        if (counts := each.counts) is not None:
            row.transport, row.owner, row.action = counts.transport, counts.owner, counts.action
            row.counted_since, row.counted_until = counts.since, counts.until
            row.undecided, row.corrections, row.is_shared = counts.undecided, counts.corrections, counts.is_shared
        session.add(row)


def statements_last_read_at(session: Session, account: str) -> datetime | None:
    """Return when any platform was last asked."""
    return session.exec(
        select(func.max(PlatformStatementRow.read_at)).where(PlatformStatementRow.account == account)
    ).one()


@dataclass(frozen=True, slots=True)
class RecordedStatement:
    """A statement on record."""

    destination: str
    statement: PlatformStatement
    read_at: datetime


def statements_since(session: Session, account: str, since: datetime) -> Iterator[RecordedStatement]:
    """Yield the statements read since a time, as they were made."""
    rows = select(PlatformStatementRow).where(
        PlatformStatementRow.account == account, col(PlatformStatementRow.read_at) >= since
    )
    for row in session.exec(rows.order_by(col(PlatformStatementRow.destination), col(PlatformStatementRow.position))):
        counts = _counts(row)
        value = row.value if counts is None else int(row.value)
        said = PlatformStatement(StatementSubject(row.subject), row.name, value, row.as_of, counts)
        yield RecordedStatement(row.destination, said, row.read_at)


def _counts(row: PlatformStatementRow) -> CountedRowsFilter | None:
    if row.counted_since is None or row.counted_until is None:
        return None
    return CountedRowsFilter(
        row.transport or "",
        row.owner or "",
        row.action or "",
        row.counted_since,
        row.counted_until,
        row.undecided or 0,
        corrections=bool(row.corrections),
        is_shared=bool(row.is_shared),
    )


def sent_requests(
    session: Session, account: str, destination: DestinationId, since: datetime, until: datetime
) -> list[SentRequest]:
    """Return the requests that a platform may have kept something of, sent from `since` to before `until`, in order."""
    sent = select(Request).where(
        Request.account == account,
        Request.destination == destination,
        col(Request.sent_at) >= since,
        col(Request.sent_at) < until,
        may_have_reached_platform(),
    )
    return [
        SentRequest(Target(row.transport, row.owner, row.action, ""), row.sent_at, row.rows, row.ticket)
        for row in session.exec(sent.order_by(col(Request.sent_at), col(Request.id)))
    ]


@dataclass(frozen=True, slots=True)
class OwnCount:
    """How many rows a platform has accepted by our own records."""

    accepted: int
    undecided: int
    """How many more it may have counted: their outcome is not known, or they may count otherwise than ours."""


_NOT_COUNTED = [each for each in OutcomeClass if each not in (OutcomeClass.DONE, OutcomeClass.UNKNOWN)]


def count_own_accepted_rows(session: Session, account: str, destination: str, counted: CountedRowsFilter) -> OwnCount:
    """Count the rows that a platform's number counts."""
    is_comparable = matches_delivery_kind(corrections=False)
    if counted.corrections:
        is_comparable = or_(is_comparable, matches_delivery_kind(corrections=True))
    if counted.is_shared:
        happened = and_(col(Delivery.at) >= counted.since, col(Delivery.at) < counted.until)
        is_comparable = and_(is_comparable, happened)
    is_certain = and_(
        col(Attempt.outcome) == OutcomeClass.DONE, col(Delivery.may_count_twice).is_(False), is_comparable
    )
    rows = (
        select(func.count(), func.count().filter(is_certain))
        .select_from(Request)
        .join(Attempt, col(Attempt.request) == col(Request.id))
        .join(Delivery, col(Delivery.id) == col(Attempt.delivery))
        .where(
            Request.account == account,
            Request.destination == destination,
            col(Request.sent_at) >= counted.since,
            col(Request.sent_at) < counted.until,
            may_have_reached_platform(),
            Request.transport == counted.transport,
            Request.owner == counted.owner,
            Request.action == counted.action,
            func.coalesce(Attempt.outcome, "").not_in(_NOT_COUNTED),
        )
    )
    all_of_them, certain = session.exec(rows).one()
    return OwnCount(certain, all_of_them - certain)
