"""The outbox: what became of each lead that we create in Oplead, in a SQLite file of its own beside the state.

A lead is on record before its request leaves, so that none is created twice, whatever crashes; one that is refused, or
certain not to be in Oplead, leaves the record. It holds ids, states, times and hashes with a salt of its own; never
contact data.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from connectors.http import CancelToken
from connectors.language import _
from connectors.records import LeadId
from jobs.cancellation import never_cancelled
from jobs.exit_codes import UsageError
from jobs.ledger.storage.lock import LeaseHeldError, hold_lock
from jobs.ledger.storage.state_file import open_privately, open_read_only
from jobs.oplead_commands.creation.identity import LeadFingerprint
from jobs.pull.clock import MAX_CLOCK_SKEW


class OutboxUnusableError(UsageError):
    """It is damaged, of another version, or cannot be opened."""

    def __init__(self, said: str, path: Path, why: str) -> None:
        """Say so in a sentence; `why` is a code, for whoever words it differently."""
        super().__init__(said)
        self.file = path.name
        self.why = why


class LeadCreationState(StrEnum):
    """Where the creation of one lead stands; a lead that is certain not to be in Oplead is not on record."""

    IN_FLIGHT = "in_flight"
    """Its request may have left."""
    IN_DOUBT = "in_doubt"
    """Its request left and no answer came back: it may be in Oplead."""
    CREATED = "created"


_VERSION = 5
_UPGRADES = {
    4: "ALTER TABLE creation ADD COLUMN looked_at TEXT; ALTER TABLE creation DROP COLUMN parts;",
}
"""What makes each older version the next."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS creation (
    key TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    mark TEXT,
    lead TEXT,
    reason TEXT NOT NULL DEFAULT '',
    sent_at TEXT NOT NULL,
    lost_at TEXT,
    has_provider_url INTEGER NOT NULL,
    looked_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_creation_state ON creation (state);
CREATE TABLE IF NOT EXISTS restored (since TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS salt (salt BLOB NOT NULL) STRICT;
INSERT INTO salt SELECT randomblob(32) WHERE NOT EXISTS (SELECT 1 FROM salt);
"""
_LONG_AGO = "2000-01-01T00:00:00+00:00"
_COLUMNS = "key, content, state, mark, lead, reason, sent_at, lost_at, has_provider_url, looked_at"
_LOOKS = (timedelta(minutes=15), timedelta(minutes=30))
"""When a lead in doubt is looked for again, from when its answer was lost; once at once, and later each night."""
_NIGHTLY = timedelta(days=1)
_AT_ONCE = 500  # keys per query
_POLL = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class LeadToCreate:
    """A lead to create."""

    key: str
    """Hash of its own reference, or else of its content: two with one key are one lead."""
    content: str
    """Hash of its content."""
    mark: LeadFingerprint | None
    """By what it is recognised in Oplead, if by anything."""
    has_provider_url: bool


@dataclass(frozen=True, slots=True)
class LeadCreationRecord:
    """One lead on record."""

    key: str
    content: str
    state: LeadCreationState
    mark: LeadFingerprint | None
    """None if nothing marks it, or once it is no longer needed."""
    lead: LeadId | None
    """Its id in Oplead, if known."""
    reason: str
    """Code of why it is in doubt, or who says that it is created."""
    sent_at: datetime
    """When its request was put on record, right before it left."""
    lost_at: datetime | None
    """When its answer was lost, or was found to be."""
    has_provider_url: bool
    looked_at: datetime | None = None
    """When it was last looked for in Oplead, as far as its leads can be read at all."""

    @property
    def is_in_oplead(self) -> bool:
        """Whether it is in Oplead."""
        return self.state is LeadCreationState.CREATED

    @property
    def next_look_at(self) -> datetime:
        """When it is looked for next, if it is in doubt."""
        lost_at = self.lost_at or self.sent_at
        if self.looked_at is None:
            return lost_at
        due = (lost_at + wait for wait in _LOOKS)
        return next((at for at in due if self.looked_at < at), self.looked_at + _NIGHTLY)

    def is_old(self, now: datetime) -> bool:
        """Whether a night has passed since its answer was lost."""
        return now >= (self.lost_at or self.sent_at) + _NIGHTLY

    @property
    def is_for_humans(self) -> bool:
        """Whether it was looked for when Oplead had had its time, or nobody can look: then a human decides."""
        return self.looked_at is not None and self.has_had_time(self.looked_at)

    def has_had_time(self, now: datetime) -> bool:
        """Whether Oplead has had its time to finish it."""
        return now >= (self.lost_at or self.sent_at) + _LOOKS[-1]


def lead_creation_outbox_path(state_folder: Path | None, account: str | None) -> Path:
    """Return where an account's outbox is.

    Raises:
        UsageError: the settings do not name the account.
    """
    if state_folder is None or account is None:
        raise UsageError(
            _("account is missing from the settings: the file that remembers which leads were created is named by it")
        )
    return state_folder / f"{account}.oplead.db"


class LeadCreationOutbox:
    """One account's outbox; each change is durable when its method returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open connection; see `lock_lead_creation_outbox` and `open_outbox`."""
        self._connection = connection
        (self.salt,) = connection.execute("SELECT salt FROM salt").fetchone()
        """With which every hash in it is made."""

    def record_request_in_flight(self, new: LeadToCreate, *, now: datetime) -> None:
        """Put on record that a lead's request leaves now; call it before the request."""
        mark = " ".join(sorted(new.mark.hashes)) if new.mark else None
        self._change(
            "INSERT OR IGNORE INTO creation (key, content, state, mark, sent_at, has_provider_url) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (new.key, new.content, LeadCreationState.IN_FLIGHT, mark, now.isoformat(), new.has_provider_url),
        )

    def record_lead_created(self, key: str, lead: str | None, reason: str = "") -> None:
        """Put on record that a lead is in Oplead."""
        self._change(
            "UPDATE creation SET state = ?, lead = ?, reason = ?, lost_at = NULL WHERE key = ? AND state != ?",
            (LeadCreationState.CREATED, lead, reason, key, LeadCreationState.CREATED),
        )

    def record_lost_answer(self, key: str, reason: str, *, now: datetime) -> None:
        """Put on record that a lead's answer was lost."""
        self._change(
            "UPDATE creation SET state = ?, reason = ?, lost_at = ? WHERE key = ? AND state = ?",
            (LeadCreationState.IN_DOUBT, reason, now.isoformat(), key, LeadCreationState.IN_FLIGHT),
        )

    def drop(self, key: str) -> None:
        """Erase a lead that is certain not to be in Oplead, if it is on record."""
        self._connection.execute("DELETE FROM creation WHERE key = ? AND state != ?", (key, LeadCreationState.CREATED))

    def record_look(self, key: str, reason: str, *, now: datetime) -> None:
        """Put on record that a lead was looked for, and why it stays in doubt."""
        self._change(
            "UPDATE creation SET reason = ?, looked_at = ? WHERE key = ? AND state = ?",
            (reason, now.isoformat(), key, LeadCreationState.IN_DOUBT),
        )

    def record_created_lead_id(self, key: str, lead: LeadId) -> None:
        """Add the id of a created lead whose answer did not name it."""
        self._change("UPDATE creation SET lead = ? WHERE key = ? AND state = ?", (lead, key, LeadCreationState.CREATED))

    def declare_restored(self) -> None:
        """Put on record that this is a restored backup: leads may have been created since its last one."""
        self._connection.execute(
            "INSERT INTO restored SELECT coalesce(max(sent_at), ?) FROM creation "
            "WHERE NOT EXISTS (SELECT 1 FROM restored)",
            (_LONG_AGO,),
        )

    def complete_until(self) -> datetime | None:
        """Return until when it surely knows every lead that was created; None if it was never restored."""
        (since,) = self._connection.execute("SELECT min(since) FROM restored").fetchone()
        return _stored(datetime.fromisoformat, since) if since else None

    def recover(self, *, now: datetime) -> None:
        """Doubt every lead whose request was under way when an earlier command died: maybe just now."""
        self._connection.execute(
            "UPDATE creation SET lost_at = ?, state = ?, reason = 'died' WHERE state = ?",
            (now.isoformat(), LeadCreationState.IN_DOUBT, LeadCreationState.IN_FLIGHT),
        )

    def erase_recognition_marks(self, *, now: datetime) -> None:
        """Erase the marks of created leads that nothing needs any more.

        Those without an id keep theirs as long as they could be taken for a lead in doubt, or for one sent from now on
        whose answer is lost.
        """
        oldest = self._connection.execute(
            "SELECT min(sent_at) FROM creation WHERE state != ?", (LeadCreationState.CREATED,)
        ).fetchone()[0]
        # What was sent earlier was created before any lead that is looked for, however far the clocks differ.
        since = min(now, _stored(datetime.fromisoformat, oldest) if oldest else now) - 2 * MAX_CLOCK_SKEW
        self._connection.execute(
            "UPDATE creation SET mark = NULL WHERE state = ? AND (lead IS NOT NULL OR sent_at < ?)",
            (LeadCreationState.CREATED, since.isoformat()),
        )

    def find(self, keys: Collection[str]) -> dict[str, LeadCreationRecord]:
        """Return the leads on record with these keys."""
        found: dict[str, LeadCreationRecord] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            places = ", ".join("?" * len(part))
            found |= {one.key: one for one in self._select(f"WHERE key IN ({places})", part)}
        return found

    def leads_recognisable_in_oplead(self) -> list[LeadCreationRecord]:
        """Return every lead in doubt, and the created ones whose id may be found in Oplead."""
        states = (LeadCreationState.CREATED, LeadCreationState.IN_DOUBT)
        return self._select("WHERE mark IS NOT NULL AND lead IS NULL AND state = ? OR state = ?", states)

    def in_doubt(self) -> list[LeadCreationRecord]:
        """Return the leads in doubt."""
        return self._select("WHERE state != ?", (LeadCreationState.CREATED,))  # a damaged state is not passed over

    def created_lead_ids(self) -> frozenset[LeadId]:
        """Return the ids of the created leads."""
        rows = self._connection.execute("SELECT lead FROM creation WHERE lead IS NOT NULL")
        return frozenset(LeadId(lead) for (lead,) in rows)

    def created_leads_with_provider_url(self) -> list[LeadCreationRecord]:
        """Return the created leads whose treatment Oplead reports, oldest first."""
        return self._select("WHERE has_provider_url AND state = ? ORDER BY sent_at, key", (LeadCreationState.CREATED,))

    def keys_of_leads_with_hashes(self, hashes: Collection[str]) -> dict[str, LeadId | None]:
        """Return the keys of the leads whose mark has one of these hashes, each with its id in Oplead, if known."""
        marked = self._select("WHERE mark IS NOT NULL", ())
        return {one.key: one.lead for one in marked if one.mark and not one.mark.hashes.isdisjoint(hashes)}

    def records_of(self, leads: Collection[LeadId]) -> list[LeadCreationRecord]:
        """Return what is on record of the creation of these leads."""
        wanted = set(leads)
        return [one for one in self._select("WHERE lead IS NOT NULL", ()) if one.lead in wanted]

    def erase(self, keys: Collection[str]) -> None:
        """Erase these leads, whatever their state: created again from the same file, each would be a new one."""
        self._connection.executemany("DELETE FROM creation WHERE key = ?", [(key,) for key in keys])

    def _change(self, statement: str, values: Sequence[str | int | None]) -> None:
        if self._connection.execute(statement, values).rowcount != 1:
            raise RuntimeError("no lead on record may change like this")

    def _select(self, where: str, values: Sequence[str]) -> list[LeadCreationRecord]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM creation {where}", values)  # noqa: S608 - only marks
        return [_creation(row) for row in rows]


@contextmanager
def lock_lead_creation_outbox(
    path: Path, *, now: Callable[[], datetime], patience: float = 0.0, cancel_token: CancelToken = never_cancelled
) -> Iterator[LeadCreationOutbox]:
    """Hold the outbox for the block, made where it is missing; what died under way before is in doubt.

    Args:
        path: the file.
        now: tells the time.
        patience: how many seconds to wait for another process that holds it.
        cancel_token: called while it waits.

    Raises:
        LeaseHeldError: another process holds it.
        UsageError: it cannot be used.
    """
    with ExitStack() as stack, _explain_sqlite_errors(path):
        _wait_for_lock(stack, path, now, patience, cancel_token)
        open_privately(path, "a").close()
        _bring_up_to_date(path)
        connection = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
        _has_outbox_tables(connection, path)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        outbox = LeadCreationOutbox(connection)
        outbox.recover(now=now())
        yield outbox


def _wait_for_lock(
    stack: ExitStack, path: Path, now: Callable[[], datetime], patience: float, cancel_token: CancelToken
) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            stack.enter_context(hold_lock(path, now=now()))
        except LeaseHeldError:
            if time.monotonic() >= until:
                raise
            cancel_token()
            time.sleep(_POLL)
        else:
            return


@contextmanager
def open_outbox(path: Path) -> Iterator[LeadCreationOutbox | None]:
    """Open the outbox to read it; None if no lead was ever created from here.

    Raises:
        UsageError: it cannot be read.
    """
    if not path.exists():
        yield None
        return
    with ExitStack() as stack, _explain_sqlite_errors(path):
        _bring_up_to_date(path)
        connection = stack.enter_context(closing(open_read_only(path)))
        yield LeadCreationOutbox(connection) if _has_outbox_tables(connection, path) else None


def _has_outbox_tables(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether there is anything in the file.

    Raises:
        UsageError: it is not ours.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version not in {0, _VERSION} or (version == 0 and tables):
        said = _("{path}: this is no outbox of this version, and was left as it is; move it away", path=path)
        raise OutboxUnusableError(said, path, f"user_version {version}")
    return bool(tables)


def _bring_up_to_date(path: Path) -> None:
    """Give the file of an older version what this one needs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if upgrade := _UPGRADES.get(version):
            connection.executescript(f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {version + 1}; COMMIT;")


@contextmanager
def _explain_sqlite_errors(path: Path) -> Iterator[None]:
    """Say in a sentence what SQLite cannot do."""
    try:
        yield
    except sqlite3.Error as error:
        why = error.sqlite_errorname if hasattr(error, "sqlite_errorname") else type(error).__name__
        said = _(
            "{path}: it cannot be used ({why}); make room, or restore it from a backup. Without it nobody knows which "
            "leads were created",
            path=path,
            why=why,
        )
        raise OutboxUnusableError(said, path, why) from None


_T = TypeVar("_T")
_Row = tuple[str, str, str, str | None, LeadId | None, str, str, str | None, int, str | None]


def _creation(row: _Row) -> LeadCreationRecord:
    key, content, state, mark, lead, reason, sent_at, lost_at, has_provider_url, looked_at = row
    return LeadCreationRecord(
        key,
        content,
        _stored(LeadCreationState, state),
        LeadFingerprint(frozenset(mark.split())) if mark else None,
        lead,
        reason,
        _stored(datetime.fromisoformat, sent_at),
        _stored(datetime.fromisoformat, lost_at) if lost_at else None,
        bool(has_provider_url),
        _stored(datetime.fromisoformat, looked_at) if looked_at else None,
    )


def _stored(read: Callable[[str], _T], text: str) -> _T:
    """Read a stored value; one that is damaged without SQLite's noticing is told as what SQLite notices."""
    try:
        return read(text)
    except ValueError:
        damage = sqlite3.DatabaseError()
        damage.sqlite_errorname = "SQLITE_CORRUPT"
        raise damage from None
