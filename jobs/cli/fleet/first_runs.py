"""Whether an account that joins a fleet has run before, by its own name or by another one."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

from pydantic import SecretStr

from connectors.language import _
from jobs.account.files import AccountFile
from jobs.account.renamed import accounts_sending_too, owners_of, why_both_send, why_same_account
from jobs.exit_codes import UsageError
from jobs.fleet.accounts import (
    accounts_sending_to,
    accounts_told_apart,
    accounts_with_runs,
    is_told_apart_from_all,
    may_create_state,
)
from jobs.fleet.database import Connection, FleetDatabase
from jobs.ledger.storage.plain_reads import neighbouring_ledgers
from jobs.ledger.storage.state import State
from jobs.ledger.storage.state_file import (
    LedgerError,
    LedgerFileKind,
    explaining_errors,
    has_state,
    read_state_move,
    state_file_kind,
)
from jobs.settings.types import StateDatabaseAddress
from jobs.wiring.state import state_at_address

# ── by its own name ──────────────────────────────────────────────────────────────────────────────


def refuse_first_runs(
    database: FleetDatabase, accounts: Sequence[AccountFile]
) -> Mapping[str, UsageError | LedgerError | OSError]:
    """Return why accounts may have no first run, by name: they have run, or nobody can tell."""
    from jobs.ledger.storage.postgresql import keep_database_connections  # noqa: PLC0415 - only this needs its driver

    keep_database_connections()  # for all of them, of which there may be thousands
    with database.connect() as connection:
        on_record = accounts_with_runs(connection, [each.name for each in accounts])
    refused: dict[str, UsageError | LedgerError | OSError] = {}
    for account in accounts:
        try:
            _refuse_state_in_file(account)
            _refuse_state_in_fleet(database, account, on_record)
        except (UsageError, LedgerError, OSError) as error:
            refused[account.name] = error
    return refused


def _refuse_state_in_file(account: AccountFile) -> None:
    """Return if no state of the account lies where it is by default, and was before it was in a database.

    Raises:
        UsageError: one does, and what it has on record would go out again.
        LedgerError: it is being moved, or cannot be read.
    """
    path = _default_state(account)
    with explaining_errors(path):
        kind = state_file_kind(path)
    if kind is LedgerFileKind.LEDGER:
        raise UsageError(
            _(
                "{file}: this account has run: its state is {path}, and without it everything would be sent again. "
                "Move it first: `oplead-sync state move --config {quoted} --to '{reference}'`; then leave --first-run "
                "out",
                file=account.file,
                quoted=shlex.quote(str(account.file)),
                path=path,
                reference="${OPLEAD_SYNC_DATABASE}",
            )
        )
    if kind is LedgerFileKind.OUTDATED:
        has_state(path)  # which raises, and says what to do
    if kind is LedgerFileKind.SEALED:
        if not read_state_move(path).is_moved:
            has_state(path)  # which raises, and says how to finish the move
        raise UsageError(
            _("{file}: this account's state was moved to a database; leave --first-run out", file=account.file)
        )


def _refuse_state_in_fleet(database: FleetDatabase, account: AccountFile, on_record: Collection[str]) -> None:
    """Return if neither the fleet's runs nor the ledgers beside them know the account's state.

    The runs tell of a state in another database; the ledgers of one whose account was erased, or never in the fleet.

    Raises:
        UsageError: they do.
        LedgerError: the ledgers cannot be read.
    """
    if account.name in on_record or _state_in_fleet(database, account).exists():
        raise UsageError(_("{file}: this account has run: leave --first-run out", file=account.file))


def _state_in_fleet(database: FleetDatabase, account: AccountFile) -> State:
    return state_at_address(StateDatabaseAddress(SecretStr(database.url), account.file.parent), account.name)


def _default_state(account: AccountFile) -> Path:
    return account.file.resolve().parent / f"{account.settings.account}.db"


# ── by another one ───────────────────────────────────────────────────────────────────────────────


def tell_apart(
    database: FleetDatabase,
    connection: Connection,
    account: AccountFile,
    others: frozenset[str] | None,
    *,
    first_run: bool,
) -> Sequence[str]:
    """Return the accounts, removed ones too, that a human now tells apart from one that sends where they do.

    A human does so by what is said of a first run, not by adding a folder, in which one account's file may lie under
    two names. Also compared is an account whose first night is yet to come, of which no ledger tells. Once it has a
    state in the fleet, it is itself, wherever it sends.

    Args:
        database: the fleet's.
        connection: a transaction that holds up other additions.
        account: what is added.
        others: the accounts that are added with it and may be told apart by that; None if a human says that it is no
            other at all.
        first_run: whether a human says that none of them has run.

    Raises:
        UsageError: it probably is one of them under another name.
        LedgerError: a file beside its settings is its own state, or the ledgers cannot be read.
    """
    may_create = may_create_state(connection, account.name)
    if may_create is False and not first_run:
        return []
    owners = owners_of(account.settings)
    found = accounts_sending_to(connection, account.name, owners)
    if first_run or may_create:
        found = _accounts_of_ledgers(database, account) | found
    if is_told_apart_from_all(connection, account.name, owners):
        return []
    told_apart = accounts_told_apart(connection, account.name)
    found = {name: shared for name, shared in found.items() if name not in told_apart}
    if others is None:
        return list(found)
    if may_create and not first_run:
        others = frozenset()
    # All of them, wherever they were found: `--not-renamed` says that it is none.
    if sending := {name: shared for name, shared in found.items() if name not in others}:
        why = why_same_account if first_run or may_create else why_both_send
        raise UsageError(why(account.file, sending))
    return list(found) if first_run else []


def _accounts_of_ledgers(database: FleetDatabase, account: AccountFile) -> dict[str, frozenset[str]]:
    """Return the accounts that send where this one does by ledgers beside its settings or in the fleet's database."""
    path = _default_state(account)
    in_fleet = _state_in_fleet(database, account).neighbouring_ledgers(owners_of(account.settings))
    return accounts_sending_too(chain(neighbouring_ledgers(path), in_fleet), account.settings, path)
