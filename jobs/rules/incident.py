"""What needs a human, from the night that finds it to the one that resolves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.rules.reasons import AnomalyIdentity, DestinationScope


class IncidentKind(StrEnum):
    """The kind of problem an incident reports; each scope, anomaly or API version has its own incident."""

    SOURCE = "source"
    STOPPED = "stopped"
    EXPIRING = "expiring"
    HELD = "held"
    IN_DOUBT = "in_doubt"
    UNCONFIRMED = "unconfirmed"
    STATUS_MISSING = "status_missing"
    REJECTED = "rejected"
    ACCEPTANCE = "acceptance"
    NOTHING_SENT = "nothing_sent"
    ANOMALY = "anomaly"
    FINDING = "finding"
    """A message of the night that no other kind tells."""
    NOT_ERASED = "not_erased"
    ENDS = "ends"
    UNREADABLE = "unreadable"
    """One on record that this version cannot read; only a version that can reads it again, or resolves it."""


@dataclass(frozen=True, slots=True)
class IncidentId:
    """An incident's identity: while it stays open, finding it again sends no further notice."""

    kind: IncidentKind
    about: DestinationScope | AnomalyIdentity | str | None = None
    """None for `SOURCE` and `NOT_ERASED`, a cause for `ANOMALY`, otherwise a scope.

    For `ENDS` a version name, for `FINDING` its message, with the status that it names.

    For `UNREADABLE`, its text as stored.
    """


@dataclass(frozen=True, slots=True)
class Incident:
    """A problem that needs a human, with the values for its wording: counts and ids, never personal data."""

    id: IncidentId
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Notice:
    """An incident's human-readable message."""

    title: str
    text: str
    """What happened and how to respond."""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is open tonight."""

    incident: Incident
    """As it was last found."""
    since: datetime
    is_new: bool
