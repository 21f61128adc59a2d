"""Sends what is due: the intent is committed before each wire call, the receipt after it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from sqlmodel import Session

from connectors.ports import Clock, ConversionSink
from connectors.records import (
    Answered,
    DestinationId,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
    Target,
)
from jobs.intend import Intending, Intent
from jobs.ledger import deliveries, requests
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.tables import Attempt, Delivery
from jobs.rulebook import Rulebook, Sinks
from jobs.rules.facts import Route
from jobs.rules.isolate import Streak, isolate
from jobs.settle import OF_ROWS, STOPPING, settle

ATTEMPTS = 5
"""How often one batch is tried in one run."""
LONGEST_WAIT = timedelta(minutes=5)
"""A platform's longer delay is not waited for: its deliveries become due after it."""
REPLAY_RUNS = 3
"""In how many further runs a lost answer is asked for again before nobody will ever know."""
ALL_ALIKE = 5
"""Rows of one answer that, all refused for one reason, point at the settings rather than at themselves."""


@dataclass(slots=True)
class Delivered:
    """What sending changed."""

    requests: int = 0
    sent: int = 0
    """Deliveries that reached a platform: taken in, or answered for good."""
    moved: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, fate, platform's code."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Destinations (or a conversion action of one) that a human must mend, and why."""
    warnings: Counter[str] = field(default_factory=Counter)
    unexpected: int = 0
    """Rejections nobody expected: they need a look."""


@dataclass(frozen=True, slots=True)
class Next:
    """Batches to send next."""

    batches: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """The same deliveries once more, after a while."""

    why: str
    wait: timedelta | None
    batch: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more to this target tonight, or to the whole destination."""

    why: str
    whole_destination: bool
    alarm: bool = True


Follow = Next | Again | Stop


def deliver(
    ledger: Ledger,
    book: Rulebook,
    sinks: Sinks,
    clock: Clock,
    *,
    jitter: Callable[[], float],
    stopped: Collection[str] = (),
) -> Delivered:
    """Send every due delivery, what is in doubt first; a destination that stops, stops alone.

    Args:
        ledger: where intents and receipts are committed.
        book: the rules, asked again for each delivery at the moment of sending.
        sinks: where deliveries go.
        clock: for the waits between attempts.
        jitter: a number in [0, 1) that spreads those waits.
        stopped: destinations, or `destination/action`, that wait for a human already.
    """
    done = Delivered()
    for destination, sink in sinks.items():
        if destination not in stopped:
            _Lane(ledger, book, destination, sink, clock, jitter, done, set(stopped)).send_all()
    return done


@dataclass(slots=True)
class _Lane:
    """One destination's sending in one run."""

    ledger: Ledger
    book: Rulebook
    destination: DestinationId
    sink: ConversionSink
    clock: Clock
    jitter: Callable[[], float]
    done: Delivered
    stopped: set[str]
    """`destination/action`s to leave alone for the rest of this run."""
    streak: Streak = field(default_factory=Streak)

    def send_all(self) -> None:
        """Send what is in doubt, then what is due, target by target."""
        for target, batch in self._batches():
            if f"{self.destination}/{target.action}" in self.stopped:
                continue
            stop = self._send(target, batch)
            if stop is not None and self._is_stopped(stop, target):
                return

    def _batches(self) -> Iterator[tuple[Target, tuple[int, ...]]]:
        """What to send next, asked for again after each batch."""
        for target, batches in self._replays().items():
            yield from ((target, batch) for batch in batches)
        by_target: dict[Target, list[str]] = {}
        for route in self.book.routes_to(self.destination):
            by_target.setdefault(route.target, []).append(route.conversion)
        for target, conversions in by_target.items():
            while f"{self.destination}/{target.action}" not in self.stopped and (batch := self._due(conversions)):
                yield target, batch

    def _is_stopped(self, stop: Stop, target: Target) -> bool:
        """Note a stop; true where the whole destination is concerned."""
        action = f"{self.destination}/{target.action}"
        self.stopped.add(action)
        if stop.alarm:
            self.done.stopped[self.destination if stop.whole_destination else action] = stop.why
        return stop.whole_destination

    def _replays(self) -> dict[Target, list[tuple[int, ...]]]:
        """Deliveries in doubt, in batches; those asked about often enough are given up."""
        found: dict[Target, list[tuple[int, ...]]] = {}
        with self.ledger.writing() as session:
            doubtful = deliveries.in_doubt(session, self.ledger.account, self.destination)
            for target, waiting in doubtful.items():
                left = []
                for delivery in waiting:
                    given_up = self._given_up(session, delivery)
                    if given_up is not None:
                        self._move(session, delivery, Fate.UNCONFIRMED, given_up, self.clock.now())
                    else:
                        left.append(deliveries.number(delivery))
                if self._asks_a_human:
                    continue
                found[target] = [tuple(part) for part in _parts(left, self.sink.limits.batch)]
        return found

    @property
    def _asks_a_human(self) -> bool:
        """Whether a human decides if bytes whose answer was lost go again."""
        return self.destination in self.book.ask_when_lost

    def _given_up(self, session: Session, doubtful: Delivery) -> str | None:
        """Why a lost answer is not asked for again any more; None while it is."""
        within = self.sink.limits.replay_within
        since = doubtful.doubtful_since
        if within is not None and since is not None and self.clock.now() - since > within:
            return f"no answer, and after {within // timedelta(hours=1)} h it would count twice"
        if deliveries.runs_in_doubt(session, doubtful) > REPLAY_RUNS:
            return f"no answer in {REPLAY_RUNS} replays"
        return None

    def _due(self, conversions: Sequence[str]) -> tuple[int, ...]:
        with self.ledger.reading() as session:
            due = deliveries.due(
                session,
                self.ledger.account,
                self.destination,
                conversions,
                now=self.clock.now(),
                limit=self.sink.limits.batch,
            )
        return tuple(deliveries.number(delivery) for delivery in due)

    def _send(self, target: Target, batch: tuple[int, ...]) -> Stop | None:
        """Send one batch, splitting it where it is refused for some of its rows."""
        self.streak.taken()
        waiting = [batch]
        while waiting:
            part = waiting.pop(0)
            follow = self._try(target, part)
            match follow:
                case Stop():
                    return follow
                case Next():
                    waiting = self.streak.sample([*follow.batches, *waiting])
                case _:
                    assert_never(follow)
        return None

    def _try(self, target: Target, batch: tuple[int, ...]) -> Next | Stop:
        """Send one batch, again where the platform may take it later."""
        follow: Follow = Next()
        for attempt in range(ATTEMPTS):
            intent = self._intend(target, batch)
            if intent is None:
                return Next()
            self.done.requests += 1
            receipt = self.sink.submit(target, intent.events)
            follow = self._receive(intent, receipt)
            if not isinstance(follow, Again):
                return follow
            batch = follow.batch
            wait = follow.wait or timedelta(seconds=min(60, 2**attempt) * (0.5 + self.jitter() / 2))
            if wait > LONGEST_WAIT:
                self._defer(intent, wait)
                return Stop(f"{follow.why}; it asks for {wait}", whole_destination=True)
            if attempt < ATTEMPTS - 1:
                self.clock.sleep_until(self.clock.now() + wait)
        why = follow.why if isinstance(follow, Again) else "it kept failing"
        return Stop(f"{why}, {ATTEMPTS} times", whole_destination=True)

    # ── before the call ──────────────────────────────────────────────────────────────────────────

    def _intend(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        with self.ledger.writing() as session:
            intending = Intending(
                session, self.ledger, self.sink, self.destination, self._routes(), self.clock.now(), self._count
            )
            return intending.intend(target, batch)

    def _routes(self) -> Mapping[str, Route]:
        return {route.conversion: route for route in self.book.routes_to(self.destination)}

    # ── after the call ───────────────────────────────────────────────────────────────────────────

    def _receive(self, intent: Intent, receipt: Receipt) -> Follow:
        """Commit what came back, row by row, and say what to do next."""
        with self.ledger.writing() as session:
            now = self.clock.now()
            request = requests.get(session, intent.request)
            rows = requests.rows(session, intent.request)
            match receipt:
                case Received():
                    request.state, request.ticket = requests.RequestState.RECEIVED, receipt.ticket
                    request.resolve_after = now + self.sink.limits.resolve_after
                    self.done.warnings.update(receipt.warnings)
                    for _, row in rows:
                        self._move(session, row, Fate.SUBMITTED, "received", now)
                    self.streak.taken()
                    self.done.sent += len(rows)
                    return Next()
                case Answered():
                    request.state = requests.RequestState.SETTLED
                    return self._answered(session, rows, receipt.outcomes, now)
                case Refused():
                    request.state = requests.RequestState.REFUSED
                    request.code, request.message = receipt.outcome.code, receipt.outcome.message
                    return self._refused(session, intent, rows, receipt, now)
                case NotSent():
                    request.state, request.message = requests.RequestState.NOT_SENT, receipt.reason
                    for _, row in rows:
                        self._back(session, row, receipt.reason, now)
                    return Again(receipt.reason, None, intent.numbers)
                case Lost():
                    request.state, request.message = requests.RequestState.LOST, receipt.reason
                    for _, row in rows:
                        deliveries.doubt(row, intent.request, now=now)
                        self._move(session, row, Fate.IN_DOUBT, receipt.reason, now)
                    if self._asks_a_human:
                        return Stop(receipt.reason, whole_destination=False, alarm=False)
                    return Again(receipt.reason, None, intent.numbers)
            assert_never(receipt)

    def _answered(
        self,
        session: Session,
        rows: list[tuple[Attempt, Delivery]],
        outcomes: Sequence[Outcome],
        now: datetime,
    ) -> Follow:
        again: list[int] = []
        stop: Outcome | None = None
        self.streak.taken()
        for (attempt, row), outcome in zip(rows, _as_the_settings_fault(outcomes), strict=True):
            self._settle(session, attempt, row, outcome, now)
            if outcome.kind is OutcomeClass.RETRY:
                again.append(deliveries.number(row))
            if outcome.kind in STOPPING:
                stop = outcome
        if stop is not None:
            return Stop(_words(stop), whole_destination=not stop.of_target)
        if _all_alike(outcomes, OutcomeClass.UNKNOWN):
            return Stop(_words(outcomes[0]), whole_destination=True)
        return Again("it answers retry", None, tuple(again)) if again else Next()

    def _refused(
        self,
        session: Session,
        intent: Intent,
        rows: list[tuple[Attempt, Delivery]],
        refusal: Refused,
        now: datetime,
    ) -> Follow:
        outcome = refusal.outcome
        if outcome.kind in OF_ROWS:
            blamed, rest = isolate(range(len(rows)), refusal.rows)
            self.streak.refused([intent.numbers[position] for position in blamed])
            if self.streak.is_general:
                return self._nothing_passes(session, rows, outcome, now)
            for position in blamed:
                attempt, row = rows[position]
                self._settle(session, attempt, row, outcome, now)
            for part in rest:
                for position in part:
                    self._back(session, rows[position][1], "refused with others", now)
            return Next(tuple(tuple(intent.numbers[position] for position in part) for part in rest))
        for attempt, row in rows:
            self._settle(session, attempt, row, outcome, now)
        if outcome.kind in STOPPING:
            return Stop(_words(outcome), whole_destination=not outcome.of_target)
        if outcome.kind is OutcomeClass.RETRY:
            return Again(_words(outcome), outcome.retry_after, intent.numbers)
        alarm = outcome.kind is OutcomeClass.UNKNOWN
        return Stop(_words(outcome), whole_destination=False, alarm=alarm)

    def _nothing_passes(
        self, session: Session, rows: list[tuple[Attempt, Delivery]], outcome: Outcome, now: datetime
    ) -> Stop:
        """Take back the blame of single rows: whatever is sent is refused, so a human has to look."""
        for _, row in rows:
            self._back(session, row, outcome.code, now)
        for number in self.streak.blamed:
            row = session.get_one(Delivery, number)
            if row.fate == Fate.REJECTED:
                self.done.moved[row.conversion, row.destination, row.fate, row.code or ""] -= 1
                self.done.sent -= 1
                self.done.unexpected -= row.outcome != OutcomeClass.DROP_EXPECTED
                row.code = row.outcome = None
                deliveries.move(session, self.ledger, row, Fate.PENDING, "refused like all others", now=now)
        why = f"nothing passes: {self.streak.length} requests in a row were refused, the last with {_words(outcome)}"
        return Stop(why, whole_destination=False)

    def _settle(self, session: Session, attempt: Attempt, row: Delivery, outcome: Outcome, now: datetime) -> None:
        fate = settle(session, self.ledger, attempt, row, outcome, asynchronous=False, now=now)
        self._count(row, outcome.code)
        self.done.sent += fate in (Fate.ACCEPTED, Fate.REJECTED, Fate.EXPIRED)
        self.done.unexpected += fate is Fate.REJECTED and outcome.kind is not OutcomeClass.DROP_EXPECTED

    def _back(self, session: Session, row: Delivery, cause: str, now: datetime) -> None:
        """Where a delivery returns to when nothing of its request was processed."""
        fate = Fate.IN_DOUBT if row.doubtful_since is not None else Fate.PENDING
        deliveries.move(session, self.ledger, row, fate, cause, now=now)

    def _defer(self, intent: Intent, wait: timedelta) -> None:
        """Have deliveries wait as long as the platform asked, over this run's end."""
        with self.ledger.writing() as session:
            now = self.clock.now()
            for _, row in requests.rows(session, intent.request):
                row.deferred_until = now + wait
                session.add(row)

    def _move(self, session: Session, row: Delivery, to: Fate, cause: str, now: datetime) -> None:
        deliveries.move(session, self.ledger, row, to, cause, now=now)
        self._count(row, cause)

    def _count(self, row: Delivery, code: str) -> None:
        self.done.moved[row.conversion, row.destination, row.fate, code] += 1


def _as_the_settings_fault(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The outcomes; where many rows are all refused for one reason, a fault of the settings, so that none is lost."""
    if _all_alike(outcomes, OutcomeClass.FIX_DATA, OutcomeClass.DROP):
        return [replace(outcome, kind=OutcomeClass.FIX_CONFIG, of_target=True) for outcome in outcomes]
    return outcomes


def _all_alike(outcomes: Sequence[Outcome], *kinds: OutcomeClass) -> bool:
    """Whether many rows have one and the same outcome, of one of these kinds."""
    same = {(outcome.kind, outcome.code) for outcome in outcomes}
    return len(outcomes) >= ALL_ALIKE and len(same) == 1 and outcomes[0].kind in kinds


def _words(outcome: Outcome) -> str:
    return f"{outcome.code}: {outcome.message}" if outcome.message else outcome.code


def _parts(numbers: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
