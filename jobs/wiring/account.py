"""What an account's settings give without a connector: its clock, its rules and its inbox."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from connectors.clock import MachineClock
from connectors.ports import Clock
from connectors.records import Contact, DestinationId, Identifier
from jobs.cancellation import StopSignal
from jobs.settings.compile import Rulebook, compile_rules
from jobs.settings.load import OpleadSection
from jobs.settings.schema import Settings
from jobs.webhooks.inbox import InboxLocation
from jobs.webhooks.inbox_reader import InboxReader
from jobs.wiring.inbox import inbox_location, shared_database

if TYPE_CHECKING:
    from jobs.ledger.storage.postgresql import SharedDatabase

Look = OpleadSection | Settings
"""Settings that say how Oplead is reached: a whole file's, or an unfinished one's."""


@contextmanager
def open_clock(look: Look, stop: StopSignal | None = None, *, patience: float = 300.0) -> Iterator[Clock]:
    """Yield the machine's clock, or the sandbox's if the settings name one; a stop request ends every sleep.

    `patience` is how long a sandbox clock may stand still, in real seconds.
    """
    if look.clock is None:
        yield MachineClock() if stop is None else MachineClock(nap=stop.nap)
        return
    from connectors.sandbox_clock import SandboxClock  # noqa: PLC0415 - an account without a sandbox needs no httpx

    with SandboxClock(
        str(look.clock), patience=patience, cancel_token=None if stop is None else stop.raise_if_stop_requested
    ) as clock:
        yield clock


def platform_of_each_destination(settings: Settings) -> dict[str, str]:
    """Return the platform's section in the settings for each destination's id."""
    sections = {"google_ads": settings.google_ads, "meta": settings.meta}
    return {each.id: name for name, destinations in sections.items() for each in destinations}


def compile_rules_only(settings: Settings) -> Rulebook:
    """Compile the settings without any connector: no key is read and no vendor library is loaded."""
    from connectors.google_ads import platform as google_ads  # noqa: PLC0415
    from connectors.meta import encode as meta_encode  # noqa: PLC0415

    return compile_rules(
        settings,
        {
            **{DestinationId(google.id): google_ads.LIMITS[google.transport] for google in settings.google_ads},
            **{DestinationId(meta.id): meta_encode.META for meta in settings.meta},
        },
    )


def identifiers_of_person(contact: Contact) -> frozenset[Identifier]:
    """Return what each platform's rules make of contact data, hashed; no platform is asked."""
    from connectors.google_ads import platform as google_ads  # noqa: PLC0415
    from connectors.meta import identity as meta_identity  # noqa: PLC0415

    return frozenset(google_ads.hash_contact(contact)).union(meta_identity.hash_contact(contact))


def inbox_of(
    settings: Settings, *, database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database
) -> InboxReader:
    """Return the account's inbox of webhooks; without `webhooks`, none is ever opened."""
    if settings.webhooks is None or settings.state is None:
        return InboxReader()
    return InboxReader(account_inbox(settings, database_at=database_at))


def account_inbox(
    settings: Settings, *, database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database
) -> InboxLocation:
    """Return where the account's webhooks arrive, or would arrive if the settings named any."""
    return inbox_location(settings.state, settings.account, settings.webhooks, database_at=database_at)
