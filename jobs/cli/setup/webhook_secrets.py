"""Which secret of the webhooks goes where, as `check` says it: by the variables' names, never by what they hold."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from connectors.language import _, format_day
from jobs.settings import ValidSettings
from jobs.settings.load import load
from jobs.settings.oplead_schema import WebhookSettings


def webhook_secrets_in_words(file: Path, *, today: date) -> Iterator[str]:
    """Yield a sentence for each secret that a file's webhooks name, what carries them best first."""
    loaded = load(file, {}, secrets=False)  # so that each secret is the reference to it
    if isinstance(loaded, ValidSettings) and loaded.settings.webhooks is not None:
        yield from _sentences(loaded.settings.webhooks, today)


def _sentences(webhooks: WebhookSettings, today: date) -> Iterator[str]:
    if webhooks.signature is None and webhooks.secret_header is None:
        yield _(
            "others may read an address: if the sender signs, write `signature` first; else, if it can send a header, "
            "`secret_header`"
        )
    own = webhooks.secret.get_secret_value()
    if webhooks.secret_header is None:
        yield _("{secret} goes into the address of Oplead's subscriptions, never into `provider.url`", secret=own)
    else:
        header = webhooks.secret_header
        yield _("{secret} goes into the header {header}, never into `provider.url`", secret=own, header=header)
    if webhooks.provider_secret is not None:
        provider = webhooks.provider_secret.get_secret_value()
        yield _("{secret} goes into the address in leads' `provider.url`, never into a subscription", secret=provider)
    for former in webhooks.accept_former:
        secret, day = former.secret.get_secret_value(), format_day(former.until)
        if former.until < today:
            yield _(
                "{secret} was taken until {day}, and is no more: take it out of `accept_former`", secret=secret, day=day
            )
        else:
            yield _("{secret} is still taken until {day}", secret=secret, day=day)
