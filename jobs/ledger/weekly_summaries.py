"""Which week's summary each address has taken."""

from collections.abc import Iterable
from datetime import date

import sqlalchemy
from sqlmodel import Session, col, select

from jobs.ledger.schema import WeeklySummary


def addresses_awaiting_summary(session: Session, account: str, week: date, addresses: Iterable[str]) -> list[str]:
    """Return which of these addresses have not taken the summary due on a day, or a later one."""
    taken = select(WeeklySummary.address).where(WeeklySummary.account == account, WeeklySummary.week >= week)
    have_it = set(session.exec(taken))
    return [address for address in addresses if address not in have_it]


def last_summary_dates(session: Session, account: str) -> list[date]:
    """Return, for each address that takes summaries, the day on which the last one was due."""
    weeks = sqlalchemy.select(col(WeeklySummary.week)).where(col(WeeklySummary.account) == account)
    return list(session.connection().scalars(weeks))


def record_summary_taken(session: Session, account: str, week: date, address: str) -> None:
    """Record that an address has taken the summary due on a day."""
    session.merge(WeeklySummary(account=account, address=address, week=week))
