"""Finds a night's incidents, and decides which of those on record have cleared. Pure.

An incident is found, cleared or unknown: a night that tried nothing gives no evidence about what had stopped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from statistics import median
from typing import assert_never
from zoneinfo import ZoneInfo

from connectors.records import ApiVersion
from jobs.alerts.review import FEWEST
from jobs.ledger.nights import NightNumbers
from jobs.ledger.report.queries import QualifiedConversion
from jobs.plan.twin_guard import ChangedIds, ReusedIds
from jobs.plan.volume_guard import ExcessVolume
from jobs.rules.incident import Incident, IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope, Message, MessageKind
from jobs.run_context import RunReadingScope
from jobs.run_summary import RunSummary
from jobs.settings.schema import NotificationThresholds

NIGHTS = 14
"""Number of nights before tonight whose median counts as usual."""
FEWEST_NIGHTS = 7
"""With fewer nights, there is no usual value."""
UNTIL_TOMORROW = timedelta(hours=25)
"""Longest time between nights, added to `expires_within`: a notice left for tomorrow would come too late."""


# ── what is known ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DestinationHistory:
    """The numbers of a destination's conversions or corrections: tonight's, and those of earlier nights with a run."""

    scope: DestinationScope
    tonight: NightNumbers = field(default_factory=NightNumbers)
    before: tuple[NightNumbers, ...] = ()
    that_weekday: tuple[NightNumbers, ...] = ()
    """Those of them on the same day of the week."""
    in_doubt: Mapping[str, object] = field(default_factory=dict)
    """What is known of deliveries in doubt; empty if there are none."""
    asks_a_human: bool = False
    """Whether a human decides what happens after a lost answer."""
    rejected_leads: tuple[str, ...] = ()
    rejected_codes: tuple[str, ...] = ()
    is_to_correct: bool = False
    """Whether a human can change one of the rejections."""

    @property
    def usual_sends(self) -> float | None:
        """Return how many a night like this one usually sends; None if there are too few nights.

        On some days of the week, nobody enters anything: no more is usual than the most of any night on the same day.
        """
        if len(self.before) < FEWEST_NIGHTS:
            return None
        usual = median(night.sent for night in self.before)
        return min(usual, max((night.sent for night in self.that_weekday), default=usual))

    @property
    def usual_acceptance(self) -> Fraction | None:
        """Return the share usually accepted; None if there are too few nights."""
        shares = [night.acceptance_rate for night in self.before if night.settled_count]
        return median(shares) if len(shares) >= FEWEST_NIGHTS else None


@dataclass(frozen=True, slots=True)
class NightFacts:
    """Everything that incidents are derived from."""

    now: datetime
    zone: ZoneInfo
    summary: RunSummary
    reached: frozenset[DestinationScope] = frozenset()
    """Scopes whose platform received or accepted something tonight."""
    configured: frozenset[DestinationScope] = frozenset()
    """The configured destinations and their actions."""
    destinations: tuple[DestinationHistory, ...] = ()
    waiting: Mapping[DestinationScope, Sequence[datetime]] = field(default_factory=dict)
    """When each delivery that waits in a stopped or held scope expires."""
    begun: tuple[QualifiedConversion, ...] = ()
    let_in: frozenset[tuple[str, str]] = frozenset()
    """The conversions and destinations that ever had a delivery."""
    versions: frozenset[ApiVersion] = frozenset()


# ── causes ───────────────────────────────────────────────────────────────────────────────────────


def detect_incidents(facts: NightFacts, when: NotificationThresholds) -> Iterator[Incident]:
    """Yield every incident that needs a human tonight."""
    summary = facts.summary
    if summary.source_stopped:
        yield Incident(IncidentId(IncidentKind.SOURCE), {"why": summary.source_stopped})
    yield from _find_blocked_scopes(summary)
    yield from _expiring(facts, when)
    for found in facts.destinations:
        yield from _find_outcome_incidents(found, when)
        # The number of corrections in a night, and how they fare, predict nothing about the next night.
        if not found.scope.corrections:
            yield from _find_unusual_night_numbers(found, facts, when)
    for anomaly in summary.review.anomalies:
        yield Incident(IncidentId(IncidentKind.ANOMALY, anomaly.cause), {"anomaly": anomaly.message})
    yield from map(_finding_incident, summary.findings)
    if summary.erased.problem:
        yield Incident(IncidentId(IncidentKind.NOT_ERASED), {"why": summary.erased.problem})
    for version in sorted(facts.versions, key=lambda each: each.name):
        if facts.now.astimezone(facts.zone).date() >= version.ends_on - when.ends_within:
            values = {"on": version.ends_on, "is_estimate": version.is_estimate, "page": version.page}
            yield Incident(IncidentId(IncidentKind.ENDS, version.name), values)


def _find_blocked_scopes(summary: RunSummary) -> Iterator[Incident]:
    for scope, stop in summary.stopped_scopes.items():
        yield Incident(IncidentId(IncidentKind.STOPPED, scope), {"why": stop})
    for scope, known in summary.missing_statuses.items():
        yield Incident(IncidentId(IncidentKind.STATUS_MISSING, scope), known)
    for scope, excess in summary.held.items():
        yield Incident(IncidentId(IncidentKind.HELD, scope), {"why": excess.message, "ids": not _is_excess(excess)})


def _finding_incident(finding: Message) -> Incident:
    # Two statuses may be renamed in one night. Leads that are named stand where `forget` finds them.
    after, leads = finding.values.get("after"), finding.values.get("leads")
    named = {"leads": leads} if isinstance(leads, tuple) else {}
    identity = IncidentId(IncidentKind.FINDING, f"{finding.id}:{after}" if after else str(finding.id))
    return Incident(identity, {"finding": finding.without_leads, **named})


def _expiring(facts: NightFacts, when: NotificationThresholds) -> Iterator[Incident]:
    horizon = facts.now + when.expires_within + UNTIL_TOMORROW
    held, stopped = facts.summary.held, facts.summary.stopped_scopes
    for scope, expirations in sorted(facts.waiting.items()):
        times = sorted(at.astimezone(facts.zone) for at in expirations)
        soon = [at for at in times if at <= horizon]
        if soon:
            values = {
                "soon": len(soon),
                "later": len(times) - len(soon),
                "first": soon[0],
                "last": soon[-1].date(),
                "held": _is_excess(held.get(scope)),
                "why": stopped.get(scope) or held[scope].message,
            }
            yield Incident(IncidentId(IncidentKind.EXPIRING, scope), values)


def _is_excess(held: ExcessVolume | ChangedIds | ReusedIds | None) -> bool:
    """Whether a scope is held by the volume guard."""
    return isinstance(held, ExcessVolume)


def _find_outcome_incidents(found: DestinationHistory, when: NotificationThresholds) -> Iterator[Incident]:
    tonight = found.tonight
    if found.in_doubt:
        values: Mapping[str, object] = {**found.in_doubt, "asks": found.asks_a_human}
        yield Incident(IncidentId(IncidentKind.IN_DOUBT, found.scope), values)
    if tonight.unconfirmed:
        yield Incident(IncidentId(IncidentKind.UNCONFIRMED, found.scope), {"count": tonight.unconfirmed})
    are_many = tonight.rejected >= when.rejected_at_least and _is_above(tonight, when)
    if tonight.rejected and (found.is_to_correct or are_many):
        values = {
            "rejected": tonight.rejected,
            "settled": tonight.settled_count,
            "share": Fraction(tonight.rejected, tonight.settled_count),
            "codes": found.rejected_codes,
            "leads": found.rejected_leads,
        }
        yield Incident(IncidentId(IncidentKind.REJECTED, found.scope), values)


def _find_unusual_night_numbers(
    found: DestinationHistory, facts: NightFacts, when: NotificationThresholds
) -> Iterator[Incident]:
    tonight, acceptance, sends = found.tonight, found.usual_acceptance, found.usual_sends
    is_enough, drop = tonight.settled_count >= when.rejected_at_least, Fraction(when.acceptance_drop, 100)
    if acceptance is not None and is_enough and acceptance - tonight.acceptance_rate >= drop:
        values: Mapping[str, object] = {
            "accepted": tonight.accepted,
            "settled": tonight.settled_count,
            "share": tonight.acceptance_rate,
            "usual": acceptance,
        }
        yield Incident(IncidentId(IncidentKind.ACCEPTANCE, found.scope), values)
    summary = facts.summary
    nothing_stops = summary.source_stopped is None and not any(
        scope.destination == found.scope.destination and not scope.corrections
        for scope in (*summary.stopped_scopes, *summary.held)
    )
    # Between nights, few leads are looked at: only a night shows silence.
    is_night = summary.reading is not RunReadingScope.WEBHOOKS
    if tonight.sent == 0 and sends is not None and sends >= when.silent_above and nothing_stops and is_night:
        values = {"nights": len(found.before), "sends": float(sends)}
        yield Incident(IncidentId(IncidentKind.NOTHING_SENT, found.scope), values)


def _is_above(tonight: NightNumbers, when: NotificationThresholds) -> bool:
    return tonight.rejected > when.max_rejected_share * tonight.settled_count


# ── whether one has cleared ──────────────────────────────────────────────────────────────────────


def is_incident_over(cause: IncidentId, facts: NightFacts, when: NotificationThresholds) -> bool:
    """Return whether an incident not found tonight is known to be over; False if there is no evidence either way."""
    tonight = next((each.tonight for each in facts.destinations if each.scope == cause.about), None)
    match cause.kind:
        case IncidentKind.SOURCE:
            return facts.summary.pulled.pages > 0  # a run that only asks for outcomes reads none
        case IncidentKind.STOPPED:
            # A former owner and transport aren't configured: their stop ends when nothing sent that way is left open.
            return cause.about in facts.reached or cause.about not in facts.configured
        case IncidentKind.REJECTED:
            return tonight is None or (tonight.settled_count > 0 and not _is_above(tonight, when))
        case IncidentKind.ACCEPTANCE:
            return tonight is None or tonight.settled_count >= when.rejected_at_least
        case IncidentKind.NOTHING_SENT:
            return tonight is None or tonight.sent > 0
        case IncidentKind.NOT_ERASED:
            return facts.summary.reading is RunReadingScope.EVERYTHING  # only a night erases
        case IncidentKind.FINDING | IncidentKind.ANOMALY:
            return _has_finding_cleared(cause.about, facts)
        case (
            IncidentKind.EXPIRING
            | IncidentKind.HELD
            | IncidentKind.IN_DOUBT
            | IncidentKind.UNCONFIRMED
            | IncidentKind.STATUS_MISSING
            | IncidentKind.ENDS
        ):
            return True
        case IncidentKind.UNREADABLE:
            return False
    assert_never(cause.kind)


_MISSING_LEADS = frozenset(
    {
        MessageKind.FEWER_LEADS,
        MessageKind.SUSPICIOUSLY_MISSING,
        MessageKind.NO_DETAIL_PAGES,
        MessageKind.UNREAD,
    }
)
"""Findings that only a night which read to the end knows to be over."""


def _has_finding_cleared(cause: object, facts: NightFacts) -> bool:
    if cause == MessageKind.UNKNOWN_WEBHOOKS:
        return facts.summary.source_stopped is None and facts.summary.pulled.webhooks.is_all_understood
    if isinstance(cause, str):
        is_night = facts.summary.reading is RunReadingScope.EVERYTHING and facts.summary.source_stopped is None
        return is_night and (cause not in _MISSING_LEADS or facts.summary.pulled.complete)
    if facts.summary.reading is RunReadingScope.WEBHOOKS:
        return False  # it looks for none
    if not isinstance(cause, AnomalyIdentity):
        return True
    if cause.kind is AnomalyKind.STOPPED:
        begun = facts.begun
        hit = sum((each.reason,) == cause.about for each in begun)
        return bool(begun) and (hit == 0 or (len(begun) >= FEWEST and 2 * hit < len(begun)))
    if cause.kind is AnomalyKind.WHERE:
        conversion, destination = cause.about
        is_configured = any(scope.destination == destination for scope in facts.configured)
        return (conversion, destination) in facts.let_in or not is_configured
    return True


# ── nights ───────────────────────────────────────────────────────────────────────────────────────


def numbers_by_night(
    runs: Mapping[int, date], numbers: Mapping[int, NightNumbers], tonight: date
) -> tuple[NightNumbers, tuple[NightNumbers, ...], tuple[NightNumbers, ...]]:
    """Return tonight's numbers, those of each earlier night with a run, oldest first, and those on the same weekday.

    Args:
        runs: the date of each run on a date that had a night, including this run; runs of one date form one night.
        numbers: each run's numbers; runs that did nothing may be omitted.
        tonight: this run's date.
    """
    by_date: dict[date, NightNumbers] = {}
    for run, day in sorted(runs.items()):
        if timedelta() <= tonight - day <= timedelta(days=NIGHTS):
            by_date[day] = by_date.get(day, NightNumbers()) + numbers.get(run, NightNumbers())
    now = by_date.pop(tonight, NightNumbers())
    days = sorted(by_date)
    same = [day for day in days if day.weekday() == tonight.weekday()]
    return now, tuple(by_date[day] for day in days), tuple(by_date[day] for day in same)
