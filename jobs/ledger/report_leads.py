"""Queries for the page: leads with their history, as much of it as is counted there."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import sqlalchemy
from sqlalchemy import Row, func, or_, union
from sqlmodel import Session, col, select

from jobs.ledger import bulk
from jobs.ledger.schema import ClickIdRow, LeadRow, Run, StatusChange, StatusLabel, UnreadableLeadRow

Span = tuple[datetime, datetime]
"""From the first instant to the last, which is excluded."""


@dataclass(frozen=True, slots=True)
class ReportedLead:
    """A lead as the page counts it; test leads and deleted ones are not counted."""

    row: Row[Any]
    """Its id, creation, label, UTM fields and facts."""
    changes: Sequence[Row[Any]]
    """Its status changes: label, at, date_only, origin, after and seen_at."""
    clicks: Sequence[Row[Any]]
    """Its click ids: kind and clicked_at."""

    @property
    def campaign(self) -> tuple[str, str, str]:
        """Its UTM source, medium and campaign; empty where it has none."""
        return self.row.utm_source or "", self.row.utm_medium or "", self.row.utm_campaign or ""


_OF_ACCOUNT = bulk.belongs_to(col(LeadRow.account), col(LeadRow.id))
_LEADS = sqlalchemy.select(
    *(
        bulk.table_of(LeadRow).c[name]
        for name in ("id", "created_at", "label", "utm_source", "utm_medium", "utm_campaign", "facts")
    )
).where(_OF_ACCOUNT, ~col(LeadRow.excluded), col(LeadRow.deleted_at).is_(None))
_CHANGES = sqlalchemy.select(
    *(
        bulk.table_of(StatusChange).c[name]
        for name in ("lead", "label", "at", "date_only", "origin", "after", "seen_at")
    )
).where(bulk.belongs_to(col(StatusChange.account), col(StatusChange.lead)))
_CLICKS = sqlalchemy.select(*(bulk.table_of(ClickIdRow).c[name] for name in ("lead", "kind", "clicked_at"))).where(
    bulk.belongs_to(col(ClickIdRow.account), col(ClickIdRow.lead))
)


def reported_leads(
    session: Session, account: str, *, created: Span, changed: Sequence[Span], labels: Collection[str]
) -> Iterator[ReportedLead]:
    """Yield the leads created in a span, and those that entered one of these statuses in one of the others."""
    wanted = iter(_ids(session, account, created, changed, labels))
    while part := list(islice(wanted, bulk.AT_ONCE)):
        changes, clicks = (bulk.rows_by_lead(bulk.select_rows(session, each, account, part)) for each in _PARTS)
        for row in bulk.select_rows(session, _LEADS, account, part):
            yield ReportedLead(row, changes[row.id], clicks[row.id])


_PARTS = (_CHANGES, _CLICKS)


def _ids(
    session: Session, account: str, created: Span, changed: Sequence[Span], labels: Collection[str]
) -> Sequence[str]:
    at = col(StatusChange.at)
    # Most rows are the account's: looking each one up by its account takes far longer than reading them all in order.
    is_mine = func.coalesce(col(StatusChange.account), "") == account
    is_in_a_span = or_(*((at >= first) & (at < end) for first, end in changed))
    entered = sqlalchemy.select(col(StatusChange.lead)).where(
        is_mine, is_in_a_span, col(StatusChange.label).in_(labels)
    )
    made = sqlalchemy.select(col(LeadRow.id)).where(
        col(LeadRow.account) == account, col(LeadRow.created_at) >= created[0], col(LeadRow.created_at) < created[1]
    )
    return session.connection().execute(union(made, entered)).scalars().all()


def amounts_and_agency(facts: str) -> tuple[Mapping[str, Decimal], str | None]:
    """Return a lead's amounts by path, without those that cannot be read, and its value at `report.by`."""
    kept = json.loads(facts)
    amounts = {path: Decimal(text) for path, text in kept["amounts"].items() if not text.startswith("<")}
    return amounts, kept.get("by")


def first_run_started(session: Session, account: str) -> datetime | None:
    """Return when the account's first run began."""
    return session.exec(select(func.min(Run.started_at)).where(Run.account == account)).one()


def label_first_seen(session: Session, account: str) -> dict[str, datetime]:
    """Return when each label was first seen, by the label as it is compared."""
    rows = session.exec(select(StatusLabel.label, StatusLabel.seen_at).where(StatusLabel.account == account))
    return dict(rows.all())


def leads_with_label(session: Session, account: str, label: str, *, limit: int) -> list[str]:
    """Return the latest leads with a click id that have this label now."""
    has_click = sqlalchemy.exists().where(col(ClickIdRow.account) == account, col(ClickIdRow.lead) == col(LeadRow.id))
    wanted = select(LeadRow.id).where(LeadRow.account == account, LeadRow.label == label, has_click)
    return list(session.exec(wanted.order_by(col(LeadRow.created_at).desc(), col(LeadRow.id)).limit(limit)))


def unreadable_leads(session: Session, account: str) -> dict[str, list[tuple[str, datetime]]]:
    """Return the leads that cannot be read, by the problem: each id and when it was last seen, the latest first."""
    rows = session.exec(
        select(UnreadableLeadRow.reason, UnreadableLeadRow.id, UnreadableLeadRow.seen_at)
        .where(UnreadableLeadRow.account == account)
        .order_by(col(UnreadableLeadRow.seen_at).desc(), col(UnreadableLeadRow.id))
    )
    found: dict[str, list[tuple[str, datetime]]] = {}
    for reason, lead, seen_at in rows:
        found.setdefault(reason, []).append((lead, seen_at))
    return found
