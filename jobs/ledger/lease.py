"""One writer at a time: a lock the system releases when its holder dies, and an epoch that outlives mistakes."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from jobs.ledger.engine import LedgerError
from jobs.ledger.files import open_privately

_OURS = "oplead-sync"
_LONGEST = 4_096  # characters


class LeaseHeldError(Exception):
    """Another run holds the account; the message says which."""


@dataclass(frozen=True, slots=True)
class Lock:
    """An account's lock, held; its file remembers how far the ledger was, so that an older copy of it is noticed."""

    path: Path
    since: datetime
    epoch: int
    """The ledger's at the last run that held this lock; 0 where none has."""
    request: int
    """The last request that was written down; 0 where none was."""
    file: IO[str]

    def remember(self, epoch: int, request: int) -> None:
        """Put on record, for good, how far the ledger has come."""
        told = {
            "program": _OURS,
            "pid": os.getpid(),
            "since": self.since.isoformat(timespec="seconds"),
            "epoch": epoch,
            "request": request,
        }
        # Written over and cut off then: whoever dies in between leaves no empty file.
        self.file.seek(0)
        self.file.write(json.dumps(told))
        self.file.truncate()
        self.file.flush()
        os.fsync(self.file.fileno())


def lock_of(state: Path) -> Path:
    """Where a state's lock lies."""
    return state.with_name(f"{state.name}.{_OURS}.lock")


@contextmanager
def exclusive(state: Path, *, now: datetime) -> Iterator[Lock]:
    """Hold the account's lock while the block runs; the system lets go of it should the process die.

    Raises:
        LeaseHeldError: another process holds it.
        LedgerError: somebody else's file lies where it should.
    """
    path = lock_of(state)
    open_privately(path, "a").close()
    # Opened without wiping what the holder wrote about itself.
    with open_privately(path, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseHeldError(f"{state}: {_holder(_told(file))}") from None
        lock = Lock(path, now, *_come_to(path, file), file)
        lock.remember(lock.epoch, lock.request)
        yield lock


def _told(file: IO[str]) -> Mapping[str, object] | None:
    """What its last holder wrote; nothing where it is empty, None where it is not ours."""
    try:
        # A power cut may leave a file's length without its contents.
        text = file.read(_LONGEST).strip("\0 \n")
        # The first object only: whoever died while writing may have left the end of a longer one behind it.
        told = json.JSONDecoder().raw_decode(text)[0] if text else {"program": _OURS}
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and told.get("program") == _OURS else None


def _come_to(path: Path, file: IO[str]) -> tuple[int, int]:
    """The epoch and the request that the ledger had come to."""
    told = _told(file)
    if told is None:
        raise LedgerError(
            f"{path}: this is no lock file of oplead-sync, and was left as it is; move it, or check `state:`"
        )
    epoch, request = (told.get(name, 0) for name in ("epoch", "request"))
    return epoch if isinstance(epoch, int) else 0, request if isinstance(request, int) else 0


def _holder(told: Mapping[str, object] | None) -> str:
    if not told or "pid" not in told:
        return "another run holds this account"
    return f"another run holds this account (process {told['pid']}, since {told.get('since')})"
