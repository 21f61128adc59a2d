"""Sends what is due; commits the intent before each wire call and the receipt after it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from connectors.errors import Transient
from connectors.language import _
from connectors.ports import AdjustmentSink, ConversionSink, LoadsLibrary, SharesQuota
from connectors.records import (
    DestinationId,
    EncodedEvent,
    Receipt,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    Target,
)
from jobs.deliver.agenda import Agenda, PriorityBatches, SendingOptions, Turn
from jobs.deliver.bisect import CircuitBreaker, single_row_first
from jobs.deliver.conversions import ConversionPreparer, split_colliding
from jobs.deliver.corrections import CorrectionPreparer
from jobs.deliver.preparation import PreCallTransaction
from jobs.deliver.stopping import Silence, Stops
from jobs.deliver.transactions import (
    DEFER,
    LONGEST_DELAY,
    Follow,
    ReceiptRecorder,
    SendingResult,
    SendingStop,
    SendNext,
    TryAgain,
    code_and_message,
    counted_transaction,
)
from jobs.faults import ContainedFault
from jobs.ledger.outbox import settlements
from jobs.ledger.outbox.requests import Intent
from jobs.rules.reasons import DestinationScope, StopCause, StopKind
from jobs.run_context import RunContext

ATTEMPTS = 5
"""Attempts per batch and run."""
LONGEST_WAIT = timedelta(minutes=5)
"""Longer delays aren't waited out: the deliveries become due after the run instead."""


def deliver(sending: SendingOptions, done: SendingResult | None = None) -> SendingResult:
    """Send every due conversion, those in doubt first; a stop affects only its own destination.

    `done` counts what was sent as it goes; by default, a new one.
    """
    done = SendingResult() if done is None else done
    for destination, sink in sending.run.deps.sinks.items():
        scope = DestinationScope(destination)
        if scope not in sending.stopped:
            Sender(sending, scope, sink, ConversionPreparer, sink.submit, done).send_all()
    return done


def send_corrections(
    sending: SendingOptions, done: SendingResult | None = None, *, silent: Collection[DestinationScope] = ()
) -> SendingResult:
    """Send every due correction, those in doubt first.

    For a `silent` scope, which answered no conversion, a single correction shows whether it answers now. `done` counts
    as in `deliver`.
    """
    done = SendingResult() if done is None else done
    for destination, sink in sending.run.deps.sinks.items():
        if DestinationScope(destination) not in sending.stopped and isinstance(sink, AdjustmentSink):
            scope = DestinationScope(destination, corrections=True)
            silence = Silence.of_a_silent_platform() if DestinationScope(destination) in silent else Silence()
            Sender(sending, scope, sink, CorrectionPreparer, sink.adjust, done, silence).send_all()
    return done


@dataclass(slots=True)
class Sender:
    """Sends one destination's conversions, or its corrections, in one run."""

    sending: SendingOptions
    scope: DestinationScope
    """Covers everything sent here."""
    sink: ConversionSink
    preparation: type[PreCallTransaction]
    call: Callable[[Target, Sequence[EncodedEvent]], Receipt]
    """Makes the wire call."""
    done: SendingResult
    silence: Silence = field(default_factory=Silence)
    stops: Stops = field(init=False)
    agenda: Agenda = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has stopped in this run so far."""
        self.stops = Stops(self.scope, self.run_context.book, self.done, self.sending.stopped)
        self.agenda = Agenda(self.sending, self.scope, self.sink, self.silence, self.stops, self.done)

    @property
    def run_context(self) -> RunContext:
        """The run that sends."""
        return self.sending.run

    @property
    def destination(self) -> DestinationId:
        """The destination of everything sent here."""
        return self.scope.destination

    def send_all(self) -> None:
        """Send what is in doubt, then what is due by target; last, in parts, what got no answer."""
        last: Target | None = None
        for turn in self.agenda.turns():
            if self.stops.cover(turn.target):
                continue
            last, stop = turn.target, self._send(turn)
            if stop is not None and self.stops.add(stop, turn.target):
                return
            if stop is not None and stop.whole_destination:
                self.silence.begin_target()
        if last is not None and self.silence.parts and not self.silence.is_broken:
            self.stops.add(self._stop_for_silence(), last)

    def _send(self, turn: PriorityBatches) -> SendingStop | None:
        """Send one turn's batches; split what is refused for some of its rows, and set aside what gets no answer."""
        breaker = CircuitBreaker()
        waiting = [part for batch in turn.batches for part in self._split_colliding(batch)]
        while waiting:
            # While nothing answers, probe with one row instead of putting its whole part in doubt; a replay is already.
            probes = self.silence.parts and turn.kind is not Turn.REPLAY
            part, *waiting = single_row_first(waiting) if probes else waiting
            is_tried_once = self.silence.parts or turn.kind is Turn.AGAIN
            follow = self._try(turn.target, part, breaker, 1 if is_tried_once else ATTEMPTS)
            match follow:
                case SendingStop():
                    return follow
                case SendNext():
                    waiting = breaker.next_batches([*follow.batches, *waiting])
                case TryAgain():
                    self.silence.miss_answer(follow.why, is_new=turn.kind is Turn.NEW)
                    if self.silence.is_long or self.agenda.asks_a_human:
                        return self._stop_for_silence()
                    self.agenda.set_aside(follow, turn)
                    self._sleep(follow.wait)
                case _:
                    assert_never(follow)
            if breaker.is_sample_refused:
                break
        if breaker.is_sample_refused or breaker.are_refusals_systematic:
            why = StopCause(StopKind.NOTHING_PASSES, tuple(map(code_and_message, breaker.reasons.values())))
            return SendingStop(why, whole_destination=False)
        with self._receipt_recorder(breaker) as recorder:
            recorder.reject_blamed_rows(breaker.take_suspects())
        return None

    def _stop_for_silence(self) -> SendingStop:
        return self.silence.stop(asks_a_human=self.agenda.asks_a_human)

    def _split_colliding(self, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
        if self.scope.corrections:
            # A correction names its conversion by key, and a conversion has at most one unsettled correction.
            return [batch]
        with self.run_context.ledger.read_transaction() as session:
            return split_colliding(session, batch)

    def _try(
        self, target: Target, batch: tuple[int, ...], breaker: CircuitBreaker, tries: int
    ) -> SendNext | SendingStop | TryAgain:
        """Send one batch, retrying while the platform may still accept it.

        Return `TryAgain` if `tries` attempts all went unanswered.
        """
        answered, why = 0, ""
        for attempt in range(ATTEMPTS):
            made = self._send_batch_once(target, batch, breaker)
            if not isinstance(made, tuple):
                return made
            intent, follow = made
            if not isinstance(follow, TryAgain):
                return follow
            if follow.unanswered and self.agenda.asks_a_human:
                return follow
            batch, why = follow.batch, follow.why
            answered += follow.answered or 0
            wait = follow.wait or timedelta(
                seconds=min(60, 2 ** (attempt + self.silence.parts)) * (0.5 + self.run_context.deps.jitter() / 2)
            )
            if wait > LONGEST_WAIT:
                self._defer(intent, wait)
                return SendingStop(StopCause(StopKind.ASKED_TO_WAIT, (follow.why,), wait), whole_destination=True)
            if follow.unanswered and (attempt + 1 >= tries or not follow.at_once):
                return replace(follow, wait=wait)
            if attempt < ATTEMPTS - 1:
                self._sleep(wait)
            elif follow.answered is not None:
                # Rows that the platform keeps deferring must not hold up what is due beside and after them.
                self._defer(intent, DEFER)
                return SendNext() if answered else SendingStop(_kept_failing(why), whole_destination=False)
        return SendingStop(_kept_failing(why), whole_destination=True)

    def _take_turn(self, target: Target, turn: ExitStack) -> SendingStop | None:
        """Wait for a turn where accounts share a quota; if it is full, return the stop that leaves the rest due."""
        if isinstance(self.sink, SharesQuota):
            try:
                turn.enter_context(self.sink.wait_for_quota(target))
            except Transient as error:
                why = StopCause(StopKind.QUOTA_FULL, (str(error),), error.retry_after or LONGEST_WAIT)
                return SendingStop(why, whole_destination=True)
        return None

    def _send_batch_once(
        self, target: Target, batch: tuple[int, ...], breaker: CircuitBreaker
    ) -> tuple[Intent, Follow] | SendNext | SendingStop:
        """Make one request and return what follows from its receipt; without it, if nothing was left to send.

        A failure that nobody foresaw stops the destination alone.
        """
        intent = None
        with (
            ContainedFault(self.done.faults, _("sending failed"), destination=str(self.scope)) as fault,
            ExitStack() as turn,
        ):
            # Before the intent: what only waits is not on record as perhaps sent.
            if (stop := self._take_turn(target, turn)) is not None:
                return stop
            self.run_context.deps.cancel_token()
            intent = self._prepare(target, batch)
            return SendNext() if intent is None else self._make_request(intent, breaker)
        if intent is not None and fault.error is not None:
            with self._receipt_recorder(breaker) as recorder:
                recorder.record_fault(intent, fault.error)
        return SendingStop(StopCause(StopKind.FAULT, (fault.name,)), whole_destination=True)

    def _make_request(self, intent: Intent, breaker: CircuitBreaker) -> tuple[Intent, Follow]:
        self.run_context.ledger.record_upcoming_request(intent.request)
        receipt = self.call(intent.target, intent.events)
        unasked = isinstance(receipt, Refused) and receipt.unasked
        self.done.requests += not unasked
        with self._receipt_recorder(breaker) as recorder:
            follow = recorder.record_receipt(intent, receipt)
        # A refusal by the sink itself doesn't show that the platform answers.
        is_answer = isinstance(receipt, ReceivedForProcessing | RowOutcomes | Refused) and not unasked
        if is_answer and not (isinstance(follow, TryAgain) and follow.unanswered):
            self.silence.hear_answer()
        if isinstance(receipt, RequestNotSent) and receipt.is_unknown_host:
            return intent, SendingStop(StopCause(StopKind.UNAVAILABLE, (receipt.reason,)), whole_destination=True)
        return intent, follow

    def _prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        if isinstance(self.sink, LoadsLibrary):
            self.sink.load_library(target)
        with counted_transaction(self.run_context.ledger, self.done) as (session, changes):
            preparation = self.preparation(
                session=session,
                ledger=self.run_context.ledger,
                now=self.run_context.now(),
                done=changes,
                sink=self.sink,
                destination=self.destination,
                routes=self.agenda.routes(),
                target=target,
            )
            return preparation.prepare(batch)

    @contextmanager
    def _receipt_recorder(self, breaker: CircuitBreaker) -> Iterator[ReceiptRecorder]:
        ledger, is_silent = self.run_context.ledger, self.silence.parts > 0
        with counted_transaction(ledger, self.done) as (session, changes):
            yield ReceiptRecorder(
                session=session,
                ledger=ledger,
                now=self.run_context.now(),
                done=changes,
                limits=self.sink.limits,
                breaker=breaker,
                is_silent=is_silent,
            )

    def _sleep(self, wait: timedelta | None) -> None:
        self.run_context.deps.clock.sleep_until(self.run_context.now() + (wait or timedelta()))

    def _defer(self, intent: Intent, wait: timedelta) -> None:
        """Defer rows by the platform's delay, beyond the end of this run."""
        with self.run_context.ledger.write_transaction() as session:
            settlements.defer_rows(session, intent.request, self.run_context.now() + min(wait, LONGEST_DELAY))


def _kept_failing(why: str) -> StopCause:
    return StopCause(StopKind.KEPT_FAILING, (why,), times=ATTEMPTS)
