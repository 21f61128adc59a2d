"""Copies an account's rows between databases, whose tables are the same, and compares them."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, CursorResult, Table, insert, select
from sqlmodel import SQLModel

from jobs.ledger import schema

assert schema.Run.metadata is SQLModel.metadata  # noqa: S101 -- the import is what fills the metadata

AT_ONCE = 1_000
"""Rows in memory at once."""


def copy_rows(source: Connection, target: Connection) -> int:
    """Copy every row that `source` shows, with its ids, to tables that show none, and return how many there were."""
    copied = 0
    for table in _tables():
        for part in _read(source, table).partitions():
            target.execute(insert(table), [row._asdict() for row in part])
            copied += len(part)
    return copied


def differing_table(source: Connection, target: Connection) -> str | None:
    """Return the first table whose rows are not the same in both, compared value by value; None if all are."""
    for table in _tables():
        if any(one != other for one, other in zip_longest(_rows(source, table), _rows(target, table))):
            return table.name
    return None


def _tables() -> list[Table]:
    """Return the tables, each after those that it refers to."""
    return SQLModel.metadata.sorted_tables


def _rows(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    return map(tuple, _read(connection, table))


def _read(connection: Connection, table: Table) -> CursorResult[Any]:
    statement = select(table).order_by(*table.primary_key)
    return connection.execute(statement, execution_options={"yield_per": AT_ONCE})
