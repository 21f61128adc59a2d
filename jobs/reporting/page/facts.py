"""What the page reports, section by section: counts, euros and leads' ids; no wording and no contact data.

`gather` fills these in from a ledger, `render` shows them, `tables` writes them for spreadsheets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Reason
from jobs.rules.reported_statuses import HeldReport


class Level(StrEnum):
    """How urgent something is; the page is as urgent as its worst task."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class ResponsibleParty(StrEnum):
    """Who can do something about it."""

    MARKETING = "marketing"
    """Whoever edits the settings and the ad accounts."""
    OPLEAD_USERS = "oplead_users"
    """Whoever works on leads in Oplead: statuses, amounts, dates."""
    WEBSITE = "website"
    """Whoever makes the forms: click ids, consent."""
    OPERATOR = "operator"
    """Whoever runs this program."""


class ConversionOutcome(StrEnum):
    """Where a conversion stands, as marketing asks; there is deliberately none called success."""

    WAITING = "waiting"
    HELD = "held"
    SENT = "sent"
    """Sent and not answered yet."""
    RECEIVED = "received"
    """Received by the platform, outcome not reported yet."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    IN_DOUBT = "in_doubt"
    """Its answer was lost, or the platform will never tell."""
    NOT_SENT = "not_sent"
    """On record and not to be sent: before its start, cancelled."""


OUTCOMES: Mapping[DeliveryState, ConversionOutcome] = {
    DeliveryState.SKIPPED: ConversionOutcome.NOT_SENT,
    DeliveryState.PENDING: ConversionOutcome.WAITING,
    DeliveryState.WITHHELD: ConversionOutcome.HELD,
    DeliveryState.IN_FLIGHT: ConversionOutcome.SENT,
    DeliveryState.SUBMITTED: ConversionOutcome.RECEIVED,
    DeliveryState.IN_DOUBT: ConversionOutcome.IN_DOUBT,
    DeliveryState.ACCEPTED: ConversionOutcome.ACCEPTED,
    DeliveryState.REJECTED: ConversionOutcome.REJECTED,
    DeliveryState.EXPIRED: ConversionOutcome.EXPIRED,
    DeliveryState.CANCELLED: ConversionOutcome.NOT_SENT,
    DeliveryState.UNCONFIRMED: ConversionOutcome.IN_DOUBT,
}


class AdPlatform(StrEnum):
    """Whose ad a lead came from, by its click ids."""

    GOOGLE = "google"
    META = "meta"
    OTHER = "other"
    """It has only click ids that are sent nowhere."""
    NONE = "none"
    """It has no click id."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in the account's zone, first and last included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def preceding_period(self) -> "Period":
        """The period of the same length just before it."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))


# ── is everything all right? ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ActionItem:
    """Something that needs doing."""

    level: Level
    who: ResponsibleParty
    title: str
    """An open incident's title, in the language it was found in."""
    text: str
    since: datetime
    """When it was first found."""


def worst_level(tasks: Iterable[ActionItem]) -> Level:
    """Return how urgent the worst task is."""
    levels = {task.level for task in tasks}
    return next((level for level in (Level.RED, Level.AMBER) if level in levels), Level.GREEN)


# ── three numbers ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Sales:
    """Signed sales of leads from one platform's ads: leads that entered the sale's stage in a period."""

    platform: AdPlatform
    count: int
    value: Decimal
    """The sum of the amounts that are known."""
    matured: int
    """Of those, how many are older than `MATURES_AFTER`, so that they are hardly undone any more."""
    matured_value: Decimal


MATURES_AFTER = timedelta(days=14)
"""A consumer may withdraw from a contract signed at home for 14 days:
https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000032226842 (Code de la consommation, L221-18)."""


@dataclass(frozen=True, slots=True)
class SalesKnownToPlatform:
    """How many of a period's signed sales from ads each platform knows of."""

    platform: AdPlatform
    sales: int
    sent: int
    """Sent at least once, whatever the answer."""
    received: int
    accepted: int
    not_to_be_sent: int
    """Never sent and not to be: signed before the conversion's start, for one. Of leads still on record."""


@dataclass(frozen=True, slots=True)
class RecoverableConversions:
    """Conversions that are held and expire within `EXPIRES_WITHIN`, but go out if their cause is mended in time."""

    reason: Reason
    who: ResponsibleParty
    count: int
    value: Decimal
    first_expiry: datetime


EXPIRES_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Headline:
    """The three numbers."""

    sales: tuple[Sales, ...]
    sales_before: tuple[Sales, ...]
    """Those of the period before."""
    counted: tuple[SalesKnownToPlatform, ...]
    recoverable: tuple[RecoverableConversions, ...]


# ── tonight, and the nights before ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Conversions of one kind with the same outcome for the same reason."""

    conversion: str
    destination: str
    outcome: ConversionOutcome
    cause: Cause
    """Why, or a platform's code; the words are in `wording`."""
    count: int
    value: Decimal
    matched: int | None = None
    """How many of them the platform says it matched with an ad or a person; None where it does not say."""
    worth: Decimal | None = None
    """What those held or expired would be worth; by their leads where no value is on record. None for all others."""


@dataclass(frozen=True, slots=True)
class LastNight:
    """What the last night moved, and what stands now."""

    run: int
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    moved: tuple[OutcomeCount, ...]
    """Where the conversions that it moved stood after it."""
    standing: tuple[OutcomeCount, ...]
    """All conversions as they stand now: the same counts as `status` shows."""
    sent: int
    """How many it sent, whatever the answer."""
    of_sent: tuple[tuple[ConversionOutcome, int], ...] = ()
    """How many of those it left at each outcome."""


@dataclass(frozen=True, slots=True)
class NightCount:
    """Conversions that moved in the nights of one day, each where it stood after them."""

    night: date
    conversion: str
    destination: str
    outcome: ConversionOutcome
    count: int
    value: Decimal


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """The leads created in the period that came from one campaign, and how far they got until now."""

    source: str
    """Empty where the lead has no such UTM field, here and below."""
    medium: str
    campaign: str
    leads: int
    reached: tuple[int, ...]
    """How many ever reached each stage of `Funnel.stages`."""
    won: int
    """How many reached the sale's stage, or one that implies it, and are not undone now."""
    value: Decimal
    """The known amounts of those won."""


@dataclass(frozen=True, slots=True)
class CampaignSales:
    """The sales signed in the period by leads that came from one campaign, whenever they were created."""

    source: str
    """Empty where the lead has no such UTM field, here and below."""
    medium: str
    campaign: str
    count: int
    value: Decimal
    """The sum of the amounts that are known."""
    unpriced: int
    """How many have no amount."""


@dataclass(frozen=True, slots=True)
class ClickIdWeek:
    """The leads of one UTM source created in one week, and how many have a click id."""

    source: str
    week: date
    """Its Monday."""
    leads: int
    with_click_id: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """Campaigns, the most valuable first."""

    stages: tuple[str, ...]
    """By their ids, in the order of the settings; `created` is not among them."""
    campaigns: tuple[CampaignRow, ...]
    weeks: tuple[ClickIdWeek, ...]
    sales: tuple[CampaignSales, ...]
    """Of leads still on record."""


# ── which stage to bid on ────────────────────────────────────────────────────────────────────────


class BiddingFitness(StrEnum):
    """Whether a stage comes early and often enough to bid on."""

    FIT = "fit"
    TOO_RARE = "too_rare"
    TOO_LATE = "too_late"
    TOO_LATE_AND_TOO_RARE = "too_late_and_too_rare"
    TOO_FEW_TO_TELL = "too_few_to_tell"


@dataclass(frozen=True, slots=True)
class StageTiming:
    """How long after the click a stage is reached by leads from one platform's ads, over `TIMING_DAYS` days."""

    stage: str
    platform: AdPlatform
    count: int
    """How many reached it."""
    per_30_days: Decimal
    median: timedelta | None
    nine_in_ten: timedelta | None
    """The time within which nine in ten get there; None, as the median, for fewer than `FEWEST_TIMED`."""
    window: timedelta
    """The platform's own: of the click for Google, of the event for Meta."""
    within_window: int
    """How many reached it within the window."""
    fitness: BiddingFitness


TIMING_DAYS = 180
FEWEST_TIMED = 5


# ── agencies ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AgencyLeads:
    """The period's leads with one value of the field `report.by`."""

    name: str
    """Empty for all small ones together, and for leads without any."""
    leads: int
    untouched: int
    """Leads still in the status that they were created in."""
    days_until_read: Decimal | None
    """The median of days from a change in Oplead to its being read; None below `FEWEST_AT_AN_AGENCY`."""
    missing_amounts: int
    """Sales without an amount."""
    lost: Decimal
    """The value of conversions that expired or will never be sent for a reason that someone there could have mended."""


FEWEST_AT_AN_AGENCY = 5
"""Agencies with fewer leads are shown together, without a name: chance would say more than they do."""


# ── coverage ─────────────────────────────────────────────────────────────────────────────────────


class SendingObstacle(StrEnum):
    """What keeps conversions from being sent although the lead came from an ad."""

    UNKNOWN_STATUS = "unknown_status"
    UNREADABLE_AMOUNT = "unreadable_amount"
    MISSING_AMOUNT = "missing_amount"
    AMBIGUOUS_CLICK_ID = "ambiguous_click_id"
    """One without a label, of which nothing says whose it is."""
    UNUSABLE_CLICK_ID = "unusable_click_id"
    CONSENT_MISSING = "consent_missing"
    CONSENT_UNCLEAR = "consent_unclear"
    UNREADABLE_LEAD = "unreadable_lead"


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """What one gap costs."""

    gap: SendingObstacle
    detail: str
    """The status as Oplead writes it, or the problem; empty where the gap says all."""
    leads: int
    conversions: int
    value: Decimal
    lead_ids: tuple[str, ...]
    """Up to `SHOWN_IDS` of them, the latest first."""


SHOWN_IDS = 50


# ── what the platforms say ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PlatformFigure:
    """One number that a platform reports, and ours for the same thing where we have one."""

    destination: str
    name: str
    """What the platform calls it."""
    theirs: str
    ours: str | None
    differs: bool
    """Whether the two should agree and do not."""
    read_at: datetime


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything one account's page says."""

    account: str
    now: datetime
    zone: ZoneInfo
    currency: str
    period: Period
    conversion_names: Mapping[str, str]
    """What the settings call each conversion, by its id."""
    sale: str
    """The conversion that counts as a signed sale, by its id."""
    consent_assumed_because: str | None
    """Why a missing consent is taken as given, if it is: shown in every report."""
    tasks: tuple[ActionItem, ...]
    """The worst first."""
    headline: Headline
    last_night: LastNight | None
    """None before the first."""
    trend: tuple[NightCount, ...]
    """Over `TREND_NIGHTS` nights."""
    funnel: Funnel
    timing: tuple[StageTiming, ...]
    agencies: tuple[AgencyLeads, ...] | None
    """None unless the settings have `report.by`."""
    agency_field: str | None
    coverage: tuple[CoverageGap, ...]
    platforms: tuple[PlatformFigure, ...]
    held_reports: tuple[HeldReport, ...] = ()
    """What only webhooks reported and waits for a reading of Oplead to show it, the oldest first."""
    whole_months_before: date | None = None
    """Of the days before then, the period counts whole months only: leads have left; None if it begins later."""

    @property
    def level(self) -> Level:
        """How urgent the worst task is."""
        return worst_level(self.tasks)


TREND_NIGHTS = 90
