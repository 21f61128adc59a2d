"""Which leads need reading or judging again, and which are left out as tests."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, union, update
from sqlmodel import Session, col, delete, select

from connectors.records import LeadId
from jobs.ledger.schema import Adjustment, ClickIdRow, Delivery, ExcludedLead, LeadRow, UnreadableLeadRow
from jobs.rules.delivery_state import OPEN

_READ_AT = case(
    (col(LeadRow.asked_at) > col(LeadRow.seen_at), col(LeadRow.asked_at)),
    else_=col(LeadRow.seen_at),
)
"""When a lead was last seen, or asked for in vain after that."""


def on_record(session: Session, account: str, ids: Collection[LeadId]) -> set[LeadId]:
    """Those of the leads that something is kept of."""
    rows = session.exec(select(LeadRow.id).where(LeadRow.account == account, col(LeadRow.id).in_(ids)))
    return {LeadId(lead) for lead in rows}


def not_on_record(session: Session, account: str, ids: Sequence[LeadId]) -> list[LeadId]:
    """Those of the leads that nothing is kept of, or that were taken for gone; in their order, each once."""
    known = set(
        session.exec(
            select(LeadRow.id).where(
                LeadRow.account == account, col(LeadRow.id).in_(ids), col(LeadRow.deleted_at).is_(None)
            )
        )
    )
    return [lead for lead in dict.fromkeys(ids) if lead not in known]


def worth_reading(session: Session, account: str, *, since: datetime, before: datetime) -> list[LeadId]:
    """Leads of which something could still be sent, the longest unread first.

    Args:
        session: an open transaction.
        account: whose.
        since: a lead that was created or clicked since then may still reach something.
        before: those read since then are read enough.
    """
    rows = session.exec(
        select(LeadRow.id)
        .where(_is_worth_reading(account, since), before > _READ_AT)
        .order_by(_READ_AT, col(LeadRow.id))
    )
    return [LeadId(lead) for lead in rows]


def longest_unread(session: Session, account: str, *, since: datetime) -> datetime | None:
    """When the longest unread of those leads was read, or asked for in vain."""
    found: datetime | None = session.exec(select(func.min(_READ_AT)).where(_is_worth_reading(account, since))).one()
    return found


def note_asked(session: Session, account: str, ids: Collection[LeadId], *, at: datetime) -> None:
    """Note that leads were asked for one by one, whatever came of it: those that fail must not stand first for ever."""
    session.exec(update(LeadRow).where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids)).values(asked_at=at))


def unlisted(session: Session, account: str, *, since: datetime | None) -> list[LeadId]:
    """Leads with open deliveries that a complete list since then did not show, the longest unread first.

    Without a complete list only those that were not there when last asked for.
    """
    unseen = col(LeadRow.missing_since).is_not(None) if since is None else _unseen(account, since)
    # What is open is listed, and its leads are looked at: every lead may be many more.
    theirs = union(
        *(
            select(table.lead).where(table.account == account, col(table.state).in_(OPEN))
            for table in (Delivery, Adjustment)
        )
    )
    rows = session.exec(
        select(LeadRow.id)
        .where(LeadRow.account == account, unseen, col(LeadRow.id).in_(theirs))
        .order_by(_READ_AT, col(LeadRow.id))
    )
    return [LeadId(lead) for lead in rows]


def lately_listed(session: Session, account: str, *, but: Collection[LeadId]) -> LeadId | None:
    """The lead that was seen last, of all but these."""
    passed_over = set(but)
    seen = select(LeadRow.id).where(LeadRow.account == account, col(LeadRow.missing_since).is_(None))
    rows = session.exec(seen.order_by(col(LeadRow.seen_at).desc(), col(LeadRow.id)).limit(len(passed_over) + 1))
    return next((LeadId(lead) for lead in rows if lead not in passed_over), None)


def with_open_deliveries(session: Session, account: str) -> set[str]:
    """The leads that something may still be sent, or corrected, of."""
    found: set[str] = set()
    for table in (Delivery, Adjustment):
        found.update(session.exec(select(table.lead).where(table.account == account, col(table.state).in_(OPEN))))
    return found


def note_missing(session: Session, account: str, ids: Collection[LeadId], *, now: datetime) -> None:
    """Note that leads are not there, since now where they were before."""
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids), col(LeadRow.missing_since).is_(None))
        .values(missing_since=now)
    )


def note_merged(session: Session, account: str, deleted: Collection[LeadId], merged: Mapping[LeadId, LeadId]) -> None:
    """Note which lead stands on the own page of each that is gone, if any."""
    for row in session.exec(select(LeadRow).where(LeadRow.account == account, col(LeadRow.id).in_(deleted))):
        row.merged_into = merged.get(LeadId(row.id))
        session.add(row)


def confirm_deleted(
    session: Session, account: str, ids: Collection[LeadId], *, missing_before: datetime, now: datetime
) -> int:
    """Take leads for gone that were missing before a time already, and have them planned; how many those are."""
    result = session.exec(
        update(LeadRow)
        .where(
            col(LeadRow.account) == account,
            col(LeadRow.id).in_(ids),
            col(LeadRow.missing_since) <= missing_before,
            col(LeadRow.deleted_at).is_(None),
        )
        .values(deleted_at=now, to_plan=True)
    )
    return int(result.rowcount)


def _is_worth_reading(account: str, since: datetime) -> ColumnElement[bool]:
    clicked = exists().where(
        col(ClickIdRow.account) == account,
        col(ClickIdRow.lead) == col(LeadRow.id),
        col(ClickIdRow.clicked_at) >= since,
    )
    return and_(
        col(LeadRow.account) == account,
        col(LeadRow.deleted_at).is_(None),
        or_(col(LeadRow.created_at) >= since, clicked, _has_open_deliveries(account)),
    )


def _unseen(account: str, since: datetime) -> ColumnElement[bool]:
    """Not on a page since then, not even unreadably."""
    unreadable = exists().where(
        col(UnreadableLeadRow.account) == account,
        col(UnreadableLeadRow.id) == col(LeadRow.id),
        col(UnreadableLeadRow.seen_at) >= since,
    )
    return and_(col(LeadRow.seen_at) < since, ~unreadable)


def _has_open_deliveries(account: str) -> ColumnElement[bool]:
    delivery, adjustment = (
        exists().where(col(table.account) == account, col(table.lead) == col(LeadRow.id), col(table.state).in_(OPEN))
        for table in (Delivery, Adjustment)
    )
    return or_(delivery, adjustment)


def remember(session: Session, account: str, digests: Mapping[LeadId, str], *, read_at: datetime) -> None:
    """Keep which leads were left out, and by what they are known to be unchanged."""
    for lead, digest in digests.items():
        session.merge(ExcludedLead(account=account, id=lead, digest=digest, read_at=read_at))


def know_by(session: Session, account: str, digests: Mapping[LeadId, str], *, read_since: datetime) -> None:
    """Know those of them that were read since then by these digests from now on."""
    for row in _rows(session, account, digests):
        if row.read_at >= read_since:
            row.digest = digests[LeadId(row.id)]
            session.add(row)


def unchanged(
    session: Session, account: str, digests: Mapping[LeadId, str], *, read_since: datetime | None = None
) -> set[LeadId]:
    """Those of these leads that were left out under the same digest, be it read since a time."""
    return {
        LeadId(row.id)
        for row in _rows(session, account, digests)
        if row.digest == digests[LeadId(row.id)] and (read_since is None or row.read_at > read_since)
    }


def count(session: Session, account: str, ids: Collection[LeadId]) -> int:
    """How many of these leads were left out."""
    return len(_rows(session, account, ids))


def forget(session: Session, account: str, ids: Collection[LeadId] | None = None) -> None:
    """Have these leads read again, or all of them."""
    these = [] if ids is None else [col(ExcludedLead.id).in_(ids)]
    session.exec(delete(ExcludedLead).where(col(ExcludedLead.account) == account, *these))


def _rows(session: Session, account: str, ids: Collection[LeadId]) -> list[ExcludedLead]:
    wanted = select(ExcludedLead).where(ExcludedLead.account == account, col(ExcludedLead.id).in_(list(ids)))
    return list(session.exec(wanted))
