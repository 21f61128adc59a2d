"""The records that rules judge by: a lead's facts, routes, starts, labels and keys. Values only."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from connectors.records import ClickIdKind, DeliveryKey, DestinationId, Identifier, LeadId, Limits, Target

FEWEST_LEADS = 20
"""Fewer leads, or ids, than this say nothing of all of them."""


class Origin(StrEnum):
    """How the time of a status change is known."""

    REPORTED = "reported"
    """Oplead says so: a history entry or a status date."""
    BOUNDED = "bounded"
    """Between two observations of ours."""
    BASELINE = "baseline"
    """Already so at first sight, undated."""
    ASSUMED = "assumed"
    """Undated, and taken at the lead's `updated_at` because a human said so."""
    RELABEL = "relabel"
    """An entry on record, shown under the new name of a status that was renamed: nothing happened to the lead."""


@dataclass(frozen=True, slots=True)
class StatusEntered:
    """A lead entering a status."""

    label: str
    """Normalised."""
    at: datetime
    """For a day without a time, that day's start in the account's zone."""
    date_only: bool
    origin: Origin
    seen_at: datetime
    """The start of the pull that found it."""
    after: datetime | None = None
    """The observation before that, which did not show it yet."""


@dataclass(frozen=True, slots=True)
class KnownClickId:
    """A click id and the time its windows count from."""

    kind: ClickIdKind
    value: str
    clicked_at: datetime
    estimated: bool
    """Whether that time is only a bound: the lead's creation, or the pull before the id appeared."""


class ConsentAnswer(StrEnum):
    """What a lead's consent field says."""

    GRANTED = "granted"
    REFUSED = "refused"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"
    """The settings name no field for this signal."""


@dataclass(frozen=True, slots=True)
class UnreadableAmount:
    """Text that should have been an amount, by its shape."""

    shape: str


Amount = Decimal | UnreadableAmount


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What is kept of a lead between nights."""

    id: LeadId
    created_at: datetime
    seen_at: datetime
    """The start of the last pull that saw it."""
    fresh: bool
    """Whether it was read since it was last judged; else contact hashes that nobody needed are gone."""
    stale: bool
    """Whether the settings want other things of it than were read; it waits to be read again."""
    changes: tuple[StatusEntered, ...]
    click_ids: tuple[KnownClickId, ...]
    click_id_problem: str | None
    ad_user_data: ConsentAnswer
    ad_personalization: ConsentAnswer
    where: Mapping[str, str]
    """A path of a `where` and the normalised value there, or its shape in angle brackets."""
    amounts: Mapping[str, Amount]
    """A path of a value and the amount there; absent and zero left out."""
    identifiers: Mapping[DestinationId, tuple[Identifier, ...]] = field(default_factory=dict)
    excluded: bool = False
    """Whether it is a test lead by the settings' `exclude`."""
    deleted: bool = False
    """Whether Oplead has it no more."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """A conversion that a human has sent though it stands before its start."""

    counts_from: datetime
    """From when its dated changes count."""
    assumed_at: datetime | None = None
    """The time taken for that of an undated change; None leaves those as they are."""


@dataclass(frozen=True, slots=True)
class FieldAmount:
    """A value read from the lead."""

    path: str
    tax: str
    otherwise: Decimal | None
    wait: timedelta
    restate_above: Decimal | None = Decimal("0.05")
    """By which share an amount must change to be told again; None where it is never told again."""
    never_seen: bool = False
    """Whether no lead has anything there, though so many should that the path is likely to be wrong."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes a conversion back that was accepted."""

    labels: frozenset[str]
    """The normalised labels of the stages that do."""
    after: timedelta
    """How long a lead must have been there."""
    via: str | None = None
    """The transport that carries it; None takes the conversion's own."""


class DedupScope(StrEnum):
    """What a conversion counts once for, beside its lead."""

    CLICK = "click"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class DedupRule:
    """A conversion that other leads' may be the same as."""

    per: DedupScope
    within: timedelta
    """Two that happened further apart count both."""


@dataclass(frozen=True, slots=True)
class Route:
    """One conversion to one destination, with everything that decides it."""

    account: str
    zone: ZoneInfo
    conversion: str
    destination: DestinationId
    target: Target
    limits: Limits
    on_creation: bool
    labels: frozenset[str]
    """The normalised labels that enter its stage, and those of the stages that imply it."""
    where: tuple[Mapping[str, frozenset[str]], ...]
    """Conditions that must all hold: a path and its normalised values."""
    fixed_value: Decimal | None
    field_value: FieldAmount | None
    currency: str
    click_window: timedelta
    """The shorter of the platform's memory of a click and the action's own window."""
    contact_only: bool
    """Whether leads without the platform's click id go out by contact data."""
    attach_contact: bool
    assume_consent: bool
    stage: str = ""
    """The stage it enters by, in marketing's word."""
    since: datetime | None = None
    """The start that the settings write; None leaves it to the first run."""
    event_window: timedelta | None = None
    """How long after it happened the platform takes the conversion; None where only the click's age counts."""
    only_with: frozenset[ClickIdKind] = frozenset()
    """Only leads that have one of these go this way; empty lets all."""
    never_with: frozenset[ClickIdKind] = frozenset()
    """Leads that have one of these go another way."""
    once: DedupRule | None = None
    """None counts each lead for itself."""
    undo: Undo | None = None
    """None never takes it back."""

    @property
    def place(self) -> tuple[str, DestinationId]:
        """What tells it from the account's other routes: its conversion and its destination."""
        return self.conversion, self.destination

    @property
    def remembered(self) -> timedelta:
        """For how long after its click or creation a lead's conversion can be sent at most."""
        return max(self.click_window, self.limits.click_window, self.limits.contact_window)

    @property
    def uses_contact(self) -> bool:
        """Whether hashed contact data may go out on this route."""
        return self.contact_only or self.attach_contact


@dataclass(frozen=True, slots=True)
class Starts:
    """From when a route's changes count."""

    conversion: datetime
    labels: Mapping[str, datetime] = field(default_factory=dict)
    """Labels the stage has or had, some of them added later."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What the account's renamed statuses are called now, by their old names."""

    def former(self, labels: Collection[str]) -> frozenset[str]:
        """The old names under which the stage had these labels, before they were renamed."""
        return frozenset(old for old, new in self.renamed.items() if new in labels and old in self.labels)

    def of(self, label: str | None) -> datetime:
        """The start that governs a change into `label`; None is the lead's creation."""
        return max(self.conversion, self.labels.get(label, self.conversion)) if label else self.conversion


def delivery_key(
    account: str, lead: LeadId, conversion: str, destination: DestinationId, occurrence: int
) -> DeliveryKey:
    """The same key for the same delivery, on every run and machine: 40 hexadecimal digits, no personal data.

    It is Google's `order_id` and `transaction_id` (at most 64 characters) and Meta's `event_id`.
    """
    parts = (account, lead, conversion, destination, str(occurrence))
    # Lengths first, so that no two lists of parts read alike.
    identity = "".join(f"{len(part)}:{part}" for part in parts)
    return DeliveryKey(hashlib.sha256(identity.encode()).hexdigest()[:40])


_GAPS = re.compile(r"[\s'`´’‘ʼ_\-‐‑‒–—]+")


def normalise_label(text: str) -> str:
    """What a label is compared by: `Devis à relancer`, `DEVIS-A-RELANCER` and `devis a  relancer` give one text.

    The whole label counts, never a part of it. A label without letters, digits or signs gives an empty text.
    """
    # Folding case can bring marks that decompose again, hence the second pass (Unicode 3.13, D146).
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _GAPS.sub(" ", plain).strip()


def shape(value: str) -> str:
    """What a text looks like, without its content: `text, 18 characters`."""
    kind = "digits" if value.isdecimal() else "letters" if value.isalpha() else "text"
    return f"{kind}, {len(value)} character{'' if len(value) == 1 else 's'}"
