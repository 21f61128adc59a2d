"""What a fresh decision changes about a delivery that may already stand somewhere: pure."""

from dataclasses import dataclass
from typing import assert_never

from connectors.records import OutcomeClass
from jobs.ledger.fates import Fate
from jobs.rules.decide import CallOff, Decision, Expire, NotConcerned, Send, Skip, Wait, Withhold
from jobs.rules.routing import ANOTHER_PLATFORM


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a delivery stands, and what its last settled answer was."""

    fate: Fate
    outcome: OutcomeClass | None = None
    mended: bool = False
    """Whether fresh data make it another event than the one that was refused."""
    withdrawn: bool = False
    """Whether the lead says no to the destination now."""
    gone: bool = False
    """Whether the lead is in Oplead no more."""
    was_gone: bool = False
    """Whether it was called off because the lead was."""
    closed: bool = False
    """Whether the time it could have gone out in is over."""
    told_by_others: bool = False
    """Whether a human has said that the platform has it by other means."""


def reconcile(standing: Standing | None, decision: Decision) -> Fate | None:
    """The fate a decision puts a delivery in (perhaps the one it has); None leaves the delivery alone.

    Args:
        standing: where it stands; None where there is no such delivery yet.
        decision: what should become of it now.
    """
    wanted = _wanted(decision)
    if standing is None:
        return wanted
    is_anothers = isinstance(decision, NotConcerned) and decision.reason == ANOTHER_PLATFORM
    match standing.fate:
        case Fate.SKIPPED:
            if standing.told_by_others or wanted is Fate.CANCELLED:
                return None
            # A start moved back in the settings brings it to life, or a human who has it sent.
            return Fate.SKIPPED if is_anothers else wanted
        case Fate.PENDING | Fate.WITHHELD:
            # What turns out to be another platform's is no loss of this one's: it counts no more, until it has an id.
            open_or_expired = Fate.SKIPPED if is_anothers else _still_open(wanted, closed=standing.closed)
            # What is withheld is not sent without consent either way, and may be given again.
            called_off = standing.gone or (standing.withdrawn and standing.fate is Fate.PENDING)
            return Fate.CANCELLED if called_off and open_or_expired is not Fate.EXPIRED else open_or_expired
        case Fate.REJECTED:
            mended = standing.mended and standing.outcome is OutcomeClass.FIX_DATA
            return Fate.PENDING if mended and wanted is Fate.PENDING else None
        case Fate.CANCELLED:
            # The decision was asked for entries later than the cancelled one, unless only the lead had been away.
            if wanted is Fate.PENDING:
                return Fate.PENDING
            return Fate.CANCELLED if standing.was_gone and standing.withdrawn else None
        case Fate.IN_DOUBT:
            return Fate.UNCONFIRMED if standing.withdrawn else None
        case Fate.IN_FLIGHT | Fate.SUBMITTED | Fate.ACCEPTED | Fate.EXPIRED | Fate.UNCONFIRMED:
            return None
    assert_never(standing.fate)


def reason_of(decision: Decision) -> str | None:
    """The reason a decision gives for not sending now."""
    return None if isinstance(decision, Send) else decision.reason


def _wanted(decision: Decision) -> Fate | None:
    match decision:
        case NotConcerned():
            return None
        case Skip():
            return Fate.SKIPPED
        case Withhold():
            return Fate.WITHHELD
        case Expire():
            return Fate.EXPIRED
        case CallOff():
            return Fate.CANCELLED
        case Wait() | Send():
            return Fate.PENDING
    assert_never(decision)


def _still_open(wanted: Fate | None, *, closed: bool) -> Fate:
    # Settings that no longer want an open delivery may be a slip: while there is time it is kept back, not forgotten.
    if wanted not in (None, Fate.SKIPPED):
        return wanted
    return Fate.EXPIRED if closed else Fate.WITHHELD
