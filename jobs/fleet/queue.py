"""The queue of the accounts that are due, which procrastinate keeps; everything that names its tables is here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

from jobs.exit_codes import Exit
from jobs.fleet.database import Connection
from jobs.fleet.work import STOPPED_BY_SIGNAL, DidTask, WorkResult, schedule_next_work

QUEUE = "nights"
SUSPECTS = "suspects"
"""The queue of those that `SUSPECT_AFTER` keeps apart, in one order with all others."""
TASK = "night"
_ASKED_FOR = 2**31 - 1
"""Priority of an account that somebody waits for: the highest that there is."""
_ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""A priority is an integer: the seconds from an account's turn to this."""
_PENALTY = timedelta(hours=1)
"""How much later the turn of an account comes that has failed."""
SUSPECT_AFTER = 2
"""After as many lost runs in a row, an account is begun in no worker that has another one at work of which it is true.

A worker's death does not say which of the accounts at work caused it. Most often none did, so that the first time all
are due at once, as they were. Those that lose a second run in a row are suspects, and keep apart: the one that kills
its workers no longer takes others of them with it, which end their nights and are cleared, while it is left to count
alone. Accounts that are new beside it lose a run, but no place in the order, and are no suspects.

They keep apart within each worker, not within the fleet: what dies is a worker, most often of its own memory limit. So
after a power cut, which makes suspects of all that were at work, as many of them as there are workers go on at once.
"""
SUSPECT_ALONE = timedelta(minutes=30)
"""After so long, a suspect keeps no other waiting, or one that hangs would for hours; few nights take that long."""
_LOCK = 0x6F70_6C65_6164_02
"""Key of the advisory lock under which one worker at a time looks for what is due."""
_KEEP_RUNS = timedelta(days=90)
_KEEP_RUNS_WITHOUT_WORK = timedelta(hours=1)

# ── what is due ──────────────────────────────────────────────────────────────────────────────────


def enqueue_due_accounts(connection: Connection) -> int:
    """Enqueue the accounts that are due, and return how many; never one that is enqueued or at work.

    An account that somebody waits for comes first, also if it was enqueued before; then whichever has been due longest.
    One that has failed comes as late as if it had come due an hour later: it costs the others nothing when all are due
    at once, and yet its turn comes, since what comes due after that hour comes after it.
    """
    locked = connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS mine", [_LOCK]).fetchone()
    if locked is None or not locked["mine"]:
        return 0
    connection.execute(
        """
        UPDATE procrastinate_jobs SET priority = %(asked_for)s FROM fleet_account
        WHERE lock = name AND status = 'todo' AND asked_at IS NOT NULL AND priority < %(asked_for)s
        """,
        {"asked_for": _ASKED_FOR},
    )
    due = connection.execute(
        """
        SELECT name, asked_at, lost >= %(suspect)s AS is_suspect,
            due_at + CASE WHEN failures > 0 OR lost >= %(suspect)s THEN %(penalty)s ELSE interval '0' END AS turn
        FROM fleet_account AS account
        WHERE removed_at IS NULL AND NOT paused AND due_at <= now() AND NOT EXISTS (
            SELECT 1 FROM procrastinate_jobs WHERE lock = account.name AND status IN ('todo', 'doing')
        )
        ORDER BY turn, name
        """,
        {"suspect": SUSPECT_AFTER, "penalty": _PENALTY},
    ).fetchall()
    jobs = [_job(row["name"], row["turn"], asked=row["asked_at"] is not None, suspect=row["is_suspect"]) for row in due]
    return len(jobs) if _defer(connection, jobs) else sum(_defer(connection, [each]) for each in jobs)


def _defer(connection: Connection, jobs: list[Job]) -> bool:
    """Enqueue jobs, all or none; False if one of the accounts was enqueued meanwhile."""
    if not jobs:
        return True
    try:
        with connection.transaction():
            JobManager(SyncPsycopgConnector()).batch_defer_jobs(jobs, connection=connection)
    except AlreadyEnqueued:
        return False
    return True


def _job(name: str, turn: datetime, *, asked: bool, suspect: bool) -> Job:
    return Job(
        queue=SUSPECTS if suspect else QUEUE,
        task_name=TASK,
        lock=name,
        queueing_lock=name,
        priority=_ASKED_FOR if asked else int((_ORIGIN - turn).total_seconds()),
        task_kwargs={"account": name},
    )


@dataclass(slots=True)
class SuspectLane:
    """Keeps suspects apart in a worker: only the place that has entered may take one, until it leaves or is slow."""

    clock: Callable[[], float] = time.monotonic
    _holder: object | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def enter(self, place: object) -> bool:
        """Have a place be the one that may take a suspect, and return True; False if another one is."""
        now = self.clock()
        if self._holder is not None and now < self._until:
            return False
        self._holder, self._until = place, now + SUSPECT_ALONE.total_seconds()
        return True

    def leave(self, place: object) -> None:
        """Let another place enter, if this one is still the one that has."""
        if self._holder is place:
            self._holder = None


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that a worker has begun."""

    id: int
    failures: int
    """How often in a row the account had failed before."""
    held: int
    """How often in a row it was held, most recently."""
    lost: int
    """How often in a row its worker died."""
    started_at: datetime
    asked_at: datetime | None
    """When somebody asked for it, if somebody did."""
    last_run: int = 0
    """The last run of the account's ledger that is on record since the account was added; 0 if none is."""

    @property
    def asked(self) -> bool:
        """Whether somebody asked for it."""
        return self.asked_at is not None


def begin_run(
    connection: Connection, account: str, *, job: int, machine: str, version: int, asked_at: datetime | None = None
) -> OpenRun:
    """Record that a worker begins to work on an account, and the request that it answers; for each job once.

    A worker that did not hear that the first time was recorded asks again.
    """
    row = connection.execute(
        """
        WITH begun AS (
            INSERT INTO fleet_run (account, job, machine, settings_version, asked) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (job) WHERE ended_at IS NULL
                DO UPDATE SET settings_version = excluded.settings_version, asked = excluded.asked
            RETURNING id, account, started_at
        )
        SELECT begun.id, failures, held, lost, started_at, coalesce((
            SELECT ledger_run FROM fleet_run
            WHERE account = name AND ended_at >= added_at AND ledger_run IS NOT NULL ORDER BY id DESC LIMIT 1
        ), 0) AS last_run
        FROM begun JOIN fleet_account ON name = begun.account
        """,
        [account, job, machine, version, asked_at is not None],
    ).fetchone()
    if row is None:
        raise AssertionError("INSERT … RETURNING returns a row")
    return OpenRun(**row, asked_at=asked_at)


def end_run(connection: Connection, run: OpenRun, result: WorkResult, *, is_given_up: bool = False) -> bool:
    """Record a result and when the account is due next; False if the run was given up and another has begun since.

    What such a run did is recorded all the same, and when the account is due is the other one's to say. So is what its
    night told, which nobody has heard of yet: its ledger's run stays out of the record, so that `begin_run` does not
    call it known. An account whose settings changed during the run, or that was asked for meanwhile, is due at once.

    Args:
        connection: a transaction.
        run: the run.
        result: what became of it.
        is_given_up: whether its worker died, so that nobody else says what became of it; the account is due at the time
            of day of its nights, as far as that is known.
    """
    is_undone = result.exit_code == Exit.HELD or result.task is DidTask.UNABLE
    after = schedule_next_work(result, run.failures, held=run.held, lost=run.lost)
    values = {
        "run": run.id,
        "exit_code": result.exit_code,
        "task": result.task,
        "ledger_run": result.ledger_run,
        "why": result.why,
        "wait": after.wait,
        "is_given_up": is_given_up,
        "failures": after.failures,
        "held": after.held,
        "asked_at": run.asked_at,
        "night_in": result.night_in,
        # Whoever found it held, or lacked something, has done nothing that could have killed a worker.
        "is_still_lost": is_given_up or is_undone,
        "is_still_asked": is_undone or result.exit_code >= STOPPED_BY_SIGNAL,
        "has_state": result.task is not DidTask.NOTHING and result.ledger_run is not None,
    }
    # In a statement of its own: one that waits for the row, which `add_account` holds, does not see what came with it.
    # And before its runs, as `erase_account` does.
    connection.execute(
        """
        SELECT FROM fleet_account WHERE name = (SELECT account FROM fleet_run WHERE id = %s) FOR NO KEY UPDATE
        """,
        [run.id],
    )
    ended = connection.execute(
        """
        WITH ended AS (
            UPDATE fleet_run SET
                ended_at = now(), exit_code = %(exit_code)s, task = %(task)s, why = %(why)s,
                ledger_run = CASE WHEN NOT EXISTS (
                    SELECT 1 FROM fleet_run later WHERE later.account = fleet_run.account AND later.id > fleet_run.id
                ) THEN %(ledger_run)s::bigint END
            WHERE id = %(run)s AND exit_code IS NULL
            RETURNING id, account, settings_version
        )
        UPDATE fleet_account SET
            due_at = CASE
                WHEN asked_at IS DISTINCT FROM %(asked_at)s OR ended.settings_version
                    < (SELECT max(version) FROM fleet_settings WHERE account = name) THEN now()
                WHEN %(is_given_up)s AND night_at IS NOT NULL
                    THEN date_bin('24 hours', now(), night_at) + interval '24 hours'
                ELSE now() + %(wait)s
            END,
            -- where no try has found out when its night is, the first one is what it has been late since
            night_at = coalesce(now() + %(night_in)s, night_at, now()),
            failures = %(failures)s,
            held = %(held)s,
            lost = CASE WHEN %(is_still_lost)s THEN lost ELSE 0 END,
            first_run = first_run AND NOT %(has_state)s,
            asked_at = CASE WHEN asked_at IS DISTINCT FROM %(asked_at)s OR %(is_still_asked)s THEN asked_at END
        FROM ended
        WHERE name = ended.account AND NOT EXISTS (SELECT 1 FROM fleet_run WHERE account = name AND id > ended.id)
        """,
        values,
    )
    if result.task is DidTask.NOTHING and result.exit_code == Exit.DONE:
        _delete_runs_without_work(connection, before=run.id)
    return ended.rowcount == 1


def _delete_runs_without_work(connection: Connection, *, before: int) -> None:
    """Delete an account's earlier runs for which nothing was due, before one more of them: with `also_every` most are.

    That one tells that what the account was held by before is over.
    """
    connection.execute(
        """
        DELETE FROM fleet_run
        WHERE account = (SELECT account FROM fleet_run WHERE id = %(run)s) AND id < %(run)s
            AND task = 'nothing' AND exit_code = 0 AND started_at < now() - %(keep)s
        """,
        {"run": before, "keep": _KEEP_RUNS_WITHOUT_WORK},
    )


def release_lost_runs(connection: Connection) -> list[tuple[str, OpenRun]]:
    """Have the accounts be due whose run's job is gone, because their worker died; return their names and runs.

    A job is only deleted after its run's end is recorded, so an open run without a job is one that nobody ends. The
    first two times the account is as due as it was; each further time it waits a minute longer. It did not fail: see
    `SUSPECT_AFTER`.
    """
    # The accounts before their runs, as in `end_run`: their workers may be alive after all.
    accounts = connection.execute(
        """
        SELECT name FROM fleet_account WHERE name IN (
            SELECT account FROM fleet_run
            WHERE ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE id = job)
        )
        ORDER BY name FOR NO KEY UPDATE
        """
    )
    rows = connection.execute(
        """
        WITH gone AS (
            UPDATE fleet_run SET ended_at = now()
            WHERE ended_at IS NULL AND account = ANY (%(accounts)s)
                AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE id = fleet_run.job)
            RETURNING id, account, started_at, asked
        )
        UPDATE fleet_account
        SET lost = lost + 1, held = 0, due_at = CASE
            WHEN lost < %(suspect)s THEN least(due_at, now()) ELSE now() + interval '1 minute' * (lost - 1)
        END
        FROM gone WHERE name = gone.account
        RETURNING name, gone.id, failures, held, lost, started_at,
            -- what was asked for later is another request, to which the run is no answer
            CASE WHEN asked AND asked_at <= started_at THEN asked_at END AS asked_at
        """,
        {"suspect": SUSPECT_AFTER, "accounts": [row["name"] for row in accounts]},
    )
    return [(row.pop("name"), OpenRun(**row)) for row in rows]


def delete_old_runs(connection: Connection) -> None:
    """Delete runs that have grown old.

    The last one that wrote to an account's state, or may have, stays for good: it tells that the account has run.
    """
    connection.execute(
        """
        DELETE FROM fleet_run AS old WHERE started_at < now() - %s AND (
            (ledger_run IS NULL AND exit_code IS NOT NULL) OR EXISTS (
                SELECT 1 FROM fleet_run later
                WHERE later.account = old.account AND later.id > old.id
                    AND (later.ledger_run IS NOT NULL OR later.exit_code IS NULL)
            )
        )
        """,
        [_KEEP_RUNS],
    )


# ── workers ──────────────────────────────────────────────────────────────────────────────────────


def register(connection: Connection, machine: str) -> int:
    """Record a worker and the machine that it runs on; return its number."""
    row = connection.execute("SELECT worker_id FROM procrastinate_register_worker_v1()").fetchone()
    if row is None:
        raise AssertionError("the library's function returns the number of each worker that it registers")
    connection.execute("INSERT INTO fleet_worker (id, machine) VALUES (%s, %s)", [row["worker_id"], machine])
    return int(row["worker_id"])


def beat(connection: Connection, worker: int) -> timedelta | None:
    """Record that a worker is alive.

    Returns:
        For how long it had not been heard before; None if it was taken for dead, and must register anew.
    """
    row = connection.execute(
        """
        UPDATE procrastinate_workers SET last_heartbeat = now()
        FROM (SELECT id, last_heartbeat FROM procrastinate_workers WHERE id = %s FOR UPDATE) before
        WHERE procrastinate_workers.id = before.id
        RETURNING now() - before.last_heartbeat AS silence
        """,
        [worker],
    ).fetchone()
    return None if row is None else row["silence"]


def is_heard(connection: Connection, worker: int, *, silent_for: timedelta) -> bool:
    """Return whether a worker's own last heartbeat is recent.

    Args:
        connection: a connection to the fleet's database.
        worker: its number.
        silent_for: from when on its last heartbeat is not recent.
    """
    return bool(
        connection.execute(
            "SELECT FROM procrastinate_workers WHERE id = %s AND last_heartbeat > now() - %s", [worker, silent_for]
        ).rowcount
    )


def count_future_heartbeats_from_now(connection: Connection) -> None:
    """Have heartbeats that lie ahead of the server's clock, which was set back, count from now.

    Else a worker that died before would pass for alive until the clock is there again.
    """
    connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE last_heartbeat > now()")
