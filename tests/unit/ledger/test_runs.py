"""A date has one night, whoever did it; what died or was stopped was none."""

from datetime import date, timedelta

import pytest
from structlog.testing import capture_logs

from jobs.ledger import runs
from jobs.ledger.runs import finish, held
from jobs.ledger.schema import Run
from tests import quick
from tests.builders import ACCOUNT

HOUR = timedelta(hours=1)
PASSES = (HOUR, 6 * HOUR)
THURSDAY, FRIDAY = date(2026, 9, 10), date(2026, 9, 11)


@pytest.fixture
def play(path, clock):
    """Runs a command to its exit code: `play("run", 0, night)`; without a code it dies."""

    def played(command, exit_code=None, night=None):
        with held(quick.with_state(path), ACCOUNT, command, now=clock.now()) as ledger:
            if exit_code is not None:
                finish(ledger, exit_code, now=clock.now(), night=night)
            with ledger.reading() as session:
                return session.get(Run, ledger.run)

    return played


@pytest.fixture
def ask(path, clock):
    """Asks about the runs so far."""

    def asked(question, *more, **named):
        with (
            held(quick.with_state(path), ACCOUNT, "look", now=clock.now()) as ledger,
            ledger.writing() as session,
        ):
            session.delete(session.get(Run, ledger.run))
            session.flush()
            return question(session, ACCOUNT, *more, **named)

    return asked


def is_missed(session, account, night, *, today):
    """Whether a schedule catches a night up."""
    try:
        runs.expect_undone(session, account, night, today=today, if_missed=True, passes=PASSES)
    except runs.NightDoneError:
        return False
    return True


def test_before_the_first_run_nothing_is_missed(ask):
    """A schedule that is started for the first time waits for its time."""
    assert not ask(is_missed, THURSDAY, today=FRIDAY)


def test_a_night_that_came_to_its_end_is_done(play, ask):
    """Whatever its exit code."""
    play("run", 3, THURSDAY)

    assert not ask(is_missed, THURSDAY, today=FRIDAY)
    assert ask(is_missed, FRIDAY, today=FRIDAY)


@pytest.mark.parametrize(
    "exit_code", [pytest.param(None, id="killed"), pytest.param(143, id="stopped"), pytest.param(2, id="refused")]
)
def test_a_night_that_did_not_come_to_its_end_is_missed(play, ask, exit_code):
    """It is on record, and it is nobody's night."""
    play("run", exit_code)

    assert ask(is_missed, THURSDAY, today=FRIDAY)


def test_a_later_night_did_the_work_of_an_earlier_one(play, ask):
    """Nothing is caught up that has been done since."""
    play("run", 0, FRIDAY)

    assert not ask(is_missed, THURSDAY, today=FRIDAY)


def test_a_night_ahead_of_today_did_nobodys_work(play, ask):
    """A clock that was once set a year ahead costs no night, and a warning says why."""
    ahead = THURSDAY.replace(year=2027)
    play("run", 0, ahead)
    with capture_logs() as logs:
        done = ask(runs.done_since, THURSDAY, today=FRIDAY)

    assert done is None
    assert [("warning", ahead.isoformat())] == [(line["log_level"], line["night"]) for line in logs]
    assert ask(is_missed, THURSDAY, today=FRIDAY)


def test_a_second_run_of_a_date_is_not_its_night(play, ask):
    """By hand one may run as often as one likes; the first that came to its end stays the night."""
    first, second = play("run", 0, THURSDAY), play("run", 0, THURSDAY)

    assert (THURSDAY, None) == (first.night, second.night)
    assert first.id == ask(runs.done_since, THURSDAY, today=FRIDAY).id


def test_passes_follow_the_end_of_a_night(play, ask, clock):
    """After each span once; a pass at its very time is that one."""
    ended = clock.now()
    play("run", 1, THURSDAY)
    due = []
    while (at := ask(runs.next_pass, PASSES)) is not None:
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
def test_a_late_pass_does_the_work_of_those_before(play, ask, clock, run, expected):
    """Seven hours later one is enough."""
    ended = clock.now()
    play("run", 0, THURSDAY)
    clock.time += 7 * HOUR
    play(*run)

    assert (None if expected is None else ended + expected) == ask(runs.next_pass, PASSES)


def test_without_a_night_there_is_nothing_to_ask_after(play, ask):
    """A run that died has no passes: the next night replays what it left."""
    play("run")

    assert ask(runs.next_pass, PASSES) is None
