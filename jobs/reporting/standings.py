"""What `status` and `explain` report, as data: printing it takes loading what draws tables, which JSON does without."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.ledger.outbox.consents import DeliveryConsent, RecordedConsentAnswer
from jobs.ledger.report.queries import AwaitedOutcomes, DeliveryStanding, RequestOfDelivery, StateCount
from jobs.ledger.retention.retention import RetentionTotals
from jobs.reporting.wording.reasons import StateAndReasonTexts
from jobs.rules.incident import OpenIncident
from jobs.rules.reasons import Cause, Message, Reason
from jobs.rules.reported_statuses import UnconfirmedReport
from jobs.rules.status_changes import LabelChange
from jobs.run_findings import LabelCount
from jobs.webhooks.inbox import WaitingEvents

# ── status ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest run, whether or not it has ended."""

    number: int
    command: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class DetectedRename(LabelChange):
    """A status found to be renamed."""

    leads: int
    """Number of leads that show it."""


@dataclass(frozen=True, slots=True)
class HeldReportCount:
    """Statuses that only webhooks reported, and that wait for a reading of Oplead to show them."""

    count: int
    oldest: datetime
    """When the oldest of them was reported."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything `status` reports."""

    account: str
    now: datetime
    run: LastRun | None
    tallies: tuple[StateCount, ...]
    awaited: AwaitedOutcomes
    unreadable: Mapping[str, str]
    """The reason for each unreadable lead, by lead id."""
    unknown_labels: list[LabelCount]
    anomalies: tuple[Message, ...] = ()
    """What keeps conversions from being sent, one message per cause."""
    webhooks: WaitingEvents | None = None
    """Events that no run has taken up yet; None without an inbox that can be read."""
    held: HeldReportCount | None = None
    """What waits for a reading of Oplead to show it; None if nothing does."""
    renamed: tuple[DetectedRename, ...] = ()
    """Statuses renamed in Oplead whose new names no setting has."""
    left: RetentionTotals | None = None
    """What has left the ledger, and is not counted above; None if nothing has."""
    notices: tuple[OpenIncident, ...] = ()
    """The open incidents."""
    overdue: bool = False
    """Whether leads that should have left more than a week ago are still on record."""
    reused: tuple[str, ...] = ()
    """Leads under whose ids Oplead shows others, and about which nobody has answered yet."""
    refused: str | None = None
    """Why the next run would refuse the state, and what to do; None if it would not."""


@dataclass(frozen=True, slots=True)
class MatchingDeliveries:
    """All deliveries that match one name."""

    account: str
    now: datetime
    called: str
    """The state or reason, as the user wrote it."""
    stands: tuple[DeliveryStanding, ...]


# ── explain ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SeenClickId:
    """A click id of the lead."""

    kind: str
    shown: str
    """Its two ends, enough to recognise it."""
    clicked_at: datetime
    estimated: bool


@dataclass(frozen=True, slots=True)
class StatusEntryReport:
    """The lead entering a status."""

    label: str
    at: datetime
    date_only: bool
    origin: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """One state transition of a delivery."""

    at: datetime
    state: str
    cause: Cause
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStateReport:
    """The state of a conversion or correction, and its history."""

    state: str | None
    """None if there is no such delivery: the result comes from judging the rules just now."""
    stands: str
    reason: Cause
    detail: str | None = None
    """The data behind the reason."""
    words: StateAndReasonTexts
    value: str | None = None
    currency: str | None = None
    due_at: datetime | None = None
    closes_at: datetime | None = None
    history: tuple[StateChange, ...] = ()
    requests: tuple[RequestOfDelivery, ...] = ()
    sent_on: DeliveryConsent | None = None
    """The consent that it was last sent on; None if it never was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionStateReport(DeliveryStateReport):
    """One correction of an accepted delivery."""

    kind: str
    cause: str
    at: datetime
    """When the cause occurred, or was seen."""
    by: str
    """The transport that carries it."""


@dataclass(frozen=True, slots=True)
class EstimateReport:
    """The estimate that is a conversion's value, and what it rests on."""

    low: str
    high: str
    rate: float
    mean: str
    leads: int
    won: int
    horizon_days: int
    first: datetime
    until: datetime
    computed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadConversionStanding(DeliveryStateReport):
    """One conversion of the lead at one destination."""

    conversion: str
    destination: str
    happened_at: datetime | None = None
    origin: str | None = None
    click_id_kind: str | None = None
    click_estimated: bool | None = None
    tax: str | None = None
    value_from: str | None = None
    """Where the value comes from: a `ValueOrigin` value."""
    estimate: EstimateReport | None = None
    key: str | None = None
    target: str | None = None
    corrections: tuple[CorrectionStateReport, ...] = ()
    held_for: Reason | None = None
    """What it was held for until it expired."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `explain` reports: no contact data, and only the ends of click ids."""

    account: str
    lead: str
    now: datetime
    created_at: datetime
    label: str | None
    seen_at: datetime
    missing_since: datetime | None
    """When the lead was first missing from Oplead."""
    deleted_at: datetime | None
    """When it was missing a second time, and so taken for deleted."""
    merged_into: str | None
    """The lead that Oplead shows in its place."""
    reused: bool
    """Whether Oplead shows another lead under its id, and nobody has answered yet."""
    ad_user_data: str
    ad_personalization: str
    consent_fields: tuple[str, str]
    """Paths of the two answers in Oplead; empty if the settings name no field."""
    consent_answers: tuple[RecordedConsentAnswer, ...]
    """Every answer read so far, in order; each held until the next of its signal."""
    click_ids: tuple[SeenClickId, ...]
    click_id_problem: str | None
    where: Mapping[str, str]
    amounts: Mapping[str, str]
    hashes: Mapping[str, tuple[str, ...]]
    """The kinds of hashed contact data kept, by destination."""
    changes: tuple[StatusEntryReport, ...]
    verdicts: tuple[LeadConversionStanding, ...]
    reports: tuple[UnconfirmedReport, ...] = ()
    """What webhooks reported of it and no reading has shown."""
