"""When an account is worked on again, by what became of the last time."""

from datetime import timedelta

import pytest

from jobs.exit_codes import Exit
from jobs.fleet.work import MOST_LOST_RUNS, MOST_RETRIES, DidTask, NextWorkTime, WorkResult, schedule_next_work

TONIGHT = timedelta(hours=9)
RETRY = timedelta(minutes=5)


def after(code, failures=0, next_in=TONIGHT, **counted):
    """When an account is worked on again that ended with this code."""
    return schedule_next_work(WorkResult(DidTask.NIGHT, code, next_in), failures, **counted)


@pytest.mark.parametrize("code", [Exit.DONE, Exit.ATTENTION, Exit.STOPPED])
def test_completed_work_waits_for_what_is_due_next(code):
    """What failed before is forgotten."""
    assert NextWorkTime(TONIGHT, 0) == after(code, failures=3)


def test_wrong_settings_wait_for_the_next_night():
    """Trying again mends nothing."""
    assert NextWorkTime(TONIGHT, 1) == after(Exit.CONFIGURATION)


def test_settings_that_name_no_night_are_looked_at_daily():
    """The secret that they lack may be there by then."""
    assert NextWorkTime(timedelta(days=1), 1) == after(Exit.CONFIGURATION, next_in=None)


def test_crash_is_tried_again_ever_later_and_then_left_to_the_next_night():
    """From five minutes on, twice as long each time, an hour at most."""
    waits = [after(Exit.BUG, failures).wait for failures in range(MOST_RETRIES + 1)]

    assert [RETRY, 2 * RETRY, 4 * RETRY, 8 * RETRY, timedelta(hours=1), TONIGHT] == waits
    assert NextWorkTime(TONIGHT, 100) == after(Exit.BUG, 99)


def test_held_account_is_tried_again_however_often():
    """Whoever holds it will be done at some time; it did nothing wrong."""
    assert NextWorkTime(RETRY, failures=0, held=1) == after(Exit.HELD)
    assert NextWorkTime(timedelta(hours=1), failures=7, held=100) == after(Exit.HELD, failures=7, held=99)
    assert NextWorkTime(TONIGHT, 0) == after(Exit.DONE, held=99)


def test_account_held_by_what_a_dead_worker_left_is_tried_again_soon():
    """The server lets go of it within a minute or two."""
    waits = [after(Exit.HELD, held=held, lost=1).wait.seconds for held in range(4)]

    assert [20, 40, 80, 160] == waits


def test_account_whose_workers_died_waits_for_its_next_night():
    """Each further try would take what is at work beside it along."""
    assert RETRY == after(Exit.BUG, lost=MOST_LOST_RUNS - 1).wait
    assert NextWorkTime(TONIGHT, 1) == after(Exit.BUG, lost=MOST_LOST_RUNS)


def test_retry_never_comes_after_the_next_night():
    """The night makes up for it."""
    soon = timedelta(minutes=20)

    assert soon == after(Exit.BUG, 4, soon).wait


@pytest.mark.parametrize("code", [Exit.DONE, Exit.CONFIGURATION])
def test_account_is_looked_at_daily_however_late_it_is_due_next(code):
    """A clock that was wrong when it said so would put it off, and nobody would notice."""
    assert timedelta(days=1) == after(code, next_in=timedelta(days=365)).wait


@pytest.mark.parametrize("code", [Exit.CONFIGURATION, Exit.HELD])
def test_account_that_a_machine_cannot_run_is_offered_again_soon(code):
    """However often that was so and however far its next night is: another machine may be able to."""
    unable = WorkResult(DidTask.UNABLE, code, TONIGHT)
    waits = [schedule_next_work(unable, 0, held=held).wait.total_seconds() for held in (0, 1, 2, 3, 4, 5, 6, 7, 8, 99)]

    assert [20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600] == waits
    after = schedule_next_work(unable, 7, held=3)
    assert (7, 4) == (after.failures, after.held)


def test_stopped_work_is_due_at_once_and_no_failure():
    """The worker was told to stop; the account did nothing wrong."""
    assert NextWorkTime(timedelta(), 2) == after(128 + 15, failures=2)
