"""Builds what a night needs from one account's settings: a clock, a source, sinks, the inbox and where notices go."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import SecretStr

from connectors.http import CancelToken
from connectors.ports import Clock, ConversionSink, DeadMansSwitchPinger, PlatformInspector, PlatformStatementReader
from connectors.records import DestinationId, NoticeResult
from jobs.alerts.notify import Recipient
from jobs.cancellation import never_cancelled
from jobs.pull.clock import MAX_CLOCK_SKEW
from jobs.run_context import Deps, PullOptions, SyncMode
from jobs.settings.compile import Rulebook, compile_rules
from jobs.settings.schema import GoogleAdsSettings, MetaSettings, Settings
from jobs.wiring.account import inbox_of
from jobs.wiring.google_quota import GoogleQuotas
from jobs.wiring.inbox import shared_database
from jobs.wiring.oplead import build_export_file_options, build_oplead_options, oplead_client

if TYPE_CHECKING:
    from connectors.google_ads.options import GoogleOptions
    from connectors.meta.sink import MetaOptions
    from connectors.oplead.files import FileSource
    from connectors.oplead.source import OpleadSource
    from jobs.ledger.storage.postgresql import SharedDatabase


@contextmanager
def open_connectors(
    settings: Settings, clock: Clock, *, validate_only: bool = False, cancel_token: CancelToken = never_cancelled
) -> Iterator[tuple[Rulebook, Deps]]:
    """Yield one account's rules and connectors, and close them on exit; `cancel_token` is called before each request.

    With `validate_only`, nothing sent counts: the platform validates it, or we do if the platform has no such mode.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    # Pace, quotas and inbox take turns on one connection.
    database_at = cache(shared_database)
    quotas = GoogleQuotas(
        settings.state, clock, cancel_token, database_at=database_at, is_sandbox=settings.clock is not None
    )
    sinks, readers = _sinks_and_statement_readers(
        settings, quotas, validate_only=validate_only, cancel_token=cancel_token
    )
    book = compile_rules(settings, {name: sink.limits for name, sink in sinks.items()})
    oplead = settings.oplead
    style = SyncMode.LIST if settings.source else SyncMode(oplead.pull_style)  # a file is a list, and filters nothing
    window = PullOptions(style, overlap=oplead.overlap, budget=oplead.budget)
    with (
        closing(quotas),
        closing(_source(settings, book, clock, cancel_token, database_at)) as source,
        closing(inbox_of(settings, database_at=database_at)) as inbox,
    ):
        yield (
            book,
            Deps(
                source,
                sinks,
                clock,
                random.random,
                window,
                cancel_token=cancel_token,
                inbox=inbox,
                statement_readers=readers,
            ),
        )


def platform_inspector_factories(settings: Settings) -> Iterator[tuple[DestinationId, Callable[[], PlatformInspector]]]:
    """Yield a factory for each destination's platform inspector.

    A factory raises `Misconfigured` if the destination's credentials cannot be used.
    """
    for google in settings.google_ads:
        from connectors.google_ads.preflight import GoogleInspector  # noqa: PLC0415

        # A user is waiting for it.
        options = replace(google_options(google, validate_only=True), timeout=60.0)
        yield DestinationId(google.id), partial(GoogleInspector, options)
    for meta in settings.meta:
        from connectors.meta.preflight import MetaInspector  # noqa: PLC0415

        yield DestinationId(meta.id), partial(MetaInspector, meta_options(meta, validate_only=True))


def import_connector_modules(accounts: Iterable[Settings]) -> None:
    """Load the modules that the nights of these accounts need, so that processes forked from now on have them."""
    import httpx  # noqa: F401, PLC0415

    from connectors.oplead.parsing.webhook_parser import WebhookParser  # noqa: F401, PLC0415
    from connectors.oplead.source import OpleadSource  # noqa: F401, PLC0415

    for settings in accounts:
        if settings.source is not None:
            from connectors.oplead.files import FileSource  # noqa: F401, PLC0415
        if settings.google_ads:
            from connectors.google_ads.sink import GoogleSink  # noqa: F401, PLC0415
        if settings.meta:
            from connectors.meta.sink import MetaSink  # noqa: F401, PLC0415


def prepare_for_forked_nights() -> None:
    """Prepare for the nights of one account after another, in processes that are forked from this one.

    They share what most nights need, libraries included, and each keeps its connections to the ledgers' database.
    """
    import httpx  # noqa: PLC0415
    from facebook_business.adobjects import adspixel  # type: ignore[import-untyped]  # noqa: F401, PLC0415

    from connectors.google_ads.data_manager.sink import DataManagerSink  # noqa: F401, PLC0415
    from connectors.google_ads.sink import GoogleSink  # noqa: F401, PLC0415
    from connectors.google_ads.statements import GoogleStatementReader  # noqa: F401, PLC0415
    from connectors.meta.sink import MetaSink  # noqa: F401, PLC0415
    from connectors.meta.statements import MetaStatementReader  # noqa: F401, PLC0415
    from connectors.oplead.files import FileSource  # noqa: F401, PLC0415
    from connectors.oplead.parsing.webhook_parser import WebhookParser  # noqa: F401, PLC0415
    from connectors.oplead.source import OpleadSource  # noqa: F401, PLC0415
    from jobs.ledger.storage.postgresql import keep_database_connections  # noqa: PLC0415 - few need its driver

    # It loads what it connects with when it first does.
    httpx.HTTPTransport().close()
    keep_database_connections()


# SDKs are slow to load: import a connector only if an account uses it.


def _sinks_and_statement_readers(
    settings: Settings, quotas: GoogleQuotas, *, validate_only: bool, cancel_token: CancelToken
) -> tuple[dict[DestinationId, ConversionSink], dict[DestinationId, PlatformStatementReader]]:
    """Return each destination's sink and reader; neither connects before it is used."""
    sinks: dict[DestinationId, ConversionSink] = {}
    readers: dict[DestinationId, PlatformStatementReader] = {}
    for google in settings.google_ads:
        from connectors.google_ads.sink import GoogleSink  # noqa: PLC0415
        from connectors.google_ads.statements import GoogleStatementReader  # noqa: PLC0415

        of_google = google_options(google, quotas, validate_only=validate_only, cancel_token=cancel_token)
        sinks[DestinationId(google.id)] = GoogleSink(of_google)
        readers[DestinationId(google.id)] = GoogleStatementReader(of_google)
    for meta in settings.meta:
        from connectors.meta.sink import MetaSink  # noqa: PLC0415
        from connectors.meta.statements import MetaStatementReader  # noqa: PLC0415

        of_meta = meta_options(meta, validate_only=validate_only, cancel_token=cancel_token)
        sinks[DestinationId(meta.id)] = MetaSink(of_meta)
        readers[DestinationId(meta.id)] = MetaStatementReader(of_meta)
    return sinks, readers


def google_options(
    google: GoogleAdsSettings,
    quotas: GoogleQuotas | None = None,
    *,
    validate_only: bool,
    cancel_token: CancelToken = never_cancelled,
) -> "GoogleOptions":
    """Return the connection options of one Google Ads customer."""
    from connectors.google_ads.options import GoogleOptions  # noqa: PLC0415
    from connectors.google_ads.quota import ReadOrWrite  # noqa: PLC0415

    return GoogleOptions(
        customer_id=google.customer_id,
        login_customer_id=google.login_customer_id,
        key_file=google.credentials,
        transport=google.transport,
        data_manager_endpoint=str(google.endpoint),
        ads_api_endpoint=str(google.ads_api_endpoint),
        validate_only=validate_only,
        # A human's few checks need no turn.
        write_quota=quotas.quota(google, ReadOrWrite.WRITE) if quotas else None,
        read_quota=quotas.quota(google, ReadOrWrite.READ) if quotas else None,
        cancel_token=cancel_token,
    )


def meta_options(
    meta: MetaSettings, *, validate_only: bool, cancel_token: CancelToken = never_cancelled
) -> "MetaOptions":
    """Return the connection options of one Meta dataset."""
    from connectors.meta.sink import MetaOptions  # noqa: PLC0415

    return MetaOptions(
        dataset_id=meta.dataset_id,
        access_token=meta.access_token.get_secret_value(),
        app_secret=meta.app_secret.get_secret_value() if meta.app_secret else None,
        graph_url=str(meta.graph_url).rstrip("/"),
        version=meta.api_version,
        validate_only=validate_only,
        cancel_token=cancel_token,
    )


def _source(
    settings: Settings,
    book: Rulebook,
    clock: Clock,
    cancel_token: CancelToken,
    database_at: "Callable[[SecretStr], SharedDatabase]",
) -> "OpleadSource | FileSource":
    from connectors.oplead.source import OpleadSource  # noqa: PLC0415

    if settings.source is not None:
        from connectors.oplead.files import FileSource  # noqa: PLC0415

        by_contact = any(one.audience == "all" for one in (*settings.google_ads, *settings.meta))
        return FileSource(
            build_oplead_options(settings),
            build_export_file_options(settings.source),
            clock,
            wanted_fields=book.extraction.paths,
            needed=("id", "created_at", "status", *(() if by_contact else ("click_id",))),
        )

    client = oplead_client(
        settings,
        clock,
        state=settings.state,
        cancel_token=cancel_token,
        clocks_within=MAX_CLOCK_SKEW,
        database_at=database_at,
    )
    return OpleadSource(client, wanted_fields=book.extraction.paths)


def notice_recipients(settings: Settings) -> dict[str, Recipient]:
    """Return where notices go, keyed by a fingerprint that doesn't reveal the address."""
    return recipients_by_fingerprint([each.get_secret_value() for each in settings.notify], "notify")


def recipients_by_fingerprint(urls: Sequence[str], place: str) -> dict[str, Recipient]:
    """Return who is at these addresses, which `place` names, keyed by a fingerprint."""
    from connectors.signals.notifiers import AppriseNotifier, is_mailbox  # noqa: PLC0415

    return {
        sha256(url.encode()).hexdigest()[:_FINGERPRINT_DIGITS]: Recipient(
            f"{place}.{position}", AppriseNotifier(url), is_mailbox=is_mailbox(url)
        )
        for position, url in enumerate(urls)
    }


def unsupported_notification_addresses(urls: Sequence[str]) -> list[int]:
    """Return the positions of addresses of no known service."""
    from connectors.signals.notifiers import is_notification_address  # noqa: PLC0415

    return [position for position, url in enumerate(urls) if not is_notification_address(url)]


def notice_addresses_to_try(settings: Settings) -> "list[NoticeAddressToTry]":
    """Return the addresses for notices, in the order of the settings, to be tried one at a time."""
    from connectors.signals.notifiers import AppriseNotifier, is_mailbox, service_name  # noqa: PLC0415

    urls = [each.get_secret_value() for each in settings.notify]
    return [
        NoticeAddressToTry(f"notify.{position}", service_name(url), AppriseNotifier(url).try_to_send, is_mailbox(url))
        for position, url in enumerate(urls)
    ]


@dataclass(frozen=True, slots=True)
class NoticeAddressToTry:
    """An address to try."""

    place: str
    """Its path in the settings."""
    service: str
    send: Callable[..., NoticeResult]
    """Send a title and a text, with a `page` or None, and return what happened."""
    is_mailbox: bool


_FINGERPRINT_DIGITS = 12
"""Enough digits to tell a few addresses apart, too few to confirm a guessed one."""


def configured_dead_mans_switch(settings: Settings) -> DeadMansSwitchPinger | None:
    """Return the dead man's switch, if one is configured."""
    if settings.ping is None:
        return None
    from connectors.signals.notifiers import HttpDeadMansSwitch  # noqa: PLC0415

    return HttpDeadMansSwitch(settings.ping.get_secret_value())
