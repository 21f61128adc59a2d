"""The transaction right after a wire call, which moves every row of the request by its receipt."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar, assert_never

from sqlmodel import Session

from connectors.errors import NothingSent
from connectors.language import in_english
from connectors.records import (
    AnswerLost,
    Outcome,
    OutcomeClass,
    Receipt,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    SinkLimits,
)
from jobs.deliver.bisect import MANY, CircuitBreaker, SuspectRow, bisect
from jobs.ledger.outbox import outbox, requests, settlements
from jobs.ledger.outbox.outbox import SentRow
from jobs.ledger.outbox.requests import Intent, RequestState
from jobs.ledger.outbox.settlements import Settlement
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import DeliveryRecord, Request, stored_row_id
from jobs.rules.delivery_state import DeliveryKind, DeliveryState, state_after_answer
from jobs.rules.reasons import Cause, DestinationScope, PlatformCode, Reason, StopCause, StopKind

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

ANSWERED = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED)

Answer = tuple[SentRow, Outcome]
"""A row of a request, and what the platform said of it."""


@dataclass(slots=True)
class DeliveryChanges:
    """What sending or resolving changed."""

    moved: Counter[tuple[str, str, str, Cause]] = field(default_factory=Counter)
    """Moves by conversion, destination, state and cause."""
    stopped: dict[DestinationScope, StopCause] = field(default_factory=dict)
    """Scopes a human must fix, and why."""
    unexpected: int = 0
    """Unexpected rejections, which need a look."""
    faults: list[str] = field(default_factory=list)
    """Failures that nobody foresaw, by kind of error."""

    def count_new_state(self, row: DeliveryRecord, cause: Cause) -> None:
        """Count a row's new state and its cause."""
        self.moved[row.conversion, row.destination, row.state, cause] += 1

    def add(self, more: "DeliveryChanges") -> None:
        """Add what another counted."""
        self.moved.update(more.moved)
        self.stopped |= more.stopped
        self.unexpected += more.unexpected
        self.faults += more.faults


@dataclass(slots=True)
class SendingResult(DeliveryChanges):
    """What sending changed."""

    requests: int = 0
    sent: int = 0
    """Rows that reached a platform: received, or answered for good."""
    silent: list[DestinationScope] = field(default_factory=list)
    """Scopes that stopped only for lack of answers."""
    warnings: Counter[str] = field(default_factory=Counter)

    def add(self, more: DeliveryChanges) -> None:
        """Add what another counted."""
        super(SendingResult, self).add(more)  # a class with slots is made anew, so that `super()` has the wrong one
        if isinstance(more, SendingResult):
            self.requests += more.requests
            self.sent += more.sent
            self.silent += more.silent
            self.warnings.update(more.warnings)


_Changes = TypeVar("_Changes", bound=DeliveryChanges)


@contextmanager
def counted_transaction(ledger: Ledger, done: _Changes) -> Iterator[tuple[Session, _Changes]]:
    """Open a transaction and what counts its changes; `done` learns of them once they are committed."""
    changes = type(done)()
    with ledger.write_transaction() as session:
        yield session, changes
    done.add(changes)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction that moves rows and counts the moves."""

    session: Session
    ledger: Ledger
    now: datetime
    done: DeliveryChanges

    def settle_rows(self, rows: Sequence[SentRow], to: Settlement, *, request: Request | None = None) -> None:
        """Move rows that were sent, by `request`, and count them."""
        settlements.settle_rows(self.session, self.ledger, rows, to, now=self.now, request=request)
        for place, count in Counter((row.conversion, row.destination) for row in rows).items():
            self.done.moved[*place, to.state, to.cause] += count

    def settle(self, request: Request, answers: Sequence[Answer], *, asynchronous: bool) -> Counter[DeliveryState]:
        """Record the answers to rows of a request, move the rows accordingly, and return how many entered each state.

        Rows that are settled alike take a few statements together.
        """
        number = stored_row_id(request)
        repeated = [row.id for row, outcome in answers if outcome.kind is OutcomeClass.DUPLICATE]
        sent_before = self._that_may_have_been_sent(number, repeated) if repeated else ()
        alike: defaultdict[Settlement, list[SentRow]] = defaultdict(list)
        # Most rows are answered as the one before: what an answer means is worked out once for all of them.
        for (outcome, was_sent, *_), same in groupby(answers, lambda answer: _what_settles(answer, sent_before)):
            rows = [row for row, _ in same]
            to = settlement(rows[0], outcome, was_sent=was_sent, asynchronous=asynchronous, now=self.now)
            alike[to] += rows
        states: Counter[DeliveryState] = Counter()
        for to, rows in alike.items():
            settlements.record_outcomes(self.session, number, rows, to.outcome, to.cause)
            self.settle_rows(rows, to, request=request)
            states[to.state] += len(rows)
            if to.state is DeliveryState.REJECTED and to.outcome is not OutcomeClass.DROP_EXPECTED:
                self.done.unexpected += len(rows)
        return states

    def _that_may_have_been_sent(self, request: int, deliveries: Sequence[int]) -> set[int]:
        """Return those of a request's deliveries that we may have sent before, also by a ledger since lost."""
        sent = requests.sent_in_earlier_request(self.session, request, deliveries)
        return sent | outbox.that_may_have_been_sent(self.session, deliveries, restored_at=self.ledger.restored_at)

    def finalise_overdue_outcomes(self, rows: Sequence[SentRow], outcomes: Sequence[Outcome]) -> list[Answer]:
        """Return each row's outcome, as a drop once `final_after` has passed.

        A conversion not found by then never will be.
        """
        answers = list(zip(rows, outcomes, strict=True))
        originals = {
            row.original for row, outcome in answers if row.original is not None and outcome.final_after is not None
        }
        if not originals:
            return answers
        sent = requests.last_send_by_delivery(self.session, list(originals))
        return [
            (row, outcome if row.original is None else self._drop_if_final(outcome, sent.get(row.original)))
            for row, outcome in answers
        ]

    def _drop_if_final(self, outcome: Outcome, sent: datetime | None) -> Outcome:
        if outcome.final_after is None or (sent is not None and self.now - sent <= outcome.final_after):
            return outcome
        return replace(outcome, kind=OutcomeClass.DROP, retry_after=None)


def _what_settles(answer: Answer, sent_before: Collection[int]) -> tuple[Outcome, bool, bool, str]:
    """Return all that `settlement` goes by."""
    row, outcome = answer
    return outcome, row.id in sent_before, row.was_in_doubt, row.kind


def settlement(row: SentRow, outcome: Outcome, *, was_sent: bool, asynchronous: bool, now: datetime) -> Settlement:
    """Return where an answer puts a row.

    `was_sent` is whether an earlier request may have brought it to the platform.
    """
    tried_before = row.was_in_doubt
    if outcome.kind is OutcomeClass.DUPLICATE:
        # If the conversion is already retracted, by anyone, the correction has what it wants.
        tried_before = tried_before or was_sent or row.kind == DeliveryKind.RETRACTION
    state = state_after_answer(outcome.kind, tried_before=tried_before, asynchronous=asynchronous)
    delay = None
    if outcome.kind is OutcomeClass.DEFER:
        delay = outcome.retry_after or DEFER
    elif outcome.kind is OutcomeClass.RETRY and asynchronous:
        delay = outcome.retry_after or timedelta()
    until = None if delay is None else now + min(delay, LONGEST_DELAY)
    return Settlement(state, PlatformCode(outcome.code), outcome=outcome.kind, deferred_until=until)


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

    why: StopCause
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

    def record_receipt(self, intent: Intent, receipt: Receipt) -> Follow:
        """Move every row according to the receipt, and return what follows."""
        request = self.session.get_one(Request, intent.request)
        rows = settlements.sent_rows(self.session, intent.request)
        match receipt:
            case ReceivedForProcessing():
                return self._record_received_request(request, rows, receipt)
            case RowOutcomes():
                request.state = RequestState.SETTLED
                self.done.warnings.update(receipt.warnings)
                return self._record_row_outcomes(
                    request, intent, self.finalise_overdue_outcomes(rows, receipt.outcomes)
                )
            case Refused():
                request.state = RequestState.REFUSED
                request.code, request.message = receipt.outcome.code, in_english(receipt.outcome.message)
                self.done.warnings.update(receipt.warnings)
                return self._refused(request, intent, rows, receipt)
            case RequestNotSent():
                request.state, request.message = RequestState.NOT_SENT, in_english(receipt.reason)
                self._return_to_pending(rows, Reason.NOT_SENT, receipt.reason)
                return TryAgain(receipt.reason, None, intent.numbers)
            case AnswerLost():
                request.state, request.message = RequestState.LOST, in_english(receipt.reason)
                return self._record_lost_answer(request, intent, rows, receipt)
        assert_never(receipt)

    def record_fault(self, intent: Intent, error: Exception) -> None:
        """Return the rows of a request that failed here to where they were, or leave them in doubt if it may have left.

        Once its receipt is recorded, nothing changes.
        """
        request = self.session.get_one(Request, intent.request)
        if request.state != RequestState.OPEN:
            return
        rows = settlements.sent_rows(self.session, intent.request)
        if isinstance(error, NothingSent):
            request.state = RequestState.NOT_SENT
            self._return_to_pending(rows, Reason.NOT_SENT)
        else:
            request.state = RequestState.FAULTY
            self.settle_rows(rows, Settlement(DeliveryState.IN_DOUBT, Reason.ANSWER_LOST), request=request)

    def reject_blamed_rows(self, at_fault: Sequence[SuspectRow]) -> None:
        """Reject the suspect rows, now that the settings are ruled out as the cause."""
        blamed: defaultdict[int, dict[int, Outcome]] = defaultdict(dict)
        for suspect in at_fault:
            blamed[suspect.request][suspect.delivery] = suspect.outcome
        for number, outcomes in blamed.items():
            rows = settlements.sent_rows(self.session, number)
            answers = [(row, outcomes[row.id]) for row in rows if row.id in outcomes]
            self._settle(self.session.get_one(Request, number), answers)

    def _record_received_request(
        self, request: Request, rows: Sequence[SentRow], receipt: ReceivedForProcessing
    ) -> SendNext:
        request.state, request.ticket = RequestState.RECEIVED, receipt.ticket
        request.resolve_after = self.now + self.limits.resolve_after
        self.done.warnings.update(receipt.warnings)
        self.settle_rows(rows, Settlement(DeliveryState.SUBMITTED, Reason.RECEIVED))
        self.done.sent += len(rows)
        self.reject_blamed_rows(self.breaker.record_accepted_request())
        return SendNext()

    def _record_row_outcomes(self, request: Request, intent: Intent, answers: Sequence[Answer]) -> Follow:
        blamed: list[Answer] = []
        if any(outcome.kind in ARRIVED for _, outcome in answers):
            self.reject_blamed_rows(self.breaker.record_accepted_request())
        else:
            blamed = [answer for answer in answers if answer[1].kind in BLAMING]
        if blamed:
            self._suspect(intent, blamed)
            answers = [answer for answer in answers if answer[1].kind not in BLAMING]
        self._settle(request, answers)
        stops = [outcome for _, outcome in answers if outcome.kind in STOPPING]
        if stops:
            stop = next((outcome for outcome in stops if not outcome.of_target), stops[-1])
            return SendingStop(stop_cause_of_refusal(stop), whole_destination=not stop.of_target)
        if not blamed and self._is_answer_inconclusive([outcome for _, outcome in answers]):
            why = code_and_message(answers[0][1])
            return TryAgain(why, None, intent.numbers, unanswered=True, at_once=False)
        again = [(row.id, outcome) for row, outcome in answers if outcome.kind is OutcomeClass.RETRY]
        if not again:
            return SendNext()
        answered = len(intent.numbers) - len(again)
        return TryAgain(code_and_message(again[0][1]), None, tuple(row for row, _ in again), answered)

    def _suspect(self, intent: Intent, blamed: Sequence[Answer]) -> None:
        """Return blamed rows to pending until something else passes."""
        alike: defaultdict[tuple[OutcomeClass, str], list[SentRow]] = defaultdict(list)
        for row, outcome in blamed:
            alike[outcome.kind, outcome.code].append(row)
        for (kind, code), rows in alike.items():
            settlements.record_outcomes(self.session, intent.request, rows, kind, code)
            self._return_to_pending(rows, PlatformCode(code))
        suspects = [SuspectRow(row.id, intent.request, outcome) for row, outcome in blamed]
        self.breaker.record_refused_request(suspects[0].outcome, suspects)

    def _is_answer_inconclusive(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether an answer settles no row, which counts as no answer.

        A few rows with an unknown code say nothing about the rest, unless a replay may count twice or nothing has
        passed since the last such answer.
        """
        unknown = all(outcome.kind is OutcomeClass.UNKNOWN for outcome in outcomes)
        is_about_all = self.is_silent or self.limits.replay_within is not None or len(outcomes) >= MANY
        return unknown and is_about_all

    def _refused(self, request: Request, intent: Intent, rows: Sequence[SentRow], refusal: Refused) -> Follow:
        outcome = refusal.outcome
        if outcome.kind in OF_ROWS:
            blamed, rest = bisect(rows, refusal.rows)
            if outcome.kind is OutcomeClass.DUPLICATE:
                self._settle(request, [(row, outcome) for row in blamed])
                rows, blamed = [row for part in rest for row in part], ()
            self._return_to_pending(rows, PlatformCode(outcome.code))
            suspects = [SuspectRow(row.id, intent.request, outcome) for row in blamed]
            self.breaker.record_refused_request(outcome, suspects)
            return SendNext(tuple(tuple(row.id for row in part) for part in rest))
        self._settle(request, [(row, outcome) for row in rows])
        if outcome.kind in STOPPING:
            return SendingStop(stop_cause_of_refusal(outcome), whole_destination=not outcome.of_target)
        if outcome.kind is OutcomeClass.RETRY:
            return TryAgain(code_and_message(outcome), outcome.retry_after, intent.numbers)
        if outcome.kind is OutcomeClass.UNKNOWN and all(row.was_in_doubt for row in rows):
            # Counts as no answer: it doesn't settle the first attempt, and must not hold up new rows.
            return TryAgain(code_and_message(outcome), None, intent.numbers, unanswered=True, at_once=False)
        return SendingStop(
            stop_cause_of_refusal(outcome), whole_destination=False, alarm=outcome.kind is OutcomeClass.UNKNOWN
        )

    def _record_lost_answer(
        self, request: Request, intent: Intent, rows: Sequence[SentRow], lost: AnswerLost
    ) -> TryAgain:
        self.settle_rows(rows, Settlement(DeliveryState.IN_DOUBT, Reason.ANSWER_LOST, lost.reason), request=request)
        # If every send may count, a single row probes first instead of resending the whole batch.
        at_once = self.limits.replay_within is None
        return TryAgain(lost.reason, lost.retry_after, intent.numbers, unanswered=True, at_once=at_once)

    def _settle(self, request: Request, answers: Sequence[Answer]) -> None:
        states = self.settle(request, answers, asynchronous=False)
        self.done.sent += sum(states[each] for each in ANSWERED)

    def _return_to_pending(self, rows: Sequence[SentRow], cause: Cause, detail: str | None = None) -> None:
        """Return rows of an unprocessed request to pending, or to in doubt."""
        for state in (DeliveryState.PENDING, DeliveryState.IN_DOUBT):
            these = [row for row in rows if row.was_in_doubt == (state is DeliveryState.IN_DOUBT)]
            settlements.settle_rows(self.session, self.ledger, these, Settlement(state, cause, detail), now=self.now)


def code_and_message(outcome: Outcome) -> str:
    """Return a platform's code, followed by its message if there is one."""
    return f"{outcome.code}: {outcome.message}" if outcome.message else outcome.code


def stop_cause_of_refusal(outcome: Outcome) -> StopCause:
    """Return the stop for a refusal."""
    return StopCause(StopKind.REFUSED, (code_and_message(outcome),))
