"""Tells the truth about what a dead run left behind; asks no platform."""

from connectors.ports import Clock
from jobs.ledger import requests, sendables
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.request_state import RequestState

CAUSE = "the run died before an answer"


def recover(ledger: Ledger, clock: Clock) -> int:
    """Put what was in flight when a run died in doubt, and say how much that was.

    Its intent was committed and no receipt was: it may have been sent or not, so it is replayed before anything new.
    """
    now = clock.now()
    left = 0
    with ledger.writing() as session:
        for request in requests.in_state(session, ledger.account, RequestState.OPEN):
            request.state, request.message = RequestState.LOST, CAUSE
            session.add(request)
            number = requests.identity(request)
            for _, row in requests.rows(session, number):
                sendables.doubt(row, number, since=request.sent_at)
                sendables.move(session, ledger, row, Fate.IN_DOUBT, CAUSE, now=now)
                left += 1
    return left
