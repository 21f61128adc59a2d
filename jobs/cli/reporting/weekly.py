"""The summary of the week: of the seven days before it is due, with the page of the same days."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from jobs.alerts.weekly import WeeklySummaryMessage
from jobs.cli.state import held_reports_as_spelled
from jobs.reporting.page.brief import weekly_notice
from jobs.reporting.page.facts import Period
from jobs.reporting.page.gather import gather
from jobs.reporting.page.writing import write_page
from jobs.settings import Settings
from jobs.settings.compile import Rulebook


@contextmanager
def making_weekly_summary(
    session: Session, settings: Settings, book: Rulebook, due: date, *, now: datetime
) -> Iterator[WeeklySummaryMessage]:
    """Yield the summary due on a day; its page, if it is written, is gone after the block."""
    week = Period(due - timedelta(days=7), due - timedelta(days=1))
    held = held_reports_as_spelled(session, settings, book, now)
    facts = gather(session, settings, book, week, now, held_reports=held)
    with tempfile.TemporaryDirectory(prefix="oplead-sync-") as folder:
        yield WeeklySummaryMessage(weekly_notice(facts), lambda: write_page(facts, Path(folder)))
