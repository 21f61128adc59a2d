"""Each date has one night, whichever run completes it; a run that died or was stopped does not count."""

from datetime import date, timedelta

import pytest
from structlog.testing import capture_logs

from jobs.ledger import runs
from jobs.ledger.runs import finish_run
from jobs.ledger.schema import Run
from tests.builders import ACCOUNT

HOUR = timedelta(hours=1)
PASSES = (HOUR, 6 * HOUR)
THURSDAY, FRIDAY = date(2026, 9, 10), date(2026, 9, 11)


@pytest.fixture
def play(hold_again, clock):
    """Run a command to its exit code, as in `play("run", 0, night)`; without a code it dies."""

    def played(command, exit_code=None, night=None):
        with hold_again(command) as ledger:
            if exit_code is not None:
                finish_run(ledger, exit_code, now=clock.now(), night=night)
            with ledger.read_transaction() as session:
                return session.get(Run, ledger.run)

    return played


@pytest.fixture
def ask(hold_again):
    """Query the runs so far."""

    def asked(question, *more, **named):
        with hold_again("look") as ledger, ledger.write_transaction() as session:
            session.delete(session.get(Run, ledger.run))
            session.flush()
            return question(session, ACCOUNT, *more, **named)

    return asked


def is_missed(session, account, night, *, today):
    """Whether the schedule catches up on a night."""
    try:
        runs.raise_if_night_done(session, account, night, today=today, if_missed=True, passes=PASSES)
    except runs.NightDoneError:
        return False
    return True


def test_no_night_is_missed_before_the_first_run(ask):
    """A schedule started for the first time waits for its time."""
    assert not ask(is_missed, THURSDAY, today=FRIDAY)


def test_completed_night_is_done(play, ask):
    """Its exit code does not matter."""
    play("run", 3, THURSDAY)

    assert not ask(is_missed, THURSDAY, today=FRIDAY)
    assert ask(is_missed, FRIDAY, today=FRIDAY)


def test_completed_night_is_done_though_it_is_tomorrow_s_by_a_clock_that_is_behind(play, ask):
    """A fleet's night at midnight comes by the database's clock."""
    play("run", 0, FRIDAY)

    assert not ask(is_missed, FRIDAY, today=THURSDAY)
    assert ask(is_missed, THURSDAY, today=THURSDAY)


@pytest.mark.parametrize(
    "exit_code", [pytest.param(None, id="killed"), pytest.param(143, id="stopped"), pytest.param(2, id="refused")]
)
def test_uncompleted_night_is_missed(play, ask, exit_code):
    """The run is on record but belongs to no night."""
    play("run", exit_code)

    assert ask(is_missed, THURSDAY, today=FRIDAY)


def test_later_night_covers_an_earlier_one(play, ask):
    """What has been done since is not caught up on."""
    play("run", 0, FRIDAY)

    assert not ask(is_missed, THURSDAY, today=FRIDAY)


def test_night_dated_in_the_future_is_ignored_with_a_warning(play, ask):
    """A clock that was once set a year ahead costs no night."""
    ahead = THURSDAY.replace(year=2027)
    play("run", 0, ahead)
    with capture_logs() as logs:
        done = ask(runs.run_covering_night, THURSDAY, today=FRIDAY)

    assert done is None
    assert [("warning", ahead.isoformat())] == [(line["log_level"], line["night"]) for line in logs]
    assert ask(is_missed, THURSDAY, today=FRIDAY)


def test_second_run_of_a_date_is_not_its_night(play, ask):
    """Manual runs may repeat; the first completed one stays the night."""
    first, second = play("run", 0, THURSDAY), play("run", 0, THURSDAY)

    assert (THURSDAY, None) == (first.night, second.night)
    assert first.id == ask(runs.run_covering_night, THURSDAY, today=FRIDAY).id


def test_passes_follow_the_end_of_a_night(play, ask, clock):
    """Each pass is due once, and a run at its exact time counts as that pass."""
    ended = clock.now()
    play("run", 1, THURSDAY)
    due = []
    while (at := ask(runs.next_outcome_check, PASSES)) is not None:
        due.append(at)
        clock.time = at
        play(runs.RESOLVING, 0)

    assert [ended + HOUR, ended + 6 * HOUR] == due


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param(("run", 0), None, id="a run by hand asked too"),
        pytest.param(("backfill", 0), HOUR, id="a backfill perhaps did not"),
        pytest.param((runs.RESOLVING, None), HOUR, id="one that died is made up for"),
        pytest.param((runs.RESOLVING, 143), HOUR, id="so is one that was stopped"),
        pytest.param((runs.RESOLVING, 2), None, id="one that failed is not repeated at once"),
    ],
)
def test_which_late_runs_cover_the_due_passes(play, ask, clock, run, expected):
    """Seven hours after the night, one pass is enough for both."""
    ended = clock.now()
    play("run", 0, THURSDAY)
    clock.time += 7 * HOUR
    play(*run)

    assert (None if expected is None else ended + expected) == ask(runs.next_outcome_check, PASSES)


def test_no_pass_is_due_without_a_completed_night(play, ask):
    """A run that died has no passes, and the next night replays what it left."""
    play("run")

    assert ask(runs.next_outcome_check, PASSES) is None
