"""Many accounts' ledgers in one PostgreSQL database, in which each account sees its own rows only."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401 - loaded here, processes forked later share it
from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    MetaData,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import Compiled
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.util import LRUCache

from connectors.language import _
from jobs.database_address import CONNECT_OPTIONS, split_database_address
from jobs.ledger.schema import Run
from jobs.ledger.storage.database import ALEMBIC, VERSION
from jobs.ledger.storage.postgresql_errors import SEES_EVERY_ACCOUNT
from jobs.ledger.storage.postgresql_tables import (
    every_account_shown,
    has_next_id_function,
    isolate_accounts,
    next_id_function_sql,
    postgresql_tables,
)
from jobs.ledger.storage.revisions import REVISIONS, SchemaChange, alembic_config
from jobs.ledger.storage.state import disposing
from jobs.ledger.storage.state_file import LedgerError, OtherSchemaError, explaining_errors

_LOCK_SECONDS = 5
"""How long a statement waits for another transaction's lock."""
_STATEMENT_SECONDS = 600
_KEPT = 8
"""How many connections are kept open where many accounts share them."""
_KEPT_FOR_NEXT = 3
"""How many are kept for a process's next account, which is as many as a night needs most of the time."""
_AWAY_SECONDS = 2.0
"""For how long many accounts take a database that could not be opened to be away, without each trying it."""
_CHECKED_SECONDS = 10.0
"""For how long a database that was found usable for an account is taken to be: a night opens it several times."""
_IDLE_SECONDS = {False: 60, True: 600}
"""How long a transaction may leave the server without work, by whether it is read-only: a writer holds the lease."""
_CONNECT = {
    **CONNECT_OPTIONS,
    # A pooler may give each transaction another connection, to which statements prepared on one are unknown.
    "prepare_threshold": None,
}
_DEPLOYING = 0x4F504C53  # "OPLS"
"""The key of the advisory lock under which a schema changes."""
_DIALECTS = 8
"""How many databases' dialects are remembered: each account of a process may have an address of its own."""
_COMPILED: LRUCache[object, Compiled] = LRUCache(500)
_STREAMS = "streams"
"""Where a connection keeps the cursors of its transaction's streamed rows."""
_TABLES = Run.metadata
_PARENTS = ("lead", "delivery")
"""Tables to whose many rows foreign keys point."""
_GROWN = "grown"
"""Where a connection keeps the names of those that its transaction has added rows to."""
_IS_COUNTED = """
SELECT reltuples >= 100 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = %s
"""
"""Whether PostgreSQL knows that a table holds more than the few rows for which any plan will do."""


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def open_postgresql(url: str, account: str, *, for_writing: bool, connections: int = 2) -> Engine:
    """Open an account's ledger in a database; no transaction sees another account's rows, whatever it asks for.

    Raises:
        LedgerError: the database cannot be used, has no schema or an outdated one, or its user sees every row.
    """
    with explaining_postgresql_errors(parsed_address(url)):
        if _kept is not None:
            return _kept.engine_for_account(url, account, for_writing=for_writing)
        engine = _engine(url, account, for_writing=for_writing, pool_size=connections)
    try:
        _check(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _check(engine: Engine) -> None:
    with explaining_postgresql_errors(engine.url), engine.connect() as connection, connection.begin():
        _refuse_omnipotent_user(connection)
        refuse_other_schema(_recorded_schema(connection), engine.url)


def keep_database_connections() -> None:
    """Keep some connections open from now on, for whichever account this process works on next.

    Call it in a process that works on one account after another and does not fork. A connection bears no trace of an
    account once its transaction has ended, as with a pooler. Accounts whose addresses differ gain nothing.
    """
    global _kept  # noqa: PLW0603 - of the process, as its connections are
    _kept = _KeptDatabase()


class _KeptPool(QueuePool):
    """Connections that outlast whoever used them."""

    def dispose(self) -> None:
        """Keep them."""

    def recreate(self) -> "_KeptPool":
        """Go on with them."""
        return self

    def close(self) -> None:
        """Close them after all."""
        super().dispose()


class _KeptDatabase:
    """The database that this process has used last; another one takes its place."""

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._url = ""
        self._engine: Engine | None = None
        self._checked_for = ""
        self._check_at = 0.0
        """When to check the database again for the same account, on the monotonic clock."""

    def engine_for_account(self, url: str, account: str, *, for_writing: bool) -> Engine:
        """Return an engine whose transactions see this account's rows only; raise as `open_postgresql` does."""
        with self._opening:
            if self._engine is None or url != self._url:
                if self._engine is not None and isinstance(self._engine.pool, _KeptPool):
                    self._engine.pool.close()
                self._engine = _engine(url, poolclass=_KeptPool, pool_size=_KEPT_FOR_NEXT, max_overflow=-1)
                self._url = url
                self._check_at = 0.0
            # For each account: somebody may deploy a newer version between two of them. What they share has no account.
            if account not in ("", self._checked_for) or time.monotonic() >= self._check_at:
                self._check_at = 0.0  # a database that is refused is refused again
                _check(self._engine)
                self._checked_for, self._check_at = account, time.monotonic() + _CHECKED_SECONDS
            return self._engine.execution_options(account=account, read_only=not for_writing)


_kept: _KeptDatabase | None = None
"""None in a process that keeps none."""


class SharedDatabase:
    """One database for short transactions of many accounts, over a few connections; opened when first used."""

    def __init__(self, url: str) -> None:
        """Open nothing yet."""
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._failure: LedgerError | None = None
        self._try_at = 0.0
        """When to try again what failed, on the monotonic clock."""

    def __str__(self) -> str:
        return shown_address(parsed_address(self._url))

    def engine_for_account(self, account: str, *, for_writing: bool) -> Engine:
        """Return an engine whose transactions see this account's rows only.

        Raises:
            LedgerError: the database cannot be used.
        """
        engine = self._engine or self._opened(account)
        return engine.execution_options(account=account, read_only=not for_writing)

    def _opened(self, account: str) -> Engine:
        """Open the database, once for all who ask meanwhile: what comes of it holds for them too."""
        with self._opening:
            if self._failure is not None and time.monotonic() < self._try_at:
                raise self._failure.with_traceback(None)
            if self._engine is None:
                try:
                    self._engine = open_postgresql(self._url, account, for_writing=True, connections=_KEPT)
                except LedgerError as error:
                    self._failure, self._try_at = error, time.monotonic() + _AWAY_SECONDS
                    raise
            return self._engine

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as `LedgerError`."""
        return explaining_postgresql_errors(parsed_address(self._url))

    def close(self) -> None:
        """Close every connection; whoever goes on opens new ones."""
        if self._engine is not None:
            self._engine.dispose()


# As for files, engines share what one of them has compiled: a cache, and the dialect that its keys name.
@lru_cache(maxsize=_DIALECTS)
def _dialect(url: str) -> Dialect:
    """Return the dialect that all engines of a database share, completed by a first connection."""
    engine = create_engine(parsed_address(url), connect_args=_CONNECT, use_native_hstore=False, poolclass=NullPool)
    engine.connect().close()
    return engine.dialect


def _engine(url: str, account: str = "", *, for_writing: bool = True, **pool: Any) -> Engine:
    engine = create_engine(
        parsed_address(url),
        connect_args=_CONNECT,
        # No column of ours is an `hstore`, for which each engine would ask.
        use_native_hstore=False,
        hide_parameters=True,
        pool_pre_ping=True,
        **pool,
        execution_options={"account": account, "read_only": not for_writing, "compiled_cache": _COMPILED},
    )
    engine.dialect = _dialect(url)

    from psycopg import IsolationLevel  # noqa: PLC0415 -- the address was found to be usable, so it is there

    # What holds for a transaction only, so that a pooler may give the connection to another account's next.
    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        is_view = options["read_only"]
        settings = {
            "oplead.account": options["account"],
            "timezone": "UTC",
            "lock_timeout": f"{_LOCK_SECONDS}s",
            "statement_timeout": f"{_STATEMENT_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS[is_view]}s",
            # Compiling a statement takes longer than running any of ours; a wrong estimate is enough to start it.
            "jit": "off",
        }
        # The driver says so as it begins the transaction, which it does with its next statement.
        driver: Any = connection.connection.driver_connection
        driver.read_only = is_view or None
        driver.isolation_level = IsolationLevel.REPEATABLE_READ if is_view else None
        if not is_view:
            # A request goes out once its intent is committed, which a crash of the server must then not lose.
            settings["synchronous_commit"] = "on"
            # Checks of foreign keys keep the plan that was best while their table was small.
            settings["enable_seqscan"] = "off"
        # Plain text, since each of a night's many transactions begins with it.
        chosen = ", ".join(f"set_config('{name}', %s, true)" for name in settings)
        connection.exec_driver_sql(f"SELECT {chosen}", tuple(settings.values()))

    @event.listens_for(engine, "checkin")
    def _on_return(driver: Any, _record: object) -> None:
        if driver is not None and not driver.closed:
            driver.read_only = driver.isolation_level = None

    @event.listens_for(engine, "after_cursor_execute")
    def _on_execute(connection: Connection, cursor: Any, *_more: object) -> None:
        # The cursors of streamed rows: of those that nobody read to their end, the driver complains.
        if hasattr(cursor, "itersize"):
            connection.info.setdefault(_STREAMS, []).append(cursor)

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def _on_end(connection: Connection) -> None:
        # A connection that was cut has taken its cursors along.
        for cursor in () if connection.invalidated else connection.info.pop(_STREAMS, ()):
            cursor.close()

    _have_new_parents_counted(engine)
    return engine


def _have_new_parents_counted(engine: Engine) -> None:
    """Have PostgreSQL count the rows of parents as they come, until it knows of many.

    In a new database it plans the checks of foreign keys while the parents are empty, and keeps those plans: to find a
    lead it reads all leads of the account, until autovacuum comes. Measured, a first night of 8,000 leads cost it 37 s
    instead of 9.
    """
    uncounted = set(_PARENTS)

    @event.listens_for(engine, "after_cursor_execute")
    def _on_execute(connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        grown = {name for name in uncounted if statement.startswith(f"INSERT INTO {name} ")}
        if grown:
            connection.info.setdefault(_GROWN, set()).update(grown)

    @event.listens_for(engine, "commit")
    def _on_commit(connection: Connection) -> None:
        # Of tables that this transaction holds a lock on already, so that it need not wait for one now.
        for name in connection.info.pop(_GROWN, ()):
            if connection.exec_driver_sql(_IS_COUNTED, (name,)).scalar():
                uncounted.discard(name)
            else:
                connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {name}")

    @event.listens_for(engine, "rollback")
    def _on_rollback(connection: Connection) -> None:
        if not connection.invalidated:
            connection.info.pop(_GROWN, None)


def parsed_address(url: str) -> URL:
    """Return an address that SQLAlchemy understands; raise LedgerError if it is none, or the driver is missing."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    else:
        _refuse_unclear(url)
    if parsed is None or parsed.drivername not in ("postgresql", "postgres") or not parsed.database:
        raise LedgerError(
            _("this is no address of a PostgreSQL database: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        )
    try:
        import psycopg  # noqa: F401, PLC0415 -- nobody else needs it
    except ImportError:
        raise LedgerError(
            _(
                "a state on PostgreSQL needs its driver, which `make install` leaves out: use the program that "
                "`make runtime TREE=/opt/oplead-sync` installs"
            )
        ) from None
    return parsed.set(drivername="postgresql+psycopg")


def _refuse_unclear(url: str) -> None:
    try:
        split_database_address(url)
    except ValueError as error:
        raise LedgerError(_("the address of the database: {why}", why=error)) from None


def shown_address(url: URL) -> str:
    """Return where a database is, without its user, password and options."""
    return URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()


def _refuse_omnipotent_user(connection: Connection) -> None:
    """Refuse a user for whom PostgreSQL applies no row-level security."""
    if connection.exec_driver_sql(SEES_EVERY_ACCOUNT).scalar():
        raise LedgerError(
            _(
                "{place}: this user sees the rows of every account; use one without SUPERUSER and BYPASSRLS, to whom "
                "the database belongs",
                place=shown_address(connection.engine.url),
            )
        )


def refuse_other_schema(found: Sequence[str], url: URL) -> None:
    """Return if what `alembic_version` holds is the schema of this version; else raise OtherSchemaError."""
    if not _is_newest(found, url):
        place = shown_address(url)
        raise OtherSchemaError(
            _("{place}: this database is not up to date: run `oplead-sync fleet deploy` first", place=place)
        )


def _is_newest(found: Sequence[str], url: URL) -> bool:
    """Return whether the schema is of this version; raise OtherSchemaError if it is of a newer one."""
    if found and max(found) > REVISIONS[-1]:
        place = shown_address(url)
        raise OtherSchemaError(
            _("{place}: a newer oplead-sync set up this database; upgrade oplead-sync on this machine", place=place)
        )
    return list(found) == [REVISIONS[-1]]


def _recorded_schema(connection: Connection) -> list[str]:
    return list(connection.scalars(select(VERSION.c.version_num)))


# ── the schema ───────────────────────────────────────────────────────────────────────────────────


def create_or_upgrade_ledger_tables(url: str, *beside: MetaData) -> SchemaChange:
    """Create the ledgers' tables in a database, or bring them up to date, and return what was done.

    Args:
        url: the database.
        beside: other tables to create unless they are there; those with an `account` are kept apart too.

    Raises:
        LedgerError: the database cannot be used, holds something else, or is of a newer version.
    """
    with disposing(_engine(url)) as engine, explaining_postgresql_errors(engine.url), engine.begin() as connection:
        _refuse_omnipotent_user(connection)
        connection.execute(select(func.set_config("lock_timeout", f"{_STATEMENT_SECONDS}s", True)))
        connection.execute(select(func.pg_advisory_xact_lock(_DEPLOYING)))
        change = _bring_up_to_date(connection)
        for tables in beside:
            tables.create_all(connection)
        of_accounts = [each for tables in beside for each in tables.sorted_tables if "account" in each.columns]
        isolate_accounts(connection, [*_TABLES.sorted_tables, *of_accounts])
    return change


def _bring_up_to_date(connection: Connection) -> SchemaChange:
    place = shown_address(connection.engine.url)
    tables = set(inspect(connection).get_table_names())
    if VERSION.name in tables:
        found = _recorded_schema(connection)
        is_newest = _is_newest(found, connection.engine.url)
        # Not again: this takes more rights than a user needs who deploys what is deployed.
        if not has_next_id_function(connection):
            connection.exec_driver_sql(next_id_function_sql())
        if not is_newest:
            with every_account_shown(connection):
                _migrate(connection, "upgrade")
        before = found[0] if found else None
        return SchemaChange(before, REVISIONS[-1], sum(each > (before or "") for each in REVISIONS))
    if taken := tables & _TABLES.tables.keys():
        raise LedgerError(
            _("{place}: this database holds tables of something else ({names})", place=place, names=min(taken))
        )
    connection.exec_driver_sql(next_id_function_sql())
    postgresql_tables().create_all(connection)
    _migrate(connection, "stamp")
    return SchemaChange(None, REVISIONS[-1], len(REVISIONS))


def _migrate(connection: Connection, command: Literal["upgrade", "stamp"]) -> None:
    from alembic import command as alembic  # noqa: PLC0415

    with ALEMBIC:
        (alembic.upgrade if command == "upgrade" else alembic.stamp)(alembic_config(connection), REVISIONS[-1])


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def explaining_postgresql_errors(url: URL) -> Iterator[None]:
    """Turn the driver's errors into a `LedgerError` whose message an operator can act on."""
    with explaining_errors(shown_address(url)):
        yield
