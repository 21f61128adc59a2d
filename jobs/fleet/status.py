"""How the fleet's accounts fare: one state for each, and what is late."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from connectors.language import _
from jobs.exit_codes import Exit
from jobs.fleet.database import Connection
from jobs.fleet.work import DidTask

LATE_AFTER = timedelta(hours=1)
"""A night that is not done so long after it was due is late."""
_DAY = timedelta(days=1)
_NEEDS_A_HUMAN = frozenset({Exit.ATTENTION, Exit.CONFIGURATION, Exit.STOPPED, Exit.BUG})


class AccountState(StrEnum):
    """How an account fares, the worst first."""

    NEEDS_A_HUMAN = "needs_a_human"
    """Its last run says so, or failed, or left an incident open."""
    LATE = "late"
    """A night is not done an hour after it was due."""
    RUNNING = "running"
    WAITING = "waiting"
    """It is due, and waits for a worker or for another try."""
    PAUSED = "paused"
    NEVER_RAN = "never_ran"
    """It is new, and its first night is not due yet, or has just come due."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One account in the fleet's status."""

    account: str
    state: AccountState
    exit_code: int | None
    """What its last run ended with; None if it has none, or its worker died."""
    why: str | None
    """Why a human is needed, or why it is tried again; in English."""
    last_run_at: datetime | None
    due_at: datetime
    nights_late: int
    late_since: datetime | None
    """When the first of them was due."""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """Everything `fleet status` reports."""

    now: datetime
    workers: int
    """Workers that are alive."""
    queue_age: timedelta
    """How long the account that is next in the queue has been due."""
    accounts: Sequence[AccountStatus]
    """The worst first."""

    @property
    def exit_code(self) -> Exit:
        """Whether a human is needed, or a night is late."""
        bad = {AccountState.NEEDS_A_HUMAN, AccountState.LATE}
        return Exit.ATTENTION if any(each.state in bad for each in self.accounts) else Exit.DONE


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What the tables say of an account."""

    account: str
    paused: bool
    is_running: bool
    due_at: datetime
    night_at: datetime | None
    failures: int
    """How often in a row it failed, was held or lost its worker."""
    exit_code: int | None
    why: str | None
    last_run_at: datetime | None
    held_why: str | None = None
    """Why its last attempt, after that run, is made again; None if none is."""
    open_incidents: int = 0
    incident: str | None = None
    attention: str | None = None
    """What its last night by the schedule told, if one that somebody asked for has ended well since."""


def load_fleet_status(connection: Connection, *, silent_for: timedelta) -> FleetStatus:
    """Return how all accounts fare; a worker that was silent for so long is dead.

    An account's last run is its last night, or what has failed since: that outcomes were asked for mends nothing. A
    night that is done again because somebody asked for it looks at what has changed since: what the first one told a
    human, and the incidents that it left open, still hold.
    """
    head = connection.execute(
        "SELECT now() AS now, count(*) AS workers FROM procrastinate_workers WHERE last_heartbeat > now() - %s",
        [silent_for],
    ).fetchone()
    if head is None:
        raise AssertionError("a count returns a row")
    rows = connection.execute(
        """
        SELECT a.name AS account, a.paused, a.due_at, a.night_at, a.failures + a.held + a.lost AS failures,
            r.exit_code, r.why, r.started_at AS last_run_at, p.open_incidents, p.incident,
            CASE WHEN attempt.exit_code = %(held)s THEN attempt.why END AS held_why,
            CASE WHEN told.exit_code = %(attention)s THEN coalesce(told.why, '') END AS attention,
            EXISTS (SELECT 1 FROM procrastinate_jobs WHERE lock = a.name AND status = 'doing') AS is_running
        FROM fleet_account a LEFT JOIN LATERAL (
            SELECT exit_code, started_at, CASE task WHEN %(unable)s THEN concat(machine, ': ', why) ELSE why END AS why
            FROM fleet_run
            WHERE account = a.name AND ended_at >= a.added_at AND exit_code < 75 AND (task = 'night' OR exit_code <> 0)
            ORDER BY id DESC LIMIT 1
        ) r ON true LEFT JOIN LATERAL (
            SELECT exit_code, CASE task WHEN %(unable)s THEN concat(machine, ': ', why) ELSE why END AS why
            FROM fleet_run
            WHERE account = a.name AND ended_at >= a.added_at AND exit_code IS NOT NULL
            ORDER BY id DESC LIMIT 1
        ) attempt ON true LEFT JOIN LATERAL (
            SELECT exit_code, why FROM fleet_run
            WHERE account = a.name AND ended_at >= a.added_at AND exit_code < 75
                AND (exit_code <> 0 OR (task = 'night' AND NOT asked))
            ORDER BY id DESC LIMIT 1
        ) told ON true LEFT JOIN LATERAL (
            SELECT count(*) AS open_incidents, (array_agg(title ORDER BY since, cause))[1] AS incident
            FROM fleet_problem WHERE account = a.name AND title <> '' AND seen_at >= a.added_at
        ) p ON true
        WHERE a.removed_at IS NULL
        """,
        {"held": int(Exit.HELD), "attention": int(Exit.ATTENTION), "unable": DidTask.UNABLE},
    )
    now: datetime = head["now"]
    found = [AccountRow(**row) for row in rows]
    due = [each.due_at for each in found if not each.paused and not each.is_running]
    accounts = sorted((account_status(row, now) for row in found), key=worst_first)
    return FleetStatus(now, head["workers"], max(timedelta(), now - min(due, default=now)), accounts)


def account_status(row: AccountRow, now: datetime) -> AccountStatus:
    """Return how an account fares."""
    night_at = row.night_at or row.due_at
    is_late = not row.paused and now - night_at > LATE_AFTER
    exit_code, why = _outcome(row)
    return AccountStatus(
        row.account,
        _state(row, now, is_late=is_late),
        exit_code,
        why,
        row.last_run_at,
        row.due_at,
        (now - night_at) // _DAY + 1 if is_late else 0,
        night_at if is_late else None,
    )


def _outcome(row: AccountRow) -> tuple[int | None, str | None]:
    """Return what to tell of an account: what needs a human first, then what keeps it from its night."""
    if row.exit_code in _NEEDS_A_HUMAN:
        return row.exit_code, row.why
    if row.attention is not None:
        return Exit.ATTENTION, row.attention or None
    if row.open_incidents:
        return row.exit_code, row.incident
    return (row.exit_code, row.why) if row.held_why is None else (Exit.HELD, row.held_why)


def _state(row: AccountRow, now: datetime, *, is_late: bool) -> AccountState:
    if row.paused:
        return AccountState.PAUSED
    if row.exit_code in _NEEDS_A_HUMAN or row.attention is not None or row.open_incidents:
        return AccountState.NEEDS_A_HUMAN
    if is_late:
        return AccountState.LATE
    if row.is_running:
        return AccountState.RUNNING
    if row.last_run_at is None and not row.failures:
        return AccountState.NEVER_RAN
    return AccountState.WAITING if row.due_at <= now or row.failures else AccountState.OK


_ORDER = list(AccountState)


def worst_first(one: AccountStatus) -> tuple[int, int, str]:
    """Return a key that sorts accounts, the worst first."""
    return _ORDER.index(one.state), -one.nights_late, one.account


def account_state_name(state: AccountState) -> str:
    """Return a state in words."""
    match state:
        case AccountState.NEEDS_A_HUMAN:
            return _("needs a human")
        case AccountState.LATE:
            return _("late")
        case AccountState.RUNNING:
            return _("at work")
        case AccountState.WAITING:
            return _("waiting")
        case AccountState.PAUSED:
            return _("paused")
        case AccountState.NEVER_RAN:
            return _("never ran")
        case AccountState.OK:
            return _("fine")
        case _:
            assert_never(state)
