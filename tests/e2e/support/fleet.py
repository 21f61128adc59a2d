"""A fleet of accounts on one sandbox, with its own database and workers."""

import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from tests import postgresql
from tests.e2e.support.forked import Forked

PATIENCE = 60
"""Seconds to wait for what a worker does."""
QUICK = """
import functools
import jobs.account.fleet_worker as started
from jobs.fleet.worker import WorkerIntervals
pace = WorkerIntervals(look=0.2, poll=0.1, watch=1.0, heartbeat=0.2, dead_after=2.0, drain=15.0)
started.FleetWorker = functools.partial(started.FleetWorker, pace=pace)
"""
"""A worker whose minutes are split seconds."""

ELSEWHERE = """
from jobs.fleet.worker import FleetWorker
FleetWorker._machine = property(lambda _self: "elsewhere", lambda _self, _name: None)
"""
"""Has a worker be on another machine."""
IMPATIENT = """
from datetime import timedelta
import jobs.fleet.work as work
work.RETRY_AFTER, work.MAX_RETRY_WAIT = timedelta(seconds=0.1), timedelta(seconds=0.1)
"""
"""A worker that tries again at once."""


class Fleet:
    """Accounts that all play the same company, each with a state of its own."""

    def __init__(self, company, url):
        self.company = company
        self.url = url
        self.folder = company.directory / "fleet"
        self.folder.mkdir()
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
        # They all play one company, so its secrets are those of all.
        shared = {"OPLEAD_SYNC_SHARED_SECRETS": ",".join([*company.environ, "NOTIFY_URL", "HOOKS"])}
        self.environ = inherited | company.environ | shared | {"OPLEAD_SYNC_DATABASE": url}

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    def start(self, *arguments, prelude=""):
        """Start `fleet …` in its own process."""
        return Forked(["fleet", *arguments], environ=self.environ, cwd=self.folder, prelude=prelude)

    def command(self, *arguments):
        """The exit code, stdout and stderr of `fleet …`."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def done(self, *arguments):
        """The stdout of `fleet …`, which succeeds."""
        code, out, err = self.command(*arguments)
        assert 0 == code, out + err
        return out

    @contextmanager
    def worker(self, *options, prelude=""):
        """A worker with quick minutes; killed at the end if it still runs."""
        process = self.start("worker", *options, prelude=QUICK + prelude)
        try:
            yield process
        finally:
            process.kill()
            self.said = process.communicate(timeout=10)[1]

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────

    def file(self, name, **changes):
        """The settings file of an account."""
        told = json.loads(self.company.config.read_text())
        told |= {"account": name, "state": "${OPLEAD_SYNC_DATABASE}", "schedule": {"daily": "05:30"}} | changes
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(told), encoding="utf-8")
        return path

    def add(self, *names, **changes):
        """Add accounts whose night is due, though they all play the same company."""
        files = (self.file(name, **changes) for name in names)
        self.done("accounts", "add", "--first-run", "--not-renamed", *files)
        self.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")

    def nights(self, name):
        """The date and exit code of each run of an account that was a night."""
        return self._ledger(name, "SELECT CAST(night AS text), exit_code FROM run WHERE command = 'run' ORDER BY id")

    def states(self, name):
        """How many of an account's deliveries are in each state."""
        return dict(self._ledger(name, "SELECT state, count(*) FROM delivery GROUP BY state"))

    def keys(self, *names):
        """The key of every delivery of these accounts."""
        return [key for name in names for (key,) in self._ledger(name, "SELECT key FROM delivery")]

    def in_ledger(self, name, statement):
        """Run a statement as an account, which sees its own rows."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT set_config('oplead.account', %s, true)", (name,))
            return connection.execute(statement).statusmessage

    def written(self, name):
        """Every row that runs of an account write as they go on."""
        tables = ("lease", "run", "lead", "delivery", "request", "attempt", "transition")
        return {table: self._ledger(name, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}  # noqa: S608

    def _ledger(self, name, statement):
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT set_config('oplead.account', %s, true)", (name,))
            return connection.execute(statement).fetchall()

    def gate(self, server="data_manager", path="/v1/events:ingest"):
        """Have every upload wait; return what is set at the first, and what lets them through once it is set."""
        reached, opened = threading.Event(), threading.Event()

        def wait(_request):
            reached.set()
            opened.wait(PATIENCE)

        self.company.before(server, path, wait)
        return reached, opened

    # ── the database ─────────────────────────────────────────────────────────────────────────────

    def cut(self):
        """Cut every connection to the database, as a network does."""
        with postgresql.server().connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [conninfo_to_dict(self.url)["dbname"]],
            )

    def execute(self, statement):
        """Run a statement on the fleet's tables."""
        with self._connect() as connection:
            connection.execute(statement)

    def rows(self, statement):
        """The rows that a query of the fleet's tables finds."""
        with self._connect() as connection:
            return connection.execute(statement).fetchall()

    def _connect(self):
        return psycopg.connect(self.url, row_factory=dict_row, options="-c search_path=oplead_fleet")

    def runs(self, what="ended_at IS NOT NULL"):
        """The runs that workers have recorded, in order."""
        return self.rows(f"SELECT * FROM fleet_run WHERE {what} ORDER BY id")  # noqa: S608 - tests' own words

    def ended_nights(self):
        """How many nights have ended well."""
        return len(self.runs("task = 'night' AND exit_code = 0"))

    def wait_for(self, true):
        """Poll a condition for a bounded time."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.rows("SELECT * FROM fleet_account") + self.runs("true")
            time.sleep(0.05)


def stop_all(pid):
    """Stop a process and all its descendants, as when their machine is paused; return what lets them go on."""
    stopped = []
    while found := [each for each in descendants(pid) if each not in stopped]:
        for each in found:
            send_signal(each, signal.SIGSTOP)
        stopped += found

    def go_on():
        for each in stopped:
            send_signal(each, signal.SIGCONT)

    return go_on


def descendants(pid):
    """A process and everything that it started, each before its own."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(each for child in children for each in descendants(int(child)))]
    return []


def send_signal(pid, number):
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
