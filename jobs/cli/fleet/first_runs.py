"""Whether an account that joins a fleet has run before, by its own name or by another one."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from connectors.language import _
from jobs.cli.accounts import AccountFile
from jobs.cli.renamed import owners_of, why_both_send, why_same_account, why_same_account_of_database
from jobs.exit_codes import UsageError
from jobs.fleet.accounts import accounts_sending_to, accounts_with_runs, may_create_state
from jobs.fleet.database import Connection, FleetDatabase
from jobs.ledger.storage.plain_reads import neighbouring_ledgers
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
                "Move it first: `oplead-sync state move --config {file} --to '{reference}'`; then leave --first-run "
                "out",
                file=account.file,
                path=path,
                reference="${OPLEAD_SYNC_DATABASE}",
            )
        )
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
    address = StateDatabaseAddress(SecretStr(database.url), account.file.parent)
    if account.name in on_record or state_at_address(address, account.name).exists():
        raise UsageError(_("{file}: this account has run: leave --first-run out", file=account.file))


def _default_state(account: AccountFile) -> Path:
    return account.file.resolve().parent / f"{account.settings.account}.db"


# ── by another one ───────────────────────────────────────────────────────────────────────────────


def refuse_neighbouring_state(account: AccountFile, others: frozenset[str] | None) -> None:
    """Return if no state beside the account's file is probably its own.

    Args:
        account: what is to have its first run.
        others: the accounts that are none of its names; None for all.

    Raises:
        UsageError: one is, and what it has on record would go out again.
    """
    path = _default_state(account)
    if why := why_same_account(neighbouring_ledgers(path), account.settings, path, others):
        raise UsageError(why)


def tell_apart(
    connection: Connection, account: AccountFile, others: frozenset[str] | None, *, first_run: bool
) -> Sequence[str]:
    """Return the fleet's accounts, removed ones too, that a human now tells apart from one that sends where they do.

    A human does so by what is said of a first run, not by adding a folder, in which one account's file may lie under
    two names. Also compared is an account whose first night is yet to come, of which no ledger tells. Once it has a
    state in the fleet, it is itself, wherever it sends.

    Args:
        connection: a transaction that holds up other additions.
        account: what is added.
        others: the accounts that are added with it and may be told apart by that; None if a human says that it is no
            other at all.
        first_run: whether a human says that none of them has run.

    Raises:
        UsageError: it probably is one of them under another name.
    """
    may_create = may_create_state(connection, account.name)
    if may_create is False and not first_run:
        return []
    found = accounts_sending_to(connection, account.name, owners_of(account.settings))
    if others is None:
        return [name for name, _shared in found]
    if may_create and not first_run:
        others = frozenset()
    # All of them: `--not-renamed` says that it is none.
    if sending := {name: shared for name, shared in found if name not in others}:
        why = why_same_account_of_database if first_run or may_create else why_both_send
        raise UsageError(why(account.file, sending))
    return [name for name, _shared in found] if first_run else []
