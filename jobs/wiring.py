"""Builds connectors from one account's settings; the only module that imports all of them."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AnyUrl

from connectors.clock import MachineClock, SandboxClock
from connectors.crm import EventKind, ReceivedEvent
from connectors.errors import Misconfigured
from connectors.http import CancelToken
from connectors.ports import Clock, ConversionSink, Inspects, Pings
from connectors.records import ClickId, DestinationId, LeadId
from connectors.survey import Survey
from jobs.alerts.notify import Recipient
from jobs.cancellation import StopSignal, never_cancelled
from jobs.pull.sync import MAX_CLOCK_SKEW
from jobs.run_context import Deps, SyncMode, SyncWindow
from jobs.settings.compile import Rulebook, compile_rules
from jobs.settings.load import OpleadSection, PartialSettings
from jobs.settings.oplead_schema import OpleadSettings, SourceSettings, WebhookSettings, WriteSettings
from jobs.settings.schema import ClickIds, GoogleAdsSettings, MetaSettings, Settings
from jobs.settings.types import state_path
from jobs.webhooks.inbox_reader import InboxReader

if TYPE_CHECKING:
    from connectors.google_ads.auth import GoogleOptions
    from connectors.meta.sink import MetaOptions
    from connectors.oplead import OpleadClient, OpleadOptions, OpleadSource, WriteOptions
    from connectors.oplead.files import FileOptions, FileSource
    from connectors.oplead.files.options import Delimiter, Encoding
    from connectors.oplead.lists import OpleadLists
    from connectors.oplead.writer import OpleadWriter
    from connectors.rate_limit import Pacer


@contextmanager
def open_clock(settings: Settings, stop: StopSignal | None = None, *, patience: float = 300.0) -> Iterator[Clock]:
    """Yield the machine's clock, or the sandbox's if the settings name one; a stop request ends every sleep.

    `patience` is how long a sandbox clock may stand still, in real seconds.
    """
    if settings.clock is None:
        yield MachineClock() if stop is None else MachineClock(nap=stop.nap)
        return
    with SandboxClock(
        str(settings.clock), patience=patience, cancel_token=None if stop is None else stop.cancel_token
    ) as clock:
        yield clock


@contextmanager
def connect(
    settings: Settings, clock: Clock, *, validate_only: bool = False, cancel_token: CancelToken = never_cancelled
) -> Iterator[tuple[Rulebook, Deps]]:
    """Yield one account's rules and connectors, and close them on exit; `cancel_token` is called before each request.

    With `validate_only`, nothing sent counts: the platform validates it, or we do if the platform has no such mode.

    Raises:
        Misconfigured: a destination's credentials cannot be used.
    """
    sinks = _sinks(settings, validate_only=validate_only, cancel_token=cancel_token)
    book = compile_rules(settings, {name: sink.limits for name, sink in sinks.items()})
    oplead = settings.oplead
    style = SyncMode.LIST if settings.source else SyncMode(oplead.pull_style)  # a file is a list, and filters nothing
    window = SyncWindow(style, overlap=oplead.overlap, budget=oplead.budget)
    with closing(_source(settings, book, clock, cancel_token)) as source, closing(inbox_of(settings)) as inbox:
        yield book, Deps(source, sinks, clock, random.random, window, cancel_token=cancel_token, inbox=inbox)


def inbox_of(settings: Settings) -> InboxReader:
    """Return the account's inbox of webhooks; without `webhooks`, none is ever opened."""
    folder = pace_folder(settings)
    if settings.webhooks is None or folder is None:
        return InboxReader()
    return InboxReader(settings.webhooks.inbox_of(settings.account, folder))


def inspectors(settings: Settings) -> Iterator[tuple[DestinationId, Callable[[], Inspects]]]:
    """Yield a factory for each destination's platform inspector.

    A factory raises `Misconfigured` if the destination's credentials cannot be used.
    """
    for google in settings.google_ads:
        from connectors.google_ads.preflight import GoogleInspector  # noqa: PLC0415

        # A user is waiting for it.
        options = replace(_google_options(google, validate_only=True), timeout=60.0)
        yield DestinationId(google.id), partial(GoogleInspector, options)
    for meta in settings.meta:
        from connectors.meta.preflight import MetaInspector  # noqa: PLC0415

        yield DestinationId(meta.id), partial(MetaInspector, _meta_options(meta, validate_only=True))


def rules_alone(settings: Settings) -> Rulebook:
    """Compile the settings without any connector: no key is read and no vendor library is loaded."""
    from connectors.google_ads import platform as google_ads  # noqa: PLC0415
    from connectors.meta import encode as meta_encode  # noqa: PLC0415

    by_transport = {"data_manager": google_ads.DATA_MANAGER, "google_ads_api": google_ads.ADS_API}
    return compile_rules(
        settings,
        {
            **{DestinationId(google.id): by_transport[google.transport] for google in settings.google_ads},
            **{DestinationId(meta.id): meta_encode.META for meta in settings.meta},
        },
    )


# SDKs are slow to load: import a connector only if an account uses it.


def _sinks(
    settings: Settings, *, validate_only: bool, cancel_token: CancelToken
) -> dict[DestinationId, ConversionSink]:
    sinks: dict[DestinationId, ConversionSink] = {}
    for google in settings.google_ads:
        from connectors.google_ads.sink import GoogleSink  # noqa: PLC0415

        google_options = _google_options(google, validate_only=validate_only, cancel_token=cancel_token)
        sinks[DestinationId(google.id)] = GoogleSink(google_options)
    for meta in settings.meta:
        from connectors.meta.sink import MetaSink  # noqa: PLC0415

        meta_options = _meta_options(meta, validate_only=validate_only, cancel_token=cancel_token)
        sinks[DestinationId(meta.id)] = MetaSink(meta_options)
    return sinks


def _google_options(
    google: GoogleAdsSettings, *, validate_only: bool, cancel_token: CancelToken = never_cancelled
) -> "GoogleOptions":
    from connectors.google_ads.auth import GoogleOptions  # noqa: PLC0415

    return GoogleOptions(
        customer_id=google.customer_id,
        login_customer_id=google.login_customer_id,
        key_file=google.credentials,
        transport=google.transport,
        data_manager_endpoint=str(google.endpoint),
        ads_api_endpoint=str(google.ads_api_endpoint),
        validate_only=validate_only,
        cancel_token=cancel_token,
    )


def _meta_options(
    meta: MetaSettings, *, validate_only: bool, cancel_token: CancelToken = never_cancelled
) -> "MetaOptions":
    from connectors.meta.sink import MetaOptions  # noqa: PLC0415

    return MetaOptions(
        dataset_id=meta.dataset_id,
        access_token=meta.access_token.get_secret_value(),
        app_secret=meta.app_secret.get_secret_value() if meta.app_secret else None,
        graph_url=str(meta.graph_url).rstrip("/"),
        validate_only=validate_only,
        cancel_token=cancel_token,
    )


def _source(settings: Settings, book: Rulebook, clock: Clock, cancel_token: CancelToken) -> "OpleadSource | FileSource":
    from connectors.oplead import OpleadClient, OpleadSource  # noqa: PLC0415

    if settings.source is not None:
        from connectors.oplead.files import FileSource  # noqa: PLC0415

        by_contact = any(one.audience == "all" for one in (*settings.google_ads, *settings.meta))
        return FileSource(
            oplead_options(settings.oplead, settings.zone, settings.click_ids),
            file_options(settings.source),
            clock,
            wanted_fields=book.extraction.paths,
            needed=("id", "created_at", "status", *(() if by_contact else ("click_id",))),
        )

    client = OpleadClient(
        oplead_options(settings.oplead, settings.zone, settings.click_ids),
        clock=clock,
        pacer=pacer_for(settings.oplead, clock, folder=pace_folder(settings), cancel_token=cancel_token),
        cancel_token=cancel_token,
        clocks_within=MAX_CLOCK_SKEW,
    )
    return OpleadSource(client, wanted_fields=book.extraction.paths)


def lead_id_in(text: str) -> LeadId | None:
    """Return a text as a lead's id; None if it can be none."""
    from connectors.oplead.lead_parser import as_lead_id  # noqa: PLC0415

    return as_lead_id(text)


@contextmanager
def oplead_source(
    known: PartialSettings,
    clock: Clock,
    *,
    wanted_fields: frozenset[str] = frozenset(),
    cancel_token: CancelToken = never_cancelled,
) -> Iterator["OpleadSource"]:
    """Yield a reader of the Oplead that partial settings name, at the pace of all commands with its token."""
    from connectors.oplead import OpleadSource  # noqa: PLC0415

    source = OpleadSource(_partial_client(known, clock, cancel_token), wanted_fields=wanted_fields)
    with closing(source):
        yield source


@contextmanager
def oplead_lists(settings: Settings, clock: Clock) -> Iterator["OpleadLists"]:
    """Yield a reader of what an account's Oplead is set up for."""
    from connectors.oplead import OpleadClient  # noqa: PLC0415
    from connectors.oplead.lists import OpleadLists  # noqa: PLC0415

    client = OpleadClient(
        oplead_options(settings.oplead, settings.zone, settings.click_ids),
        clock=clock,
        pacer=pacer_for(settings.oplead, clock, folder=pace_folder(settings)),
    )
    with closing(OpleadLists(client, write_options(settings.oplead.write, settings.webhooks))) as lists:
        yield lists


@contextmanager
def oplead_writer(
    known: PartialSettings, clock: Clock, *, cancel_token: CancelToken = never_cancelled
) -> Iterator["OpleadWriter"]:
    """Yield a writer to the Oplead that partial settings name, at the pace of all commands with its token.

    Only commands under `oplead` may use it: a night reads and nothing else.
    """
    from connectors.oplead import AuthOptions, OpleadClient, OpleadOptions  # noqa: PLC0415
    from connectors.oplead.writer import OpleadWriter  # noqa: PLC0415

    look = known.settings
    options, form = write_options(look.oplead.write, look.webhooks), None
    if options.form is not None:
        # Another service: its token goes into the body, and neither Oplead's key nor its extra headers go along.
        address = urlsplit(options.form.url)
        form = OpleadClient(
            OpleadOptions(
                token="",
                zone=look.zone,
                base_url=f"{address.scheme}://{address.netloc}",
                path_prefix="",
                auth=AuthOptions(style="none"),
            ),
            clock=clock,
            pacer=_pacer(
                (options.form.url, options.form.token), look.oplead.rate, clock, known.state_folder, cancel_token
            ),
            cancel_token=cancel_token,
            clocks_within=MAX_CLOCK_SKEW,
        )
    with closing(OpleadWriter(_partial_client(known, clock, cancel_token), options, form)) as writer:
        yield writer


def _partial_client(known: PartialSettings, clock: Clock, cancel_token: CancelToken) -> "OpleadClient":
    from connectors.oplead import OpleadClient  # noqa: PLC0415

    look = known.settings
    return OpleadClient(
        oplead_options(look.oplead, look.zone, look.click_ids),
        clock=clock,
        pacer=pacer_for(look.oplead, clock, folder=known.state_folder, cancel_token=cancel_token),
        cancel_token=cancel_token,
        clocks_within=MAX_CLOCK_SKEW,
    )


def write_options(write: WriteSettings, webhooks: WebhookSettings | None) -> "WriteOptions":
    """Return the Oplead connector's options for writing.

    Raises:
        Misconfigured: leads are to be created by the form import, and it is not configured.
    """
    from connectors import oplead as platform  # noqa: PLC0415

    form = None
    if write.via == "form":
        if write.form is None:
            raise Misconfigured("oplead.write.via is form, and oplead.write.form is missing: its token and its form")
        form = platform.FormOptions(
            token=write.form.token.get_secret_value(),
            form=write.form.form,
            url=str(write.form.url),
            click_id=write.form.click_id,
        )
    subscriptions = webhooks.subscriptions.model_dump() if webhooks else {}
    endpoints = {name: platform.Endpoint(*getattr(write, name).split()) for name in _ENDPOINTS}
    return platform.WriteOptions(
        **endpoints,
        status_field=write.status_field,
        document_field=write.document_field,
        channels=write.channels,
        custom_fields=write.custom_fields,
        paths=platform.WritePaths(**write.fields.model_dump(exclude={"reference"})),
        subscriptions=platform.SubscriptionOptions(**subscriptions),
        form=form,
    )


_ENDPOINTS = ("create", "update", "status", "document")


def click_id_text(ids: Iterable[ClickId]) -> str:
    """Return click ids as the text in which Oplead keeps them."""
    from connectors.oplead.click_ids import labelled  # noqa: PLC0415

    return labelled(ids)


def click_ids_in(look: OpleadSection, text: str, utm_source: str | None) -> tuple[ClickId, ...]:
    """Return the click ids that Oplead's field would be read as if it held this text."""
    from connectors.oplead.click_ids import read_click_ids  # noqa: PLC0415

    rules = oplead_options(look.oplead, look.zone, look.click_ids).click_ids
    return read_click_ids(text, utm_source=utm_source, rules=rules, zone=look.zone)[0]


def column_names() -> Mapping[str, Sequence[str]]:
    """Return the usual titles, normalised, of each field of a lead."""
    from connectors.oplead.field_tree import NAMES  # noqa: PLC0415

    return NAMES


def normalised_title(title: str) -> str:
    """Return a column's title for comparison."""
    from connectors.oplead.field_tree import normalise  # noqa: PLC0415

    return normalise(title)


def csv_rows(
    path: Path, *, encoding: "Encoding | None", delimiter: "Delimiter | None"
) -> tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]:
    """Return a CSV file's titles, and its rows with their line numbers as they are read.

    Raises:
        Misconfigured: it is damaged, or its encoding or delimiter cannot be told; rows raise it too.
    """
    from connectors.oplead.files.csv_table import OPTIONS, CsvTable  # noqa: PLC0415

    table = CsvTable(path, encoding=encoding, delimiter=delimiter, hints=OPTIONS)
    return table.titles, ((row.number, tuple(map(str, row.cells))) for row in table.rows())


def survey_oplead(
    look: OpleadSection,
    clock: Clock,
    *,
    leads: int | None,
    folder: Path | None = None,
    named: frozenset[str] = frozenset(),
    specification: bytes | None = None,
) -> Survey:
    """Find out how Oplead answers and where its fields are, from roughly `leads` leads; tries `look` first.

    `specification` is a copy of Oplead's OpenAPI specification; without one it is looked for at Oplead's documentation
    page. If there is one and `leads` is None, five requests are enough. Counts the leads filled at each path in
    `named`; shares the request pace of the account whose state is in `folder`.

    Raises:
        Misconfigured: Oplead refuses access, however the token is presented, or `specification` is none.
        Transient: it keeps failing after bounded retries.
    """
    from connectors.oplead import OpleadClient  # noqa: PLC0415
    from connectors.oplead.probe import OpleadProbe, find_specification, given_specification  # noqa: PLC0415
    from jobs.rules.extraction import read_amount  # noqa: PLC0415
    from jobs.rules.model import UnreadableAmount, normalise_label  # noqa: PLC0415

    pacer = pacer_for(look.oplead, clock, folder=folder)
    client = OpleadClient(oplead_options(look.oplead, look.zone, look.click_ids), clock=clock, pacer=pacer)
    documentation = find_specification(client) if specification is None else given_specification(specification)
    return OpleadProbe(
        client,
        documentation=documentation,
        per_minute=look.oplead.rate,
        named=named,
        readable=lambda written: not isinstance(read_amount(written), UnreadableAmount),
        fold=normalise_label,
    ).survey(leads=leads)


def survey_files(
    look: OpleadSection, source: SourceSettings, *, leads: int, named: frozenset[str] = frozenset()
) -> Survey:
    """Find out what the newest exported file holds, from roughly `leads` of its leads.

    Raises:
        Misconfigured: there is no file, or it is damaged.
    """
    from connectors.oplead.files import survey_file  # noqa: PLC0415
    from jobs.rules.extraction import read_amount  # noqa: PLC0415
    from jobs.rules.model import UnreadableAmount, normalise_label  # noqa: PLC0415

    return survey_file(
        oplead_options(look.oplead, look.zone, look.click_ids),
        file_options(source),
        leads=leads,
        named=named,
        readable=lambda written: not isinstance(read_amount(written), UnreadableAmount),
        fold=normalise_label,
    )


def file_options(source: SourceSettings) -> "FileOptions":
    """Return the options of the files to read."""
    from connectors.oplead.files import FileOptions  # noqa: PLC0415

    kind: Literal["csv", "xlsx"] = "csv" if source.csv else "xlsx"
    rest = source.model_dump(exclude={"csv", "xlsx"})
    return FileOptions(kind=kind, pattern=source.csv or source.xlsx or "", **rest)


def oplead_options(oplead: OpleadSettings, zone: ZoneInfo, click_ids: ClickIds) -> "OpleadOptions":
    """Return the Oplead connector's options."""
    from connectors import oplead as platform  # noqa: PLC0415

    since = None
    if oplead.since_filter is not None and oplead.pull_style == "since":
        since = platform.SinceOptions(**oplead.since_filter.model_dump())
    return platform.OpleadOptions(
        token=oplead.key,
        zone=zone,
        base_url=str(oplead.base_url).rstrip("/"),
        path_prefix=oplead.path_prefix,
        leads_path=oplead.leads_path,
        lead_path=oplead.lead_path,
        extra_headers=oplead.extra_headers,
        extra_query=oplead.extra_query,
        in_flight=oplead.in_flight,
        max_requests=oplead.max_requests,
        largest_page_mb=oplead.largest_page_mb,
        auth=platform.AuthOptions(**oplead.auth.model_dump()),
        pagination=platform.PaginationOptions(**oplead.pagination.model_dump()),
        since_filter=since,
        # In this mode only a lead's own page shows what changed.
        detail="always" if oplead.pull_style == "details" else oplead.detail,
        fields=platform.FieldPaths(**oplead.fields.model_dump(exclude_none=True)),
        click_ids=platform.ClickIdRules(**click_ids.model_dump()),
    )


def webhook_parser(look: OpleadSection, webhooks: WebhookSettings) -> Callable[[bytes], Sequence[ReceivedEvent]]:
    """Return a parser for webhook bodies received just now; it raises ValueError if one is not a webhook."""
    from connectors import oplead as platform  # noqa: PLC0415

    subscriptions = webhooks.subscriptions
    names = {
        EventKind.NEW_LEAD: subscriptions.new_lead,
        EventKind.STATUS_CHANGE: subscriptions.status_change,
        EventKind.APPOINTMENT: subscriptions.appointment,
    }
    parser = platform.WebhookParser(
        oplead_options(look.oplead, look.zone, look.click_ids),
        platform.WebhookOptions(names, **webhooks.fields.model_dump()),
    )
    return lambda body: parser.parse(body, _received_at(look.clock))


def _received_at(sandbox: AnyUrl | None) -> datetime:
    if sandbox is None:
        return MachineClock().now()
    # Not kept open: the sandbox's time stands still while a caller is registered and awake.
    with SandboxClock(str(sandbox)) as clock:
        return clock.now()


def pacer_for(
    oplead: OpleadSettings, clock: Clock, *, folder: Path | None, cancel_token: CancelToken = never_cancelled
) -> "Pacer":
    """Return the request pacer, shared by all processes of the account whose state is in `folder`."""
    service = (str(oplead.base_url), oplead.key)
    return _pacer(service, oplead.rate, clock, folder, cancel_token)


def _pacer(
    service: tuple[str, str], per_minute: int, clock: Clock, folder: Path | None, cancel_token: CancelToken
) -> "Pacer":
    """Return a pacer for an address and a token, shared through the folder if there is one."""
    from connectors.rate_limit import Pacer, SharedPace, pace_file  # noqa: PLC0415

    shared = None if folder is None else SharedPace(pace_file(folder, *service))
    return Pacer(clock, per_minute, shared=shared, cancel_token=cancel_token)


def pace_folder(settings: Settings) -> Path | None:
    """Return the folder in which an account's commands share their pace: that of its state, even for a copy of it."""
    return None if settings.state is None else state_path(settings.state).parent


def notice_recipients(settings: Settings) -> dict[str, Recipient]:
    """Return where notices go, keyed by a fingerprint that doesn't reveal the address."""
    from connectors.notifiers import AppriseNotifier  # noqa: PLC0415

    urls = [each.get_secret_value() for each in settings.notify]
    return {
        sha256(url.encode()).hexdigest()[:_FINGERPRINT_DIGITS]: Recipient(f"notify.{position}", AppriseNotifier(url))
        for position, url in enumerate(urls)
    }


_FINGERPRINT_DIGITS = 12
"""Enough digits to tell a few addresses apart, too few to confirm a guessed one."""


def ping_of(settings: Settings) -> Pings | None:
    """Return the dead man's switch, if one is configured."""
    if settings.ping is None:
        return None
    from connectors.notifiers import DeadMansSwitch  # noqa: PLC0415

    return DeadMansSwitch(settings.ping.get_secret_value())
