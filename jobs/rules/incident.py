"""What needs a human, from the night that finds it to the one that resolves it."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    REJECTED = "rejected"
    ACCEPTANCE = "acceptance"
    NOTHING_SENT = "nothing_sent"
    ANOMALY = "anomaly"
    NOT_ERASED = "not_erased"
    MISSING_LEADS = "missing_leads"
    ENDS = "ends"
    UNREADABLE = "unreadable"
    """One on record that this version cannot read; only a version that can reads it again, or resolves it."""


@dataclass(frozen=True, slots=True)
class IncidentId:
    """An incident's identity: while it stays open, finding it again sends no further notice."""

    kind: IncidentKind
    about: DestinationScope | AnomalyIdentity | str | None = None
    """None for `SOURCE`, `NOT_ERASED` and `MISSING_LEADS`, a version name for `ENDS`, a cause for `ANOMALY`,
    otherwise a scope.

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
