"""Moves an account's ledger from its file to another place.

The file is sealed first, so that at no instant two ledgers are live; the rows are copied and compared in one
transaction, so that the other place has all of them or none. Killed anywhere and repeated, it ends the same.
"""

from contextlib import ExitStack
from datetime import datetime

from sqlalchemy import Engine, select

from connectors.language import _
from jobs.ledger.bulk import table_of
from jobs.ledger.schema import Lease
from jobs.ledger.storage.database import open_sealed
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state import State
from jobs.ledger.storage.state_file import FileKind, LedgerError, file_kind, seal, sealed_for
from jobs.ledger.storage.transfer import copy_rows, differing_table


def move_state(source: SqliteState, target: State, *, now: datetime) -> int:
    """Move the ledger, and return its number of rows; 0 if it had been moved already.

    Raises:
        LeaseHeldError: a run holds the account, here or there.
        LedgerError: there is no ledger here, another one there, or it could not be copied; the message says what to do.
    """
    with ExitStack() as stack:
        stack.enter_context(source.hold(now=now))
        stack.enter_context(target.hold(now=now))
        is_repeated = file_kind(source.path) is FileKind.SEALED
        if is_repeated:
            _expect_same_place(source, target)
        else:
            _expect_no_ledger(target)
            # Brings an older state up to date, so that both have the same tables.
            source.open_engine(for_writing=True).dispose()
            seal(source.path, str(target))
        if not target.exists():
            target.create()
        old, new = open_sealed(source.path), target.open_engine(for_writing=True)
        stack.callback(old.dispose)
        stack.callback(new.dispose)
        with source.explaining_errors(), target.explaining_errors():
            return _copy(old, new, target)


def _expect_same_place(source: SqliteState, target: State) -> None:
    if (place := sealed_for(source.path)) != str(target):
        raise LedgerError(
            _("{path}: this state was moved to {place}, or is being moved: name that place", path=source, place=place)
        )


def _expect_no_ledger(target: State) -> None:
    if target.exists():
        raise LedgerError(
            _("{place}: this account has a state there already, so nothing was moved; name another place", place=target)
        )


def _copy(old: Engine, new: Engine, target: State) -> int:
    with old.execution_options(read_only=True).begin() as source, new.begin() as copied:
        if copied.scalar(select(table_of(Lease).c.epoch)) is not None:
            return 0
        count = copy_rows(source, copied)
        if table := differing_table(source, copied):
            raise LedgerError(
                _(
                    "{place}: the copy of {table} differs from the file, so nothing was kept of it; please report this",
                    place=target,
                    table=table,
                )
            )
        return count
