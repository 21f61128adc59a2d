"""Sends what nights alone don't: changes from before their start (`backfill`) and rejected rows (`retry`)."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.records import LeadId
from jobs.deliver.sender import deliver
from jobs.ledger import leads
from jobs.ledger import requeue as ledger_requeue
from jobs.ledger.outbox import is_sent_elsewhere, mark_sent_elsewhere
from jobs.ledger.requeue import BackfillRequest, Refusals
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, LeadRow, OutboxRow, identity
from jobs.nightly import Deps, NightStep, Watch, ask_for_outcomes, count_states, is_due, reading_source, sending_of
from jobs.plan.planner import erase_idle, hold_missing_values, plan
from jobs.pull.detail_fetch import DetailFetch
from jobs.pull.ingest import Ingest
from jobs.pull.sync import ReadRange, read_range
from jobs.rules.delivery_state import NOT_OUT, DeliveryState
from jobs.rules.model import LeadFacts, Origin, Route
from jobs.rules.status_changes import assumed_time
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook

EARLIER = timedelta(days=90)
"""How long before the first requested change a lead may have been created: Google keeps no click longer."""
AT_ONCE = 200
"""Deliveries or lines per transaction."""
MAX_RETRIED = 1000
"""Maximum rows per retry, because each costs a request to Oplead. Running it again takes the next ones."""
AGE_LIMITS = (7, 30, 60, 90)
"""Upper bounds, in days since the change, of a preview's age groups."""


def judge(ledger: Ledger, book: Rulebook, deps: Deps) -> None:
    """Plan the deliveries on record, as a night does."""
    with ledger.reading() as session:
        book = hold_missing_values(session, book)
    plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())


def send(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, watch: Watch) -> None:
    """Send what was approved in this run, after replaying what is in doubt; results are added to `summary`."""
    with ledger.reading() as session:
        book = hold_missing_values(session, book)
    with watch(NightStep.DELIVER, summary):
        sending = sending_of(ledger, book, deps, deps.clock.now())
        summary.delivered = deliver(replace(sending, approved_only=True), deps.sinks)
    ask_for_outcomes(ledger, book, deps, summary, watch)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    with ledger.reading() as session:
        count_states(session, ledger, book, summary)


# ── backfill ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """One line of a file listing what platforms received by other means."""

    lead: LeadId
    conversion: str | None = None
    """None means all of the lead's conversions."""


@dataclass(slots=True)
class AlreadySentResult:
    """Result of applying a file of conversions sent by other means."""

    settled: int = 0
    """Conversions that will now never be sent."""
    before: int = 0
    """Conversions that an earlier file had already settled."""
    ours: Counter[str] = field(default_factory=Counter)
    """Unchanged conversions by state: already sent by us, or final."""
    nothing: int = 0
    """Lines whose lead is on record but has no such conversion."""
    unknown: list[str] = field(default_factory=list)
    """Ids of leads that were never read."""


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """Outcome counts for changes in one age group."""

    conversion: str
    destination: str
    age: str
    """Days since the change, e.g. `8-30`."""
    sent: int
    """Due now."""
    waits: int
    withheld: int
    expired: int
    left: int
    """Not decidable yet, or received by the platform through another route."""


def read(ledger: Ledger, book: Rulebook, deps: Deps, asked: BackfillRequest, summary: RunSummary) -> None:
    """Read the leads of the requested period and judge their changes as a night does; `summary` records any stop."""
    fresh = any(
        route.uses_contact
        for route in book.routes
        if asked.conversion in (None, route.conversion) and asked.destination in (None, route.destination)
    )
    wanted = ReadRange(asked.start - EARLIER, asked.end, fresh)
    ingest = Ingest(book, deps.sinks)
    with reading_source(ledger, summary):
        read_range(
            ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, wanted=wanted, done=summary.pulled
        )
    judge(ledger, book, deps)


def pick(ledger: Ledger, book: Rulebook, deps: Deps, asked: BackfillRequest) -> Counter[tuple[str, str]]:
    """Make the requested period's changes count and judge them; they become pending, withheld or expired.

    Changes picked by an interrupted backfill of the same period are picked again; settled ones are left alone.

    Returns how many changes Oplead doesn't date, which stay as they are, by conversion and destination.
    """
    undated: Counter[tuple[str, str]] = Counter()
    with ledger.writing() as session:
        ledger_requeue.approve_again(session, ledger, asked)
    last: Delivery | None = None
    while True:
        deps.cancel_token()
        with ledger.writing() as session:
            found = ledger_requeue.skipped(session, ledger.account, asked, after=last, limit=AT_ONCE)
            facts = leads.facts(session, ledger.account, {LeadId(row.lead) for row, _ in found})
            for row, lead in found:
                route = book.route(row.conversion, row.destination)
                if route is None:
                    continue
                at = row.at
                if row.origin == Origin.BASELINE:
                    at = row.assumed_at = _assumed_time(asked, row, lead, facts[LeadId(row.lead)], route)
                    undated[row.conversion, row.destination] += at is None
                if asked.covers(at):
                    ledger_requeue.reopen(session, ledger, row, asked)
        if not found:
            break
        last = found[-1][0]
    judge(ledger, book, deps)
    return +undated


def _assumed_time(
    asked: BackfillRequest, row: Delivery, lead: LeadRow, facts: LeadFacts, route: Route
) -> datetime | None:
    if not asked.assume_time or not route.limits.takes_assumed_times:
        return None
    undated = (one for one in facts.changes if one.origin is Origin.BASELINE and one.label == row.label)
    return next((assumed_time(one, lead.updated_at) for one in undated), None)


def settle_already_sent(
    ledger: Ledger, listed: Sequence[AlreadySent], *, conversion: str | None, destination: str | None, now: datetime
) -> AlreadySentResult:
    """Mark what a file lists as sent by other means, so that it is never sent."""
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
                rows = ledger_requeue.of_lead(
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
    """Return what would become of everything this run picked, by conversion, destination and age."""
    counts: dict[tuple[str, str, int], Counter[str]] = {}
    with ledger.reading() as session:
        for row in ledger_requeue.approved(session, ledger):
            age = (now - (row.at or now)).days
            band = sum(age > days for days in AGE_LIMITS)
            counts.setdefault((row.conversion, row.destination, band), Counter())[_prospect(row, now)] += 1
    prospects = ("sent", "waits", "withheld", "expired", "left")
    return tuple(
        AgeGroup(conversion, destination, _age(band), *(found[name] for name in prospects))
        for (conversion, destination, band), found in sorted(counts.items())
    )


def _prospect(row: Delivery, now: datetime) -> str:
    """Return the `AgeGroup` field that counts a delivery."""
    if row.state == DeliveryState.PENDING:
        return "sent" if is_due(row, now) else "waits"
    return row.state if row.state in {DeliveryState.WITHHELD, DeliveryState.EXPIRED} else "left"


def _age(band: int) -> str:
    if band == len(AGE_LIMITS):
        return f"over {AGE_LIMITS[-1]}"
    return f"{AGE_LIMITS[band - 1] + 1 if band else 0}-{AGE_LIMITS[band]}"


# ── retry ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RejectedGroup:
    """Rejected deliveries, or corrections, with the same conversion, destination and code."""

    conversion: str
    destination: str
    code: str
    corrections: bool
    count: int
    too_late: int
    """Rows past their deadline, which become expired."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows to send again, by id."""

    deliveries: tuple[int, ...] = ()
    corrections: tuple[int, ...] = ()
    leads: tuple[LeadId, ...] = ()
    """Distinct leads of these rows."""
    alike: tuple[RejectedGroup, ...] = ()
    """The same rows, grouped and counted."""
    left: int = 0
    """Matching rows beyond the limit, left for the next retry."""

    @property
    def count(self) -> int:
        """Return the total number of rows."""
        return len(self.deliveries) + len(self.corrections)


@dataclass(frozen=True, slots=True)
class Requeued:
    """Numbers of rows put back in the queue."""

    deliveries: int = 0
    corrections: int = 0
    """Sent by the next night."""

    @property
    def count(self) -> int:
        """Return the sum of both."""
        return self.deliveries + self.corrections


def look(ledger: Ledger, book: Rulebook, wanted: Refusals, *, now: datetime) -> Chosen:
    """Return what would be sent again: conversions first, then corrections."""
    account, places = ledger.account, {(route.conversion, route.destination) for route in book.routes}
    with ledger.reading() as session:
        sent = ledger_requeue.find(session, Delivery, account, wanted, places=places, limit=MAX_RETRIED)
        room = MAX_RETRIED - len(sent)
        corrected = ledger_requeue.find(session, Adjustment, account, wanted, places=places, limit=room)
        rows = [*sent, *corrected]
        left = ledger_requeue.count(session, account, wanted, places=places) - len(rows)
    alike: dict[tuple[str, str, str, bool], list[OutboxRow]] = {}
    for row in rows:
        alike.setdefault((row.conversion, row.destination, row.code or "", isinstance(row, Adjustment)), []).append(row)
    return Chosen(
        tuple(map(identity, sent)),
        tuple(map(identity, corrected)),
        tuple(dict.fromkeys(LeadId(row.lead) for row in rows)),
        tuple(
            RejectedGroup(*group, len(found), sum(one.expires_at is not None and one.expires_at < now for one in found))
            for group, found in sorted(alike.items())
        ),
        left,
    )


def requeue(ledger: Ledger, book: Rulebook, deps: Deps, chosen: Chosen, summary: RunSummary) -> Requeued:
    """Read each lead's own page again and requeue its rejected rows.

    A lead that cannot be read is left out: the platform would refuse the same data again. `summary` records what was
    read and any stop.
    """
    found = _read_leads(ledger, book, deps, chosen.leads, summary)
    if summary.source_stopped is not None:
        return Requeued()
    back = Requeued(
        _put_back(ledger, deps, Delivery, chosen.deliveries, found),
        _put_back(ledger, deps, Adjustment, chosen.corrections, found),
    )
    judge(ledger, book, deps)
    return back


def _put_back(
    ledger: Ledger, deps: Deps, kind: type[OutboxRow], numbers: Sequence[int], found: Collection[LeadId]
) -> int:
    count = 0
    for start in range(0, len(numbers), AT_ONCE):
        deps.cancel_token()
        with ledger.writing() as session:
            some = numbers[start : start + AT_ONCE]
            count += ledger_requeue.requeue(session, ledger, kind, some, leads=found, now=deps.clock.now())
    return count


def _read_leads(
    ledger: Ledger, book: Rulebook, deps: Deps, wanted: Sequence[LeadId], summary: RunSummary
) -> set[LeadId]:
    """Return the leads that could be read."""
    now, done, ingest = deps.clock.now(), summary.pulled, Ingest(book, deps.sinks)
    until = now + deps.sync_window.budget
    fetch = DetailFetch(
        ledger, deps.source, ingest, deps.clock, until=until, count=done.count_details, started=now, afresh=True
    )
    with reading_source(ledger, summary):
        asked = fetch.read(wanted)
        done.complete = len(asked.ids) == len(wanted)
        done.deleted = len(asked.deleted)
        return set(asked.ids) - set(asked.deleted) - {one.id for one in done.unreadable if one.id is not None}
    return set()
