"""Where an account's ledger lies: what a SQLite file and a PostgreSQL database have in common."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobs.ledger.storage.plain_reads import NeighbouringLedger
from jobs.ledger.storage.state_file import LedgerError

if TYPE_CHECKING:  # `check` needs no SQLAlchemy
    from sqlalchemy import Engine


class Lock(Protocol):
    """An account's held lock; where the state can be replaced by an older copy, it remembers how far that had come."""

    @property
    def name(self) -> str:
        """What to delete to begin anew from an older copy."""

    @property
    def epoch(self) -> int:
        """The ledger's epoch in the last run that held this lock, or 0."""

    @property
    def last_request_id(self) -> int:
        """The last recorded request id, or 0."""

    def record_ledger_progress(self, epoch: int, request: int) -> None:
        """Record the ledger's progress durably."""


class State(Protocol):
    """Where an account's ledger lies; as text, what messages call it.

    Each method raises `LedgerError`, with a message that says what to do, if the state cannot be used.
    """

    def exists(self) -> bool:
        """Return whether the account has a state, of any version."""

    def create(self) -> None:
        """Create the account's state; one that exists is an error."""

    def open_engine(self, *, for_writing: bool) -> "Engine":
        """Open the existing state, upgraded if for writing; raises `NoStateError` if there is none."""

    def lock_account(self, *, now: datetime) -> AbstractContextManager[Lock]:
        """Hold the account for the block; raises `LeaseHeldError` if another process does.

        The lock ends with the process, however that ends.
        """

    def open_temporary_copy(self) -> AbstractContextManager["State"]:
        """Yield a temporary copy to try things on, deleted afterwards; without a state, a new one."""

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Raise the database's errors within the block as `LedgerError`."""

    def neighbouring_ledgers(self, owners: frozenset[str]) -> Iterator[NeighbouringLedger | LedgerError]:
        """Yield other ledgers that might be this account's, if its own is missing, and the errors of reading them.

        Args:
            owners: the Google customers and Meta datasets that it sends to.
        """

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """The files that hold the state, to be rewritten after something was erased."""


@contextmanager
def disposing(engine: "Engine") -> Iterator["Engine"]:
    """Yield an engine, and close its connections after the block."""
    try:
        yield engine
    finally:
        engine.dispose()
