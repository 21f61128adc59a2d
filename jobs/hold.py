"""Holds a destination for which far more is due than a night usually sends, until a human agrees."""

from datetime import datetime

from connectors.records import DestinationId
from jobs.ledger import adjustments, deliveries, requests
from jobs.ledger.ledger import Ledger
from jobs.rulebook import Rulebook, Sinks
from jobs.rules.surge import Surge, horizon, nights_before, surge


def hold_surges(
    ledger: Ledger, book: Rulebook, sinks: Sinks, *, accepted: bool, now: datetime
) -> dict[DestinationId, Surge]:
    """The destinations to which nothing new may go, and why; what is held there says so from now on.

    None is held where a human has `accepted` whatever is due.
    """
    found: dict[DestinationId, Surge] = {}
    with ledger.writing() as session:
        deliveries.release(session, ledger.account)
        adjustments.release(session, ledger.account)
        for destination in () if accepted else sinks:
            conversions = {route.conversion for route in book.routes_to(destination)}
            new = deliveries.count_new(session, ledger.account, destination, conversions, now=now)
            new += adjustments.count_due(session, ledger.account, destination, now=now)
            sends = requests.first_sends(session, ledger.account, destination, since=horizon(now))
            nights = nights_before(sends, book.zone, now=now)
            too_many = surge(new, nights, max_per_run=book.max_per_run.get(destination))
            if too_many is not None:
                found[destination] = too_many
                deliveries.hold(session, ledger.account, destination, conversions, now=now)
                adjustments.hold(session, ledger.account, destination, now=now)
    return found
