"""The model of the configuration file and its JSON schema for editors; `load` reads the file."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    AnyUrl,
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from connectors.days import parse_day_or_time
from connectors.language import N_, Language, _
from jobs.settings.document import did_you_mean
from jobs.settings.oplead_schema import ExportFileSettings, OpleadSettings, WebhookSettings
from jobs.settings.references import Address, SecretReferenceResolver, is_local
from jobs.settings.types import (
    ActionId,
    Age,
    Currency,
    CustomerId,
    Digits,
    EmailDomain,
    KeyFile,
    OneOrMore,
    Path_,
    PatternConstraint,
    Phone,
    Secret,
    Several,
    Slug,
    Span,
    StageNames,
    StateDatabaseAddress,
    StateFile,
    Strict,
    Text,
    YesNo,
    state_address,
    wrap_single_item,
)
from jobs.timetable import timetable_from_cron

# ── conversions ──────────────────────────────────────────────────────────────────────────────────

FixedValue = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)]


class ValueFromFieldSettings(Strict):
    """A conversion's value read from the lead."""

    field: Path_
    """Where the amount is in a lead, such as amount."""
    tax: Literal["included", "excluded"]
    """Whether that amount includes tax: included or excluded."""
    otherwise: FixedValue | None = None
    """The value of a conversion whose amount is still missing after `wait_for_value`."""
    wait_for_value: Span = timedelta(days=3)
    """How long a conversion waits for its amount."""
    restate_above: Annotated[str, PatternConstraint(r"[0-9]{1,3} ?%|off", N_("write a percentage, as 5 %, or off"))] = (
        "5 %"
    )
    """By how much an amount must change before it is corrected; `off` corrects none."""

    @property
    def restatement_threshold(self) -> Decimal | None:
        """The same as a share; None where no amount is corrected."""
        if self.restate_above == "off":
            return None
        return Decimal(self.restate_above.removesuffix("%").strip()) / 100


class ExpectedValueSettings(Strict):
    """A conversion's value estimated from what became of earlier leads."""

    expected: YesNo
    """true: the share of leads in this stage that are won, times the average sale."""
    otherwise: FixedValue | None = None
    """The value while leads and sales are too few for an estimate; without it, conversions wait for one."""

    @field_validator("expected")
    @classmethod
    def _is_expected(cls, expected: bool) -> bool:  # noqa: FBT001 - how pydantic calls it
        if not expected:
            raise ValueError(_("write true, or a number as the value itself"))
        return expected


EXPECTED = "expected"


def _kind_of_value(value: object) -> str:
    if value == EXPECTED or isinstance(value, ExpectedValueSettings) or (isinstance(value, dict) and EXPECTED in value):
        return "<expected>"
    return "<field>" if isinstance(value, dict | ValueFromFieldSettings) else "<fixed>"


def _expected_in_full(value: object) -> object:
    return {EXPECTED: True} if value == EXPECTED else value


# Discriminated by shape, so that an error is about the variant that was meant.
Value = Annotated[
    Annotated[FixedValue, Tag("<fixed>")]
    | Annotated[ValueFromFieldSettings, Tag("<field>")]
    | Annotated[
        ExpectedValueSettings,
        BeforeValidator(_expected_in_full, json_schema_input_type=ExpectedValueSettings | Literal["expected"]),
        Tag("<expected>"),
    ],
    Discriminator(_kind_of_value),
]


def _day_or_time(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        value = parse_day_or_time(value, in_a_file=True)
    if isinstance(value, datetime) and not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise ValueError(
            _(
                "write a year between {earliest} and {latest}",
                earliest=EARLIEST_YEAR,
                latest=LATEST_YEAR,
            )
        )
    return value


EARLIEST_YEAR, LATEST_YEAR = 2000, 2100
Since = Annotated[datetime, BeforeValidator(_day_or_time, json_schema_input_type=date | datetime)]
"""A day (its midnight) or a time; without an offset, in the account's zone."""


EventSource = Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"]
ActionSource = Literal["system_generated", "phone_call", "physical_store", "email", "chat", "other"]


class GoogleAction(Strict):
    """A conversion action of Google Ads."""

    id: ActionId
    """The conversion action's id: the number after ctId= in its address in Google Ads."""
    click_window_days: Annotated[int, Field(ge=1, le=90)] | None = None
    """The action's click-through window, as Google Ads shows it."""


class GoogleConversionSettings(Strict):
    """What a conversion is in Google Ads."""

    conversion_action: GoogleAction
    """The conversion action: its id, or { id, click_window_days }."""
    event_source: EventSource | None = None
    """The source reported to Google, if not the destination's `event_source`."""
    destination: Slug | None = None
    """Which `google_ads` destination; all of them if unset."""

    @field_validator("conversion_action", mode="before", json_schema_input_type=GoogleAction | str | int)
    @classmethod
    def _a_bare_id_is_an_action(cls, value: object) -> object:
        return {"id": value} if isinstance(value, str | int) else value


class MetaConversionSettings(Strict):
    """What a conversion is for Meta."""

    event: Annotated[
        str,
        PatternConstraint(
            r"[A-Za-z0-9_ ]{1,50}", N_("an event name has letters, digits, _ and spaces only, as Purchase")
        ),
    ]
    """The event's name, such as Schedule or Purchase."""
    action_source: ActionSource | None = None
    """The source reported to Meta, if not the destination's `action_source`."""


class ConversionSettings(Strict):
    """One thing worth telling the platforms: a lead reaching a stage."""

    id: Slug
    """A short, permanent name, such as sale; the ledger knows by it what was sent."""
    name: Text | None = None
    """What reports call it."""
    stage: Slug
    """The stage that counts: one of `stages`, or created."""
    since: Since | None = None
    """Changes before it are not sent; default: the first real run that saw this conversion."""
    where: dict[Path_, OneOrMore] = Field(default_factory=dict)
    """Only leads whose field has one of these values."""
    was: Slug | None = None
    """The id this conversion had before; `none` if it is new although it looks renamed."""
    implied_by: StageNames = ()
    """Later stages that imply this one if it was skipped."""
    value: Value | None = None
    """A number, { field, tax, otherwise }, or expected; without it no value is sent."""
    undo_when: StageNames = ()
    """Stages that undo the conversion."""
    undo_after: Span = timedelta(days=3)
    """How long a lead must stay there first."""
    undo_via: Literal["data_manager", "google_ads_api"] | None = None
    """The interface that undoes it."""
    count_once_per: Literal["lead", "click", "person"] = "lead"
    """What counts once: the lead, its click, or the person; of several leads only the first is sent."""
    within: Span = timedelta(days=30)
    """How long a click or person counts once, from one lead's conversion to the next."""
    shared_action: YesNo = False
    """Whether another conversion may use the same conversion action or event; both must say so."""
    google_ads: GoogleConversionSettings | None = None
    """What it is in Google Ads."""
    meta: MetaConversionSettings | None = None
    """What it is for Meta."""


# ── notifications ────────────────────────────────────────────────────────────────────────────────

_URL: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl)


def _known_to_apprise(address: SecretStr, info: ValidationInfo) -> SecretStr:
    if _is_a_reference(info):
        return address
    from connectors.signals.notifiers import is_notification_address  # noqa: PLC0415 - it loads a hundred services

    if not is_notification_address(address.get_secret_value()):
        raise ValueError(
            _(
                "the address found here cannot take messages: write it as apprise does, a mailbox as "
                "mailtos://user:password@host?to=someone@host, a webhook as jsons://host/path, Slack as "
                "slack://…; https://github.com/caronc/apprise/wiki lists them all"
            )
        )
    return address


def _can_be_requested(address: SecretStr, info: ValidationInfo) -> SecretStr:
    if _is_a_reference(info):
        return address
    try:
        url = _URL.validate_python(address.get_secret_value())
    except ValidationError:
        url = None
    if url is None or not url.host or not (url.scheme == "https" or (url.scheme == "http" and is_local(url))):
        raise ValueError(
            _(
                "the address found here cannot be requested: write the one that your monitor shows, as "
                "https://hc-ping.com/your-id (plain http is for this machine only)"
            )
        )
    return address


def _is_a_reference(info: ValidationInfo) -> bool:
    """Whether the value is still a reference instead of an address."""
    return isinstance(info.context, SecretReferenceResolver) and not info.context.looks_up


def _metrics_file(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.endswith(".prom") or not value.isprintable():
        raise ValueError(_("write the path of a file whose name ends in .prom: the node exporter reads no other"))
    return info.context.folder / value if isinstance(info.context, SecretReferenceResolver) else value


def _file_apart(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip() or not value.isprintable() or value.endswith("/"):
        raise ValueError(_("write the path of a file, on another disk or machine than the state"))
    return info.context.folder / value if isinstance(info.context, SecretReferenceResolver) else value


NotifyAddress = Annotated[Secret, AfterValidator(_known_to_apprise)]
PingAddress = Annotated[Secret, AfterValidator(_can_be_requested)]
MetricsFile = Annotated[Path, BeforeValidator(_metrics_file, json_schema_input_type=str)]
ForgottenFile = Annotated[Path, BeforeValidator(_file_apart, json_schema_input_type=str)]
Percentage = Annotated[str, PatternConstraint(r"[0-9]{1,2} ?%", N_("write a percentage below 100, as 5 %"))]


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class NotificationThresholds(Strict):
    """When to notify someone: thresholds, each with a default."""

    rejected_above: Percentage = "5 %"
    """More than this share of what a platform settled tonight was rejected …"""
    rejected_at_least: PositiveInt = 5
    """… and at least this many."""
    silent_above: PositiveInt = 5
    """Nothing was sent tonight, although half of the last 14 nights, and of those on this weekday, sent this many."""
    acceptance_drop: Annotated[int, Field(ge=1, le=100)] = 20
    """The share accepted is this many points below its usual level."""
    expires_within: Span = timedelta(days=3)
    """How long before they expire to warn about conversions that cannot be sent."""
    ends_within: Span = timedelta(days=120)
    """How long before a platform ends an API version to warn about it."""

    @property
    def max_rejected_share(self) -> Fraction:
        """`rejected_above` as a share of one."""
        return Fraction(int(self.rejected_above.removesuffix("%").strip()), 100)


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def _folder(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.isprintable() or not value.strip():
        raise ValueError(_("write the path of a folder, as ../reports"))
    return info.context.folder / value if isinstance(info.context, SecretReferenceResolver) else value


Folder = Annotated[Path, BeforeValidator(_folder, json_schema_input_type=str)]


class ReportSettings(Strict):
    """What the report counts, and where it goes."""

    folder: Folder | None = None
    """Where each night writes the report too, and the command writes it by default."""
    by: Path_ | None = None
    """The field of a lead that tells agencies or salespeople apart, such as agency.name; its values are kept."""
    sale: Slug | None = None
    """The conversion that counts as a signed sale."""


# ── what counts ──────────────────────────────────────────────────────────────────────────────────


class UnlabelledClickIdSettings(Strict):
    """How to read click ids without a label."""

    bare: Literal["by_utm", "gclid", "fbclid", "reject"] = "by_utm"
    """How to read an id without a label: by `utm_source`, always as one kind, or not at all."""
    bare_digits: Literal["reject", "lead_id"] = "reject"
    """Whether 15 to 17 bare digits are a Meta lead id."""


class ConsentFieldSettings(Strict):
    """A field of the lead that says whether one use of its data is allowed."""

    field: Path_
    """Where the answer is in a lead, such as leadData.consent."""
    granted: OneOrMore
    """The answers that mean yes."""
    refused: Annotated[tuple[Text, ...], Several]
    """The answers that mean no; [] if the form only has a box to tick."""


class ConsentRule(Strict):
    """What the lead consented to, as Google's two signals."""

    ad_user_data: ConsentFieldSettings
    """The field that says whether the lead's data may be sent for advertising."""
    ad_personalization: ConsentFieldSettings | None = None
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
    """The source of conversions reported to Google."""


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
    api_version: Annotated[
        str, PatternConstraint(r"v[1-9][0-9]{1,2}\.0", N_("write a version of Meta's Graph API, as v26.0"))
    ] = "v26.0"
    """The Graph API's version, of which Meta ends each after about a year; the default is the tested one."""
    funnel: dict[
        Slug,
        Annotated[
            str,
            PatternConstraint(
                r"[a-z0-9_]{1,40}", N_("a funnel stage has lowercase letters, digits and _ only, as sale")
            ),
        ],
    ] = Field(default_factory=dict)
    """Your stages and Meta's name for each, for leads that came from Meta's own forms."""
    funnel_since: Since | None = None
    """Stages reached before it are not sent; default: the first real run that saw them."""
    in_doubt: Literal["resend", "ask"] = "resend"
    """What to do if an answer was lost: `resend` may count twice, `ask` waits for a human."""
    action_source: ActionSource = "system_generated"
    """The source of conversions reported to Meta."""


# ── the account ──────────────────────────────────────────────────────────────────────────────────


def _a_known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        if hint := did_you_mean(name, available_timezones()):
            raise ValueError(_("there is no such time zone{hint}", hint=hint)) from None
        raise ValueError(_("there is no such time zone; for France write Europe/Paris")) from None
    return name


def _nights_of_a_cron(expression: str) -> str:
    timetable_from_cron(expression, ZoneInfo("UTC"))
    return expression


Zone = Annotated[Text, AfterValidator(_a_known_zone)]
"""A time zone by its name, as Europe/Paris."""


_SHORTEST_INTERVAL = timedelta(minutes=5)


def _at_least_five_minutes(span: timedelta) -> timedelta:
    if span < _SHORTEST_INTERVAL:
        raise ValueError(_("write 5 min or more: every time, leads are read and the rules applied"))
    return span


class ScheduleSettings(Strict):
    """When `oplead-sync schedule` runs the night."""

    daily: (
        Annotated[
            str, PatternConstraint(r"([01][0-9]|2[0-3]):[0-5][0-9]", N_('write a time of day in quotes, as "05:30"'))
        ]
        | None
    ) = None
    """Every day at this time, in quotes, such as "05:30"."""
    cron: (
        Annotated[
            str,
            PatternConstraint(
                r"\S+( \S+){4}",
                N_('write five parts: minute, hour, day, month and weekday, as "30 5 * * mon-fri"'),
            ),
            AfterValidator(_nights_of_a_cron),
        ]
        | None
    ) = None
    """By a cron expression of five parts, such as "30 5 * * mon-fri"."""
    also_every: Annotated[Span, AfterValidator(_at_least_five_minutes)] | None = None
    """How often to send what webhooks have brought in since, such as 1 h; it takes `webhooks`."""


class ValueEstimationSettings(Strict):
    """How values are estimated for conversions with `value: expected`."""

    recompute: Literal["weekly", "monthly", "never"] = "weekly"
    """How often a night estimates them anew; `never` keeps the first estimate."""


class RetentionSettings(Strict):
    """How long things are kept; each night ends by erasing what is older."""

    leads: Age = timedelta(days=426)  # 14 months
    """How long after the last change of a lead it is erased, with all that is known of it."""
    click_ids: Literal["window"] = "window"
    """Click ids are erased as soon as their platform's window has closed: nothing else can be chosen."""
    runs: Age = timedelta(days=730)
    """How long runs and requests are kept that nothing refers to any more."""
    history: Age = timedelta(days=730)
    """How long problems that are over, estimates that others replaced and old statements of platforms are kept."""


class Settings(Strict):
    """One account: an Oplead platform with the destinations its leads go to."""

    account: Slug
    """A short, permanent name for this account, such as maison-durand."""
    timezone: Zone = "Europe/Paris"
    """The time zone of times without one."""
    currency: Currency
    """The currency of all values, such as EUR."""
    language: Language | None = None
    """The language of what people read: fr or en; default: the terminal's."""
    schedule: ScheduleSettings | None = None
    """When the night runs."""
    state: Annotated[StateFile | StateDatabaseAddress | None, Field(exclude=True)] = None
    """`sqlite:///path`, or a reference to a PostgreSQL address; default: `ACCOUNT.db` beside the configuration file."""
    forgotten: ForgottenFile | None = None
    """A file apart from the state and its server, by which forgotten people and renumbered leads are known again."""
    clock: Address | None = None
    """A sandbox's clock; accepted only if every remote is on this machine."""
    oplead: OpleadSettings = OpleadSettings()
    """Where and how leads are read; it needs a token at least, unless `source` names files."""
    source: ExportFileSettings | None = None
    """Files to read leads from instead of the API."""
    webhooks: WebhookSettings | None = None
    """The receiver of Oplead's webhooks; every reading of a lead takes in what they have reported of it."""
    stages: Annotated[dict[Slug, OneOrMore], Field(min_length=1)]
    """Your words for Oplead's status labels, such as won: [Gagné]."""
    ignored_statuses: tuple[Text, ...] = ()
    """Labels that mean nothing here; a label in neither list is reported."""
    click_ids: UnlabelledClickIdSettings = UnlabelledClickIdSettings()
    """How click ids without a label are read."""
    consent: ConsentRule
    """Which field says that a lead's data may be sent, and which answers mean yes or no."""
    exclude: ExcludeSettings | None = None
    """Which leads are test leads."""
    google_ads: Annotated[
        tuple[GoogleAdsSettings, ...],
        BeforeValidator(wrap_single_item, json_schema_input_type=GoogleAdsSettings | list[GoogleAdsSettings]),
    ] = ()
    """One Google Ads destination, or a list of them."""
    meta: Annotated[
        tuple[MetaSettings, ...],
        BeforeValidator(wrap_single_item, json_schema_input_type=MetaSettings | list[MetaSettings]),
    ] = ()
    """One Meta destination, or a list of them."""
    conversions: Annotated[tuple[ConversionSettings, ...], Field(min_length=1)]
    """What to report to the platforms."""
    values: ValueEstimationSettings = ValueEstimationSettings()
    """How often expected values are estimated anew."""
    notify: tuple[NotifyAddress, ...] = ()
    """References to addresses that get a message when a human is needed, such as [${NOTIFY_URL}]."""
    notify_when: NotificationThresholds = NotificationThresholds()
    """The thresholds for those messages."""
    notify_weekly: Weekday | None = None
    """The day whose first night sends those addresses the summary of the seven days before, such as monday."""
    metrics: MetricsFile | None = None
    """A metrics file for Prometheus' node exporter, such as /var/lib/node_exporter/oplead.prom."""
    ping: PingAddress | None = None
    """A reference to a dead man's switch, requested after every night, such as ${PING_URL}."""
    retention: RetentionSettings = RetentionSettings()
    """How long things are kept."""
    report: ReportSettings = ReportSettings()
    """What the report shows, and where it is written."""

    @field_validator("state", mode="plain", json_schema_input_type=Text | None)
    @classmethod
    def _where_the_state_lies(cls, state: object, info: ValidationInfo) -> StateFile | StateDatabaseAddress | None:
        if not isinstance(info.context, SecretReferenceResolver):
            return None
        text = TypeAdapter(Text | None).validate_python(state)
        return state_address(text, account=info.data.get("account", "account"), references=info.context)

    @field_validator("conversions", "meta")
    @classmethod
    def _starts_in_utc(cls, sections: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        """Convert starts to UTC, reading one without an offset in the account's zone."""
        zone = ZoneInfo(info.data.get("timezone", "UTC"))
        key = "since" if info.field_name == "conversions" else "funnel_since"

        def in_utc(start: datetime | None) -> datetime | None:
            return start and (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)

        return tuple(one.model_copy(update={key: in_utc(getattr(one, key))}) for one in sections)

    @property
    def conversion_names(self) -> dict[str, str]:
        """The display name of each conversion, by id; of a stage of Meta's funnel, its name here."""
        stages = {funnel_conversion_id(name): stage for each in self.meta for stage, name in each.funnel.items()}
        return {each.id: each.name or each.id for each in self.conversions} | stages

    @property
    def configured_starts(self) -> dict[str, datetime]:
        """From when each conversion counts that has a `since`, by id; of a stage of Meta's funnel, the earliest."""
        starts = {each.id: each.since for each in self.conversions if each.since}
        for name in {name for each in self.meta for name in each.funnel.values()}:
            since = [each.funnel_since for each in self.meta if name in each.funnel.values()]
            if None not in since:
                starts[funnel_conversion_id(name)] = min(filter(None, since))
        return starts

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.timezone)


def funnel_conversion_id(name: str) -> str:
    """Return a funnel stage's conversion id, built from Meta's name, which survives a rename of the stage here."""
    return f"funnel:{name}"


def settings_schema_text() -> str:
    """Return the committed schema: JSON Schema 2020-12, which the YAML language server reads."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by `make schema` from the settings' model; do not edit.",
        **Settings.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_settings_schema() -> None:
    """Write the schema that editors use for completion and validation; run from the project's root."""
    Path("config/pipeline.schema.json").write_text(settings_schema_text(), encoding="utf-8")
