"""One night: recover, pull, resolve, plan, deliver, resolve; one direction."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient
from connectors.http import CancelToken
from connectors.ports import Clock, LeadSource
from connectors.records import DestinationId
from jobs.alerts.review import Review, review, unknown_labels
from jobs.cancellation import go_on
from jobs.deliver.adjustment_sender import send_adjustments
from jobs.deliver.receipt import Delivered
from jobs.deliver.resolve import Resolved, recover, resolve
from jobs.deliver.sender import deliver
from jobs.ledger import outbox, outbox_queries, requests, status_labels
from jobs.ledger.requests import RequestState
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, OutboxRow
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.planner import Planned, adopt_settings, erase_idle, plan
from jobs.plan.volume_guard import ExcessVolume, hold_excess_volume
from jobs.pull.ingest import Ingest
from jobs.pull.sync import Pulled, SyncMode, SyncWindow, confirmed, expect_plausible, pull
from jobs.rules.adjustment import adjustments_of
from jobs.rules.delivery_state import DeliveryState
from jobs.settings.compile import Rulebook, Sinks

NAMED = 5
"""How many leads a sentence names."""
ASK_AGAIN_AFTER = timedelta(minutes=5)
"""A platform that has not finished is left alone this long."""


class NightStep(StrEnum):
    """The parts of a night, as a person may watch them."""

    PULL = "reading leads"
    RESOLVE = "asking for outcomes"
    PLAN = "deciding"
    DELIVER = "sending"
    VALIDATE = "having it checked"
    WAIT = "waiting for outcomes"


Watch = Callable[[NightStep], AbstractContextManager[object]]
"""Called at the start of each step, so that a terminal can show what goes on."""


_ASKED = (
    "`in_doubt: ask` leaves it to you. To send them again, which may count twice, write `in_doubt: resend` within "
    "48 h; else they become unconfirmed"
)
_PUT_OFF = "they go out while they are still in time; `explain` says what it answers"


def _whose(leads_concerned: Iterable[str]) -> str:
    """The first few leads of a sentence, in brackets; nothing where there are none."""
    named = list(dict.fromkeys(leads_concerned))
    more = ", …" if len(named) > NAMED else ""
    return f" (lead {', '.join(named[:NAMED])}{more})" if named else ""


def _unwatched(_: NightStep) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Deps:
    """The outside world of one account's night."""

    source: LeadSource
    sinks: Sinks
    clock: Clock
    jitter: Callable[[], float]
    sync_window: SyncWindow
    accept_volume: bool = False
    """Whether a human agreed that more goes out tonight than usual."""
    cancel_token: CancelToken = go_on
    """Asked before each request and each intent, so that a night may be ended between two."""


@dataclass(slots=True)
class RunSummary:
    """What a night did, in numbers, and what a human is needed for."""

    account: str
    run: int
    started_at: datetime
    recovered: int = 0
    pulled: Pulled = field(default_factory=Pulled)
    planned: Planned = field(default_factory=Planned)
    delivered: Delivered = field(default_factory=Delivered)
    corrected: Delivered = field(default_factory=Delivered)
    """What sending corrections changed."""
    resolved: Resolved = field(default_factory=Resolved)
    review: Review = field(default_factory=Review)
    """What could not be made sense of, new tonight or not."""
    held: dict[DestinationId, ExcessVolume] = field(default_factory=dict)
    """Destinations to which nothing new goes until a human agrees."""
    source_stopped: str | None = None
    unknown_labels: list[tuple[str, int, int]] = field(default_factory=list)
    """Labels no stage and no `ignored_statuses` names: how many leads have them, how many with a click id."""
    in_doubt: int = 0
    waiting_for_a_human: int = 0
    """How many of those are not sent again until someone decides it (`in_doubt: ask`)."""
    unconfirmed: int = 0
    """Deliveries given up tonight."""
    rejected: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Lead, conversion, destination and the platform's code of each rejection nobody expected.

    Those of corrections stand under the destination's `corrections_of`.
    """
    put_off: list[str] = field(default_factory=list)
    """The lead of each delivery that its platform put off tonight, and in a run before."""
    only_outcomes: bool = False
    """Whether no lead was read: outcomes were asked for, and what had come due was sent."""
    only_validated: bool = False
    """Whether platforms were only asked, so that nothing is kept of what they said."""
    not_checked: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, state, and what stopped: what was due for a check and had none."""
    standing: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, state, reason: where everything stands after the night."""

    @property
    def stopped(self) -> dict[str, str]:
        """Destinations, or actions of one, that wait for a human, and why."""
        return {**self.resolved.stopped, **self.delivered.stopped, **self.corrected.stopped}

    @property
    def rejections(self) -> list[str]:
        """What was rejected though nobody expected it, in a sentence that names some leads."""
        unexpected = self.delivered.unexpected + self.corrected.unexpected + self.resolved.unexpected
        if not unexpected:
            return []
        whose = _whose(lead for lead, *_ in self.rejected)
        if self.only_validated:
            return [f"{unexpected} would be rejected{whose}"]
        return [f"{unexpected} rejected{whose}: `explain` says why"]

    @property
    def excess_volumes(self) -> list[str]:
        """What is held as far more than usual, a sentence for each destination."""
        return [f"{destination}: {surge.sentence}" for destination, surge in self.held.items()]

    @property
    def attention(self) -> list[str]:
        """What a human should look at, a sentence each."""
        told = f": {'; '.join(self.resolved.unconfirmed)}" if self.resolved.unconfirmed else ""
        asked, doubtful = self.waiting_for_a_human, self.in_doubt - self.waiting_for_a_human
        doubts = [
            sentence
            for count, sentence in (
                (self.unconfirmed, f"{self.unconfirmed} unconfirmed: nobody will know whether they count{told}"),
                (doubtful, f"{doubtful} in doubt: an answer was lost; the next night sends the same bytes again"),
                (
                    len(self.put_off),
                    f"{len(self.put_off)} put off by the platform again{_whose(self.put_off)}: {_PUT_OFF}",
                ),
                (asked, f"{asked} in doubt: an answer was lost, and {_ASKED}"),
            )
            if count
        ]
        return [*self.rejections, *self.excess_volumes, *doubts, *self.pulled.attention, *self.review.attention]

    @property
    def exit_code(self) -> int:
        """0 done; 1 done, and a human is needed; 3 the source or a destination stopped."""
        if self.source_stopped or self.stopped:
            return 3
        return 1 if self.attention else 0


def run_night(
    ledger: Ledger, book: Rulebook, deps: Deps, *, reading: bool = True, watch: Watch = _unwatched
) -> RunSummary:
    """Do one night for one account and say what it did.

    A source that fails still lets due deliveries go out; a destination that stops, stops alone. Without `reading` no
    lead is read, and what is in doubt is left to the next night: outcomes are asked for, and what has come due is sent.

    Raises:
        StoppedBySignal: somebody asked to stop; what was sent is on record.
        RenamedError: a conversion seems renamed; nothing was done.
        WrongClock: nobody can tell what time it is, and so what is too late; nothing was judged or sent.
        LedgerError: the state cannot be written; what was committed is safe.
    """
    summary = _read(ledger, book, deps, watch) if reading else _begin_unread(ledger, book, deps)
    summary.only_outcomes = not reading
    with watch(NightStep.RESOLVE):
        resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, cancel_token=deps.cancel_token)
    decided_at = _plan(ledger, book, deps, summary, watch)
    with watch(NightStep.DELIVER):
        summary.delivered = deliver(
            ledger,
            book,
            deps.sinks,
            deps.clock,
            jitter=deps.jitter,
            due_by=decided_at,
            stopped=summary.resolved.stopped,
            held=summary.held,
            replays=reading,
            cancel_token=deps.cancel_token,
        )
        summary.corrected = send_adjustments(
            ledger,
            book,
            deps.sinks,
            deps.clock,
            jitter=deps.jitter,
            due_by=decided_at,
            stopped={*summary.resolved.stopped, *summary.delivered.stopped}.difference(summary.delivered.silent),
            silent=summary.delivered.silent,
            held=summary.held,
            replays=reading,
            cancel_token=deps.cancel_token,
        )
    with watch(NightStep.RESOLVE):
        resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, cancel_token=deps.cancel_token)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    return _conclude(ledger, book, summary)


def rehearse(ledger: Ledger, book: Rulebook, deps: Deps, *, watch: Watch = _unwatched) -> RunSummary:
    """A night that asks no platform and sends nothing; made on a copy of the ledger, it leaves nothing behind."""
    summary = _read(ledger, book, deps, watch)
    _plan(ledger, book, deps, summary, watch)
    return _conclude(ledger, book, summary)


def validate(ledger: Ledger, book: Rulebook, deps: Deps, *, watch: Watch = _unwatched) -> RunSummary:
    """A night whose platforms only check what they are sent; made on a copy of the ledger, it leaves nothing behind.

    `deps.sinks` must have been made to validate only.
    """
    summary = _read(ledger, book, deps, watch)
    summary.only_validated = True
    decided_at = _plan(ledger, book, deps, summary, watch)
    due = {row.id for row in _to_be_sent(ledger) if all(at is None or at <= decided_at for at in _times(row))}
    with watch(NightStep.VALIDATE):
        summary.delivered = deliver(
            ledger, book, deps.sinks, deps.clock, jitter=deps.jitter, due_by=decided_at, cancel_token=deps.cancel_token
        )
    for row in _to_be_sent(ledger):
        if row.id in due and (stop := _stop_of(book, row, summary.stopped)):
            summary.not_checked[row.conversion, row.destination, row.state, stop] += 1
    return _conclude(ledger, book, summary)


def _to_be_sent(ledger: Ledger) -> Iterator[Delivery]:
    """Every delivery that this run or a later one sends."""
    with ledger.reading() as session:
        for state in (DeliveryState.PENDING, DeliveryState.IN_DOUBT):
            yield from outbox.by_state(session, ledger.account, Delivery, state)


def _times(row: Delivery) -> tuple[datetime | None, datetime | None]:
    """When a delivery may go out: from the later of these on."""
    return row.not_before, row.deferred_until


def _stop_of(book: Rulebook, row: Delivery, stopped: Mapping[str, str]) -> str | None:
    """What kept a delivery from being checked, and why; None where nothing that is told did."""
    targets = {route.conversion: route.target for route in book.routes_to(DestinationId(row.destination))}
    target = outbox.target_of(row) if row.state == DeliveryState.IN_DOUBT else targets.get(row.conversion)
    if target is None:
        return None
    way = book.way(DestinationId(row.destination), target.transport, target.owner)
    places = (row.destination, way, f"{way}/{target.action}")
    return next((f"{place} stopped: {stopped[place]}" for place in places if place in stopped), None)


def await_outcomes(
    ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, *, until: datetime, watch: Watch = _unwatched
) -> RunSummary:
    """Sleep until outcomes are due and ask for them, until none is awaited or `until` has come; `summary` counts."""
    while summary.resolved.pending and (now := deps.clock.now()) < until:
        with ledger.reading() as session:
            waiting = requests.in_state(session, ledger.account, RequestState.RECEIVED)
        due = min((request.resolve_after or now for request in waiting), default=now)
        with watch(NightStep.WAIT):
            deps.clock.sleep_until(min(until, max(due, now + ASK_AGAIN_AFTER)))
        with watch(NightStep.RESOLVE):
            resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, cancel_token=deps.cancel_token)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    return _conclude(ledger, book, summary)


def begin(ledger: Ledger, book: Rulebook, deps: Deps) -> RunSummary:
    """Bring the state in line with the settings and with what a dead run left; what a run counts by.

    Raises:
        RenamedError: a conversion seems renamed; nothing was done.
    """
    now = deps.clock.now()
    summary = RunSummary(ledger.account, ledger.run, now)
    with ledger.writing() as session:
        adopt_settings(session, book, now=now)
    summary.recovered = recover(ledger, deps.clock)
    return summary


def _begin_unread(ledger: Ledger, book: Rulebook, deps: Deps) -> RunSummary:
    """Begin a run that reads no lead, and so cannot ask the source what time it is."""
    expect_plausible(ledger, deps.clock.now())
    return begin(ledger, book, deps)


def _read(ledger: Ledger, book: Rulebook, deps: Deps, watch: Watch) -> RunSummary:
    summary = begin(ledger, book, deps)
    with watch(NightStep.PULL):
        try:
            with confirmed(ledger, summary.started_at):
                _pull(ledger, book, deps, summary)
        except (Misconfigured, Transient) as error:
            summary.source_stopped = str(error)
    return summary


def _plan(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, watch: Watch) -> datetime:
    """Decide what goes out, and whether that is so much that a human must agree first; by when it was due."""
    with watch(NightStep.PLAN):
        summary.planned = plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())
        plan_adjustments(ledger, book, now=deps.clock.now())
        erase_idle(ledger, deps.sinks, now=deps.clock.now())
        decided_at = deps.clock.now()
        summary.held = hold_excess_volume(ledger, book, deps.sinks, accepted=deps.accept_volume, now=decided_at)
    return decided_at


def _pull(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary) -> None:
    """Read what changed; everything once more where a label came up that this reading could not understand.

    Both readings spend one night's time and requests. Where leads are read by their own pages there is no second one:
    every lead that counts was read, and one that had its old label when its turn came is as old as that. The leads
    that took the new one wait for the next night's reading.
    """
    until = deps.clock.now() + deps.sync_window.budget
    ingest, done = Ingest(book, deps.sinks), summary.pulled
    pull(ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, until=until, done=done)
    if not done.complete or deps.sync_window.style is SyncMode.DETAILS:
        return
    with ledger.reading() as session:
        understood = status_labels.are_all_settled(session, ledger.account)
    if not understood and not deps.source.is_spent and deps.clock.now() <= until:
        done.complete = False
        pull(ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, until=until, done=done)


def _conclude(ledger: Ledger, book: Rulebook, summary: RunSummary) -> RunSummary:
    """Add where everything stands."""
    with ledger.writing() as session:
        summary.review = review(session, ledger, book, summary.planned, now=summary.started_at)
    with ledger.reading() as session:
        summary.unknown_labels = unknown_labels(session, ledger.account, book.known_labels)
        count_states(session, ledger, book, summary)
    return summary


def count_states(session: Session, ledger: Ledger, book: Rulebook, summary: RunSummary) -> None:
    """Add where everything stands, and what this run saw settled otherwise than it should be."""
    doubtful = outbox.count_in_doubt(session, ledger.account)
    summary.in_doubt = doubtful.total()
    summary.waiting_for_a_human = sum(count for where, count in doubtful.items() if where in book.ask_when_lost)
    summary.unconfirmed = outbox.moved_to(session, ledger, DeliveryState.UNCONFIRMED)
    if not summary.only_validated:
        summary.put_off = outbox_queries.put_off_again(session, ledger)
    refused = outbox.rejected_in(session, ledger)
    summary.rejected = [(row.lead, row.conversion, _place_of(row), row.code or "") for row in refused]
    summary.standing = outbox_queries.standing(session, ledger.account)


def _place_of(row: OutboxRow) -> str:
    """The destination that answers about it, or what that one's corrections are called."""
    return adjustments_of(DestinationId(row.destination)) if isinstance(row, Adjustment) else row.destination
