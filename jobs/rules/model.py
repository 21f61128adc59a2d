"""Value records the rules work on: lead facts, routes, starts and delivery keys."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.records import ClickIdKind, DeliveryKey, DestinationId, Identifier, LeadId, SinkLimits, Target

AHEAD = timedelta(minutes=5)
"""How far ahead of its observation a reported time may be, to allow for clock skew."""
FEWEST_LEADS = 20
"""Smallest sample of leads or ids that supports a conclusion about all of them."""


class StatusTimeOrigin(StrEnum):
    """How we know when a status changed."""

    REPORTED = "reported"
    """Dated by Oplead, in a history entry or a status date."""
    WEBHOOK = "webhook"
    """Reported by a webhook: dated by the event, or by its arrival where the event names no time."""
    BOUNDED = "bounded"
    """Undated; happened between two of our observations."""
    BASELINE = "baseline"
    """Undated, and already in place when we first saw the lead."""
    ASSUMED = "assumed"
    """Undated; a human chose to date it by the lead's `updated_at`."""
    RELABEL = "relabel"
    """An existing entry shown under a renamed status's new name; the lead itself didn't change."""


class StatusEntered(NamedTuple):
    """A lead entering a status; a tuple, as a night reads one for each status that each of its leads was in."""

    label: str
    """Normalised."""
    at: datetime
    """Midnight in the account's zone when only the day is known."""
    date_only: bool
    origin: StatusTimeOrigin
    seen_at: datetime
    """When the pull that found it had read the lead."""
    after: datetime | None = None
    """The previous observation, which didn't show it yet; with a webhook's time, only at the lead's first reading."""


class KnownClickId(NamedTuple):
    """A click id and the time its windows start."""

    kind: ClickIdKind
    value: str
    clicked_at: datetime
    estimated: bool
    """True if `clicked_at` is only a bound: the lead's creation, or the pull before the id appeared."""


class ConsentAnswer(StrEnum):
    """A lead's answer to one consent question."""

    GRANTED = "granted"
    REFUSED = "refused"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"
    """The settings name no field for this signal."""


class ConsentSignalName(StrEnum):
    """A use of a lead's data that it is asked about."""

    AD_USER_DATA = "ad_user_data"
    AD_PERSONALIZATION = "ad_personalization"


@dataclass(frozen=True, slots=True)
class UnreadableAmount:
    """Text that couldn't be parsed as an amount; only its shape is kept."""

    shape: str


Amount = Decimal | UnreadableAmount


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What the ledger keeps about a lead between runs."""

    id: LeadId
    created_at: datetime
    seen_at: datetime
    """When it was last seen, by the source's clock."""
    fresh: bool
    """True if it was read since it was last planned; otherwise unused contact hashes may have been erased."""
    stale: bool
    """True if the settings now need fields that weren't extracted; the lead must be read again."""
    changes: tuple[StatusEntered, ...]
    click_ids: tuple[KnownClickId, ...]
    click_id_problem: str | None
    ad_user_data: ConsentAnswer
    ad_personalization: ConsentAnswer
    where: Mapping[str, str]
    """Normalised value, or `<shape>`, by `where` path."""
    amounts: Mapping[str, Amount]
    """Amount by path; absent and zero amounts are left out."""
    identifiers: Mapping[DestinationId, tuple[Identifier, ...]] = field(default_factory=dict)
    excluded: bool = False
    """Whether it matches the settings' `exclude`, i.e. is a test lead."""
    deleted: bool = False
    """Whether it was deleted in Oplead."""
    reused: bool = False
    """Whether Oplead shows another lead under its id: what is on record is about the former one."""
    contact_mark: bytes | None = None
    """By which it is known again under another id if it has no click; see `jobs.rules.twins`."""


@dataclass(frozen=True, slots=True)
class ValueFromFieldRule:
    """How to read a conversion's value from a lead field."""

    path: str
    tax: str
    otherwise: Decimal | None
    wait: timedelta
    restate_above: Decimal | None = Decimal("0.05")
    """Relative change above which the value is restated; None never restates."""
    never_seen: bool = False
    """True if no lead has a value at `path` although many should: the path is probably wrong."""


class ValueOrigin(StrEnum):
    """Where the value of a conversion comes from."""

    FIXED = "fixed"
    """A number in the settings."""
    FIELD = "field"
    """The lead's own amount."""
    OTHERWISE = "otherwise"
    """A number in the settings that stands in for an amount, or an estimate, that is missing."""
    EXPECTED = "expected"
    """Estimated from what became of earlier leads."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The leads that a stage's value is estimated from."""

    labels: frozenset[str]
    """Normalised labels of the stage and of those that imply it."""
    on_creation: bool = False
    """Whether every lead enters it when it is created."""
    where: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Conditions that must all hold: accepted normalised values by path."""


@dataclass(frozen=True, slots=True)
class SaleTerms:
    """What counts as a sale, and where its amount is."""

    labels: frozenset[str]
    undone_by: frozenset[str] = frozenset()
    """Labels that take the sale back."""
    path: str | None = None
    """The field with the amount; None where every sale is worth `price`."""
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExpectedValueRule:
    """How a conversion's value is estimated, and the latest estimate."""

    cohort: Cohort
    sale: SaleTerms
    otherwise: Decimal | None
    """The value while there is no estimate."""
    value: Decimal | None = None
    """The estimate; None while there is none."""
    estimate: int | None = None
    """Its id in the ledger."""

    @property
    def basis_digest(self) -> str:
        """A digest of what it is estimated from: an estimate of another basis is one of something else."""
        where = sorted((path, sorted(values)) for path, values in self.cohort.where.items())
        cohort = (sorted(self.cohort.labels), self.cohort.on_creation, where)
        sale = (sorted(self.sale.labels), sorted(self.sale.undone_by), self.sale.path, str(self.sale.price))
        return hashlib.sha256(repr((cohort, sale)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class UndoRule:
    """When an accepted conversion is retracted."""

    labels: frozenset[str]
    """Normalised labels of the stages that undo it."""
    after: timedelta
    """How long a lead must stay in such a stage."""
    via: str | None = None
    """Transport for the retraction; None uses the conversion's own."""


class DedupScope(StrEnum):
    """What a conversion is deduplicated by, besides its lead."""

    CLICK = "click"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class DedupRule:
    """How conversions of different leads are deduplicated."""

    per: DedupScope
    within: timedelta
    """Conversions further apart than this all count."""


@dataclass(frozen=True, slots=True)
class ConversionRoute:
    """One conversion at one destination, with everything needed to decide it."""

    account: str
    zone: ZoneInfo
    conversion: str
    destination: DestinationId
    target: Target
    limits: SinkLimits
    on_creation: bool
    labels: frozenset[str]
    """Normalised labels of its stage and of the stages that imply it."""
    where: tuple[Mapping[str, frozenset[str]], ...]
    """Conditions that must all hold: accepted normalised values by path."""
    fixed_value: Decimal | None
    field_value: ValueFromFieldRule | None
    currency: str
    click_window: timedelta
    """The shorter of the platform's click window and the conversion action's own."""
    contact_only: bool
    """Whether leads without the platform's click id are sent with contact data alone."""
    attach_contact: bool
    assume_consent: bool
    stage: str = ""
    """The stage's name in the settings."""
    since: datetime | None = None
    """Start written in the settings; None means the first run sets it."""
    event_window: timedelta | None = None
    """How long after the event the platform accepts it; None if only the click's age matters."""
    only_with: frozenset[ClickIdKind] = frozenset()
    """Only leads with one of these kinds take this route; empty allows all."""
    never_with: frozenset[ClickIdKind] = frozenset()
    """Leads with one of these kinds take another route."""
    once: DedupRule | None = None
    """None counts every lead."""
    undo: UndoRule | None = None
    """None never retracts it."""
    expected_value: ExpectedValueRule | None = None
    """How its value is estimated; None if it is fixed, read from a field, or not sent."""
    assumed_because: str | None = None
    """Why the settings say that a missing answer may be taken as yes; None if they don't say."""

    @property
    def conversion_destination_pair(self) -> tuple[str, DestinationId]:
        """The route's key within the account: conversion and destination."""
        return self.conversion, self.destination

    @property
    def longest_sending_window(self) -> timedelta:
        """The longest time after its click or creation that a lead's conversion can still be sent."""
        return max(self.click_window, self.limits.click_window, self.limits.contact_window)

    @property
    def uses_contact(self) -> bool:
        """Whether this route may send hashed contact data."""
        return self.contact_only or self.attach_contact


@dataclass(frozen=True, slots=True)
class CountingStarts:
    """When a route's changes start to count."""

    conversion: datetime
    labels: Mapping[str, datetime] = field(default_factory=dict)
    """Start by label, for the labels the stage has or had; some were added later."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New label by old label, for the account's renamed statuses."""

    def former_label_names(self, labels: Collection[str]) -> frozenset[str]:
        """Return the old names this stage had for `labels` before they were renamed."""
        return frozenset(old for old, new in self.renamed.items() if new in labels and old in self.labels)

    def start_for_label(self, label: str | None) -> datetime:
        """Return the start for a change into `label`; None stands for the lead's creation."""
        return max(self.conversion, self.labels.get(label, self.conversion)) if label else self.conversion


def delivery_key(
    account: str, lead: LeadId, conversion: str, destination: DestinationId, occurrence: int
) -> DeliveryKey:
    """Return the delivery's key: 40 hex digits, the same on every run and machine, no personal data.

    Sent as Google's `order_id` and `transaction_id` (at most 64 characters) and as Meta's `event_id`.
    """
    parts = (account, lead, conversion, destination, str(occurrence))
    # Length prefixes keep different lists of parts from joining to the same text.
    identity = "".join([f"{len(part)}:{part}" for part in parts])
    return DeliveryKey(hashlib.sha256(identity.encode()).hexdigest()[:40])
