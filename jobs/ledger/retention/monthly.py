"""What leads that left came to, month by month: few rows, in which no lead can be told from another."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger.schema import (
    MonthlyArchiveRow,
    MonthlyCampaign,
    MonthlyClickIds,
    MonthlySales,
)

CountByMonth = Callable[[Session, Collection[LeadId]], Iterable[MonthlyArchiveRow]]
"""Counts leads that are about to be erased by month, as the report does."""
_ADDED_UP = frozenset({"leads", "won", "value", "reached", "with_click_id", "count", "sent", "received", "accepted"})
"""The columns that are added up; the others tell rows apart."""


def add_monthly_rows(session: Session, rows: Iterable[MonthlyArchiveRow]) -> None:
    """Add these rows to those of the same month and place, if there are any."""
    for row in rows:
        kind = type(row)
        columns = {name: getattr(row, name) for name in kind.model_fields}
        place = {name: value for name, value in columns.items() if name not in _ADDED_UP}
        known = session.get(kind, place)
        if known is None:
            session.add(row)
            session.flush()
            continue
        for name in columns.keys() & _ADDED_UP:
            setattr(known, name, _add(getattr(known, name), columns[name]))


def archive_rows_without_campaigns(rows: Iterable[MonthlyArchiveRow]) -> Iterator[MonthlyArchiveRow]:
    """Yield these rows without UTM fields, by which a single person might be told."""
    for row in rows:
        match row:
            case MonthlyCampaign():
                row.source = row.medium = row.campaign = ""
            case MonthlyClickIds():
                row.source = ""
        yield row


def _add(known: int | str, more: int | str) -> int | str:
    """Add counts, counts by name as JSON, or decimals as text."""
    if isinstance(known, int) and isinstance(more, int):
        return known + more
    if str(known).startswith("{"):
        return counts_to_json(counts_by_name(str(known)) + counts_by_name(str(more)))
    return str(Decimal(known) + Decimal(more))


def counts_by_name(text: str) -> Counter[str]:
    """Return the counts in a column that holds them by name."""
    return Counter(json.loads(text))


def counts_to_json(counts: Mapping[str, int]) -> str:
    """Return counts by name as their column holds them."""
    return json.dumps(counts, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class ArchivedMonths:
    """The months of a period that lie wholly inside it."""

    campaigns: Sequence[MonthlyCampaign]
    click_ids: Sequence[MonthlyClickIds]
    sales: Sequence[MonthlySales]


def archive_of_months(session: Session, account: str, months: Collection[date]) -> ArchivedMonths:
    """Return what is archived of these months, each named by its first day."""
    return ArchivedMonths(
        campaigns=session.exec(select(MonthlyCampaign).where(*_of_months(MonthlyCampaign, account, months))).all(),
        click_ids=session.exec(select(MonthlyClickIds).where(*_of_months(MonthlyClickIds, account, months))).all(),
        sales=session.exec(select(MonthlySales).where(*_of_months(MonthlySales, account, months))).all(),
    )


def _of_months(
    kind: type[MonthlyArchiveRow], account: str, months: Collection[date]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(kind.account) == account, col(kind.month).in_(months)


def month_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the first day of the month in which an instant lies."""
    return at.astimezone(zone).date().replace(day=1)
