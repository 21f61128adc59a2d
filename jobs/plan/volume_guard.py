"""Holds a destination for which far more is due than a night usually sends, until a human accepts the volume."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from jobs.ledger import outbox, requests
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import CONVERSIONS, CORRECTIONS, KINDS
from jobs.rules.reasons import Message, MessageId, Scope
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
    def message(self) -> Message:
        """What a person is told of it."""
        return Message(MessageId.EXCESS_VOLUME, {**asdict(self), "nights": NIGHTS})


def excess_volume(
    due: int, nights: Iterable[int], *, max_per_run: int | None, what: str = "conversions"
) -> ExcessVolume | None:
    """By how much so many due conversions exceed what a night may send; None where it may send them.

    Args:
        due: first sends whose time has come; a replay of a lost answer is none.
        nights: how many first sends each of the nights before made.
        max_per_run: what the settings allow; None leaves it to the nights before.
        what: what they are called.
    """
    largest = max(nights, default=0)
    allowed = max(WITHOUT_HISTORY, TIMES_THE_LARGEST * largest) if max_per_run is None else max_per_run
    return ExcessVolume(due, allowed, largest, what) if due > allowed else None


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


def hold_excess_volume(
    ledger: Ledger, book: Rulebook, sinks: Sinks, *, accepted: bool, now: datetime
) -> dict[Scope, ExcessVolume]:
    """Where nothing new may go, conversions and corrections apart, and why; what is held there says so from now on.

    None is held where a human has `accepted` whatever is due.
    """
    found: dict[Scope, ExcessVolume] = {}
    with ledger.writing() as session:
        outbox.release(session, ledger.account)
        for destination, kind in () if accepted else product(sinks, KINDS):
            limit = book.max_per_run.get(destination)
            conversions = {route.conversion for route in book.routes_to(destination)}
            due = outbox.count_new(session, kind, ledger.account, destination, conversions, now=now)
            if due <= (WITHOUT_HISTORY if limit is None else limit):
                # A month of requests is counted only where there is enough to be held.
                continue
            since = now - timedelta(days=NIGHTS + 2)
            sends = requests.first_sends(session, kind, ledger.account, destination, since=since)
            # Corrections are counted separately: those that a platform keeps refusing hold no conversion up.
            what = "conversions" if kind is CONVERSIONS else "corrections"
            nights = nights_before(sends, book.zone, now=now)
            excess = excess_volume(due, nights, max_per_run=limit, what=what)
            if excess is not None:
                found[Scope(destination, kind is CORRECTIONS)] = excess
                outbox.hold(session, kind, ledger.account, destination, conversions, now=now)
    return found
