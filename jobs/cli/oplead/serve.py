"""`oplead webhooks serve`: loads the accounts whose webhooks to receive, and runs the receiver."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from connectors.language import _, format_list
from connectors.signals.liveness import LivenessReporter
from jobs.account.files import find_settings_files, invalid_settings_error, log_env_files, secrets_of
from jobs.cli.output import signals_and_logging
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.serve_webhooks import WebhookAccount, receive_webhooks
from jobs.reporting.console import say
from jobs.reporting.presentation import print_json
from jobs.settings import InvalidSettings
from jobs.settings.load import PartialSettings, load_partial
from jobs.settings.types import StateDatabaseAddress
from jobs.wiring.inbox import inbox_location, shared_database

if TYPE_CHECKING:  # few need its driver
    from jobs.ledger.storage.postgresql import SharedDatabase

_SECRETS = ("token", "write")
"""What of `oplead` only nights and commands need: whoever takes the receiver over finds no key of theirs."""
_SHARED = ("listen", "connections", "seconds")
_log = structlog.stdlib.get_logger()


def serve_webhooks(paths: Sequence[Path], *, json_wanted: bool) -> int:
    """Receive until a signal says to stop; print the address at the start, and counts at the end."""
    with signals_and_logging() as (stop, redaction):
        database_at = cache(shared_database)
        accounts = []
        for file in find_settings_files(paths):
            known = _load_known(file, os.environ)
            redaction.register_secrets(secrets_of(known.settings))
            if isinstance(known.state, StateDatabaseAddress):
                redaction.register_secrets(known.state.secrets)
            accounts.append(_webhook_account(known, file, database_at))
        _expect_one_receiver(accounts)
        total = receive_webhooks(
            accounts,
            should_stop=lambda: stop.signal_number is not None,
            liveness=LivenessReporter(),
            listening=lambda address: _announce(address, accounts, json_wanted=json_wanted),
        )
    if json_wanted:
        print_json(total)
    _log.info("stopped as asked; everything acknowledged is in the inbox")
    return Exit.DONE


def _load_known(file: Path, environ: Mapping[str, str]) -> PartialSettings:
    known = load_partial(file, environ, needed=("account", "webhooks", "state"), without=_SECRETS)
    log_env_files([known.env_file])
    if isinstance(known, InvalidSettings):
        raise invalid_settings_error(known)
    return known


def _webhook_account(
    known: PartialSettings, file: Path, database_at: "Callable[[SecretStr], SharedDatabase]"
) -> WebhookAccount:
    account, webhooks = known.settings.account, known.settings.webhooks
    if account is None or webhooks is None:
        missing = "account" if account is None else "webhooks"
        raise UsageError(
            _("{file}: {key} is missing; docs/webhooks.md shows how to set up webhooks", file=file, key=missing)
        )
    if known.state is None:
        raise UsageError(_("{file}: state is missing; the inbox is kept beside it", file=file))
    inbox = inbox_location(known.state, account, webhooks, database_at=database_at)
    return WebhookAccount(account, known.settings, webhooks, inbox)


def _expect_one_receiver(accounts: Sequence[WebhookAccount]) -> None:
    """Refuse accounts that one process cannot serve, or could not tell apart."""
    for key in _SHARED:
        if len({getattr(one.webhooks, key) for one in accounts}) > 1:
            raise UsageError(
                _(
                    "webhooks.{key} differs between these accounts; use the same value, or start one receiver for each",
                    key=key,
                )
            )
    for name, of in _OWN.items():
        if twice := _repeated(of(one) for one in accounts):
            first, second = (accounts[place].account for place in twice)
            raise UsageError(
                _(
                    "{name}: {first} and {second} have the same; each account needs its own",
                    name=name,
                    first=first,
                    second=second,
                )
            )


_OWN: Mapping[str, Callable[[WebhookAccount], Collection[object]]] = {
    "account": lambda one: {one.account},
    "webhooks.secret": lambda one: one.webhooks.accepted_secrets.keys(),
    # In a database, each account has its own inbox.
    "webhooks.inbox": lambda one: {file.resolve() for file in one.inbox.storage_files},
}


def _repeated(values: Iterable[Collection[object]]) -> tuple[int, int] | None:
    """Return the positions of the first two that have a value in common."""
    places: dict[object, int] = {}
    for place, own in enumerate(values):
        if common := places.keys() & own:
            return places[common.pop()], place
        places.update(dict.fromkeys(own, place))
    return None


def _announce(address: str, accounts: Sequence[WebhookAccount], *, json_wanted: bool) -> None:
    names = [one.account for one in accounts]
    if json_wanted:
        print_json({"listening": address, "accounts": names})
    else:
        served = format_list(names)
        say(_("Receiving webhooks at {address} for {accounts}. Ctrl-C stops.", address=address, accounts=served))
    sys.stdout.flush()  # whoever reads through a pipe waits for this line
