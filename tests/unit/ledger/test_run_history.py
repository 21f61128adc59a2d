"""Which night each run belongs to."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.ledger import incidents
from jobs.ledger.runs import RESOLVING, held
from jobs.ledger.schema import Run
from tests import quick
from tests.builders import ACCOUNT, PARIS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 9, 1, 21, 30, tzinfo=UTC)
"""Half past eleven in the evening in Paris."""
NOW = FIRST + 9 * DAY


def dates(path, *runs):
    """The dates of these runs and of one that begins now; None for those that belong to none."""
    with held(quick.with_state(path), ACCOUNT, "run", now=NOW) as ledger:
        with ledger.writing() as session:
            present = session.get(Run, ledger.run)
            session.delete(present)
            session.flush()
            for number, (command, at, code) in enumerate(runs, start=1):
                row = Run(id=number, account=ACCOUNT, command=command, epoch=1, started_at=at, exit_code=code)
                session.add(row)
            session.add(Run(id=99, account=ACCOUNT, command="run", epoch=1, started_at=NOW))
        object.__setattr__(ledger, "run", 99)
        with ledger.reading() as session:
            found = incidents.dates(session, ledger, PARIS, since=FIRST - 5 * DAY)
    return [found.get(number) for number in range(1, len(runs) + 1)], found[99]


def test_a_night_is_a_date_of_the_accounts_zone(tmp_path):
    """The present run's, though it has not ended, is one."""
    assert ([date(2026, 9, 1)], date(2026, 9, 10)) == dates(tmp_path / "state.db", ("run", FIRST, 0))


def test_a_run_that_asks_for_outcomes_belongs_to_the_night_before_it(tmp_path):
    """It begins after midnight, and what it hears is the evening's."""
    found, _ = dates(tmp_path / "state.db", ("run", FIRST, 0), (RESOLVING, FIRST + HOUR, 0))

    assert [date(2026, 9, 1)] * 2 == found


@pytest.mark.parametrize("code", [2, 70, 75, 143, None])
def test_a_date_on_which_nothing_came_to_its_end_is_no_night(tmp_path, code):
    """It counts neither way; on a date that had one, what died sent something too."""
    alone, _ = dates(tmp_path / "alone.db", ("run", FIRST, code))
    beside, _ = dates(tmp_path / "beside.db", ("run", FIRST, code), ("run", FIRST + HOUR / 4, 3))

    assert ([None], [date(2026, 9, 1)] * 2) == (alone, beside)


def test_other_commands_are_no_night(tmp_path):
    """What someone sends by hand says nothing of what is usual."""
    assert [None] == dates(tmp_path / "state.db", ("backfill", FIRST, 0))[0]


def test_what_is_older_is_not_looked_at(tmp_path):
    """Fourteen nights, not the account's whole life."""
    assert [None] == dates(tmp_path / "state.db", ("run", FIRST - 6 * DAY, 0))[0]
