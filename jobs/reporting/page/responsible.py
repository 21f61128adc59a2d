"""Who can do something about what keeps a conversion from being sent, and how urgent that is."""

from collections.abc import Mapping
from typing import assert_never

from jobs.reporting.page.facts import Level, ResponsibleParty
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, MessageKind, Reason

RESPONSIBLE: Mapping[Reason, ResponsibleParty | None] = {
    Reason.STAGE_NOT_REACHED: None,
    Reason.WHERE_DOES_NOT_MATCH: ResponsibleParty.MARKETING,
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
    Reason.EXCESS_VOLUME: ResponsibleParty.OPERATOR,
    Reason.AFTER_RESTORE: ResponsibleParty.OPERATOR,
    Reason.SENT_BEFORE_RESTORE: None,
    Reason.IDS_CHANGED: ResponsibleParty.OPERATOR,
    Reason.CLICK_TOO_RECENT: None,
    Reason.NOON_AWAITED: None,
    Reason.VALUE_AWAITED: ResponsibleParty.OPLEAD_USERS,
    Reason.RETRY: None,
    Reason.NOT_SENT: ResponsibleParty.OPERATOR,
    Reason.NOT_ENCODED: ResponsibleParty.OPERATOR,
    Reason.CONSENT_MISSING: ResponsibleParty.WEBSITE,
    Reason.CONSENT_REFUSED: None,
    Reason.CONSENT_UNKNOWN: ResponsibleParty.MARKETING,
    Reason.NO_CLICK_ID: ResponsibleParty.WEBSITE,
    Reason.BARE_CLICK_ID: ResponsibleParty.MARKETING,
    Reason.NO_IDENTIFIER: ResponsibleParty.WEBSITE,
    Reason.VALUE_MISSING: ResponsibleParty.OPLEAD_USERS,
    Reason.VALUE_NEVER_SEEN: ResponsibleParty.MARKETING,
    Reason.VALUE_NOT_ESTIMATED: ResponsibleParty.MARKETING,
    Reason.VALUE_UNREADABLE: ResponsibleParty.OPLEAD_USERS,
    Reason.TIME: ResponsibleParty.OPLEAD_USERS,
    Reason.TO_BE_READ_AGAIN: ResponsibleParty.OPERATOR,
    Reason.COUNTED_ALREADY: None,
    Reason.POSSIBLE_TWIN: ResponsibleParty.OPERATOR,
    Reason.REUSED_ID: ResponsibleParty.OPERATOR,
    Reason.EXCLUDED: None,
    Reason.NOT_CONFIGURED: ResponsibleParty.MARKETING,
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


def who_can_unblock_conversion(reason: Reason) -> ResponsibleParty | None:
    """Return who can still get a held conversion sent; None if mending the cause helps later leads only.

    No form brings back a click id that it did not keep, nor an answer that it never asked for.
    """
    is_lost = reason in (Reason.NO_CLICK_ID, Reason.NO_IDENTIFIER, Reason.CONSENT_MISSING)
    return None if is_lost else RESPONSIBLE[reason]


_URGENT = (IncidentKind.SOURCE, IncidentKind.STOPPED, IncidentKind.EXPIRING, IncidentKind.NOTHING_SENT)
"""Conversions are being lost, or soon will be."""


def level_of_incident(kind: IncidentKind) -> Level:
    """Return how urgent an open incident is."""
    return Level.RED if kind in _URGENT else Level.AMBER


_FINDINGS = {
    MessageKind.UNREADABLE: ResponsibleParty.OPLEAD_USERS,
    MessageKind.UNKNOWN_STATUSES: ResponsibleParty.MARKETING,
    MessageKind.RENAMED_WITHIN_STAGE: ResponsibleParty.MARKETING,
    MessageKind.RENAMED_TO_KNOWN: ResponsibleParty.MARKETING,
    MessageKind.RENAMED_TO_UNKNOWN: ResponsibleParty.MARKETING,
    MessageKind.RENAMED_BETWEEN_UNKNOWN: ResponsibleParty.MARKETING,
}


def who_mends_incident(incident: IncidentId) -> ResponsibleParty:
    """Return who can end an incident."""
    match incident.kind:
        case IncidentKind.REJECTED | IncidentKind.ACCEPTANCE | IncidentKind.NOTHING_SENT | IncidentKind.STOPPED:
            return ResponsibleParty.MARKETING
        case (
            IncidentKind.SOURCE
            | IncidentKind.EXPIRING
            | IncidentKind.HELD
            | IncidentKind.IN_DOUBT
            | IncidentKind.UNCONFIRMED
            | IncidentKind.STATUS_MISSING
            | IncidentKind.NOT_ERASED
            | IncidentKind.ENDS
            | IncidentKind.UNREADABLE
        ):
            return ResponsibleParty.OPERATOR
        case IncidentKind.FINDING:
            return _FINDINGS.get(MessageKind(str(incident.about).partition(":")[0]), ResponsibleParty.OPERATOR)
        case IncidentKind.ANOMALY:
            about = incident.about
            return who_mends_anomaly(about) if isinstance(about, AnomalyIdentity) else ResponsibleParty.MARKETING
    assert_never(incident.kind)


def who_mends_anomaly(anomaly: AnomalyIdentity) -> ResponsibleParty:
    """Return who can end an anomaly."""
    match anomaly.kind:
        case AnomalyKind.STOPPED:
            return next((RESPONSIBLE[Reason(name)] for name in anomaly.about), None) or ResponsibleParty.MARKETING
        case AnomalyKind.WHERE | AnomalyKind.FIELD:
            return ResponsibleParty.MARKETING
        case AnomalyKind.CLICK_SHARE | AnomalyKind.CLICK_IDS_CUT | AnomalyKind.CLICK_IDS_LOWERED:
            return ResponsibleParty.WEBSITE
    assert_never(anomaly.kind)
