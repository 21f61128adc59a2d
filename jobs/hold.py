"""Holds a destination for which far more is due than a night usually sends, until a human agrees."""

from datetime import datetime

from connectors.records import DestinationId
from jobs.ledger import adjustments, deliveries, requests, sendables
from jobs.ledger.ledger import Ledger
from jobs.rulebook import Rulebook, Sinks
from jobs.rules.corrections import corrections_of
from jobs.rules.surge import Surge, horizon, may_be_surge, nights_before, surge


def hold_surges(
    ledger: Ledger, book: Rulebook, sinks: Sinks, *, accepted: bool, now: datetime
) -> dict[DestinationId, Surge]:
    """The destinations to which nothing new may go, and why; what is held there says so from now on.

    Corrections are held for themselves, under the destination's `corrections_of`.

    None is held where a human has `accepted` whatever is due.
    """
    found: dict[DestinationId, Surge] = {}
    with ledger.writing() as session:
        sendables.release(session, ledger.account)
        for destination in () if accepted else sinks:
            allowed = book.max_per_run.get(destination)
            conversions = {route.conversion for route in book.routes_to(destination)}
            new = deliveries.count_new(session, ledger.account, destination, conversions, now=now)
            # What was usual is counted from a month of requests, and only where there is enough to be held.
            sends = (
                requests.first_sends(session, ledger.account, destination, since=horizon(now))
                if may_be_surge(new, max_per_run=allowed)
                else ()
            )
            too_many = surge(new, nights_before(sends, book.zone, now=now), max_per_run=allowed)
            if too_many is not None:
                found[destination] = too_many
                deliveries.hold(session, ledger.account, destination, conversions, now=now)
            # Corrections are counted for themselves: those that a platform keeps refusing hold no conversion up.
            new = adjustments.count_new(session, ledger.account, destination, now=now)
            sends = (
                requests.first_corrections(session, ledger.account, destination, since=horizon(now))
                if may_be_surge(new, max_per_run=allowed)
                else ()
            )
            nights = nights_before(sends, book.zone, now=now)
            too_many = surge(new, nights, max_per_run=allowed, what="corrections")
            if too_many is not None:
                found[corrections_of(destination)] = too_many
                adjustments.hold(session, ledger.account, destination, now=now)
    return found
