"""What a human is told of, from what tonight did and the nights before it: one cause each, until it clears. Pure.

A cause is found, gone, or not to be told tonight: a night on which nothing was tried says nothing of what stopped.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from statistics import median
from types import MappingProxyType
from typing import assert_never
from zoneinfo import ZoneInfo

from connectors.records import ApiVersion
from jobs.alerts.detectors import FEWEST, filtered_out_of
from jobs.ledger.incidents import Incident, IncidentAction, IncidentId, IncidentKind, IncidentRecord, NightNumbers
from jobs.ledger.queries import QualifiedConversion
from jobs.rules.model import Anomaly

NIGHTS = 14
"""What is usual is the median of so many nights before tonight."""
FEWEST_NIGHTS = 7
"""Of fewer nights nobody knows what is usual."""
UNTIL_TOMORROW = timedelta(hours=25)
"""The longest from one night to the next: whoever must be told three days before is told tonight, or too late."""
NAMED = 5
"""How many leads a notice names."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on someone is told."""

    rejected_above: Fraction = Fraction(5, 100)
    rejected_at_least: int = 5
    silent_above: int = 5
    acceptance_drop: int = 20
    """Points."""
    expires_within: timedelta = timedelta(days=3)
    ends_within: timedelta = timedelta(days=60)


# ── what is known ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DestinationHistory:
    """One destination tonight, and on the nights before on which a run took place: its conversions or corrections."""

    name: str
    """The destination's, or what its corrections are called."""
    tonight: NightNumbers = field(default_factory=NightNumbers)
    before: tuple[NightNumbers, ...] = ()
    in_doubt: int = 0
    asks_a_human: bool = False
    """Whether a human decides what becomes of lost answers."""
    rejected_leads: tuple[str, ...] = ()
    rejected_codes: tuple[str, ...] = ()
    corrects: str | None = None
    """The destination whose corrections these are; None where they are conversions."""

    @property
    def where(self) -> str:
        """The destination's own name."""
        return self.corrects or self.name

    def counted(self, count: int) -> str:
        """So many of what goes there."""
        return _counted(count, "correction" if self.corrects else "conversion")


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """One delivery that waits at a place to which nothing goes."""

    place: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NightFacts:
    """All that causes are found in."""

    now: datetime
    zone: ZoneInfo
    source_stopped: str | None = None
    was_read: bool = True
    """Whether the source gave anything; a run that only asks for outcomes does not ask it."""
    stopped: Mapping[str, str] = field(default_factory=dict)
    """Destinations, or `destination/action`, that stopped tonight, and why."""
    reached: frozenset[str] = frozenset()
    """Destinations and `destination/action`s that took something tonight."""
    places: frozenset[str] = frozenset()
    """The destinations and `destination/action`s of the settings."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Destinations to which nothing new goes until a human agrees, and what is told of each."""
    destinations: tuple[DestinationHistory, ...] = ()
    waiting: tuple[WaitingDelivery, ...] = ()
    """What is pending at the places that stopped or are held."""
    anomalies: tuple[Anomaly, ...] = ()
    begun: tuple[QualifiedConversion, ...] = ()
    """What qualified tonight."""
    let_in: frozenset[tuple[str, str]] = frozenset()
    """The conversions and destinations that ever had a delivery."""
    versions: frozenset[ApiVersion] = frozenset()


# ── causes ───────────────────────────────────────────────────────────────────────────────────────


def causes(facts: NightFacts, when: Thresholds) -> Iterator[Incident]:
    """Everything a human is needed for tonight."""
    if facts.source_stopped:
        yield Incident(
            IncidentId(IncidentKind.SOURCE),
            "Oplead cannot be read",
            f"{facts.source_stopped}\nWhat was read before is still sent; nothing new is found until this is mended. "
            "`oplead-sync check --live` says what Oplead answers.",
        )
    for place, why in facts.stopped.items():
        yield Incident(
            IncidentId(IncidentKind.STOPPED, place),
            f"{place} stopped",
            f"{why}\nNothing goes there; what is due waits, and goes out by itself once this is mended and it is still "
            "in time. `oplead-sync check --live` says what the platform knows.",
        )
    yield from _expiring(facts, when)
    for place, told in facts.held.items():
        yield Incident(
            IncidentId(IncidentKind.HELD, place),
            f"{place}: far more than usual is held",
            f"{told}.\nLook at it with `oplead-sync run --dry-run`. If it is wrong, mend the settings.",
        )
    for destination in facts.destinations:
        yield from _of_destination(destination, facts, when)
    for silence in facts.anomalies:
        yield Incident(
            IncidentId(IncidentKind.SILENCE, silence.cause),
            silence.title,
            f"{silence.sentence[:1].upper()}{silence.sentence[1:]}\n"
            "`oplead-sync status` shows where everything stands.",
        )
    for version in sorted(facts.versions, key=lambda each: each.name):
        if facts.now.astimezone(facts.zone).date() >= version.ends_on - when.ends_within:
            yield _ending(version)


def _expiring(facts: NightFacts, when: Thresholds) -> Iterator[Incident]:
    horizon = facts.now + when.expires_within + UNTIL_TOMORROW
    for place in sorted({one.place for one in facts.waiting}):
        times = sorted(one.expires_at for one in facts.waiting if one.place == place)
        soon = [at for at in times if at <= horizon]
        if not soon:
            continue
        more = f" {len(times) - len(soon)} more wait there and expire later." if len(times) > len(soon) else ""
        unless = "someone agrees by `oplead-sync run --accept-volume`" if place in facts.held else "it is mended"
        why = facts.stopped.get(place) or "more is due there than a night usually sends."
        yield Incident(
            IncidentId(IncidentKind.EXPIRING, place),
            f"{place}: {_conversions(len(soon))} will expire",
            f"{_conversions(len(soon))} at {place} expire{'s' if len(soon) == 1 else ''} by {_day(soon[-1], facts)} "
            f"unless {unless}; the first at {_time(soon[0], facts)}.{more} An expired conversion cannot be sent any "
            f"more.\nWhy nothing goes there: {why}",
        )


def _of_destination(found: DestinationHistory, facts: NightFacts, when: Thresholds) -> Iterator[Incident]:
    yield from _of_answers(found, when)
    # How many corrections a night makes, and how they fare, says nothing of the next one.
    if not found.corrects:
        yield from _of_what_is_usual(found, facts, when)


def _of_answers(found: DestinationHistory, when: Thresholds) -> Iterator[Incident]:
    tonight = found.tonight
    if found.in_doubt:
        todo = (
            "`in_doubt: ask` leaves them to you: look one up in the platform's diagnostics; to send them again, which "
            "may count twice, write `in_doubt: resend` within 48 h."
            if found.asks_a_human
            else "Nothing to do yet: the next nights send the same bytes again, three times at most."
        )
        yield Incident(
            IncidentId(IncidentKind.IN_DOUBT, found.name),
            f"{found.where}: {found.counted(found.in_doubt)} in doubt",
            f"{found.counted(found.in_doubt)} sent to {found.where}, and the answer was lost. {todo}",
        )
    if tonight.unconfirmed:
        where = "`oplead-sync explain` of its lead" if found.corrects else "`oplead-sync status`"
        yield Incident(
            IncidentId(IncidentKind.UNCONFIRMED, found.name),
            f"{found.where}: {found.counted(tonight.unconfirmed)} unconfirmed",
            f"{found.counted(tonight.unconfirmed)} sent to {found.where}, and nobody will know whether "
            f"{'it counts' if tonight.unconfirmed == 1 else 'they count'}. They are not sent again: look at the "
            f"platform's own diagnostics; {where} shows why.",
        )
    if _rejects(tonight, when):
        codes = f" ({', '.join(found.rejected_codes)})" if found.rejected_codes else ""
        named = ", ".join(found.rejected_leads[:NAMED])
        more = ", …" if len(found.rejected_leads) > NAMED else ""
        share = _percent(Fraction(tonight.rejected, tonight.settled))
        yield Incident(
            IncidentId(IncidentKind.REJECTED, found.name),
            f"{found.where} rejects {share} of {'the corrections' if found.corrects else 'what'} it settles",
            f"{tonight.rejected} of {found.counted(tonight.settled)} settled tonight were rejected{codes}.\n"
            + (f"`oplead-sync explain LEAD` says why, for lead {named}{more}." if named else "`explain` says why."),
        )


def _of_what_is_usual(found: DestinationHistory, facts: NightFacts, when: Thresholds) -> Iterator[Incident]:
    tonight = found.tonight
    usual = _usual_acceptance(found)
    if usual is not None and _has_dropped(tonight, usual, when):
        yield Incident(
            IncidentId(IncidentKind.ACCEPTANCE, found.name),
            f"{found.name} accepts fewer than usual",
            f"{tonight.accepted} of {tonight.settled} conversions settled tonight were accepted, "
            f"{_percent(tonight.acceptance)}; usual is {_percent(usual)}, the median of the last nights.\n"
            "`oplead-sync status` shows the reasons.",
        )
    sends = _usual_sends(found)
    idle = facts.source_stopped is None and not _is_off(found.name, facts)
    if tonight.sent == 0 and sends is not None and sends >= when.silent_above and idle:
        yield Incident(
            IncidentId(IncidentKind.NOTHING_SENT, found.name),
            f"{found.name}: nothing was sent tonight",
            f"Half of the last {len(found.before)} nights sent {sends:g} conversions or more to {found.name}; tonight "
            "sent none, and nothing has stopped.\nDid anyone enter statuses in Oplead? `oplead-sync status` shows what "
            "is held back, and why.",
        )


def _is_off(destination: str, facts: NightFacts) -> bool:
    """Whether something else is told that keeps conversions from a destination."""
    places = (*facts.stopped, *facts.held)
    return any(place == destination or place.startswith((f"{destination}/", f"{destination} (")) for place in places)


def _rejects(tonight: NightNumbers, when: Thresholds) -> bool:
    return tonight.rejected >= when.rejected_at_least and _is_above(tonight, when)


def _is_above(tonight: NightNumbers, when: Thresholds) -> bool:
    return tonight.rejected > when.rejected_above * tonight.settled


def _usual_sends(found: DestinationHistory) -> float | None:
    """How many a night sends; None where nobody knows."""
    return median(night.sent for night in found.before) if len(found.before) >= FEWEST_NIGHTS else None


def _usual_acceptance(found: DestinationHistory) -> Fraction | None:
    """The share that a night accepts; None where nobody knows."""
    shares = [night.acceptance for night in found.before if night.settled]
    return median(shares) if len(shares) >= FEWEST_NIGHTS else None


def _has_dropped(tonight: NightNumbers, usual: Fraction, when: Thresholds) -> bool:
    """Whether a night settled enough to tell, and accepted so many points less than usual."""
    if tonight.settled < when.rejected_at_least:
        return False
    return usual - tonight.acceptance >= Fraction(when.acceptance_drop, 100)


def _ending(version: ApiVersion) -> Incident:
    on = f"{version.ends_on:%Y-%m-%d}"
    known = f"may end from {on} on (no day is named yet; this is the earliest)" if version.is_estimate else f"ends {on}"
    return Incident(
        IncidentId(IncidentKind.ENDS, version.name),
        f"{version.name} is near its end",
        f"{version.name} {known}: {version.page}\nInstall a newer oplead-sync before that; afterwards every call is "
        "refused, and conversions wait until it is done.",
    )


# ── whether a cause has cleared ──────────────────────────────────────────────────────────────────


def is_gone(cause: IncidentId, facts: NightFacts, when: Thresholds) -> bool:
    """Whether a cause that was not found tonight is known to be over; else nothing was seen of it either way."""
    about = cause.about
    known = {each.name: each for each in facts.destinations}
    tonight = known[about].tonight if about in known else None
    match cause.kind:
        case IncidentKind.SOURCE:
            return facts.was_read
        case IncidentKind.STOPPED:
            # A way that the settings have left has no name of its own there, and ends with what was sent by it.
            return about in facts.reached or about not in facts.places
        case IncidentKind.REJECTED:
            return tonight is None or (tonight.settled > 0 and not _is_above(tonight, when))
        case IncidentKind.ACCEPTANCE:
            return tonight is None or tonight.settled >= when.rejected_at_least
        case IncidentKind.NOTHING_SENT:
            return tonight is None or tonight.sent > 0
        case IncidentKind.SILENCE:
            return _speaks_again(about, facts)
        case (
            IncidentKind.EXPIRING
            | IncidentKind.HELD
            | IncidentKind.IN_DOUBT
            | IncidentKind.UNCONFIRMED
            | IncidentKind.ENDS
        ):
            return True
    assert_never(cause.kind)


def _speaks_again(cause: str, facts: NightFacts) -> bool:
    kind, _, about = cause.partition(":")
    if kind == "stopped":
        begun = facts.begun
        hit = sum(each.reason == about for each in begun)
        return bool(begun) and (hit == 0 or (len(begun) >= FEWEST and 2 * hit < len(begun)))
    out = filtered_out_of(cause)
    return out is None or out in facts.let_in or out[1] not in facts.places


# ── what is done about it ────────────────────────────────────────────────────────────────────────


class IncidentSighting(StrEnum):
    """What tonight saw of it."""

    FOUND = "found"
    GONE = "deleted"
    UNKNOWN = "unknown"


ACTS: Mapping[tuple[IncidentRecord, IncidentSighting], IncidentAction] = MappingProxyType(
    {
        (IncidentRecord.NONE, IncidentSighting.FOUND): IncidentAction.OPEN,
        (IncidentRecord.OPEN, IncidentSighting.FOUND): IncidentAction.KEEP,
        (IncidentRecord.OPEN, IncidentSighting.UNKNOWN): IncidentAction.KEEP,
        (IncidentRecord.OPEN, IncidentSighting.GONE): IncidentAction.CLEAR,
        (IncidentRecord.CLEARED, IncidentSighting.FOUND): IncidentAction.OPEN,
        (IncidentRecord.CLEARED, IncidentSighting.UNKNOWN): IncidentAction.LEAVE,
        (IncidentRecord.CLEARED, IncidentSighting.GONE): IncidentAction.LEAVE,
    }
)


def seen(cause: IncidentId, found: Collection[IncidentId], facts: NightFacts, when: Thresholds) -> IncidentSighting:
    """What tonight saw of a cause on record."""
    if cause in found:
        return IncidentSighting.FOUND
    return IncidentSighting.GONE if is_gone(cause, facts, when) else IncidentSighting.UNKNOWN


# ── nights ───────────────────────────────────────────────────────────────────────────────────────


def nights(
    runs: Mapping[int, date], numbers: Mapping[int, NightNumbers], tonight: date
) -> tuple[NightNumbers, tuple[NightNumbers, ...]]:
    """What tonight did, and each of the nights before on which a run took place, oldest first.

    Args:
        runs: the date of every run whose date had a night, and of the present one; those of one date are one night.
        numbers: what each run did; one that did nothing may be left out.
        tonight: the present run's date.
    """
    by_date: dict[date, NightNumbers] = {}
    for run, day in sorted(runs.items()):
        if timedelta() <= tonight - day <= timedelta(days=NIGHTS):
            by_date[day] = _both(by_date.get(day, NightNumbers()), numbers.get(run, NightNumbers()))
    now = by_date.pop(tonight, NightNumbers())
    return now, tuple(by_date[day] for day in sorted(by_date))


def _both(one: NightNumbers, other: NightNumbers) -> NightNumbers:
    return NightNumbers(
        one.sent + other.sent,
        one.accepted + other.accepted,
        one.rejected + other.rejected,
        one.unconfirmed + other.unconfirmed,
    )


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _conversions(count: int) -> str:
    return _counted(count, "conversion")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _percent(share: Fraction) -> str:
    return f"{round(100 * share)} %"


def _day(at: datetime, facts: NightFacts) -> str:
    return f"{at.astimezone(facts.zone):%Y-%m-%d}"


def _time(at: datetime, facts: NightFacts) -> str:
    return f"{at.astimezone(facts.zone):%Y-%m-%d %H:%M}"
