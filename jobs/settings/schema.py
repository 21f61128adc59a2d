"""The configuration file as a whole, validated whole, and its JSON schema for editors; `load` reads the file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AnyUrl, BeforeValidator, Field, PositiveInt, ValidationInfo, field_validator

from jobs.settings.problems import did_you_mean
from jobs.settings.references import Address, References
from jobs.settings.sections import (
    ActionSource,
    ConversionSettings,
    EventSource,
    MetricsFile,
    NotifyAddress,
    NotifyWhen,
    OpleadSettings,
    PingAddress,
    Since,
)
from jobs.settings.types import (
    Currency,
    CustomerId,
    Digits,
    EmailDomain,
    KeyFile,
    Like,
    OneOrMore,
    Path_,
    Phone,
    Secret,
    Several,
    Slug,
    Strict,
    Text,
    one_or_many,
    state_address,
)
from jobs.timetable import by_cron


def _a_known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = did_you_mean(name, available_timezones()) or "; for France write Europe/Paris"
        raise ValueError(f"there is no such time zone{hint}") from None
    return name


def _nights_of_a_cron(expression: str) -> str:
    by_cron(expression, ZoneInfo("UTC"))
    return expression


Zone = Annotated[Text, AfterValidator(_a_known_zone)]
"""A time zone by its name, as Europe/Paris."""


# ── what counts ──────────────────────────────────────────────────────────────────────────────────


class ClickIds(Strict):
    """How to read click ids without a label."""

    bare: Literal["by_utm", "gclid", "fbclid", "reject"] = "by_utm"
    """How to read an id without a label: by `utm_source`, always as one kind, or not at all."""
    bare_digits: Literal["reject", "lead_id"] = "reject"
    """Whether 15 to 17 bare digits are a Meta lead id."""


class ConsentSignal(Strict):
    """A field of the lead that says whether one use of its data is allowed."""

    field: Path_
    """Where the answer is in a lead, such as leadData.consent."""
    granted: OneOrMore
    """The answers that mean yes."""
    refused: Annotated[tuple[Text, ...], Several]
    """The answers that mean no; [] if the form only has a box to tick."""


class ConsentRule(Strict):
    """What the lead consented to, as Google's two signals."""

    ad_user_data: ConsentSignal
    """The field that says whether the lead's data may be sent for advertising."""
    ad_personalization: ConsentSignal | None = None
    """The field that says whether it may be used to personalise advertising."""
    missing: Literal["withhold", "assume_granted"] = "withhold"
    """What a missing answer means: `withhold` does not send, `assume_granted` takes it as yes."""
    because: Annotated[str, Field(min_length=10, max_length=300)] | None = None
    """Why a missing answer may be taken as yes; required by `assume_granted`."""


class ExcludeSettings(Strict):
    """Test leads, judged before anything is stored."""

    email_domains: Annotated[tuple[EmailDomain, ...], Several] = ()
    """E-mail domains of test leads (the part after the @), such as maison-durand.fr."""
    phones: Annotated[tuple[Phone, ...], Several] = ()
    """Phone numbers of test leads, in any spelling."""
    names: Annotated[tuple[Text, ...], Several] = ()
    """Full names of test leads, such as Jean Test; accents, case and order do not matter."""
    fields: dict[Path_, OneOrMore] = Field(default_factory=dict)
    """Fields and the values that mark test leads."""


# ── destinations ─────────────────────────────────────────────────────────────────────────────────


class DestinationSettings(Strict):
    """What every destination has."""

    id: Slug
    """This destination's permanent name."""
    where: dict[Path_, OneOrMore] = Field(default_factory=dict)
    """Only leads whose field has one of these values."""
    audience: Literal["attributed", "all"] = "attributed"
    """`all` also sends leads without the platform's click id, by contact data."""
    contact_data: Literal["attach", "none"] = "none"
    """Whether to send hashed contact data beside a click id."""
    max_per_run: PositiveInt | None = None
    """If more conversions than this are due in one night, hold them until a human approves."""


class GoogleAdsSettings(DestinationSettings):
    """One Google Ads customer, the account that owns the conversion actions."""

    id: Slug = "google_ads"
    """This destination's permanent name."""
    customer_id: CustomerId
    """The account that owns the conversion actions, ten digits."""
    login_customer_id: CustomerId | None = None
    """The manager account that gives access, if there is one."""
    transport: Literal["data_manager", "google_ads_api"] = "data_manager"
    """The Google interface that carries conversions."""
    credentials: KeyFile
    """A reference to a service account's key file: `${GOOGLE_ADS_KEY_FILE}`."""
    endpoint: Address = AnyUrl("https://datamanager.googleapis.com")
    """Data Manager's address, or a local server's."""
    ads_api_endpoint: Address = AnyUrl("https://googleads.googleapis.com")
    """The Google Ads API's address, or a local server's."""
    event_source: EventSource = "WEB"
    """Where Google is told conversions happened."""


class MetaSettings(DestinationSettings):
    """One Meta dataset."""

    id: Slug = "meta"
    """This destination's permanent name."""
    dataset_id: Digits
    """The dataset's id, digits."""
    access_token: Secret
    """A reference: `${META_ACCESS_TOKEN}` or `file:/run/secrets/meta`."""
    app_secret: Secret | None = None
    """A reference to the app's secret, if Meta asks for one."""
    graph_url: Address = AnyUrl("https://graph.facebook.com")
    """The Graph API's address, or a local server's."""
    funnel: dict[
        Slug,
        Annotated[str, Like(r"[a-z0-9_]{1,40}", "a funnel stage has lowercase letters, digits and _ only, as sale")],
    ] = Field(default_factory=dict)
    """Your stages and Meta's name for each, for leads that came from Meta's own forms."""
    funnel_since: Since | None = None
    """Stages reached before it are not sent; default: the first real run that saw them."""
    in_doubt: Literal["resend", "ask"] = "resend"
    """What to do if an answer was lost: `resend` may count twice, `ask` waits for a human."""
    action_source: ActionSource = "system_generated"
    """Where Meta is told conversions happened."""


class ScheduleSettings(Strict):
    """When `oplead-sync schedule` runs the night."""

    daily: (
        Annotated[str, Like(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'write a time of day in quotes, as "05:30"')] | None
    ) = None
    """Every day at this time, in quotes, such as "05:30"."""
    cron: (
        Annotated[
            str,
            Like(
                r"\S+( \S+){4}",
                'write five parts: minute, hour, day, month and weekday, as "30 5 * * mon-fri"',
            ),
            AfterValidator(_nights_of_a_cron),
        ]
        | None
    ) = None
    """By a cron expression of five parts, such as "30 5 * * mon-fri"."""


class Settings(Strict):
    """One account: an Oplead platform with the destinations its leads go to."""

    account: Slug
    """A short, permanent name for this account, such as maison-durand."""
    timezone: Zone = "Europe/Paris"
    """The time zone of times without one."""
    currency: Currency
    """The currency of all values, such as EUR."""
    schedule: ScheduleSettings | None = None
    """When the night runs."""
    state: Text | None = None
    """`sqlite:///path`; default: `ACCOUNT.db` beside the configuration file."""
    clock: Address | None = None
    """A sandbox's clock; accepted only if every remote is on this machine."""
    oplead: OpleadSettings
    """Where and how leads are read; it needs a token at least."""
    stages: Annotated[dict[Slug, OneOrMore], Field(min_length=1)]
    """Your words for Oplead's status labels, such as won: [Gagné]."""
    ignored_statuses: tuple[Text, ...] = ()
    """Labels that mean nothing here; a label in neither list is reported."""
    click_ids: ClickIds = ClickIds()
    """How click ids without a label are read."""
    consent: ConsentRule
    """Which field says that a lead's data may be sent, and which answers mean yes or no."""
    exclude: ExcludeSettings | None = None
    """Which leads are test leads."""
    google_ads: Annotated[
        tuple[GoogleAdsSettings, ...],
        BeforeValidator(one_or_many, json_schema_input_type=GoogleAdsSettings | list[GoogleAdsSettings]),
    ] = ()
    """One Google Ads destination, or a list of them."""
    meta: Annotated[
        tuple[MetaSettings, ...], BeforeValidator(one_or_many, json_schema_input_type=MetaSettings | list[MetaSettings])
    ] = ()
    """One Meta destination, or a list of them."""
    conversions: Annotated[tuple[ConversionSettings, ...], Field(min_length=1)]
    """What to report to the platforms."""
    notify: tuple[NotifyAddress, ...] = ()
    """References to addresses that get a message when a human is needed, such as [${NOTIFY_URL}]."""
    notify_when: NotifyWhen = NotifyWhen()
    """The thresholds for those messages."""
    metrics: MetricsFile | None = None
    """A metrics file for Prometheus' node exporter, such as /var/lib/node_exporter/oplead.prom."""
    ping: PingAddress | None = None
    """A reference to a dead man's switch, requested after every night, such as ${PING_URL}."""
    retention: dict[str, object] | None = None
    """How long things are kept; not acted on yet."""
    report: dict[str, object] | None = None
    """What the report shows; not acted on yet."""

    @field_validator("state")
    @classmethod
    def _a_file_of_this_machine(cls, state: str | None, info: ValidationInfo) -> str | None:
        if not isinstance(info.context, References):
            return state
        return state_address(state, account=info.data.get("account", "account"), folder=info.context.folder)

    @field_validator("conversions", "meta")
    @classmethod
    def _starts_in_utc(cls, sections: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        """A start without an offset is a time of the account's zone."""
        zone = ZoneInfo(info.data.get("timezone", "UTC"))
        key = "since" if info.field_name == "conversions" else "funnel_since"

        def in_utc(start: datetime | None) -> datetime | None:
            return start and (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)

        return tuple(one.model_copy(update={key: in_utc(getattr(one, key))}) for one in sections)

    @property
    def zone(self) -> ZoneInfo:
        """The account's zone."""
        return ZoneInfo(self.timezone)


def schema_text() -> str:
    """The schema as it is committed: JSON Schema 2020-12, which the YAML language server reads."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by `make schema` from the settings' model; do not edit.",
        **Settings.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schema() -> None:
    """Write the schema by which editors complete and check the configuration, from the project's folder."""
    Path("config/pipeline.schema.json").write_text(schema_text(), encoding="utf-8")
