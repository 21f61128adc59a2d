"""The transaction right after a wire call, which moves every row of the request by its receipt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from sqlmodel import Session

from connectors.records import (
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
    RowOutcomes,
    SinkLimits,
)
from jobs.deliver.bisect import MANY, CircuitBreaker, Suspect, bisect
from jobs.ledger import outbox, requests
from jobs.ledger.requests import Intent, RequestState
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Attempt, Delivery, Request, stored_row_id
from jobs.rules.delivery_state import DeliveryKind, DeliveryState, state_after_answer
from jobs.rules.reasons import Cause, DestinationScope, PlatformCode, Reason, Stop, StopKind

DEFER = timedelta(hours=6)
"""Delay after "too recent" if the platform names none: Google asks for six hours."""

LONGEST_DELAY = timedelta(days=7)
"""Longest delay honoured: whatever waits longer would be too late anyway."""

STOPPING = frozenset({OutcomeClass.FIX_CONFIG, OutcomeClass.BUG})
BLAMING = frozenset({OutcomeClass.FIX_DATA, OutcomeClass.DROP})
"""Unexpected rejections of a row; the row is at fault only if others pass."""
OF_ROWS = BLAMING | {OutcomeClass.DROP_EXPECTED, OutcomeClass.EXPIRED, OutcomeClass.DUPLICATE}
"""Whole-request refusals caused by some of its rows."""
ARRIVED = frozenset({OutcomeClass.DONE, OutcomeClass.DUPLICATE})
"""Answers that prove our rows can pass."""

Rows = list[tuple[Attempt, Delivery]]


@dataclass(slots=True)
class Progress:
    """What sending or resolving changed."""

    moved: Counter[tuple[str, str, str, Cause]] = field(default_factory=Counter)
    """Moves by conversion, destination, state and cause."""
    stopped: dict[DestinationScope, Stop] = field(default_factory=dict)
    """Scopes a human must fix, and why."""
    unexpected: int = 0
    """Unexpected rejections, which need a look."""

    def count(self, row: Delivery, cause: Cause) -> None:
        """Count a row's new state and its cause."""
        self.moved[row.conversion, row.destination, row.state, cause] += 1


@dataclass(slots=True)
class SendingResult(Progress):
    """What sending changed."""

    requests: int = 0
    sent: int = 0
    """Rows that reached a platform: received, or answered for good."""
    silent: list[DestinationScope] = field(default_factory=list)
    """Scopes that stopped only for lack of answers."""
    warnings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction that moves rows and counts the moves."""

    session: Session
    ledger: Ledger
    now: datetime
    done: Progress

    def move(self, row: Delivery, to: DeliveryState, cause: Cause, detail: str | None = None) -> None:
        """Move a row and count it."""
        outbox.move(self.session, self.ledger, row, to, cause, detail=detail, now=self.now)
        self.done.count(row, cause)

    def drop_if_too_late(self, row: Delivery, outcome: Outcome) -> Outcome:
        """Return the outcome, as a drop once `final_after` has passed: a conversion not found by then never will be."""
        if outcome.final_after is None or row.original is None:
            return outcome
        sent = requests.last_send_time(self.session, self.session.get_one(Delivery, row.original))
        is_final = sent is None or self.now - sent > outcome.final_after
        return replace(outcome, kind=OutcomeClass.DROP, retry_after=None) if is_final else outcome

    def settle(self, attempt: Attempt, row: Delivery, outcome: Outcome, *, asynchronous: bool) -> None:
        """Record the answer to an attempt and move its row accordingly."""
        requests.record_outcome(self.session, attempt, outcome)
        tried_before = row.in_doubt_since is not None
        if outcome.kind is OutcomeClass.DUPLICATE and not tried_before:
            # If the conversion is already retracted, by anyone, the correction has what it wants.
            is_retraction = row.kind == DeliveryKind.RETRACTION
            tried_before = is_retraction or requests.sent_before(self.session, row, attempt.request)
        state = state_after_answer(outcome.kind, tried_before=tried_before, asynchronous=asynchronous)
        row.outcome = outcome.kind
        if state is DeliveryState.IN_DOUBT:
            outbox.mark_in_doubt(row, attempt.request, since=self.session.get_one(Request, attempt.request).sent_at)
        else:
            row.in_doubt_since = row.in_doubt_request = None
        if outcome.kind is OutcomeClass.DEFER:
            row.deferred_until = self.now + min(outcome.retry_after or DEFER, LONGEST_DELAY)
        elif outcome.kind is OutcomeClass.RETRY and asynchronous:
            row.deferred_until = self.now + min(outcome.retry_after or timedelta(), LONGEST_DELAY)
        self.move(row, state, PlatformCode(outcome.code))
        self.done.unexpected += state is DeliveryState.REJECTED and outcome.kind is not OutcomeClass.DROP_EXPECTED


# ── after the call ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SendNext:
    """Send these batches next."""

    batches: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Try the same deliveries again after a delay."""

    why: str
    """The answer, or the error received instead."""
    wait: timedelta | None
    batch: tuple[int, ...]
    answered: int | None = None
    """Rows of the same request answered for good; None if the whole request was deferred."""
    unanswered: bool = False
    """Whether there was no meaningful answer."""
    at_once: bool = True
    """Whether repeating the same request in this run makes sense."""


@dataclass(frozen=True, slots=True)
class SendingStop:
    """Send nothing more in this run to this target, or to the whole destination."""

    why: Stop
    whole_destination: bool
    alarm: bool = True


Follow = SendNext | TryAgain | SendingStop


@dataclass(frozen=True, slots=True)
class ReceiptRecorder(Transaction):
    """One transaction, right after a wire call."""

    done: SendingResult
    limits: SinkLimits
    breaker: CircuitBreaker
    is_silent: bool = False
    """Whether the previous request got no meaningful answer."""

    def receive(self, intent: Intent, receipt: Receipt) -> Follow:
        """Move every row according to the receipt, and return what follows."""
        request = self.session.get_one(Request, intent.request)
        rows = requests.attempts_of_request(self.session, intent.request)
        match receipt:
            case Received():
                return self._record_received_request(request, rows, receipt)
            case RowOutcomes():
                request.state = RequestState.SETTLED
                self.done.warnings.update(receipt.warnings)
                return self._record_row_outcomes(intent, rows, receipt.outcomes)
            case Refused():
                request.state = RequestState.REFUSED
                request.code, request.message = receipt.outcome.code, receipt.outcome.message
                self.done.warnings.update(receipt.warnings)
                return self._refused(intent, rows, receipt)
            case NotSent():
                request.state, request.message = RequestState.NOT_SENT, receipt.reason
                for _, row in rows:
                    self._return_to_pending(row, Reason.NOT_SENT, receipt.reason)
                return TryAgain(receipt.reason, None, intent.numbers)
            case Lost():
                request.state, request.message = RequestState.LOST, receipt.reason
                return self._record_lost_answer(request, intent, rows, receipt)
        assert_never(receipt)

    def reject_blamed_rows(self, at_fault: Sequence[Suspect]) -> None:
        """Reject the suspect rows, now that the settings are ruled out as the cause."""
        sent = {
            (number, stored_row_id(row)): (place, row)
            for number in {suspect.request for suspect in at_fault}
            for place, row in requests.attempts_of_request(self.session, number)
        }
        for suspect in at_fault:
            self._settle(*sent[suspect.request, suspect.delivery], suspect.outcome)

    def _record_received_request(self, request: Request, rows: Rows, receipt: Received) -> SendNext:
        request.state, request.ticket = RequestState.RECEIVED, receipt.ticket
        request.resolve_after = self.now + self.limits.resolve_after
        self.done.warnings.update(receipt.warnings)
        for _, row in rows:
            self.move(row, DeliveryState.SUBMITTED, Reason.RECEIVED)
        self.done.sent += len(rows)
        self.reject_blamed_rows(self.breaker.record_pass())
        return SendNext()

    def _record_row_outcomes(self, intent: Intent, rows: Rows, outcomes: Sequence[Outcome]) -> Follow:
        outcomes = [self.drop_if_too_late(row, outcome) for (_, row), outcome in zip(rows, outcomes, strict=True)]
        again: list[tuple[int, Outcome]] = []
        stop: Outcome | None = None
        suspects: list[Suspect] = []
        passes = any(outcome.kind in ARRIVED for outcome in outcomes)
        if passes:
            self.reject_blamed_rows(self.breaker.record_pass())
        for (attempt, row), outcome in zip(rows, outcomes, strict=True):
            if outcome.kind in BLAMING and not passes:
                requests.record_outcome(self.session, attempt, outcome)
                self._return_to_pending(row, PlatformCode(outcome.code))
                suspects.append(Suspect(stored_row_id(row), intent.request, outcome))
                continue
            self._settle(attempt, row, outcome)
            if outcome.kind is OutcomeClass.RETRY:
                again.append((stored_row_id(row), outcome))
            if outcome.kind in STOPPING and (stop is None or stop.of_target):
                stop = outcome
        if suspects:
            self.breaker.record_refused_request(suspects[0].outcome, suspects)
        if stop is not None:
            return SendingStop(stop_for_refusal(stop), whole_destination=not stop.of_target)
        if self._is_answer_inconclusive(outcomes):
            return TryAgain(code_and_message(outcomes[0]), None, intent.numbers, unanswered=True, at_once=False)
        if not again:
            return SendNext()
        return TryAgain(code_and_message(again[0][1]), None, tuple(row for row, _ in again), len(rows) - len(again))

    def _is_answer_inconclusive(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether an answer settles no row, which counts as no answer.

        A few rows with an unknown code say nothing about the rest, unless a replay may count twice or nothing has
        passed since the last such answer.
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
                    self._return_to_pending(row, PlatformCode(outcome.code))
            suspects = [Suspect(intent.numbers[position], intent.request, outcome) for position in blamed]
            self.breaker.record_refused_request(outcome, suspects)
            return SendNext(tuple(tuple(intent.numbers[position] for position in part) for part in rest))
        is_replay = all(row.in_doubt_since is not None for _, row in rows)
        for attempt, row in rows:
            self._settle(attempt, row, outcome)
        if outcome.kind in STOPPING:
            return SendingStop(stop_for_refusal(outcome), whole_destination=not outcome.of_target)
        if outcome.kind is OutcomeClass.RETRY:
            return TryAgain(code_and_message(outcome), outcome.retry_after, intent.numbers)
        if outcome.kind is OutcomeClass.UNKNOWN and is_replay:
            # Counts as no answer: it doesn't settle the first attempt, and must not hold up new rows.
            return TryAgain(code_and_message(outcome), None, intent.numbers, unanswered=True, at_once=False)
        return SendingStop(
            stop_for_refusal(outcome), whole_destination=False, alarm=outcome.kind is OutcomeClass.UNKNOWN
        )

    def _record_lost_answer(self, request: Request, intent: Intent, rows: Rows, lost: Lost) -> TryAgain:
        for _, row in rows:
            outbox.mark_in_doubt(row, intent.request, since=request.sent_at)
            self.move(row, DeliveryState.IN_DOUBT, Reason.ANSWER_LOST, lost.reason)
        # If every send may count, a single row probes first instead of resending the whole batch.
        at_once = self.limits.replay_within is None
        return TryAgain(lost.reason, lost.retry_after, intent.numbers, unanswered=True, at_once=at_once)

    def _settle(self, attempt: Attempt, row: Delivery, outcome: Outcome) -> None:
        self.settle(attempt, row, outcome, asynchronous=False)
        self.done.sent += row.state in (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED)

    def _return_to_pending(self, row: Delivery, cause: Cause, detail: str | None = None) -> None:
        """Return a row of an unprocessed request to pending, or to in doubt."""
        state = DeliveryState.IN_DOUBT if row.in_doubt_since is not None else DeliveryState.PENDING
        outbox.move(self.session, self.ledger, row, state, cause, detail=detail, now=self.now)


def code_and_message(outcome: Outcome) -> str:
    """Return a platform's code, followed by its message if there is one."""
    return f"{outcome.code}: {outcome.message}" if outcome.message else outcome.code


def stop_for_refusal(outcome: Outcome) -> Stop:
    """Return the stop for a refusal."""
    return Stop(StopKind.REFUSED, (code_and_message(outcome),))
