"""Commits what came back of a request, row by row, and says what to do next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from sqlmodel import Session

from connectors.records import (
    AdjustmentKind,
    Answered,
    Limits,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
)
from jobs.deliver.bisect import MANY, CircuitBreaker, Suspect, bisect
from jobs.ledger import outbox, requests
from jobs.ledger.requests import Intent, RequestState
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, OutboxRow, Place, Request, identity
from jobs.rules.delivery_state import DeliveryState, after_answer
from jobs.rules.reasons import Cause, PlatformCode, Reason, Scope, Stop, StopKind

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

Rows = list[tuple[Place, OutboxRow]]
ARRIVED = frozenset({OutcomeClass.DONE, OutcomeClass.DUPLICATE})
"""Answers that show that rows of ours can pass."""
BLAMING = frozenset({OutcomeClass.FIX_DATA, OutcomeClass.DROP})
"""Answers that reject a row though nobody expected it: at fault only where others pass."""


@dataclass(slots=True)
class Progress:
    """What sending, or asking for outcomes, changed."""

    moved: Counter[tuple[str, str, str, Cause]] = field(default_factory=Counter)
    """Conversion, destination, state, and why."""
    stopped: dict[Scope, Stop] = field(default_factory=dict)
    """What a human must mend, and why."""
    unexpected: int = 0
    """Rejections nobody expected: they need a look."""

    def count(self, row: OutboxRow, cause: Cause) -> None:
        """Count where a delivery went, and why."""
        self.moved[row.conversion, row.destination, row.state, cause] += 1


@dataclass(slots=True)
class Delivered(Progress):
    """What sending changed."""

    requests: int = 0
    sent: int = 0
    """Deliveries that reached a platform: taken in, or answered for good."""
    silent: list[Scope] = field(default_factory=list)
    """What stopped and only did not answer."""
    warnings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction in which rows move, and are counted."""

    session: Session
    ledger: Ledger
    now: datetime
    done: Progress

    def move(self, row: OutboxRow, to: DeliveryState, cause: Cause, detail: str | None = None) -> None:
        """Move a row and count it."""
        outbox.move(self.session, self.ledger, row, to, cause, detail=detail, now=self.now)
        self.done.count(row, cause)

    def in_time(self, row: OutboxRow, outcome: Outcome) -> Outcome:
        """The answer as it counts: what a platform still does not find long after it was sent, it never will."""
        if outcome.final_after is None or not isinstance(row, Adjustment):
            return outcome
        sent = requests.last_sent(self.session, self.session.get_one(Delivery, row.delivery))
        is_final = sent is None or self.now - sent > outcome.final_after
        return replace(outcome, kind=OutcomeClass.DROP, retry_after=None) if is_final else outcome

    def settle(self, attempt: Place, row: OutboxRow, outcome: Outcome, *, asynchronous: bool) -> None:
        """Write down the answer to an attempt, and put its row where that leaves it."""
        requests.note(self.session, attempt, outcome)
        tried_before = row.in_doubt_since is not None
        if outcome.kind is OutcomeClass.DUPLICATE and not tried_before:
            # A conversion that is retracted already, by whomever, is as it is wanted.
            is_retraction = isinstance(row, Adjustment) and row.kind == AdjustmentKind.RETRACTION
            tried_before = is_retraction or requests.sent_before(self.session, row, attempt.request)
        state = after_answer(outcome.kind, tried_before=tried_before, asynchronous=asynchronous)
        row.outcome = outcome.kind
        if state is DeliveryState.IN_DOUBT:
            outbox.mark_in_doubt(row, attempt.request, since=requests.get(self.session, attempt.request).sent_at)
        else:
            row.in_doubt_since = row.in_doubt_request = None
        if outcome.kind is OutcomeClass.DEFER:
            row.deferred_until = self.now + min(outcome.retry_after or DEFER, LONGEST_DELAY)
        elif outcome.kind is OutcomeClass.RETRY and asynchronous:
            row.deferred_until = self.now + min(outcome.retry_after or timedelta(), LONGEST_DELAY)
        self.move(row, state, PlatformCode(outcome.code))
        self.done.unexpected += state is DeliveryState.REJECTED and outcome.kind is not OutcomeClass.DROP_EXPECTED


@dataclass(frozen=True, slots=True)
class SendNext:
    """Batches to send next."""

    batches: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The same deliveries once more, after a while."""

    why: str
    """What was answered, or came instead of an answer."""
    wait: timedelta | None
    batch: tuple[int, ...]
    answered: int | None = None
    """How many rows of the same request were answered for good; None where the whole request was put off."""
    unanswered: bool = False
    """Whether no answer came that says anything."""
    at_once: bool = True
    """Whether the very same request is worth another try in this run."""


@dataclass(frozen=True, slots=True)
class SendingStop:
    """Nothing more to this target tonight, or to the whole destination."""

    why: Stop
    whole_destination: bool
    alarm: bool = True


Follow = SendNext | TryAgain | SendingStop


def is_answered(receipt: Receipt) -> bool:
    """Whether a receipt shows that a platform answers; what the sink itself refuses, it was never asked."""
    return isinstance(receipt, Received | Answered) or (isinstance(receipt, Refused) and not receipt.unasked)


@dataclass(frozen=True, slots=True)
class ReceiptRecorder(Transaction):
    """One transaction, right after a wire call."""

    done: Delivered
    limits: Limits
    breaker: CircuitBreaker
    is_silent: bool = False
    """Whether the request before this one got no answer that says anything."""

    def receive(self, intent: Intent, receipt: Receipt) -> Follow:
        """Put every row where the receipt leaves it."""
        request = requests.get(self.session, intent.request)
        rows = requests.rows(self.session, intent.request)
        match receipt:
            case Received():
                return self._taken_in(request, rows, receipt)
            case Answered():
                request.state = RequestState.SETTLED
                self.done.warnings.update(receipt.warnings)
                return self._answered(intent, rows, receipt.outcomes)
            case Refused():
                request.state = RequestState.REFUSED
                request.code, request.message = receipt.outcome.code, receipt.outcome.message
                self.done.warnings.update(receipt.warnings)
                return self._refused(intent, rows, receipt)
            case NotSent():
                request.state, request.message = RequestState.NOT_SENT, receipt.reason
                for _, row in rows:
                    self._back(row, Reason.NOT_SENT, receipt.reason)
                return TryAgain(receipt.reason, None, intent.numbers)
            case Lost():
                request.state, request.message = RequestState.LOST, receipt.reason
                return self._lost(request, intent, rows, receipt)
        assert_never(receipt)

    def reject_suspects(self, at_fault: Sequence[Suspect]) -> None:
        """Settle those a refusal blamed, now that it was no matter of the settings."""
        sent = {
            (number, identity(row)): (place, row)
            for number in {suspect.request for suspect in at_fault}
            for place, row in requests.rows(self.session, number)
        }
        for suspect in at_fault:
            self._settle(*sent[suspect.request, suspect.delivery], suspect.outcome)

    def _taken_in(self, request: Request, rows: Rows, receipt: Received) -> SendNext:
        request.state, request.ticket = RequestState.RECEIVED, receipt.ticket
        request.resolve_after = self.now + self.limits.resolve_after
        self.done.warnings.update(receipt.warnings)
        for _, row in rows:
            self.move(row, DeliveryState.SUBMITTED, Reason.RECEIVED)
        self.done.sent += len(rows)
        self.reject_suspects(self.breaker.passed())
        return SendNext()

    def _answered(self, intent: Intent, rows: Rows, outcomes: Sequence[Outcome]) -> Follow:
        outcomes = [self.in_time(row, outcome) for (_, row), outcome in zip(rows, outcomes, strict=True)]
        again: list[tuple[int, Outcome]] = []
        stop: Outcome | None = None
        suspects: list[Suspect] = []
        passes = any(outcome.kind in ARRIVED for outcome in outcomes)
        if passes:
            self.reject_suspects(self.breaker.passed())
        for (attempt, row), outcome in zip(rows, outcomes, strict=True):
            if outcome.kind in BLAMING and not passes:
                requests.note(self.session, attempt, outcome)
                self._back(row, PlatformCode(outcome.code))
                suspects.append(Suspect(identity(row), intent.request, outcome))
                continue
            self._settle(attempt, row, outcome)
            if outcome.kind is OutcomeClass.RETRY:
                again.append((identity(row), outcome))
            if outcome.kind in STOPPING and (stop is None or stop.of_target):
                stop = outcome
        if suspects:
            self.breaker.refused(suspects[0].outcome, suspects)
        if stop is not None:
            return SendingStop(refusal_of(stop), whole_destination=not stop.of_target)
        if self._says_nothing(outcomes):
            return TryAgain(code_and_message(outcomes[0]), None, intent.numbers, unanswered=True, at_once=False)
        if not again:
            return SendNext()
        return TryAgain(code_and_message(again[0][1]), None, tuple(row for row, _ in again), len(rows) - len(again))

    def _says_nothing(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether an answer speaks for no row, and so is as good as none.

        A few rows whose code is too new say nothing of the others, except where a second sending may count twice, or
        where nothing else has passed since the last such answer.
        """
        unknown = all(outcome.kind is OutcomeClass.UNKNOWN for outcome in outcomes)
        is_told = self.is_silent or self.limits.replay_within is not None or len(outcomes) >= MANY
        return unknown and is_told

    def _refused(self, intent: Intent, rows: Rows, refusal: Refused) -> Follow:
        outcome = refusal.outcome
        if outcome.kind in OF_ROWS:
            blamed, rest = bisect(range(len(rows)), refusal.rows)
            if outcome.kind is OutcomeClass.DUPLICATE:
                for position in blamed:
                    self._settle(*rows[position], outcome)
                blamed = ()
            for _, row in rows:
                if row.state == DeliveryState.IN_FLIGHT:
                    self._back(row, PlatformCode(outcome.code))
            suspects = [Suspect(intent.numbers[position], intent.request, outcome) for position in blamed]
            self.breaker.refused(outcome, suspects)
            return SendNext(tuple(tuple(intent.numbers[position] for position in part) for part in rest))
        is_replay = all(row.in_doubt_since is not None for _, row in rows)
        for attempt, row in rows:
            self._settle(attempt, row, outcome)
        if outcome.kind in STOPPING:
            return SendingStop(refusal_of(outcome), whole_destination=not outcome.of_target)
        if outcome.kind is OutcomeClass.RETRY:
            return TryAgain(code_and_message(outcome), outcome.retry_after, intent.numbers)
        if outcome.kind is OutcomeClass.UNKNOWN and is_replay:
            # As good as no answer: it says nothing of the first sending, and must not hold up what is new.
            return TryAgain(code_and_message(outcome), None, intent.numbers, unanswered=True, at_once=False)
        return SendingStop(refusal_of(outcome), whole_destination=False, alarm=outcome.kind is OutcomeClass.UNKNOWN)

    def _lost(self, request: Request, intent: Intent, rows: Rows, lost: Lost) -> TryAgain:
        for _, row in rows:
            outbox.mark_in_doubt(row, intent.request, since=request.sent_at)
            self.move(row, DeliveryState.IN_DOUBT, Reason.ANSWER_LOST, lost.reason)
        # Where each sending may count, one row asks first whether anything is answered, not all of them once more.
        at_once = self.limits.replay_within is None
        return TryAgain(lost.reason, lost.retry_after, intent.numbers, unanswered=True, at_once=at_once)

    def _settle(self, attempt: Place, row: OutboxRow, outcome: Outcome) -> None:
        self.settle(attempt, row, outcome, asynchronous=False)
        self.done.sent += row.state in (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED)

    def _back(self, row: OutboxRow, cause: Cause, detail: str | None = None) -> None:
        """Where a delivery returns to when nothing of its request was processed."""
        state = DeliveryState.IN_DOUBT if row.in_doubt_since is not None else DeliveryState.PENDING
        outbox.move(self.session, self.ledger, row, state, cause, detail=detail, now=self.now)


def code_and_message(outcome: Outcome) -> str:
    """A platform's code, with the message that explains it where there is one."""
    return f"{outcome.code}: {outcome.message}" if outcome.message else outcome.code


def refusal_of(outcome: Outcome) -> Stop:
    """The stop that a refusal makes."""
    return Stop(StopKind.REFUSED, (code_and_message(outcome),))
