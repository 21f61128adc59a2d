"""Builds what reads from Oplead and writes to it, from settings."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, assert_never
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.crm import CrmEventKind, ReceivedEvent
from connectors.errors import Misconfigured
from connectors.http import CancelToken
from connectors.language import _
from connectors.ports import Clock
from connectors.private_folder import make_private_folder
from jobs.cancellation import never_cancelled
from jobs.pull.clock import MAX_CLOCK_SKEW
from jobs.settings.load import OpleadSection, PartialSettings
from jobs.settings.oplead_schema import ExportFileSettings, OpleadSettings, WebhookSettings, WriteSettings
from jobs.settings.schema import Settings
from jobs.settings.types import StateDatabaseAddress, StateFile, Strict
from jobs.wiring.account import Look, open_clock
from jobs.wiring.inbox import shared_database

if TYPE_CHECKING:
    from connectors.oplead.answers import HeardExchange
    from connectors.oplead.client import OpleadClient
    from connectors.oplead.files import ExportFileOptions
    from connectors.oplead.options import OpleadOptions, OpleadWriteOptions
    from connectors.oplead.source import OpleadSource
    from connectors.oplead.writing.lists import OpleadLists
    from connectors.oplead.writing.writer import OpleadWriter
    from connectors.rate_limit import Pacer, RequestHistories
    from jobs.ledger.storage.postgresql import SharedDatabase

_Options = TypeVar("_Options")


def oplead_source(
    known: PartialSettings,
    clock: Clock,
    *,
    wanted_fields: frozenset[str] = frozenset(),
    cancel_token: CancelToken = never_cancelled,
    listener: "Callable[[HeardExchange], None] | None" = None,
    newest_within: int | None = None,
) -> "closing[OpleadSource]":
    """Return a reader of the Oplead that partial settings name, at the pace of all commands with its token.

    It looks for the newest leads on `newest_within` pages of the list at most, if that is given.
    """
    from connectors.oplead.source import OpleadSource  # noqa: PLC0415

    client = _partial_client(known, clock, cancel_token, listener)
    return closing(OpleadSource(client, wanted_fields=wanted_fields, newest_within=newest_within))


def account_source(
    settings: Settings, clock: Clock, *, wanted_fields: frozenset[str], cancel_token: CancelToken
) -> "closing[OpleadSource]":
    """Return a reader of an account's Oplead, beside the one that reads its nights' changes."""
    from connectors.oplead.source import OpleadSource  # noqa: PLC0415

    client = oplead_client(settings, clock, state=settings.state, cancel_token=cancel_token)
    return closing(OpleadSource(client, wanted_fields=wanted_fields))


def oplead_lists(settings: Settings, clock: Clock) -> "closing[OpleadLists]":
    """Return a reader of what an account's Oplead is set up for."""
    from connectors.oplead.writing.lists import OpleadLists  # noqa: PLC0415

    client = oplead_client(settings, clock, state=settings.state)
    return closing(OpleadLists(client, build_lead_writing_options(settings.oplead.write, settings.webhooks)))


def oplead_writer(
    known: PartialSettings,
    clock: Clock,
    *,
    cancel_token: CancelToken = never_cancelled,
    listener: "Callable[[HeardExchange], None] | None" = None,
) -> "closing[OpleadWriter]":
    """Return a writer to the Oplead that partial settings name, at the pace of all commands with its token.

    Only commands under `oplead`, and `evidence`, may use it: a night reads and nothing else.
    """
    from connectors.oplead.client import OpleadClient  # noqa: PLC0415
    from connectors.oplead.options import ApiAuthScheme, OpleadOptions  # noqa: PLC0415
    from connectors.oplead.writing.writer import OpleadWriter  # noqa: PLC0415
    from connectors.rate_limit import Pacer  # noqa: PLC0415

    look = known.settings
    options, form = build_lead_writing_options(look.oplead.write, look.webhooks), None
    if options.form is not None:
        # Another service: its token goes into the body, and neither Oplead's key nor its extra headers go along.
        address = urlsplit(options.form.url)
        shared = _shared_pace(
            (options.form.url, options.form.token), known.state, shared_database, is_sandbox=look.clock is not None
        )
        form = OpleadClient(
            OpleadOptions(
                token="",
                zone=look.zone,
                base_url=f"{address.scheme}://{address.netloc}",
                path_prefix="",
                auth=ApiAuthScheme(style="none"),
            ),
            clock=clock,
            pacer=Pacer(clock, look.oplead.rate, shared=shared, cancel_token=cancel_token),
            cancel_token=cancel_token,
            clocks_within=MAX_CLOCK_SKEW,
        )
    return closing(OpleadWriter(_partial_client(known, clock, cancel_token, listener), options, form))


def oplead_statuses(known: PartialSettings, clock: Clock, *, cancel_token: CancelToken) -> Mapping[str, str]:
    """Return what the Oplead that partial settings name calls its statuses, by their codes, as far as it says so."""
    from connectors.oplead.probe.status_names import official_statuses  # noqa: PLC0415

    with closing(_partial_client(known, clock, cancel_token)) as client:
        return official_statuses(client)


def _partial_client(
    known: PartialSettings,
    clock: Clock,
    cancel_token: CancelToken,
    listener: "Callable[[HeardExchange], None] | None" = None,
) -> "OpleadClient":
    return oplead_client(
        known.settings,
        clock,
        state=known.state,
        cancel_token=cancel_token,
        clocks_within=MAX_CLOCK_SKEW,
        listener=listener,
    )


def oplead_client(
    look: Look,
    clock: Clock,
    *,
    state: StateFile | StateDatabaseAddress | None,
    cancel_token: CancelToken = never_cancelled,
    clocks_within: timedelta | None = None,
    listener: "Callable[[HeardExchange], None] | None" = None,
    database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database,
) -> "OpleadClient":
    """Return a client of the Oplead that settings name, at the pace that is shared through a state, or beside it."""
    from connectors.oplead.client import OpleadClient  # noqa: PLC0415

    return OpleadClient(
        build_oplead_options(look),
        clock=clock,
        pacer=pacer_for(
            look.oplead,
            clock,
            state=state,
            cancel_token=cancel_token,
            database_at=database_at,
            is_sandbox=look.clock is not None,
        ),
        cancel_token=cancel_token,
        clocks_within=clocks_within,
        listener=listener,
    )


def _options_of(kind: Callable[..., _Options], section: Strict, **own: Any) -> _Options:
    """Return a connector's options: its own, and all others from the settings, which have them by the same names."""
    return kind(**own, **{name: getattr(section, name) for name in signature(kind).parameters if name not in own})


def build_lead_writing_options(write: WriteSettings, webhooks: WebhookSettings | None) -> "OpleadWriteOptions":
    """Return the Oplead connector's options for writing.

    Raises:
        Misconfigured: leads are to be created by the form import, and it is not configured.
    """
    from connectors.oplead import options  # noqa: PLC0415

    form = None
    if write.via == "form":
        if write.form is None:
            raise Misconfigured(_("oplead.write.via is form, and oplead.write.form is missing: its token and its form"))
        token, url = write.form.token.get_secret_value(), str(write.form.url)
        form = _options_of(options.FormImportServiceOptions, write.form, token=token, url=url)
    subscriptions = webhooks.subscriptions.model_dump() if webhooks else {}
    endpoints = {name: options.Endpoint(*getattr(write, name).split()) for name in _ENDPOINTS}
    return _options_of(
        options.OpleadWriteOptions,
        write,
        **endpoints,
        paths=write.fields.model_dump(exclude={"reference"}),
        subscriptions=options.SubscriptionOptions(**subscriptions),
        answers=_options_of(options.CreationAnswers, write),
        form=form,
    )


_ENDPOINTS = ("create", "update", "status", "document")


def build_export_file_options(source: ExportFileSettings) -> "ExportFileOptions":
    """Return the options of the files to read."""
    from connectors.oplead.files import ExportFileOptions  # noqa: PLC0415

    kind: Literal["csv", "xlsx"] = "csv" if source.csv else "xlsx"
    rest = source.model_dump(exclude={"csv", "xlsx"})
    return ExportFileOptions(kind=kind, pattern=source.csv or source.xlsx or "", **rest)


def build_oplead_options(look: Look) -> "OpleadOptions":
    """Return the Oplead connector's options."""
    from connectors.oplead import options  # noqa: PLC0415

    oplead, since = look.oplead, None
    if oplead.since_filter is not None and oplead.pull_style == "since":
        since = options.SinceQueryParameters(**oplead.since_filter.model_dump())
    return _options_of(
        options.OpleadOptions,
        oplead,
        token=oplead.token_value,
        zone=look.zone,
        base_url=str(oplead.base_url).rstrip("/"),
        auth=options.ApiAuthScheme(**oplead.auth.model_dump()),
        pagination=options.PaginationOptions(**oplead.pagination.model_dump()),
        since_filter=since,
        # In this mode only a lead's own page shows what changed.
        detail="always" if oplead.pull_style == "details" else oplead.detail,
        fields=options.FieldPaths(**oplead.fields.model_dump(exclude_none=True)),
        labels=frozenset(chain(look.ignored_statuses, *look.stages.values())),
        click_ids=options.UnlabelledClickIdRules(**look.click_ids.model_dump()),
    )


def how_to_ask(oplead: OpleadSettings) -> Mapping[str, object]:
    """Return how an Oplead with these settings is asked, with the defaults, as plain values."""
    options = asdict(build_oplead_options(OpleadSection(oplead=oplead)))
    names = ("path_prefix", "leads_path", "lead_path", "auth", "pagination", "since_filter")
    fields = {name: list(paths) for name, paths in options["fields"].items()}
    return {**{name: options[name] for name in names}, "fields": fields}


def webhook_body_parser(look: OpleadSection, webhooks: WebhookSettings) -> Callable[[bytes], Sequence[ReceivedEvent]]:
    """Return a parser for webhook bodies received just now; it raises ValueError if one is not a webhook."""
    from connectors.oplead.options import WebhookFieldPaths  # noqa: PLC0415
    from connectors.oplead.parsing.webhook_parser import WebhookParser  # noqa: PLC0415

    subscriptions = webhooks.subscriptions
    names = {
        CrmEventKind.NEW_LEAD: subscriptions.new_lead,
        CrmEventKind.STATUS_CHANGE: subscriptions.status_change,
        CrmEventKind.APPOINTMENT: subscriptions.appointment,
    }
    parser = WebhookParser(
        build_oplead_options(look),
        WebhookFieldPaths(names, **webhooks.fields.model_dump()),
    )

    def parse(body: bytes) -> Sequence[ReceivedEvent]:
        # Not kept open: a sandbox's time stands still while a caller is registered and awake.
        with open_clock(look) as clock:
            return parser.parse(body, clock.now())

    return parse


def pacer_for(
    oplead: OpleadSettings,
    clock: Clock,
    *,
    state: StateFile | StateDatabaseAddress | None,
    cancel_token: CancelToken = never_cancelled,
    database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database,
    is_sandbox: bool = False,
) -> "Pacer":
    """Return the request pacer, shared by all processes of an account by its state.

    In a database its server's clock counts, unless `clock` is a sandbox's.
    """
    from connectors.rate_limit import Pacer  # noqa: PLC0415

    shared = _shared_pace((str(oplead.base_url), oplead.token_value), state, database_at, is_sandbox=is_sandbox)
    return Pacer(clock, oplead.rate, shared=shared, cancel_token=cancel_token)


def user_pace_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder by which all that a user runs shares a pace, wherever states lie; None if there can be none."""
    home = environ.get("HOME")
    base = environ.get("XDG_STATE_HOME") or (home and Path(home).is_dir() and f"{home}/.local/state")
    folder = Path(base or "", "oplead-sync", "pace")
    try:
        if not folder.is_absolute():
            return None
        make_private_folder(folder)
    except OSError:  # as in a service that sees no home
        return None
    return folder if os.access(folder, os.W_OK) else None


def _shared_pace(
    service: tuple[str, str],
    state: StateFile | StateDatabaseAddress | None,
    database_at: "Callable[[SecretStr], SharedDatabase]",
    *,
    is_sandbox: bool,
) -> "RequestHistories | None":
    """Return what processes of one machine share beside a file, and by their user; those of several in a database."""
    from connectors.rate_limit import SharedRequestHistory, pace_file, pace_key  # noqa: PLC0415

    match state:
        case None | StateFile():
            # A sandbox's time is its own, and so is the pace by it.
            folders = (None if is_sandbox else user_pace_folder(os.environ), None if state is None else state.folder)
            files = [pace_file(folder, *service) for folder in folders if folder is not None]
            return SharedRequestHistory(*files) if files else None
        case StateDatabaseAddress(url):
            from jobs.wiring.pace import DatabaseRequestHistory  # noqa: PLC0415 - few need its driver

            return DatabaseRequestHistory(database_at(url), pace_key(*service), is_sandbox=is_sandbox)
        case never:
            assert_never(never)
