"""`fleet deploy`, `accounts`, `run` and `backfill`: the tables, the settings in them, and what accounts are to do."""

import os
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from pydantic import SecretStr

from connectors.language import _, _n, format_time
from jobs.account.failures import failure_from_error, log_failure, worst_exit_code
from jobs.account.files import (
    AccountFile,
    expect_account_name,
    find_settings_files,
    load_accounts,
    load_stored_account,
    secrets_of,
)
from jobs.account.renamed import owners_of
from jobs.cli.fleet.first_runs import refuse_first_runs, tell_apart
from jobs.exit_codes import Exit, UsageError
from jobs.fleet.accounts import (
    AddedAccount,
    add_account,
    erase_account,
    latest_settings,
    list_accounts,
    pause_account,
    remove_account,
    request_immediate_run,
    resume_account,
    settings_of_others,
    similar_names,
    wait_for_other_additions,
)
from jobs.fleet.database import Connection, FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables, refuse_unfit_server, require_deployed
from jobs.fleet.queue import enqueue_due_accounts
from jobs.ledger.storage.revisions import SchemaChange
from jobs.ledger.storage.state_file import LedgerError
from jobs.reporting.console import print_rows, say
from jobs.reporting.presentation import print_json
from jobs.settings import Settings, ValidSettings, load
from jobs.settings.account_secrets import FOLDER, SHARED, secrets_prefix
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
        first_run: whether a human says that none of them has run; it is refused for one that has.
        not_renamed: whether a human says that none of them has run under another name.
    """
    opened = load_accounts(find_settings_files(paths), _environ(), secrets=False, in_fleet=True)
    codes = []
    with database.connect() as connection:
        require_deployed(connection)
    # Of all before any is stored: one that has run is not told apart by being named for a first run.
    refusals = refuse_first_runs(database, opened) if first_run else {}
    others = None if not_renamed else frozenset(each.name for each in opened) - refusals.keys()
    for account in opened:
        try:
            _refuse_unfit(account)
            if refusal := refusals.get(account.name):
                raise refusal
            text = _checked_text(account)
            with database.connect() as connection:
                wait_for_other_additions(connection)
                _refuse_conflict(connection, account)
                told_apart = tell_apart(database, connection, account, others, first_run=first_run)
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


def _environ() -> dict[str, str]:
    """Return what says which secrets accounts may name, and none of them."""
    return {name: os.environ[name] for name in (SHARED, FOLDER) if name in os.environ}


def _checked_text(account: AccountFile) -> str:
    """Return what the account's file holds, without its comments: they may hold what no machine reads.

    Raises:
        UsageError: it was written to since it was loaded, or holds a key.
    """
    text = without_comments(account.file.read_text(encoding="utf-8-sig"))
    if load(account.file, _environ(), secrets=False, text=text, in_fleet=True) != account.loaded:
        raise UsageError(_("{file} has just been written to; try again", file=account.file))
    if "-----BEGIN" in text:  # a key
        raise UsageError(f"{account.file}: {_secret_in_file()}")
    return text


def _secret_in_file() -> str:
    return _("a secret must not stand in this file: {how_to_refer}", how_to_refer=_(HOW_TO_REFER))


def _refuse_conflict(connection: Connection, account: AccountFile) -> None:
    """Return if the account has nothing that only one may have, and one that the fleet has already has.

    Of names of secrets, those of a removed one count too: its secrets may still be there.

    Raises:
        UsageError: it has.
    """
    for name in similar_names(connection, account.name):
        if secrets_prefix(name) == secrets_prefix(account.name):
            raise UsageError(
                _(
                    "{file}: the names of {other}'s secrets begin with {prefix} too; write another name under "
                    "`account:`",
                    file=account.file,
                    other=name,
                    prefix=secrets_prefix(name),
                )
            )
    own = _claims(account.settings)
    words = [each.name if isinstance(each, Path) else each.get_secret_value() for each in own]
    for name, text in settings_of_others(connection, account.name, words):
        # As a worker does, which resolves all paths from one folder.
        loaded = load_stored_account(name, text, account.file.parent, {}, secrets=False).loaded
        theirs = _claims(loaded.settings) if isinstance(loaded, ValidSettings) else {}
        if same := [key for claimed, key in own.items() if claimed in theirs]:
            raise UsageError(
                _(
                    "{file}: {other}, which is in the fleet, has the same `{key}:`; write another in one of them",
                    file=account.file,
                    other=name,
                    key=same[0],
                )
            )


def _claims(settings: Settings) -> dict[Path | SecretStr, str]:
    """Return what the account writes to, or is recognised by, and no other may have, with its key in the settings.

    A former secret leads to its account until its day, so it is no other's either.
    """
    webhooks = settings.webhooks
    files = {"metrics": settings.metrics, "webhooks.inbox": webhooks and webhooks.inbox}
    return {path.resolve(): key for key, path in files.items() if path} | (
        webhooks.accepted_secrets if webhooks else {}
    )


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
            file=shlex.quote(str(account.file)),
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
