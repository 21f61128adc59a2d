"""Other ledgers in a ledger's folder: whose they are, and whom they tell; nothing is changed by looking."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jobs.ledger.engine import LedgerError, explained
from jobs.ledger.files import Found, look, read_only


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A ledger beside another."""

    path: Path
    account: str
    owners: frozenset[str]
    """The Google customers and Meta datasets that its conversions have a start at."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder of which nobody can tell whether it is a ledger, or whose."""

    why: str
    """A sentence that names it."""


def neighbours(path: Path) -> Iterator[Neighbour | Unreadable]:
    """The other ledgers in the folder of this one, by name, and what cannot be read there."""
    try:
        with explained(path.parent):
            files = sorted(path.parent.iterdir()) if path.parent.exists() else []
    except LedgerError as error:
        yield Unreadable(str(error))
        return
    for file in files:
        if file != path:
            yield from _at(file)


def _at(file: Path) -> list[Neighbour] | list[Unreadable]:
    try:
        with explained(file):
            return _in(file) if file.is_file() and look(file) is Found.LEDGER else []
    except LedgerError as error:
        return [Unreadable(str(error))]


def _in(file: Path) -> list[Neighbour]:
    with closing(read_only(file)) as connection:
        accounts = [account for (account,) in connection.execute("SELECT account FROM lease")]
        starts = connection.execute("SELECT DISTINCT account, target FROM start").fetchall()
    return [
        Neighbour(file, each, frozenset(target.partition("/")[0] for account, target in starts if account == each))
        for each in accounts
    ]
