"""A PostgreSQL server of the tests' own, started once a process from what the machine has."""

import atexit
import functools
import itertools
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlmodel import SQLModel

from jobs.ledger.runs import _begin
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.wiring.state import deploy_database
from tests.builders import ACCOUNT

_PROGRAMS = Path("/usr/lib/postgresql")
_PATIENCE = 30
"""Seconds for the server to start."""
_USER = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL refuses to be run by root."""
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60")
_FRENCH = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=fr-FR")
"""A language that sorts by letters, accents and case, as a server may; the ledger's text must not."""
OWNER = "oplead"
"""To whom databases belong: no superuser, so that row-level security holds."""
PASSWORD = "s3cret-word"
MISSING = "no PostgreSQL server under /usr/lib/postgresql: install Debian's `postgresql` to test on it"


def _programs():
    """The folder of the newest server's programs, or None."""
    found = [folder / "bin" for folder in _PROGRAMS.glob("*") if (folder / "bin" / "initdb").exists()]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


def needed():
    """Skip a test where there is no server; fail it in CI, which installs one."""
    if _programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)


class Server:
    """A running server; its databases are copies of one that was deployed."""

    def __init__(self, programs):
        self._programs = programs
        self.host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        """Where it listens beside its socket: one of this machine's, since all servers have one port."""
        self.folder = Path(tempfile.mkdtemp(prefix="oplead-pg-"))
        self._process = None
        atexit.register(self.stop)
        if _USER:
            shutil.chown(self.folder, _USER)
        how = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", *_FRENCH)
        self._run("initdb", "--pgdata", self.folder / "data", *how)
        self.start()
        self._numbers = itertools.count(1)
        self.execute(f"CREATE ROLE {OWNER} LOGIN")
        self.execute(f"CREATE DATABASE deployed OWNER {OWNER}")
        deploy_database(self.url("deployed"))

    def _run(self, program, *options):
        command = [self._programs / program, *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, user=_USER, timeout=_PATIENCE)

    @property
    def pid(self):
        """The process that starts one for each connection."""
        return self._process.pid

    def start(self):
        """Start the server, and wait until it answers."""
        settings = [part for each in (*_FAST, f"listen_addresses={self.host}") for part in ("-c", each)]
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
                return self.connect().close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def halt(self):
        """Stop the server at once, and cut every connection."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE)

    def crash(self):
        """End the server as a crash does; it recovers when it starts."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_PATIENCE)

    def stop(self):
        """Stop the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.halt()
            except subprocess.TimeoutExpired:
                self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database="postgres", user="postgres"):
        """A connection past all that is ours; for a superuser unless told otherwise."""
        return psycopg.connect(host=str(self.folder), dbname=database, user=user, autocommit=True)

    def execute(self, statement):
        """Run a statement as a superuser."""
        with self.connect() as connection:
            connection.execute(statement)

    def set_clock(self, database, now):
        """Have its clock stand at `now` for connections to a database that are made after this was first called."""
        with self.connect(database) as connection:
            # The server's own functions come first unless the path names them.
            connection.execute(f"ALTER DATABASE {database} SET search_path = public, pg_catalog")
            connection.execute(
                "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
                f"AS $$ SELECT timestamptz '{now.isoformat()}' $$"
            )

    def url(self, database, user=OWNER, *, over_network=False):
        """The address of a database, as settings have it; the server asks for no password."""
        if over_network:
            return f"postgresql://{user}:{PASSWORD}@{self.host}/{database}"
        return f"postgresql://{user}:{PASSWORD}@/{database}?host={self.folder}"

    def create(self, name=None, *, like="deployed"):
        """Make a database, a copy of another one, and return its name."""
        name = name or f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {like}")
        return name

    @contextmanager
    def database(self, *, like="template1"):
        """Yield the address of a new database, in which nothing is; it is removed at the end."""
        name = self.create(like=like)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def drop(self, name):
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@functools.cache
def server():
    """The server of this process; without one, the test is skipped, or fails in CI."""
    needed()
    return Server(_programs())


def wait_until(is_so):
    """Return once something of the server's is so."""
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def contents(url):
    """Every value of every row of every account, by table, in the database at an address."""
    with server().connect(url.partition("?")[0].rpartition("/")[2]) as connection:
        tables = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
        return {name: b"".join(map(bytes, _copied(connection, f"COPY {name} TO STDOUT"))) for (name,) in tables}


def _copied(connection, statement):
    with connection.cursor().copy(statement) as copy:
        yield from copy


class State:
    """A ledger in a database of its own, for tests that otherwise use a file's; see `builders.ReusedState`."""

    def __init__(self):
        needed()
        self.database = server().create()
        self.state = PostgresqlState(SecretStr(server().url(self.database)), ACCOUNT)
        self.engine = self.state.open_engine(for_writing=True)
        self.engine.dispose()

    def clear(self):
        """Begin again with empty tables."""
        with server().connect(self.database) as connection:
            connection.execute(f"TRUNCATE {', '.join(SQLModel.metadata.tables)}")

    def remove(self):
        """Remove the database."""
        self.engine.dispose()
        server().drop(self.database)

    def contents(self):
        """Every value of every row of every account."""
        return b"".join(contents(server().url(self.database)).values())

    def ask(self, statement):
        """Rows of it, read by plain SQL."""
        with server().connect(self.database) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def hold(self, clock, command="test", **more):
        """Hold the ledger for a run of its own; at the end its connections close, as a dead process's would."""
        try:
            with self.state.lock_account(now=clock.now()) as lock:
                yield _begin(self.engine, self.state, ACCOUNT, command, lock, now=clock.now(), **more)
        finally:
            self.engine.dispose()
