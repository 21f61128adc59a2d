"""The ledger's tables as PostgreSQL has them: those of the models, with the account first in every key.

So an account's rows keep the ids they have in a file, and tables can be partitioned by account. Row-level security adds
the account to every statement, so that the same queries serve both: no statement of ours names a column that only
PostgreSQL has.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
    text,
)

from jobs.ledger.schema import Run

MODELS = Run.metadata
ACCOUNT = "current_setting('oplead.account', true)"
"""The account that a transaction is of.

Without one, it is null, or the empty text where the connection had an account before; neither is an account's.
"""
_NEXT_ID = """
CREATE OR REPLACE FUNCTION oplead_next_id(called text) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
BEGIN
    CASE called
        {branches}
    END CASE;
END $$
"""
_BRANCH = "WHEN '{name}' THEN RETURN (SELECT coalesce(max(id), 0) + 1 FROM {name});"


def next_id_function_sql() -> str:
    """Return the statement that makes the function by which rows get the ids that SQLite would give them.

    An id is one more than the account's last, of which row-level security shows no other. No two transactions ask at
    once, since one run holds the account. Volatile, the function sees the rows of its own statement. A session keeps
    the plan that it first made, which for a table that was empty then would be to read all of it.
    """
    # A branch each: PostgreSQL keeps the plan of a table that it knows by name, and would plan any other for each row.
    counting = (table.name for table in MODELS.sorted_tables if any(map(_is_counted, table.columns)))
    return _NEXT_ID.format(branches="\n        ".join(_BRANCH.format(name=name) for name in counting))


def has_next_id_function(connection: Connection) -> bool:
    """Return whether the database has the function as it is made here."""
    found = connection.exec_driver_sql(
        "SELECT prosrc, provolatile, proconfig FROM pg_proc "
        "WHERE proname = 'oplead_next_id' AND pronamespace = current_schema()::regnamespace"
    )
    _before, body, _after = next_id_function_sql().split("$$")
    return [tuple(row) for row in found] == [(body, "v", ["enable_seqscan=off"])]


def _is_counted(column: Column[Any]) -> bool:
    """Return whether a column has the ids that rows get from the database."""
    return column.name == "id" and [column] == list(column.table.primary_key)


def postgresql_tables() -> MetaData:
    """Return the tables to create."""
    made = MetaData(naming_convention=MODELS.naming_convention)
    for table in MODELS.sorted_tables:
        Table(table.name, made, *_columns(table), *_constraints(table), *_indexes(table))
    return made


def _columns(table: Table) -> Iterator[Column[Any]]:
    if "account" not in table.columns:
        kind = MODELS.tables["lease"].columns["account"].type
        yield Column("account", kind, nullable=False, server_default=text(ACCOUNT))
    for column in table.columns:
        default = column.server_default.arg if column.server_default is not None else None  # type: ignore[attr-defined]
        if _is_counted(column):
            default = text(f"oplead_next_id('{table.name}')")
        yield Column(column.name, column.type, nullable=column.nullable, server_default=default, autoincrement=False)


def _constraints(
    table: Table,
) -> Iterator[PrimaryKeyConstraint | ForeignKeyConstraint | UniqueConstraint | CheckConstraint]:
    yield PrimaryKeyConstraint(*_with_account(table.primary_key.columns.keys()), name=f"pk_{table.name}")
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, ForeignKeyConstraint):
            (target,) = {each.column.table.name for each in constraint.elements}
            there = _with_account([each.column.name for each in constraint.elements])
            yield ForeignKeyConstraint(_with_account(constraint.column_keys), [f"{target}.{name}" for name in there])
        elif isinstance(constraint, UniqueConstraint):
            yield UniqueConstraint(*_with_account(constraint.columns.keys()), name=constraint.name)
        elif isinstance(constraint, CheckConstraint):
            yield CheckConstraint(constraint.sqltext, name=constraint.name)


def _indexes(table: Table) -> Iterator[Index]:
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        where = index.dialect_kwargs.get("sqlite_where")
        names = _with_account(index.columns.keys())
        yield Index(index.name, *names, unique=index.unique, postgresql_where=where)


def _with_account(names: Iterable[str]) -> list[str]:
    return ["account", *(name for name in names if name != "account")]


# ── accounts kept apart ──────────────────────────────────────────────────────────────────────────

_POLICY = "own_account"
_SHOWN, _TAKEN = f"account = (SELECT {ACCOUNT})", f"account = {ACCOUNT}"
"""The policy's conditions for rows that are read and written.

A subquery hides from the planner which account reads, so that it plans for one of average size. Else an account that
joined after the last ANALYZE is taken to have one row of each table, and a join reads all its rows for each of them:
measured, a first night of 2,000 leads beside three accounts took 80 s instead of 11. ANALYZE comes by itself once a
tenth of a table has changed, which one account among many never does.
"""
_FORCED = (
    "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid "
    "WHERE relnamespace = current_schema()::regnamespace AND relforcerowsecurity AND polname = %s"
)
"""Our tables, however an earlier version kept their accounts apart."""
_COLUMNS = ("account", "(account)::text")
_AS_SHOWN = [
    f"({column} = ( SELECT current_setting('oplead.account'::text, true) AS current_setting))" for column in _COLUMNS
]
_AS_TAKEN = [f"({column} = current_setting('oplead.account'::text, true))" for column in _COLUMNS]
"""The conditions as PostgreSQL shows them, by the type of the column."""

FIRST_RUN = "oplead.first_run"
"""What a transaction sets to customers and datasets to see which accounts send there, and nothing else of them.

They are joined by `/`, which ends each of them in a target.
"""
_SHOW_STARTS = (
    "DROP POLICY IF EXISTS first_run ON start",
    """
    CREATE POLICY first_run ON start FOR SELECT
    USING (split_part(target, '/', 1) = ANY (string_to_array(current_setting('oplead.first_run', true), '/')))
    """,
    # So that this costs a first run as much beside thousands of accounts as beside one. It comes last: its lock lets
    # others read on, so that one who has read and then writes would wait for it, and the policy's lock for that one.
    "CREATE INDEX IF NOT EXISTS start_owner ON start (split_part(target, '/', 1))",
)
_STARTS_AS_SHOWN = (
    "(split_part((target)::text, '/'::text, 1) = ANY "
    "(string_to_array(current_setting('oplead.first_run'::text, true), '/'::text)))"
)
"""The policy's condition as PostgreSQL shows it."""


def isolate_accounts(connection: Connection, tables: Iterable[Table]) -> None:
    """Have PostgreSQL show and take an account's rows only, also where the tables' owner asks."""
    isolated = _isolated_tables(connection)
    for table in tables:
        # Not again: each change of a policy waits for every run's transactions, and they for it.
        if table.name not in isolated:
            _isolate_accounts_of(connection, table)
    if not shows_starts_to_first_runs(connection):
        for statement in _SHOW_STARTS:
            connection.exec_driver_sql(statement)


def shows_starts_to_first_runs(connection: Connection) -> bool:
    """Return whether a first run can see who else sends where it does: a database deployed before lacks it."""
    found = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass('start') AND polname = 'first_run' "
        "AND polcmd = 'r' AND pg_get_expr(polqual, polrelid) = %s)",
        (_STARTS_AS_SHOWN,),
    )
    return bool(found.scalar())


@contextmanager
def every_account_shown(connection: Connection) -> Iterator[None]:
    """Show the tables' owner, who deploys, the rows of every account; otherwise a migration would change none.

    If the block fails, its transaction ends and takes this back.
    """
    forced = set(connection.exec_driver_sql(_FORCED, (_POLICY,)).scalars())
    for name in forced:
        connection.exec_driver_sql(f"ALTER TABLE {_quoted(connection, name)} NO FORCE ROW LEVEL SECURITY")
    yield
    for name in forced & set(inspect(connection).get_table_names()):
        connection.exec_driver_sql(f"ALTER TABLE {_quoted(connection, name)} FORCE ROW LEVEL SECURITY")


def _isolated_tables(connection: Connection) -> set[str]:
    """Return the tables of which PostgreSQL shows and takes an account's rows only."""
    rows = connection.exec_driver_sql(
        "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid "
        "WHERE relnamespace = current_schema()::regnamespace AND relrowsecurity AND relforcerowsecurity "
        "AND polname = %s AND polcmd = '*' AND pg_get_expr(polqual, polrelid) = ANY(%s) "
        "AND pg_get_expr(polwithcheck, polrelid) = ANY(%s)",
        (_POLICY, _AS_SHOWN, _AS_TAKEN),
    )
    return set(rows.scalars())


def _isolate_accounts_of(connection: Connection, table: Table) -> None:
    name = _quoted(connection, table.name)
    for statement in (
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {_POLICY} ON {name}",
        f"CREATE POLICY {_POLICY} ON {name} USING ({_SHOWN}) WITH CHECK ({_TAKEN})",
    ):
        connection.exec_driver_sql(statement)


def _quoted(connection: Connection, table: str) -> str:
    return connection.dialect.identifier_preparer.quote(table)
