"""The summary of the week reaches each address once, whatever fails and however many nights there are."""

from datetime import date

import pytest

from jobs.alerts.notify import Recipient
from jobs.alerts.weekly import WeeklySummaryMessage, day_due, send_summary
from jobs.rules.incident import Notice
from jobs.settings.schema import Weekday

MONDAY, NEXT = date(2026, 11, 23), date(2026, 11, 30)


class Inbox:
    """One address, which accepts messages or fails."""

    def __init__(self):
        self.is_up = True
        self.taken = []

    def send_message(self, title, text, *, urgent=True, page=None):
        """Accept a message while the address is up."""
        assert not urgent
        if self.is_up:
            self.taken.append((title, text, page))
        return self.is_up


class Weekly:
    """An account with a mailbox and a channel."""

    def __init__(self, account, tmp_path):
        self.account, self.folder = account, tmp_path
        self.mailbox, self.channel = Inbox(), Inbox()
        self.made = self.pages = 0

    def night(self, due):
        """Send what is due after a night; return the addresses that did not take it."""
        recipients = {
            "m": Recipient("notify.0", self.mailbox, is_mailbox=True),
            "c": Recipient("notify.1", self.channel),
        }
        with self.account.state.hold(self.account.clock) as ledger:
            return send_summary(ledger, recipients, due, self._summary)

    def _summary(self):
        self.made += 1

        def page():
            self.pages += 1
            return self.folder / "page.html"

        return WeeklySummaryMessage(Notice("the week", f"no. {self.made}"), page)


@pytest.fixture
def weekly(account, tmp_path):
    """Both addresses are up."""
    return Weekly(account, tmp_path)


@pytest.mark.parametrize(
    ("night", "due"),
    [
        ("2026-11-23", "2026-11-23"),
        ("2026-11-24", "2026-11-23"),
        ("2026-11-29", "2026-11-23"),
        ("2026-11-30", "2026-11-30"),
    ],
)
def test_a_summary_is_due_from_its_day_on_until_the_next(night, due):
    """A night that was missed on the day itself loses none."""
    assert date.fromisoformat(due) == day_due(Weekday.MONDAY, date.fromisoformat(night))


def test_each_day_of_the_week_is_named():
    """A summary due on a day is due after that day's night."""
    days = [date(2026, 11, 23 + number) for number in range(7)]

    assert days == [day_due(weekday, day) for weekday, day in zip(Weekday, days, strict=True)]


def test_a_second_night_sends_nothing_again_until_the_next_week(weekly):
    """Only a mailbox gets the page, which is made once a week."""
    page = weekly.folder / "page.html"
    for due in (MONDAY, MONDAY, NEXT, NEXT):
        assert [] == weekly.night(due)

    assert [("no. 1", page), ("no. 2", page)] == [sent[1:] for sent in weekly.mailbox.taken]
    assert [("no. 1", None), ("no. 2", None)] == [sent[1:] for sent in weekly.channel.taken]
    assert (2, 2) == (weekly.made, weekly.pages)


def test_an_address_that_fails_gets_the_summary_after_the_next_night(weekly):
    """The others do not get it twice."""
    weekly.mailbox.is_up = False
    assert ["notify.0"] == weekly.night(MONDAY)
    weekly.mailbox.is_up = True
    assert [] == weekly.night(MONDAY)

    assert (1, 1) == (len(weekly.mailbox.taken), len(weekly.channel.taken))


def test_a_crash_between_two_addresses_loses_and_doubles_nothing(weekly):
    """Each is recorded by itself."""
    send = weekly.channel.send_message
    weekly.channel.send_message = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        weekly.night(MONDAY)
    weekly.channel.send_message = send
    weekly.night(MONDAY)

    assert (1, 1) == (len(weekly.mailbox.taken), len(weekly.channel.taken))
