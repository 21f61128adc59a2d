"""Puts deliveries where the platforms' answers leave them."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.records import AdjustmentKind, Outcome, OutcomeClass
from jobs.ledger import requests, sendables
from jobs.ledger.fates import Fate, after_answer
from jobs.ledger.ledger import Ledger
from jobs.ledger.tables import Adjustment, Delivery, Place, Sendable

DEFER = timedelta(hours=6)
"""How long "too recent" is waited out where the platform names no delay: Google asks for six hours."""

PATIENCE = timedelta(hours=24)
"""How long after its conversion was first sent a correction is put off."""

STOPPING = frozenset({OutcomeClass.FIX_CONFIG, OutcomeClass.BUG})
OF_ROWS = frozenset(
    {
        OutcomeClass.FIX_DATA,
        OutcomeClass.DROP,
        OutcomeClass.DROP_EXPECTED,
        OutcomeClass.EXPIRED,
        OutcomeClass.DUPLICATE,
    }
)
"""Refusals of a whole request that are about some of its rows."""


def settle(
    session: Session,
    ledger: Ledger,
    attempt: Place,
    row: Sendable,
    outcome: Outcome,
    *,
    asynchronous: bool,
    now: datetime,
) -> Fate:
    """Write down the answer to an attempt, and put its delivery where that leaves it."""
    if outcome.kind is OutcomeClass.DEFER and isinstance(row, Adjustment):
        # What a platform does not know a day after it was sent it never will.
        given_up = now - requests.first_sent(session, session.get_one(Delivery, row.delivery)) > PATIENCE
        outcome = replace(outcome, kind=OutcomeClass.DROP) if given_up else outcome
    requests.note(session, attempt, outcome)
    tried_before = row.doubtful_since is not None
    if outcome.kind is OutcomeClass.DUPLICATE and not tried_before:
        tried_before = requests.sent_before(session, row, attempt.request)
    if isinstance(row, Adjustment) and row.kind == AdjustmentKind.RETRACTION:
        # Taken back already, by whomever, is as it is wanted.
        tried_before = tried_before or outcome.kind is OutcomeClass.DUPLICATE
    fate = after_answer(outcome.kind, tried_before=tried_before, asynchronous=asynchronous)
    row.code, row.outcome = outcome.code, outcome.kind
    if fate is Fate.IN_DOUBT:
        sendables.doubt(row, attempt.request, since=requests.get(session, attempt.request).sent_at)
    else:
        row.doubtful_since = row.doubtful_request = None
    if outcome.kind is OutcomeClass.DEFER:
        row.deferred_until = now + (outcome.retry_after or DEFER)
    elif outcome.kind is OutcomeClass.RETRY and asynchronous:
        row.deferred_until = now + (outcome.retry_after or timedelta())
    sendables.move(session, ledger, row, fate, outcome.code, now=now)
    return fate
