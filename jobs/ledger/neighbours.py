"""Other ledgers in a ledger's folder: whose they are, and whom they tell; nothing is changed by looking."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.ledger.files import Found, look, read_only


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A ledger beside another."""

    path: Path
    account: str
    owners: frozenset[str]
    """The Google customers and Meta datasets that its conversions have a start at."""


def neighbours(path: Path) -> Iterator[Neighbour]:
    """The other ledgers in the folder of this one, by name; what cannot be read is passed over."""
    with suppress(OSError):
        for file in sorted(path.parent.iterdir()):
            with suppress(OSError, sqlite3.DatabaseError):
                if file != path and file.is_file() and look(file) is Found.LEDGER:
                    yield from _in(file)


def _in(file: Path) -> list[Neighbour]:
    with closing(read_only(file)) as connection:
        accounts = [account for (account,) in connection.execute("SELECT account FROM lease")]
        starts = connection.execute("SELECT DISTINCT account, target FROM start").fetchall()
    return [
        Neighbour(file, each, frozenset(target.partition("/")[0] for account, target in starts if account == each))
        for each in accounts
    ]
