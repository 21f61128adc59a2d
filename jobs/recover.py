"""Tells the truth about what a dead run left behind; asks no platform."""

from sqlmodel import Session

from connectors.ports import Clock
from jobs.ledger import deliveries, requests
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger


def recover(ledger: Ledger, clock: Clock) -> int:
    """Put what was in flight when a run died in doubt, and say how much that was.

    Its intent was committed and no receipt was: it may have been sent or not, so it is replayed before anything new.
    """
    now = clock.now()
    with ledger.writing() as session:
        left = deliveries.by_fate(session, ledger.account, Fate.IN_FLIGHT)
        for row in left:
            row.doubtful_since = row.doubtful_since or now
            deliveries.move(session, ledger, row, Fate.IN_DOUBT, "the run died before an answer", now=now)
        _close_requests(session, ledger)
    return len(left)


def _close_requests(session: Session, ledger: Ledger) -> None:
    for request in requests.in_state(session, ledger.account, requests.RequestState.OPEN):
        request.state, request.message = requests.RequestState.LOST, "the run died before an answer"
        session.add(request)
