"""Sends the summary of the week to each address once; one that fails gets it after the next night."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from connectors.text import strip_control_characters
from jobs.alerts.notify import Recipient, Recipients
from jobs.ledger.runs import Ledger
from jobs.ledger.weekly_summaries import addresses_awaiting_summary, record_summary_taken
from jobs.rules.incident import Notice
from jobs.settings.schema import Weekday


@dataclass(frozen=True, slots=True)
class WeeklySummaryMessage:
    """What the addresses get."""

    notice: Notice
    page: Callable[[], Path | None]
    """Write the page, which only mailboxes get, and return its file, if there is one."""


def day_due(weekday: Weekday, night: date) -> date:
    """Return the day whose summary is due after a night: the last one with this name, perhaps the night's own."""
    return night - timedelta(days=(night.weekday() - list(Weekday).index(weekday)) % 7)


def send_summary(
    ledger: Ledger, recipients: Recipients, due: date, summary: Callable[[], WeeklySummaryMessage]
) -> list[str]:
    """Send the summary due on a day to each address that has not taken it; return the places of those that fail."""
    with ledger.read_transaction() as session:
        owed = addresses_awaiting_summary(session, ledger.account, due, recipients)
    if not owed:
        return []
    made, failed = summary(), list[str]()
    page = cache(made.page)
    for mark in owed:
        recipient = recipients[mark]
        if not send_notice(ledger.account, made.notice, recipient, page):
            failed.append(recipient.place)
            continue
        with ledger.write_transaction() as session:
            record_summary_taken(session, ledger.account, due, mark)
    return failed


def send_notice(account: str, notice: Notice, recipient: Recipient, page: Callable[[], Path | None]) -> bool:
    """Send a notice that is no alarm, with the page where the address is a mailbox; return whether it was accepted."""
    title, text = subject_and_text(account, notice)
    return recipient.by.send_message(title, text, urgent=False, page=page() if recipient.is_mailbox else None)


def subject_and_text(account: str, notice: Notice) -> tuple[str, str]:
    """Return what is sent of a notice, without control characters, which could hide text."""
    return strip_control_characters(f"{account}: {notice.title}"), strip_control_characters(notice.text, keep="\n")
