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

LONGEST_DELAY = timedelta(days=7)
"""A platform that asks for more is not believed: what waited so long would be too late by then."""

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


def in_time(session: Session, row: Sendable, outcome: Outcome, *, now: datetime) -> Outcome:
    """The answer as it counts: what a platform still does not find long after it was sent, it never will."""
    if outcome.final_after is None or not isinstance(row, Adjustment):
        return outcome
    sent = requests.last_sent(session, session.get_one(Delivery, row.delivery))
    is_final = sent is None or now - sent > outcome.final_after
    return replace(outcome, kind=OutcomeClass.DROP, retry_after=None) if is_final else outcome


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
        row.deferred_until = now + min(outcome.retry_after or DEFER, LONGEST_DELAY)
    elif outcome.kind is OutcomeClass.RETRY and asynchronous:
        row.deferred_until = now + min(outcome.retry_after or timedelta(), LONGEST_DELAY)
    sendables.move(session, ledger, row, fate, outcome.code, now=now)
    return fate
