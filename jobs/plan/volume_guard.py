"""Holds a destination for which far more is due than a night usually sends, until a human accepts the volume."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from connectors.records import DestinationId
from jobs.ledger import outbox, requests
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import CONVERSIONS, KINDS
from jobs.rules.adjustment import adjustments_of
from jobs.settings.compile import Rulebook, Sinks

NIGHTS = 28
"""How many nights back a destination's usual numbers are looked for."""
TIMES_THE_LARGEST = 5
WITHOUT_HISTORY = 50
"""What a night may send at least, whatever the nights before it sent."""


@dataclass(frozen=True, slots=True)
class ExcessVolume:
    """More conversions than a night may send."""

    due: int
    allowed: int
    largest: int
    """What the largest of the nights before sent."""

    what: str = "conversions"

    @property
    def sentence(self) -> str:
        """What a human is told of it, and how to agree."""
        return (
            f"{self.due} {self.what} are due and one night may send {self.allowed} (the largest of the last "
            f"{NIGHTS} nights sent {self.largest}): they are held until someone agrees by `run --accept-volume`"
        )


def excess_volume(
    due: int, nights: Iterable[int], *, max_per_run: int | None, what: str = "conversions"
) -> ExcessVolume | None:
    """The surge that so many due conversions are; None where a night may send them.

    Args:
        due: first sends whose time has come; a replay of a lost answer is none.
        nights: how many first sends each of the nights before made.
        max_per_run: what the settings allow; None leaves it to the nights before.
        what: what they are called.
    """
    largest = max(nights, default=0)
    allowed = max(WITHOUT_HISTORY, TIMES_THE_LARGEST * largest) if max_per_run is None else max_per_run
    return ExcessVolume(due, allowed, largest, what) if due > allowed else None


def may_exceed_volume(due: int, *, max_per_run: int | None) -> bool:
    """Whether so many due conversions can be a surge at all; fewer never are, whatever the nights before sent."""
    return due > (WITHOUT_HISTORY if max_per_run is None else max_per_run)


def nights_before(sends: Iterable[tuple[datetime, int]], zone: ZoneInfo, *, now: datetime) -> tuple[int, ...]:
    """What each of the last nights before today sent, from the instant and the size of every request.

    A night is a date in the account's zone. Today's own requests are left out: what a run has sent already must not
    let the next one send five times as much.
    """
    today = now.astimezone(zone).date()
    counts: Counter[int] = Counter()
    for at, count in sends:
        age = (today - at.astimezone(zone).date()).days
        if 0 < age <= NIGHTS:
            counts[age] += count
    return tuple(counts.values())


def horizon(now: datetime) -> datetime:
    """An instant before which no send matters any more."""
    return now - timedelta(days=NIGHTS + 2)


def hold_excess_volume(
    ledger: Ledger, book: Rulebook, sinks: Sinks, *, accepted: bool, now: datetime
) -> dict[DestinationId, ExcessVolume]:
    """The destinations to which nothing new may go, and why; what is held there says so from now on.

    Corrections are held for themselves, under the destination's `corrections_of`.

    None is held where a human has `accepted` whatever is due.
    """
    found: dict[DestinationId, ExcessVolume] = {}
    with ledger.writing() as session:
        outbox.release(session, ledger.account)
        for destination, kind in () if accepted else product(sinks, KINDS):
            allowed = book.max_per_run.get(destination)
            conversions = {route.conversion for route in book.routes_to(destination)}
            new = outbox.count_new(session, kind, ledger.account, destination, conversions, now=now)
            # What was usual is counted from a month of requests, and only where there is enough to be held.
            sends = (
                requests.first_sends(session, kind, ledger.account, destination, since=horizon(now))
                if may_exceed_volume(new, max_per_run=allowed)
                else ()
            )
            nights = nights_before(sends, book.zone, now=now)
            # Corrections are counted separately: those that a platform keeps refusing hold no conversion up.
            what = "conversions" if kind is CONVERSIONS else "corrections"
            too_many = excess_volume(new, nights, max_per_run=allowed, what=what)
            if too_many is not None:
                found[destination if kind is CONVERSIONS else adjustments_of(destination)] = too_many
                outbox.hold(session, kind, ledger.account, destination, conversions, now=now)
    return found
