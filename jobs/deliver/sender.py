"""Sends what is due; commits the intent before each wire call and the receipt after it."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import product
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
from jobs.deliver.bisect import CircuitBreaker, bisect, single_row_first
from jobs.deliver.conversions import ConversionPreparer, split_colliding
from jobs.deliver.corrections import CorrectionPreparer
from jobs.deliver.preparation import PreCallTransaction
from jobs.deliver.transactions import (
    DEFER,
    LONGEST_DELAY,
    Follow,
    ReceiptRecorder,
    SendingResult,
    SendingStop,
    SendNext,
    Transaction,
    TryAgain,
    code_and_message,
    counted_transaction,
)
from jobs.faults import ContainedFault
from jobs.ledger.outbox import outbox, settlements
from jobs.ledger.outbox.outbox import DueFilter, SentRow
from jobs.ledger.outbox.requests import Intent
from jobs.ledger.outbox.settlements import RowInDoubt, Settlement
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConversionRoute
from jobs.rules.reasons import DestinationScope, Reason, StopCause, StopKind
from jobs.run_context import RunContext

ATTEMPTS = 5
"""Attempts per batch and run."""
UNANSWERED_IN_A_ROW = 3
"""Consecutive unanswered parts after which a platform is left alone for the run."""
LONGEST_WAIT = timedelta(minutes=5)
"""Longer delays aren't waited out: the deliveries become due after the run instead."""
REPLAY_RUNS = 3
"""Further runs that replay a lost answer before it is given up as unknowable."""
REPLAYS_APART = timedelta(hours=12)
"""Minimum gap between replays: a failed run may be restarted within minutes, or by hand."""


class Turn(Enum):
    """Which turn of a run something has."""

    REPLAY = "replay"
    """It was in doubt before this run sent anything."""
    NEW = "new"
    """None of it was in doubt before."""
    AGAIN = "again"
    """It went unanswered in this run."""


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """How a run sends."""

    run: RunContext
    """Its rules are those the run planned by, applied again to each delivery when it is sent."""
    due_by: datetime
    """When first sends must have been due, as the volume guard counted them; later ones wait for the next run."""
    stopped: Collection[DestinationScope] = ()
    """Scopes already waiting for a human."""
    held: Collection[DestinationScope] = ()
    """Scopes in which first sends are held."""
    replays: bool = True
    """Whether to replay what was in doubt before anything was sent; otherwise it waits for another run."""
    approved_only: bool = False
    """Whether to send only what a human approved in this run."""


def count_due(sending: SendingOptions) -> int:
    """Return how many first sends of conversions and corrections are due where nothing is stopped or held."""
    run, total = sending.run, 0
    account, approved_in = run.ledger.account, run.ledger.run if sending.approved_only else None
    with run.ledger.read_transaction() as session:
        for destination, corrections in product(run.deps.sinks, (False, True)):
            scope = DestinationScope(destination, corrections)
            if DestinationScope(destination) in sending.stopped or scope in sending.held:
                continue
            ids = None if corrections else {route.conversion for route in run.book.routes_to_destination(destination)}
            due = DueFilter(
                account=account,
                destination=destination,
                now=sending.due_by,
                conversions=ids,
                approved_in=approved_in,
                happened_after=run.held_if_sent_by(destination),
            )
            total += outbox.count_due(session, due)
    return total


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
            sender = Sender(sending, scope, sink, CorrectionPreparer, sink.adjust, done)
            sender.unanswered = UNANSWERED_IN_A_ROW - 1 if DestinationScope(destination) in silent else 0
            sender.send_all()
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
    stopped: set[DestinationScope] = field(default_factory=set)
    """Scopes that stopped during this run."""
    stopped_transports: set[tuple[str, str]] = field(default_factory=set)
    """Transports and owners whose corrections stopped during this run."""
    unanswered: int = 0
    """Consecutive unanswered parts."""
    silence: str = ""
    """What came back instead of the last missing answer."""
    answers: bool = False
    """Whether anything was answered in this run."""
    new_unanswered: bool = False
    """Whether something never in doubt before, and everything after it, went unanswered."""
    set_aside: deque["PriorityBatches"] = field(default_factory=deque)
    """Unanswered batches of this run, split into smaller parts; sent after everything due has had its turn."""

    @property
    def run_context(self) -> RunContext:
        """The run that sends."""
        return self.sending.run

    @property
    def destination(self) -> DestinationId:
        """The destination of everything sent here."""
        return self.scope.destination

    @property
    def first_sends_due_by(self) -> datetime | None:
        """When first sends must have been due; None holds them, so that only earlier sends may be repeated."""
        return None if self.scope in self.sending.held else self.sending.due_by

    def send_all(self) -> None:
        """Send what is in doubt, then what is due by target; last, in parts, what got no answer."""
        silent: tuple[Target, SendingStop] | None = None
        for turn in self._batches_by_priority():
            target = turn.target
            if self._is_target_stopped(target):
                continue
            stop = self._send(turn)
            if stop is not None and self._record_stop(stop, target):
                return
            if stop is not None and stop.whole_destination:
                # Silence from that target doesn't predict how the others respond.
                self.unanswered, self.new_unanswered = 0, False
            silent = (target, self._make_no_answer_stop()) if self.unanswered and not self.answers else None
        if silent is not None:
            self._record_stop(silent[1], silent[0])

    def _batches_by_priority(self) -> Iterator["PriorityBatches"]:
        """Yield what to send next, re-evaluated after each turn.

        What is in doubt goes first, until one of its parts goes unanswered again. Then what is due goes before the
        rest, so that a few rows that never get an answer hold up nothing else. Where replays are limited in time, they
        go on until one more silence would end the run, and all have their first try before any has a second.
        """
        replays = deque(
            PriorityBatches(target, (batch,), Turn.REPLAY)
            for target, batch in (self._replays() if self.sending.replays else ())
        )
        silences = UNANSWERED_IN_A_ROW - 1 if self._is_replay_limited else 1
        while replays and self.unanswered < silences:
            yield replays.popleft()
        for target, due in self._due_by_target().items():
            for batch in self._due_batches(target, due):
                yield PriorityBatches(target, (batch,), Turn.NEW)
        first, then = (replays, self.set_aside) if self._is_replay_limited else (self.set_aside, replays)
        while first or then:
            yield (first or then).popleft()

    @property
    def _is_replay_limited(self) -> bool:
        """Whether what is in doubt may have no later night to be replayed in."""
        return self.sink.limits.replay_within is not None

    def _due_by_target(self) -> Mapping[Target, DueFilter]:
        """Targets with something due, and what selects it: conversions by the settings, corrections as recorded."""
        due = DueFilter(
            account=self.run_context.ledger.account,
            destination=self.destination,
            now=self.run_context.now(),
            happened_after=self.run_context.held_if_sent_by(self.destination),
        )
        if self.scope.corrections:
            with self.run_context.ledger.read_transaction() as session:
                return {target: replace(due, target=target) for target in outbox.due_delivery_targets(session, due)}
        by_target: dict[Target, list[str]] = {}
        for route in self._routes().values():
            by_target.setdefault(route.target, []).append(route.conversion)
        return {target: replace(due, conversions=conversions) for target, conversions in by_target.items()}

    def _due_batches(self, target: Target, due: DueFilter) -> Iterator[tuple[int, ...]]:
        """Yield what is due in batches, each continuing after the last, then start over for what became due meanwhile.

        Starting over for every batch would rescan all rows that wait for another day.
        """
        last: tuple[datetime, int] | None = None
        approved_in = self.run_context.ledger.run if self.sending.approved_only else None
        while not self._is_target_stopped(target):
            with self.run_context.ledger.read_transaction() as session:
                rows = outbox.due_deliveries(
                    session,
                    replace(due, now=self.run_context.now(), approved_in=approved_in),
                    new_by=self.first_sends_due_by,
                    after=last,
                    limit=self._max_rows_per_request(target),
                )
            if rows:
                yield tuple(number for _, number in rows)
            elif last is None:
                return
            last = rows[-1] if rows else None

    def _is_target_stopped(self, target: Target) -> bool:
        """Whether a target is stopped for this run."""
        scope = self._scope(target)
        is_off = (target.transport, target.owner) in self.stopped_transports
        return is_off or scope in self.stopped or scope in self.sending.stopped

    def _record_stop(self, stop: SendingStop, target: Target) -> bool:
        """Record a stop; return True if nothing more is to be sent here."""
        way = self._transport_scope(target)
        self.stopped.add(self._scope(target))
        if stop.alarm:
            scope = way if stop.whole_destination else self._scope(target)
            self.done.stopped[scope] = stop.why
            if stop.why.kind is StopKind.NO_ANSWER:
                self.done.silent.append(scope)
        if stop.whole_destination and self.scope.corrections:
            # A stop of one transport's corrections doesn't affect another's.
            self.stopped_transports.add((target.transport, target.owner))
            return False
        # A stop of a former transport or owner doesn't affect the current one.
        return stop.whole_destination and way == self.scope

    def _scope(self, target: Target) -> DestinationScope:
        """The scope of a stop of this target alone."""
        return replace(self._transport_scope(target), action=target.action)

    def _transport_scope(self, target: Target) -> DestinationScope:
        """The scope of a stop of everything sent by the target's transport and owner."""
        if self.scope.corrections:
            return self.scope
        return self.run_context.book.scope_marked_if_former(self.destination, target.transport, target.owner)

    def _replays(self) -> list[tuple[Target, tuple[int, ...]]]:
        """Return batches of deliveries in doubt whose replay is due; give up those replayed often enough.

        Rows last sent together are replayed together, oldest request first. So a batch that was split stays split, and
        every part gets its turn, however many nights that takes. Where replays are limited in time, there may be no
        later night: all rows of a target go together, so that each has its try.
        """
        found: defaultdict[tuple[int, Target], list[tuple[int, int]]] = defaultdict(list)
        given_up: defaultdict[tuple[Reason, str], list[SentRow]] = defaultdict(list)
        account, corrections = self.run_context.ledger.account, self.scope.corrections
        with counted_transaction(self.run_context.ledger, self.done) as (session, changes):
            for in_doubt in settlements.rows_in_doubt(session, account, self.destination, corrections=corrections):
                why = self._reason_to_stop_replaying(in_doubt)
                if why is not None:
                    given_up[why].append(in_doubt.row)
                elif not self._has_to_wait(in_doubt):
                    request = in_doubt.last_request
                    part = 0 if self._is_replay_limited else request
                    found[part, in_doubt.target].append((request, in_doubt.row.id))
            moving = Transaction(session, self.run_context.ledger, self.run_context.now(), changes)
            for why, rows in given_up.items():
                moving.settle_rows(rows, Settlement(DeliveryState.UNCONFIRMED, *why))
        parts = sorted((sorted(rows), target) for (_, target), rows in found.items())
        return [
            (target, tuple(row for _, row in rows[start : start + self._max_rows_per_request(target)]))
            for rows, target in parts
            for start in range(0, len(rows), self._max_rows_per_request(target))
            if not self._asks_a_human
        ]

    def _max_rows_per_request(self, target: Target) -> int:
        can = self.sink.limits.corrects.get(target.transport) if self.scope.corrections else None
        return self.sink.limits.batch if can is None else can.batch

    @property
    def _asks_a_human(self) -> bool:
        """Whether a human decides on replaying bytes whose answer was lost."""
        return self.destination in self.run_context.book.ask_when_lost

    def _reason_to_stop_replaying(self, in_doubt: RowInDoubt) -> tuple[Reason, str] | None:
        """Why a lost answer is no longer replayed; None while it is."""
        within, since = self.sink.limits.replay_within, in_doubt.since
        if within is not None and since is not None and self.run_context.now() - since > within:
            return Reason.REPLAY_COUNTS_TWICE, f"{within // timedelta(hours=1)} h"
        if len(in_doubt.unanswered) - in_doubt.faulty > REPLAY_RUNS:
            return Reason.NO_ANSWER, f"{REPLAY_RUNS} replays"
        return None

    def _has_to_wait(self, in_doubt: RowInDoubt) -> bool:
        """Whether a replay must wait for the platform's requested delay or the gap after the previous replay.

        The first replay never waits for another: most answers are lost together with their run.
        """
        if in_doubt.deferred_until is not None and self.run_context.now() < in_doubt.deferred_until:
            return True
        # A recorded replay in the future, from a clock set back since, must not block any.
        return len(in_doubt.unanswered) > 1 and abs(self.run_context.now() - in_doubt.unanswered[-1]) < REPLAYS_APART

    def _send(self, turn: "PriorityBatches") -> SendingStop | None:
        """Send one turn's batches; split what is refused for some of its rows, and set aside what gets no answer."""
        breaker = CircuitBreaker()
        waiting = [part for batch in turn.batches for part in self._split_colliding(batch)]
        while waiting:
            # While nothing answers, probe with one row instead of putting its whole part in doubt; a replay is already.
            probes = self.unanswered and turn.kind is not Turn.REPLAY
            part, *waiting = single_row_first(waiting) if probes else waiting
            once = self.unanswered or turn.kind is Turn.AGAIN
            follow = self._try(turn.target, part, breaker, 1 if once else ATTEMPTS)
            match follow:
                case SendingStop():
                    return follow
                case SendNext():
                    waiting = breaker.next_batches([*follow.batches, *waiting])
                case TryAgain():
                    self.unanswered, self.silence = self.unanswered + 1, follow.why
                    self.new_unanswered = self.new_unanswered or turn.kind is Turn.NEW
                    if self.unanswered >= UNANSWERED_IN_A_ROW or self._asks_a_human:
                        return self._make_no_answer_stop()
                    # A single row that was tried only once gets a second try, in case of a momentary outage.
                    once_more = [] if turn.kind is Turn.AGAIN or follow.at_once else [follow.batch]
                    _, smaller = bisect(follow.batch, ())
                    if smaller := smaller or once_more:
                        self.set_aside.append(PriorityBatches(turn.target, tuple(smaller), Turn.AGAIN))
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

    def _make_no_answer_stop(self) -> SendingStop:
        """The stop for missing answers: of the whole destination after several parts in a row, or after all there was.

        It raises an alarm if something new went unanswered. A few rows already in doubt say nothing about the platform,
        hold up nothing and are reported as in doubt. So are those a human decides on; for them only the target stops.
        """
        asks = self._asks_a_human
        whole = self.unanswered >= UNANSWERED_IN_A_ROW or not asks
        alarm = self.new_unanswered and not asks
        return SendingStop(StopCause(StopKind.NO_ANSWER, (self.silence,)), whole_destination=whole, alarm=alarm)

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
            if follow.unanswered and self._asks_a_human:
                return follow
            batch, why = follow.batch, follow.why
            answered += follow.answered or 0
            wait = follow.wait or timedelta(
                seconds=min(60, 2 ** (attempt + self.unanswered)) * (0.5 + self.run_context.deps.jitter() / 2)
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
            self.unanswered, self.answers, self.new_unanswered = 0, True, False
        if isinstance(receipt, RequestNotSent) and receipt.is_unknown_host:
            return intent, SendingStop(StopCause(StopKind.UNAVAILABLE, (receipt.reason,)), whole_destination=True)
        return intent, follow

    def _prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        if isinstance(self.sink, LoadsLibrary):
            self.sink.load_library(target)
        with counted_transaction(self.run_context.ledger, self.done) as (session, changes):
            moving = (session, self.run_context.ledger, self.run_context.now(), changes)
            return self.preparation(*moving, self.sink, self.destination, self._routes(), target).prepare(batch)

    def _routes(self) -> Mapping[str, ConversionRoute]:
        return {route.conversion: route for route in self.run_context.book.routes_to_destination(self.destination)}

    @contextmanager
    def _receipt_recorder(self, breaker: CircuitBreaker) -> Iterator[ReceiptRecorder]:
        ledger, is_silent = self.run_context.ledger, self.unanswered > 0
        with counted_transaction(ledger, self.done) as (session, changes):
            moving = (session, ledger, self.run_context.now(), changes)
            yield ReceiptRecorder(*moving, self.sink.limits, breaker, is_silent=is_silent)

    def _sleep(self, wait: timedelta | None) -> None:
        self.run_context.deps.clock.sleep_until(self.run_context.now() + (wait or timedelta()))

    def _defer(self, intent: Intent, wait: timedelta) -> None:
        """Defer rows by the platform's delay, beyond the end of this run."""
        with self.run_context.ledger.write_transaction() as session:
            settlements.defer_rows(session, intent.request, self.run_context.now() + min(wait, LONGEST_DELAY))


@dataclass(frozen=True, slots=True)
class PriorityBatches:
    """Batches for one target, sent before anything else."""

    target: Target
    batches: tuple[tuple[int, ...], ...]
    kind: Turn
    """Which turn this is."""


def _kept_failing(why: str) -> StopCause:
    return StopCause(StopKind.KEPT_FAILING, (why,), times=ATTEMPTS)
