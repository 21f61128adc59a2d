"""Asks for outcomes that come later; recovers what a dead run left in flight, without asking anybody."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient
from connectors.http import CancelToken
from connectors.ports import Clock
from connectors.records import (
    Answered,
    DestinationId,
    Forgotten,
    Miscounted,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    Resolution,
    StillPending,
)
from jobs.cancellation import go_on
from jobs.deliver.receipt import STOPPING, in_time, settle
from jobs.deliver.receipt import words as said
from jobs.ledger import outbox, requests
from jobs.ledger.requests import RequestState
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import OutboxRow, Place, Request, identity
from jobs.rules.delivery_state import DeliveryState
from jobs.settings.compile import Rulebook, Sinks

GIVE_UP_AFTER = timedelta(days=45)
"""Google keeps a request's status about 50 days; before that ends, nobody will know any more."""


@dataclass(slots=True)
class Resolved:
    """What asking changed."""

    asked: int = 0
    pending: int = 0
    moved: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, state, platform's code."""
    stopped: dict[str, str] = field(default_factory=dict)
    unexpected: int = 0
    unconfirmed: list[str] = field(default_factory=list)
    """What a human should look up with the platform."""


def resolve(
    ledger: Ledger, book: Rulebook, sinks: Sinks, clock: Clock, done: Resolved, *, cancel_token: CancelToken = go_on
) -> None:
    """Ask about every received request whose time has come, and settle what is answered; `done` counts it."""
    done.pending = 0
    with ledger.reading() as session:
        waiting = requests.in_state(session, ledger.account, RequestState.RECEIVED)
    for request in waiting:
        now = clock.now()
        if request.resolve_after is not None and now < request.resolve_after:
            done.pending += 1
            continue
        cancel_token()
        resolution = _ask(book, sinks, request, done)
        if isinstance(resolution, StillPending) and request.destination in sinks.keys() - done.stopped.keys():
            done.pending += 1
        if isinstance(resolution, StillPending) and now - request.sent_at > GIVE_UP_AFTER:
            resolution = Forgotten(f"no outcome in {GIVE_UP_AFTER.days} days")
        with ledger.writing() as session:
            _Settling(session, ledger, now, done).settle(identity(request), resolution)
    with ledger.writing() as session:
        _Settling(session, ledger, clock.now(), done).give_up_doubts()


def _ask(book: Rulebook, sinks: Sinks, request: Request, done: Resolved) -> Resolution:
    """What the platform says of a request; still pending where it cannot be asked."""
    destination = DestinationId(request.destination)
    sink, way = sinks.get(destination), book.way(destination, request.transport, request.owner)
    if sink is None or way in done.stopped:
        return StillPending()
    done.asked += 1
    try:
        return sink.resolve(request.ticket or "", rows=request.rows)
    except Misconfigured as error:
        done.stopped[way] = str(error)
    except Transient:
        pass
    return StillPending()


@dataclass(frozen=True, slots=True)
class _Settling:
    """One transaction in which outcomes become states."""

    session: Session
    ledger: Ledger
    now: datetime
    done: Resolved

    def settle(self, number: int, resolution: Resolution) -> None:
        """Put every delivery of a request where the resolution leaves it."""
        request = requests.get(self.session, number)
        rows = requests.rows(self.session, number)
        match resolution:
            case StillPending():
                pass
            case Answered():
                request.state = RequestState.SETTLED
                for (attempt, row), outcome in zip(rows, resolution.outcomes, strict=True):
                    self._answered(attempt, row, outcome)
            case PartlyRefused():
                words = f"{resolution.refused} of {resolution.total} refused: {', '.join(resolution.codes)}"
                self._unconfirmed(request, [row for _, row in rows], words)
            case Miscounted():
                words = f"the platform counted {resolution.counted} of {resolution.total}"
                self._unconfirmed(request, [row for _, row in rows], words)
            case Forgotten():
                self._unconfirmed(request, [row for _, row in rows], resolution.code)
            case _:
                assert_never(resolution)
        self.session.add(request)

    def give_up_doubts(self) -> None:
        """A lost answer nobody could ask for again in all that time, say of a removed destination, stays unknown."""
        for row in outbox.in_doubt_before(self.session, self.ledger.account, self.now - GIVE_UP_AFTER):
            self._give_up(row, f"no answer in {GIVE_UP_AFTER.days} days")

    def _answered(self, attempt: Place, row: OutboxRow, outcome: Outcome) -> None:
        outcome = in_time(self.session, row, outcome, now=self.now)
        state = settle(self.session, self.ledger, attempt, row, outcome, asynchronous=True, now=self.now)
        self._count(row, outcome.code)
        self.done.unexpected += state is DeliveryState.REJECTED and outcome.kind is not OutcomeClass.DROP_EXPECTED
        if outcome.kind in STOPPING:
            name = f"{row.destination}/{row.action}" if outcome.of_target else row.destination
            self.done.stopped[name] = said(outcome)

    def _unconfirmed(self, request: Request, rows: list[OutboxRow], words: str) -> None:
        """Nothing is called accepted without evidence: rows nobody speaks for stay unconfirmed."""
        request.state, request.message = RequestState.UNRESOLVED, words
        self.done.unconfirmed.append(f"{request.destination}, request {request.ticket}: {words}")
        for row in rows:
            self._give_up(row, words)

    def _give_up(self, row: OutboxRow, words: str) -> None:
        row.code, row.in_doubt_since, row.in_doubt_request = words, None, None
        outbox.move(self.session, self.ledger, row, DeliveryState.UNCONFIRMED, words, now=self.now)
        self._count(row, words)

    def _count(self, row: OutboxRow, code: str) -> None:
        self.done.moved[row.conversion, row.destination, row.state, code] += 1


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
            number = identity(request)
            for _, row in requests.rows(session, number):
                outbox.mark_in_doubt(row, number, since=request.sent_at)
                outbox.move(session, ledger, row, DeliveryState.IN_DOUBT, CAUSE, now=now)
                left += 1
    return left
