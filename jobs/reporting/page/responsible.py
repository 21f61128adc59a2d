"""Who can do something about what keeps a conversion from being sent, and how urgent that is."""

from collections.abc import Mapping
from typing import assert_never

from jobs.reporting.details import UNKNOWN_KIND, without_shape
from jobs.reporting.page.facts import Level, Responsible
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, Reason

RESPONSIBLE: Mapping[Reason, Responsible | None] = {
    Reason.STAGE_NOT_REACHED: None,
    Reason.WHERE_DOES_NOT_MATCH: Responsible.MARKETING,
    Reason.ANOTHER_WAY: None,
    Reason.ANOTHER_PLATFORM: None,
    Reason.SENT_ELSEWHERE: None,
    Reason.BEFORE_SINCE: None,
    Reason.BASELINE: None,
    Reason.ALREADY_SENT: None,
    Reason.UNDONE: None,
    Reason.NOT_UNDOABLE: None,
    Reason.TOO_LATE_TO_CORRECT: None,
    Reason.MAY_COME_BACK: None,
    Reason.STANDS_AGAIN: None,
    Reason.DUE: None,
    Reason.EXCESS_VOLUME: Responsible.OPERATOR,
    Reason.CLICK_TOO_RECENT: None,
    Reason.NOON_AWAITED: None,
    Reason.VALUE_AWAITED: Responsible.OPLEAD_USERS,
    Reason.RETRY: None,
    Reason.NOT_SENT: Responsible.OPERATOR,
    Reason.CONSENT_MISSING: Responsible.WEBSITE,
    Reason.CONSENT_REFUSED: None,
    Reason.CONSENT_UNKNOWN: Responsible.MARKETING,
    Reason.NO_CLICK_ID: Responsible.WEBSITE,
    Reason.NO_IDENTIFIER: Responsible.WEBSITE,
    Reason.VALUE_MISSING: Responsible.OPLEAD_USERS,
    Reason.VALUE_NEVER_SEEN: Responsible.MARKETING,
    Reason.VALUE_NOT_ESTIMATED: Responsible.MARKETING,
    Reason.VALUE_UNREADABLE: Responsible.OPLEAD_USERS,
    Reason.TIME: Responsible.OPLEAD_USERS,
    Reason.TO_BE_READ_AGAIN: Responsible.OPERATOR,
    Reason.COUNTED_ALREADY: None,
    Reason.EXCLUDED: None,
    Reason.NOT_CONFIGURED: Responsible.MARKETING,
    Reason.SENDING: None,
    Reason.RECEIVED: None,
    Reason.MAY_COUNT_TWICE: None,
    Reason.ANSWER_LOST: None,
    Reason.RUN_DIED: None,
    Reason.WINDOW_CLOSED: None,
    Reason.LEAD_DELETED: None,
    Reason.CONSENT_WITHDRAWN: None,
    Reason.FORGOTTEN: None,
    Reason.NO_ANSWER: None,
    Reason.REPLAY_COUNTS_TWICE: None,
    Reason.TOO_OLD_TO_REPLAY: None,
    Reason.DAMAGED: None,
    Reason.NO_OUTCOME: None,
    Reason.PARTLY_REFUSED: None,
    Reason.MISCOUNTED: None,
}
"""Who can mend each reason; None where nobody can, or nothing is wrong."""


def who_can_save(reason: Reason, detail: str | None) -> Responsible | None:
    """Return who can still get a held conversion sent; None if mending the cause helps later leads only.

    No form brings back a click id that it did not keep, nor an answer that it never asked for.
    """
    match reason:
        case Reason.NO_CLICK_ID | Reason.NO_IDENTIFIER:
            # The settings can say what an id without a label is.
            return Responsible.MARKETING if without_shape(detail or "") == UNKNOWN_KIND else None
        case Reason.CONSENT_MISSING:
            return None
    return RESPONSIBLE[reason]


_URGENT = (IncidentKind.SOURCE, IncidentKind.STOPPED, IncidentKind.EXPIRING, IncidentKind.NOTHING_SENT)
"""Conversions are being lost, or soon will be."""


def level_of_incident(kind: IncidentKind) -> Level:
    """Return how urgent an open incident is."""
    return Level.RED if kind in _URGENT else Level.AMBER


def who_mends_incident(incident: IncidentId) -> Responsible:
    """Return who can end an incident."""
    match incident.kind:
        case IncidentKind.REJECTED | IncidentKind.ACCEPTANCE | IncidentKind.NOTHING_SENT | IncidentKind.STOPPED:
            return Responsible.MARKETING
        case (
            IncidentKind.SOURCE
            | IncidentKind.EXPIRING
            | IncidentKind.HELD
            | IncidentKind.IN_DOUBT
            | IncidentKind.UNCONFIRMED
            | IncidentKind.NOT_ERASED
            | IncidentKind.ENDS
            | IncidentKind.UNREADABLE
        ):
            return Responsible.OPERATOR
        case IncidentKind.ANOMALY:
            about = incident.about
            return who_mends_anomaly(about) if isinstance(about, AnomalyIdentity) else Responsible.MARKETING
    assert_never(incident.kind)


def who_mends_anomaly(anomaly: AnomalyIdentity) -> Responsible:
    """Return who can end an anomaly."""
    match anomaly.kind:
        case AnomalyKind.STOPPED:
            return next((RESPONSIBLE[Reason(name)] for name in anomaly.about), None) or Responsible.MARKETING
        case AnomalyKind.WHERE | AnomalyKind.FIELD:
            return Responsible.MARKETING
        case AnomalyKind.CLICK_SHARE | AnomalyKind.CLICK_IDS_CUT | AnomalyKind.CLICK_IDS_LOWERED:
            return Responsible.WEBSITE
    assert_never(anomaly.kind)
