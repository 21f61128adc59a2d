"""The lock of an account's SQLite file, and what it records outside that file."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from connectors.language import _
from jobs.exit_codes import CommandError, Exit
from jobs.ledger.storage.state_file import LedgerError, open_privately

_OURS = "oplead-sync"
_LONGEST = 4_096  # characters


class LeaseHeldError(CommandError):
    """Another run holds the account; the message identifies it."""

    exit_code = Exit.HELD


@dataclass(frozen=True, slots=True)
class LockRecord:
    """What a lock remembers of a ledger; nothing is recorded in it."""

    name: str = ""
    epoch: int = 0
    last_request_id: int = 0

    def record_ledger_progress(self, epoch: int, request: int) -> None:
        """Record nothing."""


@dataclass(frozen=True, slots=True)
class FileLock:
    """An account's held lock; its file records the ledger's progress, so that a restored older copy is detected."""

    path: Path
    since: datetime
    epoch: int
    """The ledger's epoch in the last run that held this lock, or 0."""
    last_request_id: int
    """The last recorded request id, or 0."""
    file: IO[str]

    @property
    def name(self) -> str:
        """The lock file's name."""
        return self.path.name

    def record_ledger_progress(self, epoch: int, request: int) -> None:
        """Record the ledger's progress durably."""
        text = json.dumps(
            {
                "program": _OURS,
                "pid": os.getpid(),
                "since": self.since.isoformat(timespec="seconds"),
                "epoch": epoch,
                "request": request,
            }
        )
        # Overwrite, then truncate, so that a process dying in between doesn't leave an empty file.
        self.file.seek(0)
        self.file.write(text)
        self.file.truncate()
        self.file.flush()
        os.fsync(self.file.fileno())


def lock_path(state: Path) -> Path:
    """Return the path of a state's lock file."""
    return state.with_name(f"{state.name}.{_OURS}.lock")


@contextmanager
def hold_lock(state: Path, *, now: datetime) -> Iterator[FileLock]:
    """Hold the account's lock for the block; the operating system releases it if the process dies.

    Raises:
        LeaseHeldError: another process holds the lock.
        LedgerError: the lock's path holds a foreign file.
    """
    path = lock_path(state)
    open_privately(path, "a").close()
    # "r+" preserves the current holder's record.
    with open_privately(path, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held_by = _last_holder(file) or {}
            if "pid" not in held_by:
                raise LeaseHeldError(_("{state}: another run holds this account", state=state)) from None
            by_whom = _("{state}: another run holds this account (process {pid}, since {since})")
            raise LeaseHeldError(by_whom.format(state=state, pid=held_by["pid"], since=held_by.get("since"))) from None
        last = _last_holder(file)
        if last is None:
            raise LedgerError(
                _(
                    "{path}: this is no lock file of oplead-sync, and was left as it is; move it, or check `state:`",
                    path=path,
                )
            )
        epoch, request = _progress(last)
        lock = FileLock(path, now, epoch, request, file)
        lock.record_ledger_progress(epoch, request)
        yield lock


def read_lock(state: Path) -> LockRecord:
    """Return what the lock of a state remembers, without holding it; nothing if there is none that is ours."""
    path = lock_path(state)
    try:
        with path.open(encoding="utf-8") as file:
            last = _last_holder(file) or {}
    except FileNotFoundError:
        last = {}
    return LockRecord(path.name, *_progress(last))


def _progress(holder: Mapping[str, object]) -> tuple[int, int]:
    """Return the ledger's epoch and last request in a lock's record, or 0."""
    epoch, request = (number if isinstance(number := holder.get(name), int) else 0 for name in ("epoch", "request"))
    return epoch, request


def _last_holder(file: IO[str]) -> Mapping[str, object] | None:
    """Return the last holder's record, without details if the file is empty; None if the file is foreign."""
    try:
        # A power cut may leave a file of the right length filled with zeros.
        text = file.read(_LONGEST).strip("\0 \n")
        # Parse only the first object: a process that died before truncating leaves the tail of a longer record.
        found = json.JSONDecoder().raw_decode(text)[0] if text else {"program": _OURS}
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("program") == _OURS else None
