"""Sends what is due: the intent is committed before each wire call, the receipt after it."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, assert_never

from sqlmodel import Session

from connectors.http import CancelToken
from connectors.ports import Clock, ConversionSink
from connectors.records import DestinationId, LeadId, NotSent, Receipt, Refused, Target
from jobs.cancellation import go_on
from jobs.deliver.bisect import CircuitBreaker, bisect, partition, single_row_first
from jobs.deliver.intent import ConversionPreparation, Preparation
from jobs.deliver.receipt import (
    DEFER,
    LONGEST_DELAY,
    Delivered,
    Follow,
    ReceiptRecorder,
    SendingStop,
    SendNext,
    Transaction,
    TryAgain,
    code_and_message,
    is_answered,
)
from jobs.ledger import leads, outbox, requests
from jobs.ledger.requests import Intent
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Delivery, OutboxRow, identity
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import Route
from jobs.rules.reasons import Reason, Scope, Stop, StopKind
from jobs.settings.compile import Rulebook, Sinks

ATTEMPTS = 5
"""How often one batch is tried in one run."""
UNANSWERED_IN_A_ROW = 3
"""Parts in a row that no answer came to, after which a platform is left alone for the run."""
LONGEST_WAIT = timedelta(minutes=5)
"""A platform's longer delay is not waited for: its deliveries become due after it."""
REPLAY_RUNS = 3
"""In how many further runs a lost answer is asked for again before nobody will ever know."""
REPLAYS_APART = timedelta(hours=12)
"""So long after a replay the next one waits: a night that breaks is tried again within minutes, and by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How a run sends."""

    ledger: Ledger
    """Where intents and receipts are committed."""
    book: Rulebook
    """The rules that the run planned by, asked again for each delivery at the moment of sending."""
    clock: Clock
    """For the waits between attempts."""
    jitter: Callable[[], float]
    """A number in [0, 1) that spreads those waits."""
    due_by: datetime
    """What goes out for the first time was due by then, when the volume guard looked at it; what comes due while the
    run sends waits for the next one."""
    stopped: Collection[Scope] = ()
    """What waits for a human already."""
    held: Collection[Scope] = ()
    """Where nothing goes that never went out before."""
    replays: bool = True
    """Whether what is in doubt goes again; else it stays for another run."""
    cancel_token: CancelToken = go_on
    """Asked before each intent; it may raise, so that nothing more is sent."""
    approved_only: bool = False
    """Whether of what is due only that goes out which a human agreed to in this run."""


def deliver(sending: Sending, sinks: Sinks) -> Delivered:
    """Send every due delivery, what is in doubt first; a destination that stops, stops alone."""
    done = Delivered()
    for destination, sink in sinks.items():
        if Scope(destination) not in sending.stopped:
            Sender(sending, Scope(destination), sink, done).send_all()
    return done


@dataclass(slots=True)
class Sender:
    """One destination's sending in one run; `AdjustmentSender` sends corrections the same way."""

    preparation: ClassVar[type[Preparation]] = ConversionPreparation
    sending: Sending
    scope: Scope
    """All that is sent here."""
    sink: ConversionSink
    done: Delivered
    stopped: set[Scope] = field(default_factory=set)
    """What stopped while it was sent."""
    unanswered: int = 0
    """How many parts in a row no answer came to."""
    silence: str = ""
    """What came instead of the last answer that did not come."""
    answers: bool = False
    """Whether anything was answered in this run."""
    new_unanswered: bool = False
    """Whether no answer came to something that never was in doubt, nor to anything after it."""
    set_aside: deque["SendingTurn"] = field(default_factory=deque)
    """What no answer came to in this run, in smaller parts: it waits until what is due has had its turn."""

    @property
    def destination(self) -> DestinationId:
        """Where it goes."""
        return self.scope.destination

    @property
    def new_by(self) -> datetime | None:
        """By when what never went out must have been due; None where only what went out before may go out again."""
        return None if self.scope in self.sending.held else self.sending.due_by

    def send_all(self) -> None:
        """Send what is in doubt, then what is due, target by target; last, in parts, what got no answer."""
        silent: tuple[Target, SendingStop] | None = None
        for turn in self._turns():
            target = turn.target
            if self._is_off(target):
                continue
            stop = self._send(turn)
            if stop is not None and self._is_stopped(stop, target):
                return
            if stop is not None and stop.whole_destination:
                # What is silent there says nothing of where it goes on.
                self.unanswered, self.new_unanswered = 0, False
            silent = (target, self._silent()) if self.unanswered and not self.answers else None
        if silent is not None:
            self._is_stopped(silent[1], silent[0])

    def _turns(self) -> Iterator["SendingTurn"]:
        """What to send next, asked for again after each turn.

        What is in doubt goes first, until a part of it gets no answer again: then what is due goes before the rest,
        so that a few that never get one hold up nothing else.
        """
        replays = deque(
            SendingTurn(target, (batch,)) for target, batch in (self._replays() if self.sending.replays else ())
        )
        while replays and not self.unanswered:
            yield replays.popleft()
        for target, of in self._due_by_target().items():
            for batch in self._due_batches(target, of):
                yield SendingTurn(target, (batch,), is_new=True)
        while self.set_aside or replays:
            yield (self.set_aside or replays).popleft()

    def _due_by_target(self) -> Mapping[Target, Collection[str] | Target]:
        """Where something goes that is due, and how it is found."""
        by_target: dict[Target, list[str]] = {}
        for route in self._routes().values():
            by_target.setdefault(route.target, []).append(route.conversion)
        return by_target

    def _due_batches(self, target: Target, of: Collection[str] | Target) -> Iterator[tuple[int, ...]]:
        """What is due a batch at a time, each after the one before; at the end, over what is due by then.

        From the beginning each time, all that waits for another day would be passed over for every batch.
        """
        last: OutboxRow | None = None
        while not self._is_off(target):
            with self.sending.ledger.reading() as session:
                rows = outbox.due(
                    session,
                    self.preparation.kind,
                    self.sending.ledger.account,
                    self.destination,
                    of,
                    now=self.sending.clock.now(),
                    new_by=self.new_by,
                    approved_in=self.sending.ledger.run if self.sending.approved_only else None,
                    after=last,
                    limit=self._batch(target),
                )
            if rows:
                yield tuple(map(identity, rows))
            elif last is None:
                return
            last = rows[-1] if rows else None

    def _is_off(self, target: Target) -> bool:
        """Whether nothing more goes to a target in this run."""
        scope = self._scope(target)
        return scope in self.stopped or scope in self.sending.stopped

    def _is_stopped(self, stop: SendingStop, target: Target) -> bool:
        """Note a stop; true where the whole destination is concerned."""
        way = self._way(target)
        self.stopped.add(self._scope(target))
        if stop.alarm:
            scope = way if stop.whole_destination else self._scope(target)
            self.done.stopped[scope] = stop.why
            if stop.why.kind is StopKind.NO_ANSWER:
                self.done.silent.append(scope)
        # What was sent another way before says nothing of the present one.
        return stop.whole_destination and way == self.scope

    def _scope(self, target: Target) -> Scope:
        """What a stop of this target alone covers."""
        return replace(self._way(target), action=target.action)

    def _way(self, target: Target) -> Scope:
        """What a stop of everything that goes like this covers."""
        return self.sending.book.way(self.destination, target.transport, target.owner)

    def _replays(self) -> list[tuple[Target, tuple[int, ...]]]:
        """Deliveries in doubt whose replay is due, in batches; those asked about often enough are given up.

        What was last sent together goes together again, and what was sent longest ago goes first: so a batch that was
        taken apart stays apart, and every part has its turn, however many nights that takes.
        """
        found: dict[tuple[int, Target], list[int]] = {}
        with self.sending.ledger.writing() as session:
            doubtful = outbox.in_doubt(session, self.sending.ledger.account, self.preparation.kind, self.destination)
            for target, waiting in doubtful.items():
                for delivery in waiting:
                    asked = requests.unanswered(session, delivery)
                    given_up = self._given_up(delivery, asked)
                    if given_up is not None:
                        moving = Transaction(session, self.sending.ledger, self.sending.clock.now(), self.done)
                        moving.move(delivery, DeliveryState.UNCONFIRMED, *given_up)
                    elif not self._has_to_wait(delivery, asked):
                        together = requests.last_request(session, delivery), target
                        found.setdefault(together, []).append(identity(delivery))
        return [
            (target, tuple(left[start : start + self._batch(target)]))
            for (_, target), left in sorted(found.items())
            for start in range(0, len(left), self._batch(target))
            if not self._asks_a_human
        ]

    def _batch(self, _: Target) -> int:
        """How many go in one request at most."""
        return self.sink.limits.batch

    @property
    def _asks_a_human(self) -> bool:
        """Whether a human decides if bytes whose answer was lost go again."""
        return self.destination in self.sending.book.ask_when_lost

    def _given_up(self, row: OutboxRow, asked: Sequence[datetime]) -> tuple[Reason, str] | None:
        """Why a lost answer is not asked for again any more; None while it is."""
        within = self.sink.limits.replay_within
        since = row.in_doubt_since
        if within is not None and since is not None and self.sending.clock.now() - since > within:
            return Reason.REPLAY_COUNTS_TWICE, f"{within // timedelta(hours=1)} h"
        if len(asked) > REPLAY_RUNS:
            return Reason.NO_ANSWER, f"{REPLAY_RUNS} replays"
        return None

    def _has_to_wait(self, row: OutboxRow, asked: Sequence[datetime]) -> bool:
        """Whether a replay has to wait: for the platform's own delay, or for the replay before.

        The first never waits for another, for most answers are lost with their run.
        """
        if row.deferred_until is not None and self.sending.clock.now() < row.deferred_until:
            return True
        # A replay on record that lies ahead, from a clock that was set back, must not hold up any.
        return len(asked) > 1 and abs(self.sending.clock.now() - asked[-1]) < REPLAYS_APART

    def _send(self, turn: "SendingTurn") -> SendingStop | None:
        """Send the batches of one turn, splitting what is refused for some of its rows; what gets no answer waits."""
        breaker = CircuitBreaker()
        waiting = [part for batch in turn.batches for part in self._without_twins(batch)]
        while waiting:
            # While nothing answers, one row shows whether anything does, and does not put all of its part in doubt.
            part, *waiting = single_row_first(waiting) if self.unanswered else waiting
            follow = self._try(turn.target, part, breaker, 1 if self.unanswered else turn.tries)
            match follow:
                case SendingStop():
                    return follow
                case SendNext():
                    waiting = breaker.next([*follow.batches, *waiting])
                case TryAgain():
                    self.unanswered, self.silence = self.unanswered + 1, follow.why
                    self.new_unanswered = self.new_unanswered or turn.is_new
                    if self.unanswered >= UNANSWERED_IN_A_ROW or self._asks_a_human:
                        return self._silent()
                    # A new row alone that was tried once only is asked for once more, for a cut of a moment.
                    once_more = [follow.batch] if turn.is_new and not follow.at_once else []
                    _, smaller = bisect(follow.batch, ())
                    if smaller := smaller or once_more:
                        self.set_aside.append(SendingTurn(turn.target, tuple(smaller), tries=1))
                    self._sleep(follow.wait)
                case _:
                    assert_never(follow)
            if breaker.is_general:
                break
        if breaker.is_general or breaker.blames_all:
            why = Stop(StopKind.NOTHING_PASSES, tuple(map(code_and_message, breaker.reasons.values())))
            return SendingStop(why, whole_destination=False)
        with self.sending.ledger.writing() as session:
            self._receiving(session, breaker).reject_suspects(breaker.take_suspects())
        return None

    def _silent(self) -> SendingStop:
        """That no answer comes: from the whole destination once it came to several parts in a row, or to all there was.

        It is an alarm where something new got none. A few rows that were in doubt before say nothing of the platform,
        hold up nothing, and are told of as in doubt. So are those about which a human decides: there the target alone
        is left for the run.
        """
        asks = self._asks_a_human
        whole = self.unanswered >= UNANSWERED_IN_A_ROW or not asks
        alarm = self.new_unanswered and not asks
        return SendingStop(Stop(StopKind.NO_ANSWER, (self.silence,)), whole_destination=whole, alarm=alarm)

    def _without_twins(self, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The batch in parts none of which has two rows of one click and second.

        A platform that tells conversions apart by them refuses both where they meet in one request.
        """
        with self.sending.ledger.reading() as session:
            rows = [row for row in (session.get(Delivery, one) for one in batch) if row is not None and row.at]
            often = Counter(map(_second, rows))
            near = [row for row in rows if often[_second(row)] > 1]
            known = leads.facts(session, self.sending.ledger.account, {LeadId(row.lead) for row in near})
        keys = {
            identity(row): {(click.value, _second(row)) for click in known[LeadId(row.lead)].click_ids} for row in near
        }
        return partition(batch, keys)

    def _try(
        self, target: Target, batch: tuple[int, ...], breaker: CircuitBreaker, tries: int
    ) -> SendNext | SendingStop | TryAgain:
        """Send one batch, again where the platform may take it later.

        `TryAgain` comes back where none of so many tries had an answer.
        """
        answered, why = 0, ""
        for attempt in range(ATTEMPTS):
            made = self._once(target, batch, breaker)
            if made is None:
                return SendNext()
            intent, follow = made
            if not isinstance(follow, TryAgain):
                return follow
            if follow.unanswered and self._asks_a_human:
                return follow
            batch, why = follow.batch, follow.why
            answered += follow.answered or 0
            wait = follow.wait or timedelta(
                seconds=min(60, 2 ** (attempt + self.unanswered)) * (0.5 + self.sending.jitter() / 2)
            )
            if wait > LONGEST_WAIT:
                self._defer(intent, wait)
                return SendingStop(Stop(StopKind.ASKED_TO_WAIT, (follow.why,), wait), whole_destination=True)
            if follow.unanswered and (attempt + 1 >= tries or not follow.at_once):
                return replace(follow, wait=wait)
            if attempt < ATTEMPTS - 1:
                self._sleep(wait)
            elif follow.answered is not None:
                # Rows that a platform keeps putting off must not hold up what is due beside and after them.
                self._defer(intent, DEFER)
                return SendNext() if answered else SendingStop(_kept_failing(why), whole_destination=False)
        return SendingStop(_kept_failing(why), whole_destination=True)

    def _once(self, target: Target, batch: tuple[int, ...], breaker: CircuitBreaker) -> tuple[Intent, Follow] | None:
        """Make one request, and what follows from its receipt; None where nothing of the batch goes out any more."""
        self.sending.cancel_token()
        intent = self._prepare(target, batch)
        if intent is None:
            return None
        self.sending.ledger.remember(intent.request)
        receipt = self._call(intent)
        self.done.requests += not (isinstance(receipt, Refused) and receipt.unasked)
        with self.sending.ledger.writing() as session:
            follow = self._receiving(session, breaker).receive(intent, receipt)
        if is_answered(receipt) and not (isinstance(follow, TryAgain) and follow.unanswered):
            self.unanswered, self.answers, self.new_unanswered = 0, True, False
        if isinstance(receipt, NotSent) and receipt.is_unknown_host:
            return intent, SendingStop(Stop(StopKind.UNAVAILABLE, (receipt.reason,)), whole_destination=True)
        return intent, follow

    def _prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        with self.sending.ledger.writing() as session:
            routes, now = self._routes(), self.sending.clock.now()
            preparation = self.preparation(
                session, self.sending.ledger, now, self.done, self.sink, self.destination, routes, target
            )
            return preparation.prepare(batch)

    def _call(self, intent: Intent) -> Receipt:
        """The wire call itself."""
        return self.sink.submit(intent.target, intent.events)

    def _routes(self) -> Mapping[str, Route]:
        return {route.conversion: route for route in self.sending.book.routes_to(self.destination)}

    def _receiving(self, session: Session, breaker: CircuitBreaker) -> ReceiptRecorder:
        return ReceiptRecorder(
            session,
            self.sending.ledger,
            self.sending.clock.now(),
            self.done,
            self.sink.limits,
            breaker,
            is_silent=self.unanswered > 0,
        )

    def _sleep(self, wait: timedelta | None) -> None:
        self.sending.clock.sleep_until(self.sending.clock.now() + (wait or timedelta()))

    def _defer(self, intent: Intent, wait: timedelta) -> None:
        """Have deliveries wait as long as the platform asked, over this run's end."""
        with self.sending.ledger.writing() as session:
            now = self.sending.clock.now()
            for _, row in requests.rows(session, intent.request):
                row.deferred_until = now + min(wait, LONGEST_DELAY)
                session.add(row)


@dataclass(frozen=True, slots=True)
class SendingTurn:
    """What goes to one target before anything else does."""

    target: Target
    batches: tuple[tuple[int, ...], ...]
    is_new: bool = False
    """Whether nothing of it was in doubt before."""
    tries: int = ATTEMPTS
    """How often each of its batches is tried while no answer comes."""


def _kept_failing(why: str) -> Stop:
    return Stop(StopKind.KEPT_FAILING, (why,), times=ATTEMPTS)


def _second(delivery: Delivery) -> datetime | None:
    """When it happened, as exactly as a platform is told."""
    return delivery.at and delivery.at.replace(microsecond=0)
