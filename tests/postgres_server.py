"""A PostgreSQL server of the tests' own, started once a process from what the machine has."""

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_PATIENCE = 30
"""Seconds for the server to start."""
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=")
_USER = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL refuses to be run by root."""
OWNER = "oplead"
"""To whom databases belong: no superuser."""
MISSING = "no PostgreSQL server under /usr/lib/postgresql: install Debian's `postgresql` to test on it"


def programs():
    """The folder of the newest server's programs; without one, the test is skipped, or fails in CI."""
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    return max(found, key=lambda each: float(each.parents[1].name)).parent


class Server:
    """A running server."""

    def __init__(self, folder):
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="oplead-fleet-", dir=folder))
        atexit.register(self.stop)
        if _USER:
            shutil.chown(self.folder, _USER)
        self._run("initdb", "--pgdata", self.folder / "data", "--auth=trust", "--username=postgres", "--no-sync")
        self.start()
        self._numbers = itertools.count(1)
        self.execute(f"CREATE ROLE {OWNER} LOGIN")

    def _run(self, program, *options):
        command = [self._programs / program, *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, user=_USER, timeout=_PATIENCE)

    def start(self):
        """Start the server, and wait until it answers."""
        settings = [part for each in _FAST for part in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *settings],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=_USER,
            )
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def halt(self):
        """Stop the server at once, and cut every connection."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE)

    def stop(self):
        """Stop the server and remove its folder."""
        if self._process.poll() is None:
            self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement):
        """Run a statement as a superuser."""
        with psycopg.connect(host=str(self.folder), dbname="postgres", user="postgres", autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self):
        """Yield the address of a new database; it is removed at the end, whoever is connected."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        try:
            yield f"postgresql://{OWNER}:s3cret-word@/{name}?host={self.folder}"
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@functools.cache
def server():
    """The server of this process."""
    return Server(None)
