"""What a run sends next: batches of deliveries, by how urgent and how promising they are."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import product

from connectors.ports import ConversionSink
from connectors.records import DestinationId, Target
from jobs.deliver.bisect import bisect
from jobs.deliver.stopping import UNANSWERED_IN_A_ROW, Silence, Stops
from jobs.deliver.transactions import SendingResult, Transaction, TryAgain, counted_transaction
from jobs.ledger.outbox import outbox, settlements
from jobs.ledger.outbox.outbox import DueFilter, SentRow
from jobs.ledger.outbox.settlements import RowInDoubt, Settlement
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConversionRoute
from jobs.rules.reasons import DestinationScope, Reason
from jobs.run_context import RunContext

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


@dataclass(frozen=True, slots=True)
class PriorityBatches:
    """Batches for one target, sent before anything else."""

    target: Target
    batches: tuple[tuple[int, ...], ...]
    kind: Turn
    """Which turn this is."""


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


@dataclass(slots=True)
class Agenda:
    """What one destination's conversions, or its corrections, are to be sent in one run, in which order."""

    sending: SendingOptions
    scope: DestinationScope
    sink: ConversionSink
    silence: Silence
    stops: Stops
    done: SendingResult
    _set_aside: deque[PriorityBatches] = field(init=False, default_factory=deque)
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
    def asks_a_human(self) -> bool:
        """Whether a human decides on replaying bytes whose answer was lost."""
        return self.destination in self.run_context.book.ask_when_lost

    def routes(self) -> Mapping[str, ConversionRoute]:
        """Return the destination's routes by conversion."""
        return {route.conversion: route for route in self.run_context.book.routes_to_destination(self.destination)}

    def turns(self) -> Iterator[PriorityBatches]:
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
        while replays and self.silence.parts < silences:
            yield replays.popleft()
        for target, due in self._due_by_target().items():
            for batch in self._due_batches(target, due):
                yield PriorityBatches(target, (batch,), Turn.NEW)
        first, then = (replays, self._set_aside) if self._is_replay_limited else (self._set_aside, replays)
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
        for route in self.routes().values():
            by_target.setdefault(route.target, []).append(route.conversion)
        return {target: replace(due, conversions=conversions) for target, conversions in by_target.items()}

    def _due_batches(self, target: Target, due: DueFilter) -> Iterator[tuple[int, ...]]:
        """Yield what is due in batches, each continuing after the last, then start over for what became due meanwhile.

        Starting over for every batch would rescan all rows that wait for another day. It ends since a turn leaves none
        of its rows due: each is sent, settled, deferred or in doubt by then, or the target has stopped.
        """
        last: tuple[datetime, int] | None = None
        approved_in = self.run_context.ledger.run if self.sending.approved_only else None
        while not self.stops.cover(target):
            with self.run_context.ledger.read_transaction() as session:
                rows = outbox.due_deliveries(
                    session,
                    replace(due, now=self.run_context.now(), approved_in=approved_in),
                    new_by=self._first_sends_due_by,
                    after=last,
                    limit=self._max_rows_per_request(target),
                )
            if rows:
                yield tuple(number for _, number in rows)
            elif last is None:
                return
            last = rows[-1] if rows else None

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
            if not self.asks_a_human
        ]

    def _max_rows_per_request(self, target: Target) -> int:
        can = self.sink.limits.corrects.get(target.transport) if self.scope.corrections else None
        return self.sink.limits.batch if can is None else can.batch

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

    def set_aside(self, unanswered: TryAgain, turn: PriorityBatches) -> None:
        """Leave an unanswered batch in smaller parts for the end of the run."""
        _, parts = bisect(unanswered.batch, ())
        if not parts and turn.kind is not Turn.AGAIN and not unanswered.at_once:
            # A single row that was tried only once gets a second try, in case of a momentary outage.
            parts = [unanswered.batch]
        if parts:
            self._set_aside.append(PriorityBatches(turn.target, tuple(parts), Turn.AGAIN))

    @property
    def _first_sends_due_by(self) -> datetime | None:
        """When first sends must have been due; None holds them, so that only earlier sends may be repeated."""
        return None if self.scope in self.sending.held else self.sending.due_by
