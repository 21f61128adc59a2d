"""The outbox: what became of each lead that we create in Oplead, in a SQLite file of its own beside the state.

A lead is on record before its request leaves, so that none is created twice, whatever crashes. It holds ids, states,
times and hashes; never contact data.
"""

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from connectors.records import LeadId
from jobs.exit_codes import UsageError
from jobs.ledger.database import open_privately, read_only
from jobs.ledger.runs import LeaseHeldError, hold_lock
from jobs.oplead_commands.creation.identity import Mark, Parts


class CreationState(StrEnum):
    """Where the creation of one lead stands."""

    PENDING = "pending"
    """Not sent, or certain not to be in Oplead."""
    IN_FLIGHT = "in_flight"
    """Its request may have left."""
    CREATED = "created"
    REFUSED = "refused"
    """Oplead refused it, and nothing was written."""
    IN_DOUBT = "in_doubt"
    """Its request left and no answer came back: it may be in Oplead."""


_MOVES: Mapping[CreationState, frozenset[CreationState]] = {
    CreationState.PENDING: frozenset({CreationState.IN_FLIGHT, CreationState.REFUSED}),
    CreationState.IN_FLIGHT: frozenset(
        {CreationState.PENDING, CreationState.CREATED, CreationState.REFUSED, CreationState.IN_DOUBT}
    ),
    CreationState.IN_DOUBT: frozenset({CreationState.PENDING, CreationState.CREATED}),
    CreationState.REFUSED: frozenset({CreationState.PENDING}),
    CreationState.CREATED: frozenset(),
}
"""From each state, the states it may move to."""
_FROM: Mapping[CreationState, tuple[CreationState, ...]] = {
    to: tuple(start for start, ends in _MOVES.items() if to in ends) for to in CreationState
}

_VERSION = 2
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS creation (
    key TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    mark TEXT,
    lead TEXT,
    reason TEXT NOT NULL DEFAULT '',
    sends INTEGER NOT NULL DEFAULT 0,
    first_sent_at TEXT,
    sent_at TEXT,
    has_provider_url INTEGER NOT NULL,
    lost_at TEXT,
    parts INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_creation_state ON creation (state);
PRAGMA user_version = {_VERSION};
"""
_ADDED = {"lost_at": "TEXT", "parts": "INTEGER"}
"""Columns that files of version 1 lack."""
_COLUMNS = (
    *("key", "content", "state", "mark", "lead", "reason", "sends", "first_sent_at", "sent_at", "has_provider_url"),
    *_ADDED,
)
_AT_ONCE = 500  # keys per query
_POLL = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class NewCreation:
    """A lead to create."""

    key: str
    """Hash of its own reference, or else of its content: two with one key are one lead."""
    content: str
    """Hash of its content."""
    mark: Mark | None
    """By what it is recognised in Oplead, if by anything."""
    has_provider_url: bool


@dataclass(frozen=True, slots=True)
class Creation:
    """One lead on record."""

    key: str
    content: str
    state: CreationState
    mark: Mark | None
    """None if nothing marks it, or once nothing needs to be recognised any more."""
    lead: LeadId | None
    """Its id in Oplead, if known."""
    reason: str
    """Code of why it was refused, or is in doubt."""
    sends: int
    """How many requests may have left for it."""
    first_sent_at: datetime | None
    sent_at: datetime | None
    """When the last request was put on record; it may leave later."""
    has_provider_url: bool
    lost_at: datetime | None = None
    """When its answer was lost, or was found to be."""

    @property
    def is_created(self) -> bool:
        """Whether it is in Oplead."""
        return self.state is CreationState.CREATED


def outbox_path(state_folder: Path | None, account: str | None) -> Path:
    """Return where an account's outbox is.

    Raises:
        UsageError: the settings do not name the account.
    """
    if state_folder is None or account is None:
        raise UsageError(
            "account is missing from the settings: the file that remembers which leads were created is named by it"
        )
    return state_folder / f"{account}.oplead.db"


class Outbox:
    """One account's outbox; each change is durable when its method returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open connection; see `hold_outbox` and `open_outbox`."""
        self._connection = connection
        missing = _missing_columns(connection)
        self._columns = ", ".join(f"NULL AS {name}" if name in missing else name for name in _COLUMNS)

    def add(self, new: Iterable[NewCreation]) -> None:
        """Put leads on record as pending, except those that are there."""
        rows = [(one.key, one.content, CreationState.PENDING, *_stored(one.mark), one.has_provider_url) for one in new]
        with _transaction(self._connection):
            self._connection.executemany(
                "INSERT OR IGNORE INTO creation (key, content, state, mark, parts, has_provider_url) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def renew(self, new: NewCreation) -> None:
        """Make a lead that is certain not to be in Oplead pending, with new content."""
        with _transaction(self._connection):
            self._move(new.key, CreationState.PENDING, unless=CreationState.PENDING)
            self._connection.execute(
                "UPDATE creation SET content = ?, mark = ?, parts = ?, has_provider_url = ? WHERE key = ?",
                (new.content, *_stored(new.mark), new.has_provider_url, new.key),
            )

    def begin(self, key: str, *, now: datetime) -> None:
        """Put on record that a lead's request leaves now; call it before the request."""
        with _transaction(self._connection):
            self._move(key, CreationState.IN_FLIGHT)
            self._connection.execute(
                "UPDATE creation SET sends = sends + 1, sent_at = :now, "
                "first_sent_at = coalesce(first_sent_at, :now), reason = '' WHERE key = :key",
                {"now": now.isoformat(), "key": key},
            )

    def settle(
        self,
        key: str,
        state: CreationState,
        *,
        lead: str | None = None,
        reason: str = "",
        lost_at: datetime | None = None,
    ) -> None:
        """Put on record what became of a lead, and for one in doubt when its answer was lost."""
        with _transaction(self._connection):
            self._move(key, state)
            self._connection.execute(
                "UPDATE creation SET lead = ?, reason = ?, lost_at = ? WHERE key = ?",
                (lead, reason, lost_at.isoformat() if lost_at else None, key),
            )

    def unsend(self, key: str) -> None:
        """Put on record that a lead's request did not leave, or was turned away unread."""
        with _transaction(self._connection):
            self._move(key, CreationState.PENDING)
            self._connection.execute(
                "UPDATE creation SET sends = sends - 1, first_sent_at = iif(sends > 1, first_sent_at, NULL) "
                "WHERE key = ?",
                (key,),
            )

    def doubt(self, key: str, reason: str) -> None:
        """Say why a lead that is in doubt stays so."""
        with _transaction(self._connection):
            self._connection.execute(
                "UPDATE creation SET reason = ? WHERE key = ? AND state = ?", (reason, key, CreationState.IN_DOUBT)
            )

    def name(self, key: str, lead: LeadId) -> None:
        """Add the id of a created lead whose answer did not name it."""
        with _transaction(self._connection):
            self._connection.execute(
                "UPDATE creation SET lead = ? WHERE key = ? AND state = ? AND lead IS NULL",
                (lead, key, CreationState.CREATED),
            )

    def recover(self, *, now: datetime) -> None:
        """Doubt every lead whose request was under way when an earlier command died: maybe just now."""
        with _transaction(self._connection):
            self._connection.execute(
                "UPDATE creation SET lost_at = ?, state = ?, reason = 'died' WHERE state = ?",
                (now.isoformat(), CreationState.IN_DOUBT, CreationState.IN_FLIGHT),
            )

    def forget_marks(self) -> None:
        """Erase what leads are recognised by, unless one is in doubt: that one and the created ones need theirs."""
        with _transaction(self._connection):
            self._connection.execute(
                "UPDATE creation SET mark = NULL, parts = NULL WHERE state = ? "
                "AND NOT EXISTS (SELECT 1 FROM creation WHERE state IN (?, ?))",
                (CreationState.CREATED, CreationState.IN_DOUBT, CreationState.IN_FLIGHT),
            )

    def find(self, keys: Collection[str]) -> dict[str, Creation]:
        """Return the leads on record with these keys."""
        found: dict[str, Creation] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            found |= {one.key: one for one in self._select(f"WHERE key IN ({marks})", part)}
        return found

    def marked(self) -> list[Creation]:
        """Return every lead in doubt, and the created ones that may be recognised in Oplead."""
        states = (CreationState.CREATED, CreationState.IN_DOUBT)
        return self._select("WHERE mark IS NOT NULL AND state = ? OR state = ?", states)

    def claimed(self) -> frozenset[LeadId]:
        """Return the ids of the created leads."""
        rows = self._connection.execute("SELECT lead FROM creation WHERE lead IS NOT NULL")
        return frozenset(LeadId(lead) for (lead,) in rows)

    def reporting(self) -> list[Creation]:
        """Return the created leads whose treatment Oplead reports, oldest first."""
        return self._select("WHERE has_provider_url AND state = ? ORDER BY sent_at, key", (CreationState.CREATED,))

    def _move(self, key: str, to: CreationState, *, unless: CreationState | None = None) -> None:
        allowed = [*_FROM[to], *([unless] if unless else [])]
        marks = ", ".join("?" * len(allowed))
        moved = self._connection.execute(
            f"UPDATE creation SET state = ? WHERE key = ? AND state IN ({marks})",  # noqa: S608 - only marks
            (to, key, *allowed),
        )
        if moved.rowcount != 1:
            raise RuntimeError(f"no lead of this key can become {to}")

    def _select(self, where: str, values: Sequence[str]) -> list[Creation]:
        rows = self._connection.execute(f"SELECT {self._columns} FROM creation {where}", values)  # noqa: S608 - only marks
        return [_creation(row) for row in rows]


@contextmanager
def hold_outbox(path: Path, *, now: datetime, patience: float = 0.0) -> Iterator[Outbox]:
    """Hold the outbox for the block, made where it is missing; what died under way before is in doubt.

    Args:
        path: the file.
        now: the present.
        patience: how many seconds to wait for another process that holds it.

    Raises:
        LeaseHeldError: another process holds it.
        UsageError: it cannot be used.
    """
    with ExitStack() as stack, _told(path):
        _wait_for_lock(stack, path, now, patience)
        open_privately(path, "a").close()
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            _expect_known(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
            for column in _missing_columns(connection):
                connection.execute(f"ALTER TABLE creation ADD COLUMN {column} {_ADDED[column]}")
            outbox = Outbox(connection)
            outbox.recover(now=now)
            yield outbox
        finally:
            connection.close()


def _wait_for_lock(stack: ExitStack, path: Path, now: datetime, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            stack.enter_context(hold_lock(path, now=now))
        except LeaseHeldError:
            if time.monotonic() >= until:
                raise
            time.sleep(_POLL)
        else:
            return


@contextmanager
def open_outbox(path: Path) -> Iterator[Outbox | None]:
    """Open the outbox to read it; None if no lead was ever created from here.

    Raises:
        UsageError: it cannot be read.
    """
    if not path.exists():
        yield None
        return
    with _told(path):
        connection = read_only(path)
        try:
            _expect_known(connection, path)
            yield Outbox(connection)
        finally:
            connection.close()


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    """Return the columns that a file of an earlier version lacks."""
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(creation)")}
    return [column for column in _ADDED if column not in there]


def _expect_known(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > _VERSION or (version == 0 and tables):
        raise UsageError(f"{path}: this is no outbox of this version, and was left as it is; move it away")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in a sentence what SQLite cannot do."""
    try:
        yield
    except sqlite3.Error as error:
        why = error.sqlite_errorname if hasattr(error, "sqlite_errorname") else type(error).__name__
        raise UsageError(
            f"{path}: it cannot be used ({why}); make room, or restore it from a backup. Without it nobody knows which "
            "leads were created"
        ) from None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _creation(row: tuple[str | int | None, ...]) -> Creation:
    key, content, state, mark, lead, reason, sends, first_sent_at, sent_at, has_provider_url, lost_at, parts = row
    return Creation(
        key=str(key),
        content=str(content),
        state=CreationState(str(state)),
        mark=None if mark is None else Mark(str(mark), Parts(int(parts or 0))),
        lead=None if lead is None else LeadId(str(lead)),
        reason=str(reason),
        sends=int(sends or 0),
        first_sent_at=_moment(first_sent_at),
        sent_at=_moment(sent_at),
        has_provider_url=bool(has_provider_url),
        lost_at=_moment(lost_at),
    )


def _stored(mark: Mark | None) -> tuple[str | None, int | None]:
    return (None, None) if mark is None else (mark.digest, int(mark.parts))


def _moment(text: str | int | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
