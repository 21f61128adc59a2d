"""The `conversions` section: what is worth telling the platforms, from when on, and with which value."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from jobs.settings.shapes import ActionId, Like, OneOrMore, Path_, Slug, Span, StageNames, Strict, Text, YesNo


class FieldValue(Strict):
    """A conversion's value read from the lead."""

    field: Path_
    """Where the amount stands in a lead, as amount."""
    tax: Literal["included", "excluded"]
    """Whether that amount has tax in it: included or excluded."""
    otherwise: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)] | None = None
    """The value of a conversion whose amount is still missing after `wait_for_value`."""
    wait_for_value: Span = timedelta(days=3)
    """How long a conversion waits for its amount."""
    restate_above: Annotated[str, Like(r"[0-9]{1,3} ?%|off", "write a percentage, as 5 %, or off")] = "5 %"
    """By how much an amount must change to be corrected afterwards; `off` corrects no amount."""

    @property
    def restated_above(self) -> Decimal | None:
        """The same as a share; None where no amount is corrected."""
        if self.restate_above == "off":
            return None
        return Decimal(self.restate_above.removesuffix("%").strip()) / 100


FixedValue = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)]


def _kind_of_value(value: object) -> str:
    return "<field>" if isinstance(value, dict | FieldValue) else "<fixed>"


# Told apart by their shape, so that an error speaks of the one that was meant.
Value = Annotated[
    Annotated[FixedValue, Tag("<fixed>")] | Annotated[FieldValue, Tag("<field>")],
    Discriminator(_kind_of_value),
]


def _day_or_time(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("write a day as 2026-09-01, or a time as 2026-09-01 08:00") from None
    if isinstance(value, datetime) and not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise ValueError(f"write a year between {EARLIEST_YEAR} and {LATEST_YEAR}")
    return value


EARLIEST_YEAR, LATEST_YEAR = 2000, 2100
Since = Annotated[datetime, BeforeValidator(_day_or_time, json_schema_input_type=date | datetime)]
"""A day (its midnight) or a time; without an offset, in the account's zone."""


def in_utc(since: datetime | None, zone: ZoneInfo) -> datetime | None:
    """A start in UTC; a time without an offset is one of `zone`."""
    if since is None:
        return None
    return (since if since.tzinfo else since.replace(tzinfo=zone)).astimezone(UTC)


class GoogleAction(Strict):
    """A conversion action of Google Ads."""

    id: ActionId
    """The conversion action's id, the number after ctId= in its address in Google Ads."""
    click_window_days: Annotated[int, Field(ge=1, le=90)] | None = None
    """The action's click-through window, as Google Ads shows it."""


class GoogleConversion(Strict):
    """What a conversion is in Google Ads."""

    conversion_action: GoogleAction
    """The conversion action: its id, or { id, click_window_days }."""
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] | None = None
    """Where Google is told it happened; else the destination's."""
    destination: Slug | None = None
    """Which `google_ads` destination; all of them where unset."""

    @field_validator("conversion_action", mode="before", json_schema_input_type=GoogleAction | str | int)
    @classmethod
    def _a_bare_id_is_an_action(cls, value: object) -> object:
        return {"id": value} if isinstance(value, str | int) else value


class MetaConversion(Strict):
    """What a conversion is for Meta."""

    event: Annotated[
        str, Like(r"[A-Za-z0-9_ ]{1,50}", "an event name has letters, digits, _ and spaces only, as Purchase")
    ]
    """The event's name, as Schedule or Purchase."""
    action_source: Literal["system_generated", "phone_call", "physical_store", "email", "chat", "other"] | None = None
    """Where Meta is told it happened; else the destination's."""


class Conversion(Strict):
    """One thing worth telling the platforms: a lead reaching a stage."""

    id: Slug
    """A short name that stays the same for good, as sale."""
    name: Text | None = None
    """What reports call it."""
    stage: Slug
    """The stage that counts: one of `stages`, or created."""
    since: Since | None = None
    """Changes before it are not sent; default: the first real run that saw this conversion."""
    where: dict[Path_, OneOrMore] = Field(default_factory=dict)
    """Only leads whose field has one of these values."""
    was: Slug | None = None
    """The id this conversion had before; `none` for one that is new though it looks like a renamed one."""
    implied_by: StageNames = ()
    """Later stages that count as this one where it was skipped."""
    value: Value | None = None
    """A number, or { field, tax, otherwise }; without it no value is sent."""
    undo_when: StageNames = ()
    """Stages that take the conversion back."""
    undo_after: Span = timedelta(days=3)
    """How long a lead must stay there first."""
    undo_via: Literal["data_manager", "google_ads_api"] | None = None
    """The way by which it is taken back."""
    count_once_per: Literal["lead", "click", "person"] = "lead"
    """What counts once: the lead, its click, or the person; of several leads only the first is sent."""
    within: Span = timedelta(days=30)
    """For how long a click or person counts once, from one lead's conversion to another's."""
    shared_action: YesNo = False
    """Whether another conversion may use the same conversion action; both must say so."""
    google_ads: GoogleConversion | None = None
    """What it is in Google Ads."""
    meta: MetaConversion | None = None
    """What it is for Meta."""

    def since_in(self, zone: ZoneInfo) -> "Conversion":
        """The same conversion with `since` in UTC."""
        return self.model_copy(update={"since": in_utc(self.since, zone)})
