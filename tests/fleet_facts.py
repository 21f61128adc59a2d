"""A fleet with some of everything, for its page and its metrics."""

from datetime import UTC, datetime, timedelta

from jobs.exit_codes import Exit
from jobs.fleet.problems import FleetCause
from jobs.fleet.status import AccountRow, FleetStatus, account_status, worst_first
from jobs.reporting.page.facts import Level, ResponsibleParty

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
_HOUR = timedelta(hours=1)
KEY = "google_ads: the key in the file of credentials is refused (invalid_grant): make a new one"


def account(name, **changes):
    """How an account fares of which nothing is to be said but what is changed."""
    fine = {
        "account": name,
        "paused": False,
        "is_running": False,
        "due_at": NOW + 20 * _HOUR,
        "night_at": NOW + 20 * _HOUR,
        "failures": 0,
        "exit_code": Exit.DONE,
        "why": None,
        "last_run_at": NOW - 2 * _HOUR,
    }
    return account_status(AccountRow(**fine | changes), NOW)


def fleet(size=20):
    """The status of a fleet, and its causes; two fifths of its accounts lack Google's key."""
    stopped = [f"maison-durand-{number:04}" for number in range(2 * size // 5)]
    accounts = [
        *(account(name, exit_code=Exit.STOPPED, why=KEY) for name in stopped),
        account("late", night_at=NOW - 30 * _HOUR, due_at=NOW - _HOUR),
        account("running", is_running=True),
        account("waiting", failures=1),
        account("paused", paused=True),
        account("new", last_run_at=None),
        *(account(f"maison-petit-{number:04}") for number in range(size - len(stopped) - 5)),
    ]
    causes = [
        FleetCause(
            "key",
            Level.RED,
            ResponsibleParty.MARKETING,
            "google_ads stopped",
            f"{KEY}\nNothing goes there.",
            NOW,
            stopped,
        ),
        FleetCause(
            "clicks",
            Level.AMBER,
            ResponsibleParty.WEBSITE,
            "Fewer click ids",
            "late, for example: does the form still store it? `oplead-sync check` looks.",
            NOW - 50 * _HOUR,
            ["late"],
        ),
    ]
    return FleetStatus(NOW, 3, timedelta(minutes=42), sorted(accounts, key=worst_first)), causes


def fine_fleet():
    """A fleet of which nothing is to be said."""
    return FleetStatus(NOW, 1, timedelta(), [account("maison")]), []
