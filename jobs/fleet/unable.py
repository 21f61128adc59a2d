"""Machines that cannot run accounts: others come first, and a human is told if none of them can."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from jobs.fleet.database import Connection
from jobs.fleet.work import DidTask, WorkResult

_SEVERAL = 3
"""So many accounts in a row that a machine is the first to fail on are its fault; so many machines, the account's."""
FIRST_REST, LONGEST_REST = 30.0, 300.0
"""Seconds for which such a machine's worker takes no account; each rest is twice as long as the one before."""
_LATELY = timedelta(seconds=2 * LONGEST_REST)
_log = structlog.stdlib.get_logger()


@dataclass(slots=True)
class Rest:
    """Whether a worker takes accounts: one whose machine lacks what they need leaves them to others.

    Otherwise it would empty the queue ahead of all others, since it is done with an account in no time. An account that
    no other machine may run either is no reason to rest: whatever comes after it would wait for nothing.
    """

    clock: Callable[[], float] = time.monotonic
    _accounts: set[str] = field(default_factory=set, init=False)
    """Those that this machine was the first to fail on since it last succeeded."""
    _seconds: float = field(default=0.0, init=False)
    """How long the present rest takes; 0 while there is none."""
    _until: float = field(default=0.0, init=False)

    def may_take(self) -> bool:
        """Return whether to take an account now: between two rests, one."""
        if not self._seconds:
            return True
        if (now := self.clock()) < self._until:
            return False
        self._seconds = min(2 * self._seconds, LONGEST_REST)
        self._until = now + self._seconds
        return True

    def record(self, account: str, result: WorkResult, *, is_for_others: bool, has_failed_before: bool) -> None:
        """Record what became of an account; one that fails again says nothing of this machine.

        Args:
            account: whose result it is.
            result: what became of it.
            is_for_others: what `may_another_run_it` says of it, if this machine could not run it.
            has_failed_before: whether it had failed when it was begun.
        """
        if result.task is not DidTask.UNABLE:
            if self._seconds:
                _log.info("this machine has what an account needs again: the worker takes accounts as before")
            self._accounts.clear()
            self._seconds = 0.0
        elif not is_for_others:
            if self._seconds:  # the next one is tried at once
                self._seconds, self._until = FIRST_REST, self.clock()
        elif not has_failed_before:
            self._accounts.add(account)
            if len(self._accounts) >= _SEVERAL and not self._seconds:
                self._seconds = FIRST_REST
                self._until = self.clock() + FIRST_REST
                _log.error(
                    "this machine lacks what several accounts in a row need: the worker leaves accounts to others, and "
                    "tries one every few minutes",
                    accounts=sorted(self._accounts),
                    why=result.why,
                )


def may_another_run_it(connection: Connection, run: int, *, silent_for: timedelta) -> bool:
    """Return whether a machine may be able to run an account whose run here found that its own machine is not.

    Those that are not: each that has failed on these settings since somebody could run them, which three different ones
    need not try; and each whose latest attempt, at whichever account, has failed so. Only machines with a worker that
    lives count, each once.

    Args:
        connection: a connection to the fleet's database.
        run: the run, whose end is not on record yet.
        silent_for: a worker that was silent for so long is dead.
    """
    row = connection.execute(
        """
        WITH this AS (SELECT * FROM fleet_run WHERE id = %(run)s), since AS (
            SELECT coalesce(max(able.id), 0) AS id FROM fleet_run able JOIN this USING (account)
            WHERE able.task <> %(unable)s
        ), failed AS (
            SELECT machine FROM this UNION
            SELECT fleet_run.machine FROM fleet_run JOIN this USING (account, settings_version)
            WHERE fleet_run.task = %(unable)s AND fleet_run.id > (SELECT id FROM since)
        ), latest AS (
            SELECT DISTINCT ON (machine) machine, task FROM fleet_run
            WHERE started_at > now() - %(lately)s ORDER BY machine, id DESC
        ), alive AS (
            SELECT machine FROM this UNION
            SELECT machine FROM fleet_worker JOIN procrastinate_workers USING (id)
            WHERE last_heartbeat > now() - %(silent_for)s
        ), counted AS (
            SELECT machine IN (SELECT machine FROM failed) AS has_failed,
                machine IN (SELECT machine FROM latest WHERE task = %(unable)s) AS is_unable
            FROM alive
        )
        SELECT count(*) FILTER (WHERE has_failed) < least(count(*), %(several)s)
            AND count(*) FILTER (WHERE has_failed OR is_unable) < count(*) AS may
        FROM counted
        """,
        {
            "run": run,
            "unable": DidTask.UNABLE,
            "lately": _LATELY,
            "several": _SEVERAL,
            "silent_for": silent_for,
        },
    ).fetchone()
    return row is not None and row["may"]
