"""Which night each run belongs to."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.ledger import nights, runs
from jobs.ledger.runs import INBOX, RESOLVING, open_locked_ledger
from jobs.ledger.schema import Run
from jobs.ledger.storage.sqlite_state import SqliteState
from tests import quick
from tests.builders import ACCOUNT, PARIS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 9, 1, 21, 30, tzinfo=UTC)
"""Half past eleven in the evening in Paris."""
NOW = FIRST + 9 * DAY


def dates(path, *runs):
    """The dates of these runs and of one that starts now; None for a run that belongs to no night."""
    with open_locked_ledger(SqliteState(quick.with_state(path)), ACCOUNT, "run", now=NOW) as ledger:
        with ledger.write_transaction() as session:
            present = session.get(Run, ledger.run)
            session.delete(present)
            session.flush()
            for number, (command, at, code) in enumerate(runs, start=1):
                row = Run(id=number, account=ACCOUNT, command=command, epoch=1, started_at=at, exit_code=code)
                session.add(row)
            session.add(Run(id=99, account=ACCOUNT, command="run", epoch=1, started_at=NOW))
        object.__setattr__(ledger, "run", 99)
        with ledger.read_transaction() as session:
            found = nights.night_dates_by_run(session, ledger, PARIS, since=FIRST - 5 * DAY)
    return [found.get(number) for number in range(1, len(runs) + 1)], found[99]


def test_night_is_a_date_in_the_account_zone(tmp_path):
    """The present run counts although it has not ended."""
    assert ([date(2026, 9, 1)], date(2026, 9, 10)) == dates(tmp_path / "state.db", ("run", FIRST, 0))


def test_resolving_run_belongs_to_the_night_before_it(tmp_path):
    """It starts after midnight, but the outcomes it gets are those of the evening."""
    found, _ = dates(tmp_path / "state.db", ("run", FIRST, 0), (RESOLVING, FIRST + HOUR, 0))

    assert [date(2026, 9, 1)] * 2 == found


def test_run_of_the_inbox_belongs_to_the_night_after_it(tmp_path):
    """What it sent, that night did not have to; without one yet, it belongs to the one under way."""
    night, passed = ("run", FIRST, 0), (INBOX, FIRST + HOUR, 0)
    found, present = dates(tmp_path / "state.db", night, passed, ("run", FIRST + DAY, 0), (INBOX, NOW - HOUR, 0))

    assert [date(2026, 9, 1), *[date(2026, 9, 2)] * 2, present] == found


@pytest.mark.parametrize(("code", "passes"), [(0, [4]), (1, [4]), (3, [4]), (2, [2, 4]), (70, [2, 4]), (None, [2, 4])])
def test_only_a_completed_night_ends_what_runs_of_the_inbox_may_send_together(tmp_path, code, passes):
    """One that died, or is tried again, gives them nothing anew."""
    done = ("run", 0), (INBOX, 0), ("run", code), (INBOX, 0)
    with open_locked_ledger(SqliteState(quick.with_state(tmp_path / "state.db")), ACCOUNT, "run", now=NOW) as ledger:
        with ledger.write_transaction() as session:
            session.delete(session.get(Run, ledger.run))
            session.flush()
            for number, (command, exit_code) in enumerate(done, start=1):
                row = Run(id=number, account=ACCOUNT, command=command, epoch=1, started_at=FIRST, exit_code=exit_code)
                session.add(row)
        with ledger.read_transaction() as session:
            assert passes == runs.earlier_webhook_inbox_runs(session, ACCOUNT, 99)


@pytest.mark.parametrize("code", [2, 70, 75, 143, None])
def test_date_without_a_completed_run_is_no_night(tmp_path, code):
    """On a date with a completed run, a failed one counts as well, because it sent something too."""
    alone, _ = dates(tmp_path / "alone.db", ("run", FIRST, code))
    beside, _ = dates(tmp_path / "beside.db", ("run", FIRST, code), ("run", FIRST + HOUR / 4, 3))

    assert ([None], [date(2026, 9, 1)] * 2) == (alone, beside)


def test_other_commands_belong_to_no_night(tmp_path):
    """What a human sends by hand says nothing about what is usual."""
    assert [None] == dates(tmp_path / "state.db", ("backfill", FIRST, 0))[0]


def test_runs_before_the_period_are_ignored(tmp_path):
    """Fourteen nights are looked at, not the account's whole life."""
    assert [None] == dates(tmp_path / "state.db", ("run", FIRST - 6 * DAY, 0))[0]
