"""What is written of an account for people: its page, and the summary of the week with the page of its days."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from jobs.account.state import held_reports_as_spelled
from jobs.alerts.weekly import WeeklySummaryMessage
from jobs.reporting.page.brief import Brief, brief_of_report, weekly_notice
from jobs.reporting.page.facts import Period
from jobs.reporting.page.gather import gather
from jobs.reporting.page.period import choose_period
from jobs.reporting.page.writing import write_page
from jobs.settings import Settings
from jobs.settings.compile import Rulebook


def write_page_of_usual_period(
    session: Session, settings: Settings, book: Rulebook, folder: Path, *, now: datetime
) -> Brief:
    """Write the page of the usual period to a folder, and return what it says first.

    Raises:
        OSError: it cannot be written.
    """
    period = choose_period(None, None, today=now.astimezone(settings.zone).date())
    held = held_reports_as_spelled(session, settings, book, now)
    facts = gather(session, settings, book, period, now, held_reports=held)
    return brief_of_report(facts, write_page(facts, folder))


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
