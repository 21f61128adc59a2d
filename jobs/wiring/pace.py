"""The pace of one token that machines share through the database of their accounts' states."""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.exc import SQLAlchemyError

from connectors.rate_limit import HISTORY, WINDOW, ProcessRequestHistory
from jobs.exit_codes import CommandError
from jobs.ledger.storage.postgresql import SharedDatabase

_PACES = 0x4F504C50  # "OPLP"
"""The seed of the keys of our locks."""
# Whoever is paused must not keep the others waiting for long; a crash may cost the last requests on record.
_HOLD = text("""
SELECT set_config('idle_in_transaction_session_timeout', '5s', true), set_config('synchronous_commit', 'off', true),
pg_advisory_xact_lock(hashtextextended(:key, :seed))
""")
_OTHERS = text("SELECT process, history FROM pace WHERE key = :key AND process <> :me")
_FORGET = text("DELETE FROM pace WHERE key = :key AND process = ANY(:gone)")
_WRITE = text("""
INSERT INTO pace (key, process, history) VALUES (:key, :me, :history)
ON CONFLICT (key, process) DO UPDATE SET history = excluded.history
""")
_log = logging.getLogger(__name__)


def pace_tables() -> MetaData:
    """Return the table to create: it holds digests and times, and nothing of an account."""
    tables = MetaData()
    names = ("key", "process", "history")
    Table("pace", tables, *(Column(name, Text, nullable=False) for name in names), PrimaryKeyConstraint(*names[:2]))
    return tables


class DatabaseRequestHistory:
    """The recent requests with one token by every process that shares a database.

    An unreadable row blocks requests for a minute. If the database cannot be used, a warning is logged and this process
    paces itself alone: an outage of it must not stop reading.
    """

    def __init__(self, database: SharedDatabase, key: str) -> None:
        """Open nothing yet."""
        self._database = database
        self._key = key
        self._me = secrets.token_hex(8)
        self._is_alone = False

    @contextmanager
    def lock_and_update_history(
        self, own: ProcessRequestHistory, now: datetime
    ) -> Iterator[Sequence[ProcessRequestHistory]]:
        """Hold the key's rows for the block; yield the other processes' histories, then write `own` on exit."""
        connection: Connection | None = None
        others: Mapping[str, ProcessRequestHistory] = {}
        try:
            if not self._is_alone:
                with self._sharing():
                    connection = self._database.engine_of("", for_writing=True).connect()
                    others = self._read(connection, now)
            yield tuple(each for each in others.values() if each)
            if connection is not None and not self._is_alone:
                with self._sharing():
                    self._write(connection, own, [name for name, each in others.items() if not each])
        finally:
            if connection is not None:
                with suppress(SQLAlchemyError):
                    connection.close()

    def close(self) -> None:
        """Close the connections; whoever goes on opens new ones."""
        self._database.close()

    def _read(self, connection: Connection, now: datetime) -> Mapping[str, ProcessRequestHistory]:
        connection.execute(_HOLD, {"key": self._key, "seed": _PACES})
        rows = connection.execute(_OTHERS, {"key": self._key, "me": self._me}).fetchall()
        return {process: _history(stored, now) for process, stored in rows}

    def _write(self, connection: Connection, own: ProcessRequestHistory, gone: Sequence[str]) -> None:
        if gone:
            connection.execute(_FORGET, {"key": self._key, "gone": list(gone)})
        history = HISTORY.dump_json(own).decode()
        connection.execute(_WRITE, {"key": self._key, "me": self._me, "history": history})
        connection.commit()

    @contextmanager
    def _sharing(self) -> Iterator[None]:
        try:
            with self._database.explaining_errors():
                yield
        except CommandError as error:
            self._is_alone = True
            _log.warning("no pace is shared with other processes: %s", error)


def _history(stored: str, now: datetime) -> ProcessRequestHistory:
    try:
        return HISTORY.validate_json(stored).without_expired_requests(now)
    except (ValueError, OverflowError):
        return ProcessRequestHistory([], [], None, closed_until=now + WINDOW)
