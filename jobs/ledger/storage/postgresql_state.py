"""An account's state in a PostgreSQL database that many accounts share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from connectors.language import _
from jobs.ledger.bulk import table_of
from jobs.ledger.schema import Lease, Start
from jobs.ledger.storage.database import temporary_copy
from jobs.ledger.storage.lock import LeaseHeldError, LockRecord
from jobs.ledger.storage.plain_reads import NeighbouringLedger, owners_by_account
from jobs.ledger.storage.postgresql import (
    explaining_postgresql_errors,
    open_postgresql,
    parsed_address,
    refuse_other_schema,
    shown_address,
)
from jobs.ledger.storage.postgresql_tables import FIRST_RUN, shows_starts_to_first_runs
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state import disposing
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from jobs.ledger.storage.transfer import copy_rows

_LEASE, _START = table_of(Lease), table_of(Start)
_LEASES = 0x4F504C53  # "OPLS"
"""The seed of the keys of our locks, which other programs of the database do not use."""
_WHILE_HELD = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""So the server lets go of the account of a machine that is gone after half a minute of silence, not after two hours.

A fleet gives the account to another worker a minute after the last heartbeat, and that one must not find it held.
"""
_WITH_TRANSACTION_TIMEOUT = (17,)
"""The first version of PostgreSQL that can end a transaction for its age."""


def _end(connection: Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.close()


@dataclass(frozen=True, slots=True)
class PostgresqlState:
    """A `State` in a database, named without its user and password."""

    url: SecretStr = field(repr=False)
    account: str

    def __str__(self) -> str:
        return shown_address(parsed_address(self.url.get_secret_value()))

    def exists(self) -> bool:
        """Return whether a run of this account was ever begun there, or its ledger moved there."""
        with self._connected(for_writing=False) as connection:
            return connection.scalar(select(_LEASE.c.epoch)) is not None

    def create(self) -> None:
        """Check that the database takes an account: its rows come with the first run."""
        if self.exists():
            raise LedgerError(_("{path}: this account has its state already; leave --first-run out", path=self))

    def open_engine(self, *, for_writing: bool) -> Engine:
        """Open the database, in which nothing but this account's rows can be seen."""
        if not for_writing and not self.exists():
            raise NoStateError(self)
        return open_postgresql(self.url.get_secret_value(), self.account, for_writing=for_writing)

    @contextmanager
    def lock_account(self, *, now: datetime) -> Iterator[LockRecord]:  # noqa: ARG002 - a file's lock says since when
        """Hold an advisory lock in a transaction that stays open, so that a pooler keeps its connection."""
        with ExitStack() as stack:
            # Explain no errors of the block, and raise none at its end: with its connection, the lock is gone anyway.
            with self.explaining_errors():
                engine = stack.enter_context(disposing(self.open_engine(for_writing=True)))
                connection = engine.connect()
                stack.callback(_end, connection)
                key = func.hashtextextended(self.account, _LEASES)
                settings = (func.set_config(name, value, True) for name, value in _WHILE_HELD.items())
                if not connection.scalar(select(func.pg_try_advisory_xact_lock(key), *settings)):
                    raise self._held(connection)
                # Last, and without parameters: a result before it would stay open, and with it what it saw, so that
                # for a whole night the server could clean up nothing that any account leaves behind.
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                if (connection.dialect.server_version_info or ()) >= _WITH_TRANSACTION_TIMEOUT:
                    connection.exec_driver_sql("SET LOCAL transaction_timeout = 0")
            yield LockRecord()  # remembers nothing: whoever restores a server restores it with the ledger

    def _held(self, connection: Connection) -> LeaseHeldError:
        holder = connection.execute(select(_LEASE.c.pid, _LEASE.c.started_at)).one_or_none()
        if holder is None:
            return LeaseHeldError(_("{state}: another run holds this account", state=self))
        return LeaseHeldError(
            _(
                "{state}: another run holds this account (process {pid}, since {since})",
                state=self,
                pid=holder.pid,
                since=holder.started_at.isoformat(timespec="seconds"),
            )
        )

    @contextmanager
    def open_temporary_copy(self) -> Iterator[SqliteState]:
        """Yield a copy in a file, in a temporary folder."""
        with temporary_copy() as path:
            copy = SqliteState(path)
            if self.exists():
                with (
                    disposing(copy.open_engine(for_writing=True)) as engine,
                    self._connected(for_writing=False) as rows,
                    engine.begin() as copied,
                ):
                    copy_rows(rows, copied)
            yield copy

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as `LedgerError`."""
        return explaining_postgresql_errors(parsed_address(self.url.get_secret_value()))

    def neighbouring_ledgers(self, owners: frozenset[str]) -> Iterator[NeighbouringLedger | LedgerError]:
        """Yield the ledgers of the database's other accounts that have sent to one of these.

        Every way in comes by here: `run`, `schedule` and a fleet's worker ask before they create a state, and what
        `state move` brings along is found like all else. A ledger outlives its account in the fleet, and knows where it
        has ever sent, which settings don't. So a first run is shown the rows of `start`, which hold no person and no
        secret, rather than a second table that every writer would have to fill.
        """
        with self._connected(for_writing=False) as connection:
            if not shows_starts_to_first_runs(connection):
                refuse_other_schema((), connection.engine.url)
            connection.execute(select(func.set_config(FIRST_RUN, "/".join(owners), True)))
            starts = connection.execute(
                select(_START.c.account, func.split_part(_START.c.target, "/", 1)).distinct()
            ).all()
        for account, shared in sorted(owners_by_account(starts).items()):
            if account != self.account:
                yield NeighbouringLedger(None, account, shared)

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """None: the server reuses the space of what was erased."""
        return ()

    @contextmanager
    def _connected(self, *, for_writing: bool) -> Iterator[Connection]:
        engine = open_postgresql(self.url.get_secret_value(), self.account, for_writing=for_writing)
        with disposing(engine), self.explaining_errors(), engine.begin() as connection:
            yield connection
