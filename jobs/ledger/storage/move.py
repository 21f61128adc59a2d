"""Moves an account's ledger from its file to another place.

The file is sealed first, so that at no instant two ledgers are live; the rows are copied and compared in one
transaction, so that the other place has all of them or none; then the file says that it was moved. Killed anywhere and
repeated, it ends the same. A copy that fails, and of which nothing was kept for certain, opens the file to runs again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select
from sqlmodel import Session, SQLModel

from connectors.language import _
from jobs.ledger.bulk import table_of
from jobs.ledger.schema import FormerFile, Lease, Request, Run
from jobs.ledger.storage.database import open_state_being_moved
from jobs.ledger.storage.progress import ledger_progress
from jobs.ledger.storage.refusals import refuse_other_account, refuse_outdated_state
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state import Lock, State, disposing
from jobs.ledger.storage.state_file import (
    LedgerError,
    LedgerFileKind,
    NoStateError,
    mark_moved,
    read_state_move,
    refuse_damaged,
    seal,
    state_file_kind,
    unseal_state,
)
from jobs.ledger.storage.transfer import copy_rows, differing_table

_COPIES = 0x4F504C4D  # "OPLM"
"""The seed of the keys of our locks, which nothing else in the database uses."""
_IDENTITY: dict[type[SQLModel], tuple[str, ...]] = {
    Run: ("id", "account", "command", "epoch", "started_at"),
    Request: ("id", "account", "run", "destination", "action", "sent_at"),
}
"""What of a row stays the same from when it is written."""


def move_state(
    source: SqliteState, target: State, account: str, *, now: datetime, inboxes: Mapping[Path, str | None] | None = None
) -> int:
    """Move the ledger, and return its number of rows; 0 if it had been moved already.

    The new place remembers the file, and those that webhooks' events may be left in, so that `forget` erases there too;
    repeated, it adds what it did not remember yet.

    Args:
        source: the file.
        target: the new place.
        account: the account's name.
        now: the time.
        inboxes: the files that webhooks' events may be left in, each with its inbox's identity; None if there is none.

    Raises:
        LeaseHeldError: a run holds the account, here or there.
        LedgerError: there is no ledger of this account here, another one there, or it could not be copied; the message
            says what to do.
    """
    former: list[dict[str, object]] = [
        {"account": account, "path": str(path.resolve()), "is_state": path == source.path, "identity": identity}
        for path, identity in {source.path: None, **(inboxes or {})}.items()
    ]
    with source.lock_account(now=now) as lock, target.lock_account(now=now):
        with source.explaining_errors():
            is_repeated = state_file_kind(source.path) is LedgerFileKind.SEALED
        if is_repeated:
            _expect_same_place(source, target)
            if _has_ledger(target):
                _expect_descendant(source, target)
                with _opened(target, for_writing=True) as there:
                    _remember(there, account, former)
                mark_moved(source.path)
                return 0
            _expect_unmoved(source, target)
        else:
            _expect_movable(source, account, lock)
            _expect_no_ledger(target)
            seal(source.path, str(target))
        copied = _copy(source, target, account, former, is_repeated=is_repeated)
        mark_moved(source.path)
        return copied


def _expect_same_place(source: SqliteState, target: State) -> None:
    if (place := read_state_move(source.path).place) != str(target):
        raise LedgerError(
            _("{path}: this state was moved to {place}, or is being moved: name that place", path=source, place=place)
        )


def _expect_movable(source: SqliteState, account: str, lock: Lock) -> None:
    """Refuse, before it is sealed, a file from which no run of the account could go on; bring an older one up to date.

    Afterwards both places have the same tables.
    """
    if not source.exists():
        raise NoStateError(source)
    refuse_damaged(source.path)
    opened = disposing(source.open_engine(for_writing=True))
    with opened as engine, source.explaining_errors(), Session(engine) as session:
        found = ledger_progress(session, account)
        refuse_other_account(found, account, source)
        if not found.accounts:
            raise LedgerError(
                _(
                    "{path}: no run has used this state, so there is nothing to move: write the new place under "
                    "`state:`, and begin there by `oplead-sync run --first-run`",
                    path=source,
                )
            )
        refuse_outdated_state(found, lock, source)


def _expect_no_ledger(target: State) -> None:
    if target.exists():
        raise LedgerError(
            _("{place}: this account has a state there already, so nothing was moved; name another place", place=target)
        )


def _has_ledger(target: State) -> bool:
    if not target.exists():
        return False
    with _opened(target, for_writing=False) as there:
        return there.scalar(select(table_of(Lease).c.epoch)) is not None


def _expect_descendant(source: SqliteState, target: State) -> None:
    """Check that the ledger there goes on from this file's: it has the last run and the last request that this has."""
    with _sealed_view(source) as here, _opened(target, for_writing=False) as there:
        for model, names in _IDENTITY.items():
            table = table_of(model)
            row = select(*(table.c[name] for name in names))
            last = here.execute(row.order_by(table.c.id.desc()).limit(1)).first()
            if last and there.execute(row.where(table.c.id == last.id)).first() != last:
                raise LedgerError(
                    _(
                        "{place}: this account's state there does not go on from {path}: it was begun anew there, or "
                        "restored from before the move. Let nothing run there. Restore it to after the move; or, if "
                        "what ran there may be forgotten, delete its rows and repeat this.",
                        place=target,
                        path=source,
                    )
                )


def _expect_unmoved(source: SqliteState, target: State) -> None:
    if read_state_move(source.path).is_moved:
        raise LedgerError(
            _(
                "{place}: {path} was moved there, and this account has no state there any more: restore it from a "
                "backup from after the move. What has been sent since is not in this file.",
                place=target,
                path=source,
            )
        )


def _copy(
    source: SqliteState, target: State, account: str, former: Sequence[dict[str, object]], *, is_repeated: bool
) -> int:
    """Copy and compare every row in one transaction there, and return how many there were.

    If that fails, runs may use the file again, unless the other place may have kept the copy.
    """
    is_to_commit = False
    try:
        if not target.exists():
            target.create()
        with _sealed_view(source) as here, _opened(target, for_writing=True) as there:
            _hold_copy(there, account)
            copied = copy_rows(here, there)
            _expect_same_rows(here, there, target)
            _remember(there, account, former)
            is_to_commit = True
    except BaseException as error:
        # What this process did not ask to commit is not kept; of what an earlier one asked, it may not have heard.
        is_open = not is_to_commit and (not is_repeated or _is_seen_without_ledger(target, account))
        if is_open:
            unseal_state(source.path)
        if isinstance(error, LedgerError):
            raise type(error)(_after_failure(error, source, target, is_open=is_open)) from None
        raise
    return copied


def _remember(there: Connection, account: str, former: Sequence[dict[str, object]]) -> None:
    """Record the files, in place of what is known of the same ones; an identity that was known stays known."""
    table = table_of(FormerFile)
    same = (table.c.account == account) & table.c.path.in_([each["path"] for each in former])
    known = {row.path: row.identity for row in there.execute(select(table).where(same))}
    there.execute(delete(table).where(same))
    there.execute(insert(table), [each | {"identity": each["identity"] or known.get(each["path"])} for each in former])


def _expect_same_rows(here: Connection, there: Connection, target: State) -> None:
    if table := differing_table(here, there):
        raise LedgerError(
            _("{place}: the copy of {table} differs from the file; please report this", place=target, table=table)
        )


def _is_seen_without_ledger(target: State, account: str) -> bool:
    with suppress(LedgerError), _opened(target, for_writing=True) as there:
        _hold_copy(there, account)
        return not _has_ledger(target)  # in a transaction that begins now, and so sees what an earlier copy has left
    return False


def _hold_copy(there: Connection, account: str) -> None:
    """Wait, for as long as for any lock, until no earlier copy of the account can land; hold others up.

    A server may still be committing what nobody waits for any more, and show nothing of it. A file needs no such lock:
    what a process writes to it ends with the process, and with that the lock it had.
    """
    if there.dialect.name == "postgresql":
        there.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(account, _COPIES))))


def _after_failure(error: LedgerError, source: SqliteState, target: State, *, is_open: bool) -> str:
    if is_open:
        return _("{error}. Nothing was moved, and runs use {path} as before.", error=error, path=source)
    return _(
        "{error}. Nobody knows whether {place} has kept the copy, so {path} stays closed to runs: repeat this.",
        error=error,
        place=target,
        path=source,
    )


@contextmanager
def _sealed_view(source: SqliteState) -> Iterator[Connection]:
    engine = open_state_being_moved(source.path)
    with disposing(engine), source.explaining_errors(), engine.execution_options(read_only=True).begin() as here:
        yield here


@contextmanager
def _opened(target: State, *, for_writing: bool) -> Iterator[Connection]:
    engine = target.open_engine(for_writing=for_writing).execution_options(read_only=not for_writing)
    with disposing(engine), target.explaining_errors(), engine.begin() as there:
        yield there
