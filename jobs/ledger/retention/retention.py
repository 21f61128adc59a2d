"""What has grown old in the ledger: leads to which nothing has happened for long, runs, problems that are over."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import ColumnElement, Delete, and_, delete, exists, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.schema import (
    Attempt,
    Delivery,
    ExcludedTestLead,
    ExpectedValue,
    IncidentRow,
    LabelMove,
    LeadRow,
    PlatformStatementRow,
    Request,
    RetentionMark,
    Run,
    StatusChange,
    StatusRename,
    Transition,
    UnreadableLeadRow,
    WeeklySummary,
    matches_delivery_kind,
)
from jobs.rules.delivery_state import FROZEN, DeliveryState
from jobs.rules.reasons import Message

OVERDUE_AFTER = timedelta(days=7)
"""So long a night may miss something that the next ones read; after that, somebody must know."""


@dataclass(slots=True)
class ErasedByAge:
    """What a night erased because it had grown old."""

    leads: int = 0
    before: datetime | None = None
    """Nothing had happened to those leads since then; None if none left."""
    runs: int = 0
    """Runs and requests."""
    is_whole: bool = True
    """False if the next night goes on: time ran out, a stop was requested, or the clock may be wrong."""
    problem: Message | None = None
    """Why what is too old is still there; the night stands, and the next one tries again."""


# ── the mark ─────────────────────────────────────────────────────────────────────────────────────


def retention_mark(session: Session, account: str) -> RetentionMark | None:
    """Return how far leads have left; None before the first night that looked for any."""
    return session.get(RetentionMark, account)


def retention_cutoff(session: Session, account: str) -> datetime | None:
    """Return the time before which leads that are unknown may have left; None if none has."""
    mark = retention_mark(session, account)
    return None if mark is None else mark.before


def advance_retention_mark(session: Session, account: str, before: datetime, *, now: datetime) -> None:
    """Move the mark forward, never back: whatever left before an earlier mark would be taken for new."""
    mark = retention_mark(session, account)
    if mark is None:
        session.add(RetentionMark(account=account, before=before, since=now, leads=0))
    elif before > mark.before:
        mark.before = before


@dataclass(frozen=True, slots=True)
class RetentionTotals:
    """How much has left the ledger."""

    leads: int
    conversions: int
    since: datetime
    """When the first left."""
    before: datetime
    """Of the leads created before then, only those that something has happened to since are kept."""


def retention_totals(session: Session, account: str) -> RetentionTotals | None:
    """Return how much has left; None if nothing has."""
    mark = retention_mark(session, account)
    if mark is None:
        return None
    return RetentionTotals(mark.leads, mark.conversions, mark.since, mark.before)


_COUNT_CONVERSIONS = sqlalchemy.select(func.count()).where(
    bulk.has_lead_among(col(Delivery.account), col(Delivery.lead)), matches_delivery_kind(corrections=False)
)


def count_leaving_leads(session: Session, account: str, leads: Collection[LeadId]) -> None:
    """Count leads that leave, and their conversions, before they are erased."""
    mark = session.get_one(RetentionMark, account)
    mark.leads += len(leads)
    mark.conversions += sum(count for (count,) in bulk.select_rows(session, _COUNT_CONVERSIONS, account, leads))


_ON_RECORD = sqlalchemy.select(col(LeadRow.id)).where(bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)))


def possibly_erased_leads(session: Session, account: str, created: Mapping[LeadId, datetime]) -> set[LeadId]:
    """Return which of these leads are not on record and so old that they may have left.

    Taken for new, they would be judged to enter their stages again, and be sent a second time: nothing tells what was
    sent of them.
    """
    before = retention_cutoff(session, account) if created else None
    if before is None:
        return set()
    old = {lead for lead, at in created.items() if at < before}
    return old.difference(row.id for row in bulk.select_rows(session, _ON_RECORD, account, old))


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


def old_leads(
    session: Session, account: str, *, before: datetime, now: datetime, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[datetime, LeadId]]:
    """Return the creation and id of up to `limit` leads to which nothing has happened since `before`, oldest first.

    That is: they were created, changed, last entered a status and last had something to send before then; nothing of
    theirs is still to be decided, sent or answered. Where Oplead does not say when a lead changed, it did when it was
    last stored. `after` is the last one seen.
    """
    place = (col(LeadRow.created_at), col(LeadRow.id))
    wanted = sqlalchemy.select(*place).where(*_is_old(account, before, now))
    if after is not None:
        wanted = wanted.where(sqlalchemy.tuple_(*place) > after)
    rows = session.connection().execute(wanted.order_by(*place).limit(limit))
    return [(created, LeadId(lead)) for created, lead in rows]


def _is_old(account: str, before: datetime, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(LeadRow.account) == account,
        col(LeadRow.created_at) < before,
        func.coalesce(col(LeadRow.updated_at), col(LeadRow.seen_at)) < before,
        ~col(LeadRow.to_plan),
        ~col(LeadRow.to_correct),
        ~_has(StatusChange, col(StatusChange.at) >= before),
        ~_has(LabelMove, col(LabelMove.waits).is_(True)),
        ~_has(Delivery, or_(col(Delivery.at) >= before, _is_unfinished(now))),
    )


def has_lead_overdue_for_erasure(session: Session, account: str, *, before: datetime, now: datetime) -> bool:
    """Return whether a lead should have left more than `OVERDUE_AFTER` ago, in an account that has run for as long."""
    has_run = exists().where(col(Run.account) == account, col(Run.started_at) < now - OVERDUE_AFTER)
    is_overdue = (*_is_old(account, before - OVERDUE_AFTER, now), has_run)
    return session.exec(select(LeadRow.id).where(*is_overdue).limit(1)).first() is not None


def _has(table: type[StatusChange | LabelMove | Delivery], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(table.account) == col(LeadRow.account), col(table.lead) == col(LeadRow.id), *conditions)


def _is_unfinished(now: datetime) -> ColumnElement[bool]:
    """Match deliveries that are to be sent or answered, or are held and may still be released."""
    # No bare column, or SQLite searches everything in these states instead of the lead's few deliveries.
    state = col(Delivery.state).concat("")
    return or_(
        state.in_((DeliveryState.PENDING, *FROZEN)),
        and_(state == DeliveryState.WITHHELD, col(Delivery.expires_at) >= now),
    )


# ── runs, and what is over ───────────────────────────────────────────────────────────────────────


def _old_requests(account: str, before: datetime) -> ColumnElement[bool]:
    """Match requests whose rows have all gone; never the last one, by which an older copy of the state is told."""
    return and_(
        col(Request.account) == account,
        col(Request.sent_at) < before,
        col(Request.state).not_in((RequestState.OPEN, RequestState.RECEIVED)),
        ~exists().where(col(Attempt.request) == col(Request.id)),
        ~exists().where(col(Delivery.in_doubt_request) == col(Request.id)),
        col(Request.id) < select(func.max(Request.id)).scalar_subquery(),
    )


def _old_runs(account: str, before: datetime) -> ColumnElement[bool]:
    """Match runs that nothing refers to; never the first one, since which changes are told as they happen."""
    return and_(
        col(Run.account) == account,
        col(Run.started_at) < before,
        ~exists().where(col(Request.run) == col(Run.id)),
        ~exists().where(col(Transition.run) == col(Run.id)),
        ~exists().where(col(StatusRename.run) == col(Run.id)),
        col(Run.id) > select(func.min(Run.id)).where(Run.account == account).scalar_subquery(),
    )


def erase_old_runs(session: Session, account: str, *, before: datetime, limit: int) -> int:
    """Erase up to `limit` requests and runs from before then that nothing refers to any more; return their number."""
    erased = 0
    for table, old in ((Request, _old_requests(account, before)), (Run, _old_runs(account, before))):
        some = sqlalchemy.select(col(table.id)).where(old).order_by(col(table.id)).limit(limit - erased)
        erased += _erase(session, table, session.connection().execute(some).scalars().all())
    return erased


def _erase(session: Session, table: type[Request | Run | ExpectedValue], found: Iterable[int | None]) -> int:
    ids = [each for each in found if each is not None]
    if ids:
        session.connection().execute(delete(bulk.table_of(table)).where(bulk.column_in_ids(col(table.id), ids)))
    return len(ids)


def erase_outdated_records(session: Session, account: str, *, before: datetime) -> None:
    """Erase what is over since before then: problems, estimates that others replaced, what platforms once said."""
    over: Sequence[Delete] = (
        delete(IncidentRow).where(col(IncidentRow.account) == account, col(IncidentRow.cleared_at) < before),
        delete(PlatformStatementRow).where(
            col(PlatformStatementRow.account) == account, col(PlatformStatementRow.read_at) < before
        ),
        delete(WeeklySummary).where(col(WeeklySummary.account) == account, col(WeeklySummary.week) < before.date()),
    )
    for statement in over:
        session.exec(statement.execution_options(synchronize_session=False))
    if replaced := _replaced_estimates(session, account, before):
        mine = (col(Delivery.account) == account, col(Delivery.estimate).in_(replaced))
        used = session.connection().execute(sqlalchemy.select(col(Delivery.estimate)).where(*mine)).scalars()
        _erase(session, ExpectedValue, set(replaced).difference(used))


def _replaced_estimates(session: Session, account: str, before: datetime) -> Sequence[int | None]:
    newer = aliased(ExpectedValue)
    is_replaced = exists().where(
        col(newer.account) == col(ExpectedValue.account),
        col(newer.conversion) == col(ExpectedValue.conversion),
        col(newer.basis) == col(ExpectedValue.basis),
        col(newer.id) > col(ExpectedValue.id),
    )
    old = (col(ExpectedValue.account) == account, col(ExpectedValue.computed_at) < before, is_replaced)
    return session.connection().execute(sqlalchemy.select(col(ExpectedValue.id)).where(*old)).scalars().all()


def erase_old_unusable_leads(session: Session, account: str, *, before: datetime) -> None:
    """Erase what is known of test leads read, and of unreadable leads seen, before then and never since."""
    for table, at in ((ExcludedTestLead, ExcludedTestLead.read_at), (UnreadableLeadRow, UnreadableLeadRow.seen_at)):
        old = delete(table).where(col(table.account) == account, col(at) < before)
        session.exec(old.execution_options(synchronize_session=False))
