"""What a worker does for one account: the order, its result, and when to work on the account next."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from jobs.exit_codes import Exit
from jobs.fleet.accounts import StoredSettings
from jobs.scheduler import MAX_RETRY_WAIT, RETRY_AFTER

MOST_RETRIES = 5
"""After as many failures in a row, an account waits for its next night."""
MOST_LOST_RUNS = 5
"""After as many workers in a row that died while they worked on it, too; that night has failed."""
RETRY_LOST_AFTER = timedelta(seconds=20)
"""How soon an account is tried again that is held by what is left of a worker that died; each time, twice as late."""
STOPPED_BY_SIGNAL = 128
"""Exit codes from this value up mean that the worker was told to stop."""
_LONGEST_WAIT = timedelta(days=1)
"""When to look at an account again at the latest: its settings may name no night, or a clock may have been wrong."""
OTHERS_FIRST = timedelta(seconds=20)
"""After so long, an account that a machine cannot run is offered again; then twice as late each time, up to an hour."""


class DidTask(StrEnum):
    """What was done for an account."""

    NIGHT = "night"
    OUTCOMES = "outcomes"
    INBOX = "inbox"
    NOTHING = "nothing"
    """Nothing was due."""
    UNABLE = "unable"
    """This machine cannot run the account; another one may."""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One account whose due work is to be done."""

    settings: StoredSettings
    age: timedelta
    """How long ago the account was added."""
    last_run: int = 0
    """The last run of its ledger of which the fleet knows what it came to."""
    clock_error: timedelta = timedelta()
    """How far this machine's clock is ahead of the database's; negative if it is behind."""

    @property
    def is_run_requested(self) -> bool:
        """Whether somebody asked for a night at once."""
        return self.settings.asked_at is not None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something for which an account needs a human."""

    cause: str
    """Tells it from the account's other problems."""
    same_as: str
    """Equal for all accounts that have the same problem."""
    details: str
    """What its words are made of, as JSON without personal data."""
    title: str = ""
    """In English, and translated where it is shown; empty where the run says it."""
    open_for: timedelta = timedelta()
    """How long the account has had it."""


@dataclass(frozen=True, slots=True)
class WorkResult:
    """What became of an order. Spans rather than times: an account's clock may be a sandbox's."""

    task: DidTask
    exit_code: int
    next_in: timedelta | None = None
    """When anything is due next; None if the settings don't say."""
    night_in: timedelta | None = None
    """When the first night that is not done is due, negative if it is overdue; None if nobody has found out."""
    ledger_run: int | None = None
    why: str | None = None
    """Why a human is needed, in a sentence without personal data; in English, and translated where it is shown."""
    problems: tuple[Problem, ...] | None = None
    """All that the account needs a human for; None if nobody looked."""


@dataclass(frozen=True, slots=True)
class NextWorkTime:
    """When to work on an account again."""

    wait: timedelta
    failures: int
    """How often in a row it has failed by then."""
    held: int = 0
    """How often in a row it was held, or its machine unable, by then, which is nothing that it did wrong."""


def schedule_next_work(result: WorkResult, failures: int, *, held: int = 0, lost: int = 0) -> NextWorkTime:
    """Return when to work on an account after a result.

    Args:
        result: what became of it.
        failures: how often in a row it had failed before.
        held: how often in a row it was held before.
        lost: how often in a row its worker died.
    """
    if result.task is DidTask.UNABLE:
        doubled: timedelta = OTHERS_FIRST * 2 ** min(held, 8)
        return NextWorkTime(min(doubled, MAX_RETRY_WAIT), failures, held + 1)
    until_night = _LONGEST_WAIT if result.next_in is None else min(result.next_in, _LONGEST_WAIT)
    match result.exit_code:
        case Exit.DONE | Exit.ATTENTION | Exit.STOPPED:
            return NextWorkTime(until_night, 0)
        case Exit.CONFIGURATION:
            # New settings make it due at once.
            return NextWorkTime(until_night, failures + 1)
        case Exit.HELD:
            first = RETRY_LOST_AFTER if lost else RETRY_AFTER
            return NextWorkTime(_retry_after(first, held, until_night), failures, held + 1)
        case code if code >= STOPPED_BY_SIGNAL:
            return NextWorkTime(timedelta(), failures)
    if failures >= MOST_RETRIES or lost >= MOST_LOST_RUNS:
        return NextWorkTime(until_night, failures + 1)
    return NextWorkTime(_retry_after(RETRY_AFTER, failures, until_night), failures + 1)


def _retry_after(first: timedelta, times: int, until_night: timedelta) -> timedelta:
    """Return how long to wait after so many tries: twice as long each time, and not beyond the night."""
    doubled: timedelta = first * 2 ** min(times, MOST_RETRIES)
    return min(doubled, MAX_RETRY_WAIT, max(until_night, RETRY_AFTER))
