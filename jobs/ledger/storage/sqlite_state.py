"""An account's state in a SQLite file of its own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from jobs.ledger.storage.database import create_state, open_engine, temporary_copy
from jobs.ledger.storage.lock import FileLock, hold_lock
from jobs.ledger.storage.plain_reads import NeighbouringLedger, neighbouring_ledgers
from jobs.ledger.storage.state_file import LedgerError, explaining_errors, has_state


@dataclass(frozen=True, slots=True)
class SqliteState:
    """A `State` in a file, named by its path."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Return whether there is a ledger at the path."""
        return has_state(self.path)

    def create(self) -> None:
        """Create the file."""
        create_state(self.path)

    def open_engine(self, *, for_writing: bool) -> Engine:
        """Open the file, upgrading it first if for writing."""
        return open_engine(self.path, for_writing=for_writing)

    def lock_account(self, *, now: datetime) -> AbstractContextManager[FileLock]:
        """Hold the lock file beside it."""
        return hold_lock(self.path, now=now)

    @contextmanager
    def open_temporary_copy(self) -> Iterator["SqliteState"]:
        """Yield a copy in a temporary folder."""
        with temporary_copy(self.path) as copy:
            yield SqliteState(copy)

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Raise errors of SQLite and of the file system as `LedgerError`."""
        return explaining_errors(self.path)

    def neighbouring_ledgers(
        self,
        owners: frozenset[str],  # noqa: ARG002 - there are few, and one of this account's is its own wherever it sends
    ) -> Iterator[NeighbouringLedger | LedgerError]:
        """Yield the other ledgers in this one's folder."""
        return neighbouring_ledgers(self.path)

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """The file, with its journal."""
        return (self.path,)
