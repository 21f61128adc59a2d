"""Statements over sets of rows: as many as there are kinds of work, however many rows there are.

They go past the session's unit of work, which handles rows one by one; what it holds back is written first.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Integer,
    Row,
    String,
    Table,
    Update,
    bindparam,
    func,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.orm import Mapped
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlmodel import Session, SQLModel

from jobs.ledger.json_sql import ListOf, is_among

Record = TypeVar("Record", bound=SQLModel)

AT_ONCE = 500
"""Leads per statement, to bound memory."""


def table_of(model: type[SQLModel]) -> Table:
    """Return a model's table."""
    table: Table = sqlalchemy.inspect(model).local_table
    return table


def has_lead_among(account: Mapped[str], lead: Mapped[str] | Mapped[str | None]) -> ColumnElement[bool]:
    """Match rows of the leads that `select_rows`, `change_rows` or `lead_batch_parameters` is given, or other rows."""
    return (account == bindparam("of_account")) & is_among(lead, bindparam("of_leads", type_=ListOf(String())))


def select_rows(
    session: Session, statement: Executable, account: str, leads: Collection[str], **values: object
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield the rows that a statement finds of these leads, in its order for each lead."""
    connection = session.connection()
    for part in lead_batch_parameters(session, account, leads):
        yield from connection.execute(statement, part | values).all()


def change_rows(session: Session, statement: Executable, account: str, leads: Collection[str], **values: object) -> int:
    """Update or delete rows of these leads and return their number; `values` are set, besides the statement's own."""
    connection = session.connection()
    return sum(
        connection.execute(statement, part | values).rowcount for part in lead_batch_parameters(session, account, leads)
    )


def lead_batch_parameters(session: Session, account: str, leads: Iterable[str]) -> Iterator[dict[str, object]]:
    """Yield what `has_lead_among` is to match, for as many of these leads at once as memory allows."""
    session.flush()
    rest = iter(leads)
    while part := list(islice(rest, AT_ONCE)):
        yield {"of_account": account, "of_leads": part}


@cache
def insert_into(model: type[SQLModel]) -> Insert:
    """Return a statement that adds rows to a model's table."""
    return Insert(table_of(model))


class _KeepingOthers(OnConflictDoNothing):
    """As SQLite's, with what PostgreSQL's compiler asks for too."""

    inherit_cache = True
    constraint_target = None


class _Overwriting(OnConflictDoUpdate):
    """As SQLite's, with what PostgreSQL's compiler asks for too."""

    inherit_cache = True
    constraint_target = None


@cache
def insert_missing_into(model: type[SQLModel]) -> Insert:
    """Return a statement that adds rows, and leaves those that exist as they are."""
    return insert_into(model).ext(_KeepingOthers())


@cache
def upsert_into(model: type[SQLModel], *columns: str) -> Insert:
    """Return a statement that adds rows, or sets these columns of rows that exist; without any, all of them."""
    excluded = insert_into(model).excluded
    return upsert_with_values(
        model, {each.name: each for each in excluded if each.name in columns or not (columns or each.primary_key)}
    )


def upsert_with_values(model: type[SQLModel], values: Mapping[str, ColumnElement[Any]]) -> Insert:
    """Return a statement that adds rows, or gives those that exist these values; `excluded` is what was to be added."""
    return insert_into(model).ext(_Overwriting(index_elements=list(table_of(model).primary_key), set_=values))


def next_row_ids(session: Session, model: type[SQLModel], count: int) -> range:
    """Return the ids that the database would give as many new rows: one run at a time writes an account's."""
    last = session.connection().scalar(sqlalchemy.select(func.max(table_of(model).c.id))) or 0
    return range(last + 1, last + 1 + count)


def add_rows(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows, which have the same keys, to a model's table; ids that they lack count up in their order.

    PostgreSQL takes each column as one list: its values are of one type, `None` aside, and no `True` stands for a 1.

    Raises:
        RuntimeError: a row lacks a key or has one more.
    """
    _add(session, insert_into(model), rows)


def upsert_rows(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, object]], *columns: str) -> None:
    """Add rows as `add_rows` does, or set these columns of those that exist; without any, all of them.

    No two of the rows are the same one.
    """
    _add(session, upsert_into(model, *columns), rows)


def _add(session: Session, statement: Insert, rows: Sequence[Mapping[str, object]]) -> None:
    if not rows or not _takes_columns(session.connection()):
        write_rows(session, statement, rows)
        return
    session.flush()
    session.connection().execute(_with_listed(statement, tuple(rows[0])), _columns_of(rows))


def _takes_columns(connection: Connection) -> bool:
    """Return whether the database takes the values of many rows in one statement: PostgreSQL plans each anew."""
    return connection.dialect.name == "postgresql"


@lru_cache(maxsize=64)
def _with_listed(statement: Insert, names: tuple[str, ...]) -> Insert:
    given = _given({name: statement.table.c[name] for name in names})
    return statement.from_select(list(names), sqlalchemy.select(*given))


@lru_cache(maxsize=64)
def _update_listed(table: Table, names: tuple[str, ...]) -> Update:
    given = _given({name: table.c[name] for name in names} | {"of_id": table.c.id})
    return sqlalchemy.update(table).where(table.c.id == given.of_id).values({name: given[name] for name in names})


def _given(columns: Mapping[str, ColumnElement[Any]]) -> ReadOnlyColumnCollection[str, Any]:
    """Return the columns of a table of the values that `_columns_of` lists, of the types of these columns."""
    lists = [bindparam(f"{name}_listed", type_=ARRAY(each.type)) for name, each in columns.items()]
    typed = (sqlalchemy.column(name, each.type) for name, each in columns.items())
    return func.unnest(*lists).table_valued(*typed).render_derived().c


def _columns_of(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    for row in rows:
        _refuse_other_keys(row, rows[0].keys())
    return {f"{name}_listed": [row[name] for row in rows] for name in rows[0]}


def _refuse_other_keys(row: Mapping[str, object], names: AbstractSet[str]) -> None:
    if row.keys() != names:
        raise RuntimeError(f"a row has other keys than the first: {sorted(row.keys() ^ names)}")


def write_rows(session: Session, statement: ClauseElement, rows: Sequence[Mapping[str, object]]) -> None:
    """Run an insert, upsert or update once for all rows, which have the same keys.

    The statement is kept, so it must be one of a few. SQLAlchemy takes longer to prepare a row than SQLite to write it.

    Raises:
        RuntimeError: a row lacks a key or has one more, or the statement needs one that no row has.
    """
    session.flush()
    if rows:
        connection = session.connection()
        prepared = _prepare(statement, tuple(rows[0]), connection.dialect)
        connection.exec_driver_sql(prepared.text, prepared.values_of(rows))


class _Prepared(NamedTuple):
    """A statement as the driver takes it."""

    text: str
    names: frozenset[str]
    """The keys of each row."""
    constants: dict[str, object]
    """The parameters that the statement itself sets, and the defaults of columns without a value."""
    parameters: Sequence[tuple[str, Callable[[Any], object] | None]]
    """The name of each, in order, and how its values are written if not as they are."""

    is_positional: bool
    """Whether the driver takes parameters by their position, or else by name."""

    def values_of(self, rows: Iterable[Mapping[str, object]]) -> list[Any]:
        """Return the parameters of these rows."""
        complete = map(self._complete, rows)
        if self.is_positional:
            return [
                tuple([row[name] if write is None else write(row[name]) for name, write in self.parameters])
                for row in complete
            ]
        return [
            {name: row[name] if write is None else write(row[name]) for name, write in self.parameters}
            for row in complete
        ]

    def _complete(self, row: Mapping[str, object]) -> Mapping[str, object]:
        _refuse_other_keys(row, self.names)
        return self.constants | dict(row) if self.constants else row


@lru_cache(maxsize=64)
def _prepare(statement: ClauseElement, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("not a statement that takes rows")
    missing = sorted(name for name, bind in compiled.binds.items() if bind.required and name not in names)
    if missing:
        raise RuntimeError(f"no row has what the statement needs: {missing}")
    in_order = compiled.positiontup if compiled.positional and compiled.positiontup else list(compiled.binds)
    types = [(name, compiled.binds[name].type.dialect_impl(dialect)) for name in in_order]
    constants = {name: value for name, value in compiled.params.items() if name not in names}
    defaults = ((column.key, column.default) for column in compiled.insert_prefetch)
    constants |= {name: default.arg for name, default in defaults if isinstance(default, ScalarElementColumnDefault)}
    parameters = [(name, kind.bind_processor(dialect)) for name, kind in types]
    return _Prepared(compiled.string, frozenset(names), constants, parameters, compiled.positional)


def new_record(record: type[Record], **columns: object) -> Record:
    """Return a record of a row that is not stored yet, with every column."""
    made: Record = record.__new__(record)
    vars(made).update(_blank(record) | columns)
    return made


@cache
def _blank(record: type[SQLModel]) -> dict[str, object]:
    fields = record.model_fields.items()
    return {name: None if field.is_required() else field.default for name, field in fields}


@contextmanager
def editable_records(
    session: Session, model: type[SQLModel], record: type[Record], ids: Sequence[int]
) -> Iterator[list[Record]]:
    """Yield those of these rows that exist, in this order, as records; write what was changed in them at the end.

    Like a session's own objects, at a fraction of their cost.
    """
    table = table_of(model)
    names = table.columns.keys()
    rows = session.connection().execute(sqlalchemy.select(table).where(column_in_ids(table.c.id, ids)))
    read = {row.id: row for row in rows.all()}
    found: dict[int, Record] = {}
    for number in ids:
        if number in read:
            found[number] = record.__new__(record)
            vars(found[number]).update(zip(names, read[number], strict=True))
    yield list(found.values())
    connection = session.connection()
    alike: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for number, each in found.items():
        columns = zip(names, read[number], vars(each).values(), strict=True)
        changes = {name: now for name, before, now in columns if now is not before and now != before}
        alike[tuple(changes)].append(changes | {"of_id": number})
    for changed, each_change in alike.items():
        if changed and _takes_columns(connection):
            connection.execute(_update_listed(table, changed), _columns_of(each_change))
        elif changed:
            wanted = table.c.id == bindparam("of_id")
            connection.execute(sqlalchemy.update(table).where(wanted), each_change)


def column_in_ids(
    column: Mapped[int] | Mapped[int | None] | Mapped[str] | Column[int], ids: Collection[int] | Collection[str]
) -> ColumnElement[bool]:
    """Match rows by ids, which are one variable together, however many they are."""
    is_number = isinstance(cast("ColumnElement[Any]", column).type, Integer)
    return is_among(column, bindparam(None, list(ids), type_=ListOf(BigInteger() if is_number else String())))
