"""The little of a state that is read without SQLAlchemy, which takes longer to load than `check` takes to run."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs.ledger.storage.state_file import (
    LedgerError,
    LedgerFileKind,
    NoStateError,
    explaining_errors,
    has_state,
    open_read_only,
    state_file_kind,
)


def read_counting_starts(path: Path, account: str) -> dict[tuple[str, str], datetime]:
    """Return when each conversion starts to count, by conversion and destination, as earlier runs settled it.

    Raises:
        LedgerError: there is no state, or it cannot be read.
    """
    if not has_state(path):
        raise NoStateError(path)
    with explaining_errors(path), closing(open_read_only(path)) as connection:
        found = "SELECT conversion, destination, since FROM start WHERE account = ? AND label = ''"
        rows = connection.execute(found, (account,)).fetchall()
        return {(name, destination): datetime.fromisoformat(at).replace(tzinfo=UTC) for name, destination, at in rows}


@dataclass(frozen=True, slots=True)
class LedgerProgress:
    """How far an account's ledger has come, and whose it is."""

    accounts: Collection[str]
    """The accounts that it holds."""
    epoch: int
    last_request_id: int
    forgotten_place: str | None
    """The identity of the second place that it last wrote to."""


def read_ledger_progress(path: Path, account: str) -> LedgerProgress:
    """Return how far an account's ledger has come, of this version or an older one.

    Raises:
        LedgerError: there is no state, or it cannot be read.
    """
    if not has_state(path):
        raise NoStateError(path)
    with explaining_errors(path), closing(open_read_only(path)) as connection:
        (last,) = connection.execute("SELECT max(id) FROM request").fetchone()
        connection.row_factory = sqlite3.Row  # an older version's rows lack some columns
        leases = {row["account"]: dict(row) for row in connection.execute("SELECT * FROM lease")}
    lease = leases.get(account, {})
    return LedgerProgress(leases.keys(), lease.get("epoch", 0), last or 0, lease.get("forgotten_place"))


@dataclass(frozen=True, slots=True)
class NeighbouringLedger:
    """Another ledger in the same folder or database."""

    path: Path | None
    """None in a database."""
    account: str
    owners: frozenset[str]
    """The Google customers and Meta datasets for which it has starts; in a database, those that were asked for."""


def neighbouring_ledgers(path: Path) -> Iterator[NeighbouringLedger | LedgerError]:
    """Yield the other ledgers in this one's folder, ordered by file name, and the errors of reading them."""
    try:
        with explaining_errors(path.parent):
            files = sorted(path.parent.iterdir()) if path.parent.exists() else []
    except LedgerError as error:
        yield error
        return
    for file in files:
        try:
            yield from _read_neighbouring_ledger(file) if file != path else ()
        except LedgerError as error:
            yield error


def _read_neighbouring_ledger(file: Path) -> list[NeighbouringLedger]:
    with explaining_errors(file):
        if not file.is_file() or state_file_kind(file) is not LedgerFileKind.LEDGER:
            return []
        with closing(open_read_only(file)) as connection:
            accounts = connection.execute("SELECT account FROM lease").fetchall()
            starts = connection.execute("SELECT DISTINCT account, target FROM start").fetchall()
        owners = owners_by_account(starts)
        return [NeighbouringLedger(file, account, owners.get(account, frozenset())) for (account,) in accounts]


def owners_by_account(starts: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return the Google customers and Meta datasets that each account sends to, by the targets of its starts."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for account, target in starts:
        owners[account].add(target.partition("/")[0])
    return {account: frozenset(found) for account, found in owners.items()}
