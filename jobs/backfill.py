"""Picks changes from before their start that a human wants sent, and sends what was approved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.errors import Misconfigured, Transient
from connectors.records import LeadId
from jobs.deliver.resolve import resolve
from jobs.deliver.sender import deliver
from jobs.ledger import leads, requeue
from jobs.ledger.outbox import is_sent_elsewhere, mark_sent_elsewhere
from jobs.ledger.requeue import BackfillRequest
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Delivery, LeadRow
from jobs.nightly import Deps, NightStep, Watch, count_states, sending_of, stop_of
from jobs.plan.planner import erase_idle, plan
from jobs.pull.ingest import Ingest
from jobs.pull.range_read import ReadRange, read_range
from jobs.pull.sync import confirmed
from jobs.rules.delivery_state import NOT_OUT, DeliveryState
from jobs.rules.model import LeadFacts, Origin, Route
from jobs.rules.status_changes import assumed_time
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook

EARLIER = timedelta(days=90)
"""How long before the first change asked for a lead may have been created: Google remembers no click longer."""
AT_ONCE = 200
"""Deliveries or lines looked at in one transaction."""
AGES = (7, 30, 60, 90)
"""Days since the change, by which it is told what can be sent still."""


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """A line of a file that says what was told by other means."""

    lead: LeadId
    conversion: str | None = None
    """None for all the lead's conversions."""


@dataclass(slots=True)
class AlreadySentResult:
    """What became of the lines of such a file."""

    settled: int = 0
    """Conversions that never go out from now on."""
    before: int = 0
    """Those that an earlier file had settled."""
    ours: Counter[str] = field(default_factory=Counter)
    """Conversions that stay as they are, by state: they went out by us already, or are over."""
    nothing: int = 0
    """Lines whose lead is on record and has no such conversion."""
    unknown: list[str] = field(default_factory=list)
    """Lead ids that were never read."""


@dataclass(slots=True)
class Picked:
    """What a backfill picked, and what it had to leave."""

    undated: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Conversion and destination of changes that Oplead does not date, and that stay where they are."""


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """What becomes of changes of one age."""

    conversion: str
    destination: str
    age: str
    """Days since the change, as 8-30."""
    sent: int
    """Those that go out at once."""
    waits: int
    withheld: int
    expired: int
    left: int
    """Those that cannot be decided yet, or that the platform was told another way."""


def read(ledger: Ledger, book: Rulebook, deps: Deps, asked: BackfillRequest, summary: RunSummary) -> None:
    """Read the leads of the time asked for and judge what changed, as a night does; `summary` says what stopped it."""
    fresh = any(route.uses_contact for route in _routes(book, asked))
    wish = ReadRange(asked.start - EARLIER, asked.end, fresh)
    ingest = Ingest(book, deps.sinks)
    try:
        with confirmed(ledger, summary.started_at):
            read_range(
                ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, wish=wish, done=summary.pulled
            )
    except (Misconfigured, Transient) as error:
        summary.source_stopped = stop_of(error)
    plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())


def pick(ledger: Ledger, book: Rulebook, deps: Deps, asked: BackfillRequest) -> Picked:
    """Have the changes of the time asked for count and judge them: they become pending, withheld or expired.

    What an interrupted backfill of the same time has picked is taken up again; what is settled is not touched.
    """
    picking = _Picking(book, asked)
    with ledger.writing() as session:
        requeue.approve_again(session, ledger, asked)
    last: Delivery | None = None
    while True:
        deps.cancel_token()
        with ledger.writing() as session:
            found = requeue.skipped(session, ledger.account, asked, after=last, limit=AT_ONCE)
            facts = leads.facts(session, ledger.account, {LeadId(row.lead) for row, _ in found})
            for row, lead in found:
                if picking.wants(row, lead, facts[LeadId(row.lead)]):
                    requeue.reopen(session, ledger, row, asked)
        if not found:
            break
        last = found[-1][0]
    plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())
    return picking.done


@dataclass(frozen=True, slots=True)
class _Picking:
    """Tells which of the deliveries before their start a backfill sends."""

    book: Rulebook
    asked: BackfillRequest
    done: Picked = field(default_factory=Picked)

    def wants(self, row: Delivery, lead: LeadRow, facts: LeadFacts) -> bool:
        """Whether a delivery is one of them; one without a time gets the one that is taken for it."""
        route = self.book.route(row.conversion, row.destination)
        if route is None:
            return False
        if row.origin != Origin.BASELINE:
            return self.asked.covers(row.at)
        row.assumed_at = self._assumed(row, lead, facts, route)
        if row.assumed_at is None:
            self.done.undated[row.conversion, row.destination] += 1
        return self.asked.covers(row.assumed_at)

    def _assumed(self, row: Delivery, lead: LeadRow, facts: LeadFacts, route: Route) -> datetime | None:
        if not self.asked.assume_time or not route.limits.takes_assumed_times:
            return None
        undated = (one for one in facts.changes if one.origin is Origin.BASELINE and one.label == row.label)
        return next((assumed_time(one, lead.updated_at) for one in undated), None)


def settle_told(
    ledger: Ledger, listed: Sequence[AlreadySent], *, conversion: str | None, destination: str | None, now: datetime
) -> AlreadySentResult:
    """Have what a file lists never go out, for the platforms have it by other means."""
    done = AlreadySentResult()
    for start in range(0, len(listed), AT_ONCE):
        part = listed[start : start + AT_ONCE]
        with ledger.writing() as session:
            known = leads.on_record(session, ledger.account, [one.lead for one in part])
            for one in part:
                if one.lead not in known:
                    done.unknown.append(one.lead)
                    continue
                if conversion is not None and one.conversion not in (None, conversion):
                    continue
                rows = requeue.of_lead(
                    session, ledger.account, one.lead, conversion=one.conversion or conversion, destination=destination
                )
                done.nothing += not rows
                for row in rows:
                    if is_sent_elsewhere(row):
                        done.before += 1
                    elif row.state in NOT_OUT:
                        mark_sent_elsewhere(session, ledger, row, now=now)
                        done.settled += 1
                    else:
                        done.ours[row.state] += 1
    done.unknown = list(dict.fromkeys(done.unknown))
    return done


def groups(ledger: Ledger, *, now: datetime) -> tuple[AgeGroup, ...]:
    """What becomes of everything this run has picked, by conversion, destination and age."""
    counts: dict[tuple[str, str, int], Counter[str]] = {}
    with ledger.reading() as session:
        for row in requeue.approved(session, ledger):
            age = (now - (row.at or now)).days
            band = next((position for position, days in enumerate(AGES) if age <= days), len(AGES))
            counts.setdefault((row.conversion, row.destination, band), Counter())[_stands(row, now)] += 1
    return tuple(
        AgeGroup(conversion, destination, _age(band), *(found[name] for name in _STANDS))
        for (conversion, destination, band), found in sorted(counts.items())
    )


_STANDS = ("sent", "waits", "withheld", "expired", "left")


def _stands(row: Delivery, now: datetime) -> str:
    match DeliveryState(row.state):
        case DeliveryState.PENDING:
            times = (row.not_before, row.deferred_until)
            return "sent" if all(at is None or at <= now for at in times) else "waits"
        case DeliveryState.WITHHELD:
            return "withheld"
        case DeliveryState.EXPIRED:
            return "expired"
        case _:
            return "left"


def _age(band: int) -> str:
    if band == len(AGES):
        return f"over {AGES[-1]}"
    return f"{AGES[band - 1] + 1 if band else 0}-{AGES[band]}"


def _routes(book: Rulebook, asked: BackfillRequest) -> list[Route]:
    return [
        route
        for route in book.routes
        if asked.conversion in (None, route.conversion) and asked.destination in (None, route.destination)
    ]


def send(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, watch: Watch) -> None:
    """Send what was agreed to in this run, after what is in doubt; `summary` says how it went."""
    with watch(NightStep.DELIVER):
        sending = sending_of(ledger, book, deps, deps.clock.now())
        summary.delivered = deliver(replace(sending, approved_only=True), deps.sinks)
    with watch(NightStep.RESOLVE):
        resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, cancel_token=deps.cancel_token)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    with ledger.reading() as session:
        count_states(session, ledger, book, summary)
