"""The queue of the accounts that are due, which procrastinate keeps; everything that names its tables is here."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

from jobs.fleet.database import Connection
from jobs.fleet.work import DidTask, WorkResult, schedule_next_work

QUEUE = "nights"
TASK = "night"
_ASKED_FOR = 10
"""Priority of an account that somebody waits for; the others have 0 or less."""
_LOWEST = 5
_LOCK = 0x6F70_6C65_6164_02
"""Key of the advisory lock under which one worker at a time looks for what is due."""
_KEEP_RUNS = timedelta(days=90)

# ── what is due ──────────────────────────────────────────────────────────────────────────────────


def enqueue_due_accounts(connection: Connection) -> int:
    """Enqueue the accounts that are due, the oldest first, and return how many; never one that is enqueued or at work.

    An account that has failed comes after those that have not, so that it costs them nothing.
    """
    locked = connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS mine", [_LOCK]).fetchone()
    if locked is None or not locked["mine"]:
        return 0
    due = connection.execute(
        """
        SELECT name, failures, asked_at FROM fleet_account AS account
        WHERE removed_at IS NULL AND NOT paused AND due_at <= now() AND NOT EXISTS (
            SELECT 1 FROM procrastinate_jobs WHERE lock = account.name AND status IN ('todo', 'doing')
        )
        ORDER BY due_at, name
        """
    ).fetchall()
    jobs = [_job(row["name"], _LOWEST if row["failures"] else 0, asked=row["asked_at"] is not None) for row in due]
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


def _job(name: str, lower: int, *, asked: bool) -> Job:
    return Job(
        queue=QUEUE,
        task_name=TASK,
        lock=name,
        queueing_lock=name,
        priority=_ASKED_FOR if asked else -lower,
        task_kwargs={"account": name},
    )


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that a worker has begun."""

    id: int
    failures: int
    """How often in a row the account had failed before."""
    started_at: datetime
    asked: bool
    """Whether somebody asked for it."""
    last_run: int
    """The last run of the account's ledger that is on record since the account was added; 0 if none is."""


def begin_run(
    connection: Connection, account: str, *, job: int, worker: str, version: int, asked: bool = False
) -> OpenRun:
    """Record that a worker begins to work on an account, and whether somebody asked for it."""
    row = connection.execute(
        """
        INSERT INTO fleet_run (account, job, worker, settings_version, asked) VALUES (%s, %s, %s, %s, %s)
        RETURNING id, started_at, (SELECT failures FROM fleet_account WHERE name = account) AS failures, coalesce((
            SELECT known.ledger_run FROM fleet_run known JOIN fleet_account a ON a.name = known.account
            WHERE known.account = fleet_run.account AND known.ended_at >= a.added_at AND known.ledger_run IS NOT NULL
            ORDER BY known.id DESC LIMIT 1
        ), 0) AS last_run
        """,
        [account, job, worker, version, asked],
    ).fetchone()
    if row is None:
        raise AssertionError("INSERT … RETURNING returns a row")
    return OpenRun(row["id"], row["failures"], row["started_at"], asked, row["last_run"])


def end_run(connection: Connection, run: OpenRun, result: WorkResult) -> bool:
    """Record a result and when the account is due next; False if the run was given up and another has begun since.

    What such a run did is recorded all the same, and when the account is due is the other one's to say. An account
    whose settings changed during the run, or that was asked for meanwhile, is due at once.
    """
    after = schedule_next_work(result, run.failures)
    values = {
        "run": run.id,
        "exit_code": result.exit_code,
        "task": result.task,
        "ledger_run": result.ledger_run,
        "why": result.why,
        "wait": after.wait,
        "failures": after.failures,
        "night_in": result.night_in,
        "has_state": result.task is not DidTask.NOTHING and result.ledger_run is not None,
    }
    ended = connection.execute(
        """
        WITH ended AS (
            UPDATE fleet_run SET
                ended_at = now(), exit_code = %(exit_code)s, task = %(task)s, ledger_run = %(ledger_run)s, why = %(why)s
            WHERE id = %(run)s AND exit_code IS NULL
            RETURNING id, account, started_at, settings_version
        )
        UPDATE fleet_account SET
            due_at = CASE
                WHEN asked_at > ended.started_at OR ended.settings_version
                    < (SELECT max(version) FROM fleet_settings WHERE account = name) THEN now()
                ELSE now() + %(wait)s
            END,
            night_at = CASE WHEN %(night_in)s::interval IS NULL THEN night_at ELSE now() + %(night_in)s END,
            failures = %(failures)s,
            first_run = first_run AND NOT %(has_state)s,
            asked_at = CASE WHEN asked_at > ended.started_at OR %(exit_code)s >= 75 THEN asked_at END
        FROM ended
        WHERE name = ended.account AND NOT EXISTS (SELECT 1 FROM fleet_run WHERE account = name AND id > ended.id)
        """,
        values,
    )
    return ended.rowcount == 1


def release_lost_runs(connection: Connection) -> list[str]:
    """Have the accounts be due whose run's job is gone, because their worker died; return their names.

    A job is only deleted after its run's end is recorded, so an open run without a job is one that nobody ends. The
    first two times the account is due at once; each further time it waits twice as long, up to an hour.
    """
    rows = connection.execute(
        """
        WITH lost AS (
            UPDATE fleet_run SET ended_at = now()
            WHERE ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE id = fleet_run.job)
            RETURNING account
        )
        UPDATE fleet_account SET
            failures = failures + 1,
            due_at = now() + CASE
                WHEN failures < 2 THEN interval '0' ELSE interval '1 minute' * least(2 ^ (failures - 2), 60)
            END
        FROM lost WHERE name = lost.account RETURNING name
        """
    )
    return [row["name"] for row in rows]


def delete_old_runs(connection: Connection) -> None:
    """Delete runs that have grown old."""
    connection.execute("DELETE FROM fleet_run WHERE started_at < now() - %s", [_KEEP_RUNS])


# ── workers ──────────────────────────────────────────────────────────────────────────────────────


def beat(connection: Connection, worker: int) -> bool:
    """Record that a worker is alive; False if it was taken for dead, and must register anew."""
    return (
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %s", [worker]).rowcount
        == 1
    )
