"""Statements over sets of rows: as many as there are kinds of work, however many rows there are.

They go past the session's unit of work, which handles rows one by one; what it holds back is written first.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Executable, Row, Table, bindparam, func
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.orm import Mapped
from sqlmodel import Session, SQLModel

AT_ONCE = 500
"""Ids per statement: databases limit a statement's variables."""


def table_of(model: type[SQLModel]) -> Table:
    """Return a model's table."""
    table: Table = sqlalchemy.inspect(model).local_table
    return table


def belongs_to(account: Mapped[str], lead: Mapped[str]) -> ColumnElement[bool]:
    """Match rows of the leads that `select_rows` or `change_rows` is given."""
    return (account == bindparam("of_account")) & lead.in_(bindparam("of_leads", expanding=True))


def select_rows(
    session: Session, statement: Executable, account: str, leads: Collection[str], **values: object
) -> Iterator[Row[Any]]:
    """Yield the rows that a statement finds of these leads, in its order for each lead."""
    connection = session.connection()
    for part in _parts(session, account, leads):
        yield from connection.execute(statement, part | values)


def change_rows(session: Session, statement: Executable, account: str, leads: Collection[str], **values: object) -> int:
    """Update or delete rows of these leads and return their number; `values` are set, besides the statement's own."""
    connection = session.connection()
    return sum(connection.execute(statement, part | values).rowcount for part in _parts(session, account, leads))


def _parts(session: Session, account: str, leads: Collection[str]) -> Iterator[dict[str, object]]:
    session.flush()
    rest = iter(leads)
    while part := list(islice(rest, AT_ONCE)):
        yield {"of_account": account, "of_leads": part}


def rows_by_lead(rows: Iterable[Row[Any]]) -> defaultdict[str, list[Sequence[Any]]]:
    """Group rows by their first column, the lead, keeping their order."""
    found: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


@cache
def insert_into(model: type[SQLModel]) -> Insert:
    """Return a statement that adds rows to a model's table."""
    return Insert(table_of(model))


@cache
def upsert_into(model: type[SQLModel], *columns: str) -> Insert:
    """Return a statement that adds rows, or sets these columns of rows that exist; without any, all of them."""
    add = insert_into(model)
    set_ = {each.name: each for each in add.excluded if each.name in columns or not (columns or each.primary_key)}
    return add.on_conflict_do_update(index_elements=list(table_of(model).primary_key), set_=set_)


def write_rows(session: Session, statement: Executable, rows: Sequence[Mapping[str, object]]) -> None:
    """Run an insert, upsert or update once for all rows, which have the same keys."""
    session.flush()
    if rows:
        session.connection().execute(statement, rows)


def columns_of(record: object, **columns: object) -> dict[str, Any]:
    """Return these columns and a slotted record's fields, which are named like their columns."""
    for name in record.__slots__:  # type: ignore[attr-defined]
        columns[name] = getattr(record, name)
    return columns


def has_id_among(column: Mapped[int] | Mapped[int | None], ids: Sequence[int]) -> ColumnElement[bool]:
    """Match rows by ids, which are one variable together, however many they are."""
    listed = func.json_each(json.dumps(ids)).table_valued("value")
    return column.in_(sqlalchemy.select(listed.c.value))
