"""`oplead webhooks serve`: loads the accounts whose webhooks to receive, and runs the receiver."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from connectors.language import _, format_list
from connectors.notifiers import Liveness
from jobs.cli.accounts import find_settings_files, log_env_files, problems_of, secrets_of
from jobs.cli.output import signals_and_logging
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.receive import WebhookAccount, receive
from jobs.reporting.console import print_json, say
from jobs.settings import InvalidSettings
from jobs.settings.load import load_partial

_SHARED = ("listen", "connections", "seconds")
_log = structlog.stdlib.get_logger()


def serve_webhooks(paths: Sequence[Path], *, json_wanted: bool) -> int:
    """Receive until a signal says to stop; print the address at the start, and counts at the end."""
    with signals_and_logging() as (stop, redaction):
        accounts = [_load_webhook_account(file, os.environ) for file in find_settings_files(paths)]
        for each in accounts:
            redaction.redact_secrets(secrets_of(each.settings))
        _expect_one_receiver(accounts)
        total = receive(
            accounts,
            should_stop=lambda: stop.number is not None,
            liveness=Liveness(),
            listening=lambda address: _announce(address, accounts, json_wanted=json_wanted),
        )
    if json_wanted:
        print_json(total)
    _log.info("stopped as asked; everything acknowledged is in the inbox")
    return Exit.DONE


def _load_webhook_account(file: Path, environ: Mapping[str, str]) -> WebhookAccount:
    known = load_partial(file, environ, needed=("account", "webhooks"))
    log_env_files([known.env_file])
    if isinstance(known, InvalidSettings):
        raise UsageError(problems_of(known))
    account, webhooks, folder = known.settings.account, known.settings.webhooks, known.state_folder
    if account is None or webhooks is None:
        missing = "account" if account is None else "webhooks"
        raise UsageError(
            _("{file}: {key} is missing; docs/webhooks.md shows how to set up webhooks", file=file, key=missing)
        )
    if folder is None:
        raise UsageError(_("{file}: state is missing; the inbox is kept beside it", file=file))
    return WebhookAccount(account, known.settings, webhooks, webhooks.webhook_inbox_path(account, folder))


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


_OWN: Mapping[str, Callable[[WebhookAccount], object]] = {
    "account": lambda one: one.account,
    "webhooks.secret": lambda one: one.webhooks.secret.get_secret_value(),
    "webhooks.inbox": lambda one: one.inbox.resolve(),
}


def _repeated(values: Iterable[object]) -> tuple[int, int] | None:
    """Return the positions of the first two equal values."""
    places: dict[object, int] = {}
    for place, value in enumerate(values):
        if value in places:
            return places[value], place
        places[value] = place
    return None


def _announce(address: str, accounts: Sequence[WebhookAccount], *, json_wanted: bool) -> None:
    names = [one.account for one in accounts]
    if json_wanted:
        print_json({"listening": address, "accounts": names})
    else:
        served = format_list(names)
        say(_("Receiving webhooks at {address} for {accounts}. Ctrl-C stops.", address=address, accounts=served))
    sys.stdout.flush()  # whoever reads through a pipe waits for this line
