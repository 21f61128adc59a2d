"""Queries for the page: leads with their history, as much of it as is counted there."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy
from sqlalchemy import Integer, Row, Select, bindparam, func, or_, union
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, SQLModel, col, select

from jobs.ledger import bulk
from jobs.ledger.leads import has_related_row
from jobs.ledger.schema import ClickIdRow, LeadRow, Run, StatusChange, StatusLabel, UnreadableLeadRow

Span = tuple[datetime, datetime]
"""From the first instant to the last, which is excluded."""


class _Seconds(FunctionElement[int]):
    """A time as whole seconds since 1970: a million of them are read in a fraction of the time that aware ones take."""

    inherit_cache = True
    type = Integer()


@compiles(_Seconds)
def _extracted(element: _Seconds, compiler: SQLCompiler, **more: Any) -> str:
    return f"CAST(EXTRACT(epoch FROM {compiler.process(element.clauses, **more)}) AS BIGINT)"


@compiles(_Seconds, "sqlite")
def _formatted(element: _Seconds, compiler: SQLCompiler, **more: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **more)}) AS INTEGER)"


def _columns(model: type[SQLModel], *names: str, times: Sequence[str]) -> Select[Any]:
    columns = bulk.table_of(model).c
    return sqlalchemy.select(
        *(columns[name] for name in names), *(_Seconds(columns[name]).label(name) for name in times)
    )


@dataclass(frozen=True, slots=True)
class ReportedLead:
    """A lead as the page counts it; all times are seconds since 1970. Test leads and deleted ones are not counted."""

    row: Row[Any]
    """Its id, created_at, label, UTM fields and facts."""
    changes: Sequence[Row[Any]]
    """Its status changes: label, at, date_only, origin, after and seen_at."""
    clicks: Sequence[Row[Any]]
    """Its click ids: kind and clicked_at."""

    @property
    def campaign(self) -> tuple[str, str, str]:
        """Its UTM source, medium and campaign; empty where it has none."""
        return self.row.utm_source or "", self.row.utm_medium or "", self.row.utm_campaign or ""


_UTM = ("utm_source", "utm_medium", "utm_campaign")
_LEADS = _columns(LeadRow, "id", "label", *_UTM, "facts", times=("created_at",)).where(
    bulk.belongs_to(col(LeadRow.account), col(LeadRow.id)), ~col(LeadRow.excluded), col(LeadRow.deleted_at).is_(None)
)
_CHANGES = _columns(StatusChange, "lead", "label", "date_only", "origin", times=("at", "after", "seen_at")).where(
    bulk.belongs_to(col(StatusChange.account), col(StatusChange.lead))
)
_CHANGES_INTO = _CHANGES.where(col(StatusChange.label).in_(bindparam("labels", expanding=True)))
_CLICKS = _columns(ClickIdRow, "lead", "kind", times=("clicked_at",)).where(
    bulk.belongs_to(col(ClickIdRow.account), col(ClickIdRow.lead))
)


def reported_leads(
    session: Session, account: str, *, created: Span, changed: Sequence[Span], labels: Collection[str], whole: bool
) -> Iterator[ReportedLead]:
    """Yield the leads created in a span, and those that entered one of these statuses in one of the others.

    Their other statuses are there only if they are wanted as a `whole`.
    """
    ids = _ids(session, account, created, changed, labels)
    yield from leads_as_reported(session, account, ids, labels=labels, whole=whole)


def leads_as_reported(
    session: Session, account: str, ids: Collection[str], *, labels: Collection[str], whole: bool
) -> Iterator[ReportedLead]:
    """Yield those of these leads that the page counts, as `reported_leads` does."""
    connection, statements = session.connection(), (_LEADS, _CHANGES if whole else _CHANGES_INTO, _CLICKS)
    for part in bulk.parts(session, account, ids):
        named = part | {"labels": list(labels)}
        leads, changes, clicks = (connection.execute(each, named).all() for each in statements)
        changes_of, clicks_of = bulk.rows_by_lead(changes), bulk.rows_by_lead(clicks)
        for row in leads:
            yield ReportedLead(row, changes_of[row.id], clicks_of[row.id])


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


@lru_cache(maxsize=4096)  # most leads have no amount, and then the same facts as many others
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
    is_wanted = (LeadRow.account == account, LeadRow.label == label, has_related_row(ClickIdRow, account))
    wanted = select(LeadRow.id).where(*is_wanted)
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
