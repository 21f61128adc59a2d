"""The pace of one token that machines share through the database of their accounts' states."""

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connectors.rate_limit import HISTORY, WINDOW, ProcessRequestHistory
from jobs.exit_codes import CommandError
from jobs.ledger.storage.postgresql import SharedDatabase

_Result = TypeVar("_Result")
_PACES = 0x4F504C50  # "OPLP"
"""The seed of the keys of our locks."""
# Whoever is paused must not keep the others waiting for long; a crash may cost the last requests on record. The wait
# for the lock is short, and repeated for as long as this process has patience. The time is taken once the lock is held.
_HOLD = text("""
SELECT set_config('idle_in_transaction_session_timeout', '5s', true), set_config('synchronous_commit', 'off', true),
set_config('lock_timeout', '1s', true),
pg_advisory_xact_lock(hashtextextended(:key, :seed)), clock_timestamp()
""")
_OTHERS = text("SELECT process, history FROM pace WHERE key = :key AND process <> :me")
_FORGET = text("DELETE FROM pace WHERE key = :key AND process = ANY(:gone)")
_WRITE = text("""
INSERT INTO pace (key, process, history) VALUES (:key, :process, :history)
ON CONFLICT (key, process) DO UPDATE SET history = excluded.history
""")
_EVERYONE = ""
"""The process of the row in which everybody's requests of the last day are summed up, since no process lasts a day."""
_log = logging.getLogger(__name__)
RETRY_AFTER = timedelta(minutes=1)
"""How long a process paces itself alone before it tries the database again."""


def pace_tables() -> MetaData:
    """Return the table to create: it holds digests and times, and nothing of an account."""
    tables = MetaData()
    names = ("key", "process", "history")
    Table("pace", tables, *(Column(name, Text, nullable=False) for name in names), PrimaryKeyConstraint(*names[:2]))
    return tables


class DatabaseRequestHistory:
    """The recent requests that share one pace, by every process that shares a database.

    All go by the server's clock, since machines' clocks disagree. An unreadable row blocks requests for a minute. While
    the database cannot be used, this process paces itself by its own clock, and tries again every `RETRY_AFTER`: an
    outage of it must not stop reading. Both turns are logged.
    """

    # Without the database, what the others asked when last seen counts for its minute, and each of them is presumed to
    # ask as often as this process does. So those that shared a pace stay within it together through an outage, unless
    # they are more than it has requests. Not guaranteed: the share of a process that came since, or of any if the
    # database never answered or the machine's clock is set ahead meanwhile; and where this process alone is cut off,
    # what it asks comes on top of what the others do, who have all of the pace. Then the platform answers 429, by which
    # each halves its own.

    def __init__(self, database: SharedDatabase, key: str, *, patience: float = 10.0, is_sandbox: bool = False) -> None:
        """Open nothing yet.

        Args:
            database: where the table is.
            key: what names the pace.
            patience: limit on the wait for what others hold, in real seconds.
            is_sandbox: the time is the callers' own, which a sandbox's clock tells all of them.
        """
        self._database = database
        self._key = key
        self._patience = patience
        self._is_sandbox = is_sandbox
        self._me = secrets.token_hex(8)
        self._others: dict[str, ProcessRequestHistory] = {}
        """As last seen; without those of whom nothing counted any longer."""
        self._expired: Sequence[str] = ()
        """Whose rows are to be deleted."""
        self._unreadable: Sequence[str] = ()
        """Whose rows are to be replaced, or their minute would never end."""
        self._retry_at: datetime | None = None
        """When to try the database again; None while it is used."""

    @contextmanager
    def lock_and_update_request_history(
        self, own: ProcessRequestHistory, now: datetime
    ) -> Iterator[tuple[datetime, Sequence[ProcessRequestHistory]]]:
        """Hold the key's rows for the block; yield the server's time and the others' histories, then write `own`.

        While the database cannot be used, the time is `now`.
        """
        connection: Connection | None = None
        try:
            # A clock that was set back must not put the next try off for longer.
            if self._retry_at is None or not now < self._retry_at <= now + RETRY_AFTER:
                with self._sharing(now):
                    connection = self._database.engine_for_account("", for_writing=True).connect()
                    now = self._with_patience(connection, partial(self._read, connection, now))
                    self._note_return()
            if connection is None or self._retry_at is not None:
                yield now, self._presumed(own, now)
                return
            yield now, tuple(self._others.values())
            with self._sharing(now):
                self._with_patience(connection, partial(self._write, connection, own, now))
        finally:
            if connection is not None:
                with suppress(SQLAlchemyError):
                    connection.close()

    def close(self) -> None:
        """Close the connections; whoever goes on opens new ones."""
        self._database.close()

    def _read(self, connection: Connection, now: datetime) -> datetime:
        """Lock the rows, read the others' and return the time by which they count."""
        *_settings, server_time = connection.execute(_HOLD, {"key": self._key, "seed": _PACES}).one()
        now = now if self._is_sandbox else server_time
        rows = connection.execute(_OTHERS, {"key": self._key, "me": self._me}).fetchall()
        found = {process: _history(stored, now) for process, stored in rows}
        self._unreadable = [process for process, history in found.items() if history is None]
        closed = ProcessRequestHistory([], [], None, closed_until=now + WINDOW)
        seen = {process: closed if history is None else history for process, history in found.items()}
        self._others = {process: each for process, each in seen.items() if each}
        self._expired = [process for process, each in seen.items() if not each]
        return now

    def _write(self, connection: Connection, own: ProcessRequestHistory, now: datetime) -> None:
        if not connection.in_transaction():  # it was rolled back, and its lock is gone
            self._read(connection, now)
        if self._expired:
            connection.execute(_FORGET, {"key": self._key, "gone": self._expired})
        rows = {process: self._others[process] for process in self._unreadable}
        rows[self._me] = replace(own, per_hour={})
        if own.per_hour:
            day = self._others.get(_EVERYONE, ProcessRequestHistory([], [], None, None))
            rows[_EVERYONE] = replace(day, per_hour=dict(Counter(day.per_hour) + Counter(own.per_hour)))
        for process, history in rows.items():
            written = HISTORY.dump_json(history).decode()
            connection.execute(_WRITE, {"key": self._key, "process": process, "history": written})
        connection.commit()
        self._others |= {_EVERYONE: rows[_EVERYONE]} if _EVERYONE in rows else {}
        own.per_hour.clear()  # the others count it from now on

    def _with_patience(self, connection: Connection, do: Callable[[], _Result]) -> _Result:
        """Do something again for as long as others are in its way."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return do()
            except DBAPIError as error:
                if not _is_busy(error) or time.monotonic() > until:
                    raise
                connection.rollback()

    def _presumed(self, own: ProcessRequestHistory, now: datetime) -> Sequence[ProcessRequestHistory]:
        """Return what the others are presumed to have asked while nobody can tell."""
        like_us = replace(own, per_hour={})
        for each in (*self._others.values(), like_us):
            each.forget_expired_requests(now)
        asking = sum(process != _EVERYONE for process in self._others)
        return [each for each in (*self._others.values(), *[like_us] * asking) if each]

    @contextmanager
    def _sharing(self, now: datetime) -> Iterator[None]:
        try:
            with self._database.explaining_errors():
                yield
        except CommandError as error:
            if self._retry_at is None:
                _log.warning("no pace is shared with other processes: %s", error)
            self._retry_at = now + RETRY_AFTER

    def _note_return(self) -> None:
        if self._retry_at is not None:
            _log.warning("the pace is shared with other processes again: %s", self._database)
        self._retry_at = None


def _history(stored: str, now: datetime) -> ProcessRequestHistory | None:
    """Return a stored history; None if it is unreadable."""
    try:
        history = HISTORY.validate_json(stored)
        history.forget_expired_requests(now)
    except (ValueError, OverflowError):
        return None
    return history


def _is_busy(error: DBAPIError) -> bool:
    """Return whether others were in the way: a lock, a deadlock or a serialization failure."""
    return str(getattr(error.orig, "sqlstate", None)).startswith(("40", "55P03"))
