"""Volume guard: holds a destination when far more is due than a night usually sends, until a human accepts it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from jobs.ledger import runs
from jobs.ledger.outbox import outbox, requests
from jobs.ledger.outbox.outbox import DueFilter
from jobs.rules.reasons import DestinationScope, Message, MessageKind, Reason
from jobs.run_context import RunContext

NIGHTS = 28
"""How many nights of history define a destination's usual volume."""
TIMES_THE_LARGEST = 5
WITHOUT_HISTORY = 50
"""The allowance is never below this, whatever earlier nights sent."""


@dataclass(frozen=True, slots=True)
class ExcessVolume:
    """More first sends due than a night may send."""

    due: int
    allowed: int
    largest: int
    """The most that any earlier night sent."""
    what: str = "conversions"

    @property
    def message(self) -> Message:
        """The message for people."""
        return Message(MessageKind.EXCESS_VOLUME, {**asdict(self), "nights": NIGHTS, self.what: True})


def excess_volume(
    due: int, nights: Iterable[int], *, max_per_run: int | None, what: str = "conversions"
) -> ExcessVolume | None:
    """Return the excess if more is due than a night may send, else None.

    Args:
        due: first sends that are due; replays of lost answers don't count.
        nights: number of first sends in each earlier night.
        max_per_run: the limit from the settings; None derives one from earlier nights.
        what: what to call them in the message.
    """
    largest = max(nights, default=0)
    allowed = max(WITHOUT_HISTORY, TIMES_THE_LARGEST * largest) if max_per_run is None else max_per_run
    return ExcessVolume(due, allowed, largest, what) if due > allowed else None


def first_sends_by_night(sends: Iterable[tuple[datetime, int]], zone: ZoneInfo, *, now: datetime) -> tuple[int, ...]:
    """Return the number of first sends in each night of the last `NIGHTS`, from the time and size of every request.

    A night is a date in the account's zone. Today's requests are excluded: what one run has already sent must not let
    the next one send five times as much.
    """
    today = now.astimezone(zone).date()
    counts: Counter[int] = Counter()
    for at, count in sends:
        age = (today - at.astimezone(zone).date()).days
        if 0 < age <= NIGHTS:
            counts[age] += count
    return tuple(counts.values())


def hold_excess_volume(run: RunContext, *, now: datetime) -> dict[DestinationScope, ExcessVolume]:
    """Hold what is due in each scope that exceeds its limit, and return those scopes with the excess.

    Conversions and corrections are counted separately. Nothing is held if a human has accepted whatever is due. A
    night and the runs between nights before it may together send what one night may.
    """
    found: dict[DestinationScope, ExcessVolume] = {}
    account, book = run.ledger.account, run.book
    with run.ledger.write_transaction() as session:
        outbox.release_held(session, account)
        passes = runs.earlier_webhook_inbox_runs(session, account, run.ledger.run)
        for destination, corrections in () if run.deps.accept_volume else product(run.deps.sinks, (False, True)):
            limit = book.max_per_run.get(destination)
            conversions = (
                None if corrections else {route.conversion for route in book.routes_to_destination(destination)}
            )
            new = DueFilter(
                account=account,
                destination=destination,
                now=now,
                conversions=conversions,
                happened_after=run.held_if_sent_by(destination),
            )
            due = outbox.count_volume_guarded(session, new)
            due += requests.count_first_sends(session, destination, passes, corrections=corrections)
            if due <= (WITHOUT_HISTORY if limit is None else limit):
                # Count a month of requests only if enough is due to be held.
                continue
            since = now - timedelta(days=NIGHTS + 2)
            sends = requests.first_sends_by_request(session, account, destination, corrections=corrections, since=since)
            # Counted separately, so that corrections a platform keeps refusing don't hold up conversions.
            what = "corrections" if corrections else "conversions"
            what += " since the last night" if passes else ""
            nights = first_sends_by_night(sends, book.zone, now=now)
            excess = excess_volume(due, nights, max_per_run=limit, what=what)
            if excess is not None:
                found[DestinationScope(destination, corrections)] = excess
                outbox.hold_volume_guarded(session, new, Reason.EXCESS_VOLUME)
    return found


def hold_sent_before_restore(run: RunContext) -> int:
    """Hold what may have been sent before the state was restored, where a human decides on that; return how many."""
    with run.ledger.write_transaction() as session:
        return sum(
            outbox.hold_sent_before_restore(session, run.ledger.account, destination, restored_at)
            for destination in run.deps.sinks
            if (restored_at := run.held_if_sent_by(destination)) is not None
        )
