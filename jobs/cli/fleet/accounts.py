"""`fleet deploy`, `accounts`, `run` and `backfill`: the tables, the settings in them, and what accounts are to do."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from connectors.language import _, _n, format_time
from jobs.cli.accounts import (
    AccountFile,
    expect_account_name,
    find_settings_files,
    load_accounts,
    load_stored_account,
    secrets_of,
)
from jobs.cli.output import failure_from_error, log_failure, worst_exit_code
from jobs.cli.renamed import owners_of, why_both_send, why_same_account, why_same_account_of_database
from jobs.exit_codes import Exit, UsageError
from jobs.fleet.accounts import (
    AddedAccount,
    accounts_sending_to,
    add_account,
    erase_account,
    latest_settings,
    list_accounts,
    may_create_state,
    pause_account,
    remove_account,
    request_immediate_run,
    resume_account,
    settings_of_others,
    wait_for_other_additions,
)
from jobs.fleet.database import Connection, FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables, refuse_unfit_server, require_deployed
from jobs.fleet.queue import enqueue_due_accounts
from jobs.ledger.storage.plain_reads import neighbouring_ledgers
from jobs.ledger.storage.revisions import SchemaChange
from jobs.ledger.storage.state_file import (
    LedgerError,
    LedgerFileKind,
    explaining_errors,
    has_state,
    read_state_move,
    state_file_kind,
)
from jobs.reporting.console import print_rows, say
from jobs.reporting.presentation import print_json
from jobs.settings import Settings, ValidSettings, load
from jobs.settings.document import without_comments
from jobs.settings.references import HOW_TO_REFER, is_secret_reference
from jobs.settings.types import StateFile
from jobs.wiring.state import deploy_database

if TYPE_CHECKING:
    from jobs.cli.night.approval import ApprovalOptions
    from jobs.cli.night.approved_send import Backfill


def deploy_fleet_database(database: FleetDatabase) -> int:
    """Create or upgrade the tables of ledgers, inboxes and the fleet, say what was done, and return 0."""
    with database.connect() as connection:
        refuse_unfit_server(connection)
    # The ledgers' upgrade takes long, and workers that it ends may start anew only once all of it is done.
    ledgers = _deployed(_("The accounts' tables"), deploy_database(database.url))
    fleet = _deployed(_("The fleet's tables"), create_or_upgrade_fleet_tables(database))
    done = [each for each in (fleet, ledgers) if each]
    say(*(done or [_("The fleet's tables are up to date.")]))
    return Exit.DONE


def _deployed(tables: str, change: SchemaChange) -> str:
    """Say what became of tables; nothing if nothing did."""
    if change.before is None:
        return _("{tables}: created (revision {after})", tables=tables, after=change.after)
    steps = _n("{count} step", "{count} steps", change.steps)
    if change.before != change.after:
        return _(
            "{tables}: upgraded from revision {before} to {after} ({steps})",
            tables=tables,
            before=change.before,
            after=change.after,
            steps=steps,
        )
    return _("{tables}: upgraded ({steps})", tables=tables, steps=steps) if change.steps else ""


def add_accounts(database: FleetDatabase, paths: Sequence[Path], *, first_run: bool, not_renamed: bool = False) -> int:
    """Store each account's settings, say what became of each, and return the worst exit code.

    Args:
        database: the fleet's.
        paths: settings files, or folders of them; the accounts are not mistaken for one another.
        first_run: whether none of them has run.
        not_renamed: whether a human says that none of them has run under another name.
    """
    opened = load_accounts(find_settings_files(paths), {}, secrets=False)
    others = None if not_renamed else frozenset(each.name for each in opened)
    codes = []
    with database.connect() as connection:
        require_deployed(connection)
    for account in opened:
        try:
            text = _checked_text(account, others, first_run=first_run)
            with database.connect() as connection:
                wait_for_other_additions(connection)
                _refuse_conflict(connection, account)
                told_apart = _tell_apart(connection, account, others, first_run=first_run)
                added = add_account(
                    connection,
                    account.name,
                    text,
                    first_run=first_run,
                    sends_to=owners_of(account.settings),
                    told_apart=told_apart,
                    not_renamed=not_renamed,
                )
            say(_added(account.name, added))
            codes.append(Exit.DONE)
        except (UsageError, LedgerError, OSError) as error:
            codes.append(Exit(log_failure(failure_from_error(error))))
    return worst_exit_code(codes)


def _checked_text(account: AccountFile, others: frozenset[str] | None, *, first_run: bool) -> str:
    """Return what the account's file holds, without its comments: they may hold what no machine reads.

    Raises:
        UsageError: no worker could run it, it has a state beside it that `first_run` would leave behind, or it was
            written to since it was loaded.
    """
    _refuse_unfit(account)
    if first_run:
        _refuse_known_state(account, others)
    text = without_comments(account.file.read_text(encoding="utf-8-sig"))
    if load(account.file, {}, secrets=False, text=text) != account.loaded:
        raise UsageError(_("{file} has just been written to; try again", file=account.file))
    if "-----BEGIN" in text:  # a key
        raise UsageError(f"{account.file}: {_secret_in_file()}")
    return text


def _secret_in_file() -> str:
    return _("a secret must not stand in this file: {how_to_refer}", how_to_refer=_(HOW_TO_REFER))


def _refuse_conflict(connection: Connection, account: AccountFile) -> None:
    """Return if the account has nothing that only one may have, and one that the fleet has already has.

    Raises:
        UsageError: it has.
    """
    own = _claims(account.settings)
    words = [each.name if isinstance(each, Path) else each for each in own.values()]
    for name, text in settings_of_others(connection, account.name, words):
        # As a worker does, which resolves all paths from one folder.
        loaded = load_stored_account(name, text, account.file.parent, {}, secrets=False).loaded
        theirs = _claims(loaded.settings) if isinstance(loaded, ValidSettings) else {}
        if same := [key for key, value in own.items() if theirs.get(key) == value]:
            raise UsageError(
                _(
                    "{file}: {other}, which is in the fleet, has the same `{key}:`; write another in one of them",
                    file=account.file,
                    other=name,
                    key=same[0],
                )
            )


def _claims(settings: Settings) -> dict[str, Path | str]:
    """Return what the account writes to, or is recognised by, and no other may have, by its key in the settings."""
    webhooks = settings.webhooks
    found = {
        "metrics": settings.metrics and settings.metrics.resolve(),
        "webhooks.secret": webhooks and webhooks.secret.get_secret_value(),
        "webhooks.inbox": webhooks and webhooks.inbox and webhooks.inbox.resolve(),
    }
    return {key: value for key, value in found.items() if value}


def _tell_apart(
    connection: Connection, account: AccountFile, others: frozenset[str] | None, *, first_run: bool
) -> Sequence[str]:
    """Return the fleet's accounts, removed ones too, that a human now tells apart from one that sends where they do.

    Also one whose first night is yet to come, of which no ledger tells. Once an account has a state in the fleet, it is
    itself, wherever it sends.

    Raises:
        UsageError: it probably is one of them under another name.
    """
    may_create = may_create_state(connection, account.name)
    if may_create is False and not first_run:
        return []
    found = accounts_sending_to(connection, account.name, owners_of(account.settings))
    for name, shared in found:
        if others is not None and name not in others:
            why = why_same_account_of_database if first_run or may_create else why_both_send
            raise UsageError(why(account.file, name, shared))
    return [name for name, _shared in found]


def _refuse_known_state(account: AccountFile, others: frozenset[str] | None) -> None:
    """Return if no state of the account lies where it was before it was in a database, by default or beside that.

    Raises:
        UsageError: one does, and what it has on record would go out again.
        LedgerError: it is being moved, or cannot be read.
    """
    path = account.file.resolve().parent / f"{account.name}.db"
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
    if why := why_same_account(neighbouring_ledgers(path), account.settings, path, others):
        raise UsageError(why)


def _added(name: str, added: AddedAccount) -> str:
    if added.version is not None:
        return _("{name}: stored, version {version}", name=name, version=added.version)
    if added.revived:
        return _("{name}: back in the fleet, with the settings that it had", name=name)
    if added.allowed_first_run:
        return _("{name}: a worker may create its state now; its settings are as they were", name=name)
    return _("{name}: nothing has changed", name=name)


def _refuse_unfit(account: AccountFile) -> None:
    """Return if a worker can run the account.

    Raises:
        UsageError: the settings must not run, name no schedule, or hold a secret itself.
    """
    settings = account.settings
    problems = []
    if settings.schedule is None:
        problems.append(_('schedule: write when the night is due, as schedule: { daily: "05:30" }'))
    if isinstance(settings.state, StateFile):
        problems.append(_state_to_write(account, settings.state.path))
    elsewhere = settings.model_copy(update={"state": None})  # it is looked up, and so no reference any more
    if any(not is_secret_reference(each) for each in secrets_of(elsewhere)):
        problems.append(_secret_in_file())
    if problems:
        raise UsageError("\n".join(f"{account.file}: {each}" for each in problems))


def _state_to_write(account: AccountFile, path: Path) -> str:
    if path.exists():
        return _(
            "state: {path} is on one machine, and each of them would send everything; move it: `oplead-sync state "
            "move --config {file} --to '{reference}'`, and write `state: {reference}`",
            path=path,
            file=account.file,
            reference="${OPLEAD_SYNC_DATABASE}",
        )
    return _(
        "state: a file is on one machine, and each of them would send everything; write the database, as {reference}",
        reference="${OPLEAD_SYNC_DATABASE}",
    )


def show_accounts(database: FleetDatabase, *, json_wanted: bool) -> int:
    """Print the accounts and return 0."""
    with database.connect() as connection:
        found = list_accounts(connection)
    if json_wanted:
        for each in found:
            print_json(each)
        return Exit.DONE
    rows = [(each.name, str(each.version), _("paused") if each.paused else format_time(each.due_at)) for each in found]
    if rows:
        print_rows((_("account"), _("version"), _("next")), rows)
    else:
        say(_("The fleet has no accounts yet: oplead-sync fleet accounts add FILE"))
    return Exit.DONE


Change = Literal["pause", "resume", "remove", "erase", "run"]


def change_accounts(database: FleetDatabase, names: Sequence[str], change: Change) -> int:
    """Change each account, say what became of each, and return the worst exit code."""
    do, done = _change(change)
    codes = []
    for name in names:
        try:
            expect_account_name(name)
            with database.connect() as connection:
                do(connection, name)
            say(_("{name}: {done}", name=name, done=done))
            codes.append(Exit.DONE)
        except UsageError as error:
            codes.append(Exit(log_failure(failure_from_error(error))))
    if change == "run":
        with database.connect() as connection:
            enqueue_due_accounts(connection)
    return worst_exit_code(codes)


def _change(change: Change) -> tuple[Callable[[Connection, str], None], str]:
    match change:
        case "pause":
            return pause_account, _("paused")
        case "resume":
            return resume_account, _("resumed")
        case "remove":
            return remove_account, _("removed; its state is as it was")
        case "erase":
            return erase_account, _("removed, with its settings and runs; its state is as it was")
        case "run":
            return request_immediate_run, _("runs as soon as a worker is free")
        case _:
            assert_never(change)


def backfill_account(
    database: FleetDatabase, name: str, folder: Path, approval: "ApprovalOptions", chosen: "Callable[..., Backfill]"
) -> int:
    """Send an account's backfill from this machine, and return the exit code; a worker that is at it holds it off.

    Raises:
        UsageError: the fleet has no such account, or it is paused.
    """
    from jobs.cli.night.approved_send import send_approved  # noqa: PLC0415 - what plans loads for nothing else here

    expect_account_name(name)
    with database.connect() as connection:
        stored = latest_settings(connection, name)
    if stored is None:
        raise UsageError(_("{name} is paused, or is not in the fleet; `fleet accounts list` shows which", name=name))
    return send_approved(partial(load_stored_account, name, stored.text, folder.absolute()), approval, chosen)
