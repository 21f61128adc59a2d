"""Sends what nights alone don't: changes from before their start (`backfill`) and rejected rows (`retry`)."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from connectors.records import LeadId
from jobs.deliver.agenda import SendingOptions, count_due
from jobs.deliver.sender import deliver
from jobs.ledger.leads import leads
from jobs.ledger.outbox import backfill_and_retry as in_ledger
from jobs.ledger.outbox.backfill_and_retry import BackfillRequest, RejectionFilter
from jobs.ledger.outbox.outbox import is_sent_elsewhere, mark_sent_elsewhere
from jobs.ledger.schema import Delivery, LeadRow, stored_row_id
from jobs.nightly import ask_for_outcomes, count_states, is_due, recording_source_failures
from jobs.plan.planner import erase_unusable_personal_data, plan, with_missing_value_guard
from jobs.pull.exported_file import open_newest_export
from jobs.pull.ingest import DetailFetcher
from jobs.pull.sync import read_leads_for_backfill
from jobs.rules.delivery_state import NOT_OUT, DeliveryState
from jobs.rules.model import ConversionRoute, LeadFacts, StatusTimeOrigin
from jobs.rules.status_changes import assumed_time
from jobs.run_context import NightStep, RunContext
from jobs.run_summary import RunSummary

EARLIER = timedelta(days=90)
"""How long before the first requested change a lead may have been created: Google keeps no click longer."""
AT_ONCE = 200
"""Deliveries or lines per transaction."""
MAX_RETRIED = 1000
"""Maximum rows per retry, because each costs a request to Oplead. Running it again takes the next ones."""
AGE_LIMITS = (7, 30, 60, 90)
"""Upper bounds, in days since the change, of a preview's age groups."""


def send_requeued(run: RunContext, summary: RunSummary) -> None:
    """Send what was approved in this run, after replaying what is in doubt; results are added to `summary`."""
    run = with_missing_value_guard(run)
    sending = SendingOptions(run, run.now(), approved_only=True)
    with run.deps.watch(NightStep.DELIVER, summary, total=partial(count_due, sending)):
        deliver(sending, summary.delivered)
    ask_for_outcomes(run, summary)
    erase_unusable_personal_data(run)
    with run.ledger.read_transaction() as session:
        count_states(session, run, summary)


# ── backfill ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """One line of a file listing what platforms received by other means."""

    lead: LeadId
    conversion: str | None = None
    """None means all of the lead's conversions."""


@dataclass(slots=True)
class AlreadySentListResult:
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
class AgeGroupOutcomeCounts:
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


def read_requested(run: RunContext, asked: BackfillRequest, summary: RunSummary) -> None:
    """Read the leads of the requested period and judge their changes as a night does; `summary` records any stop."""
    fresh = any(
        route.uses_contact
        for route in run.book.routes
        if asked.conversion in (None, route.conversion) and asked.destination in (None, route.destination)
    )
    with recording_source_failures(run, summary):
        open_newest_export(run)
        read_leads_for_backfill(run, asked.start - EARLIER, fresh_to=asked.end if fresh else None, done=summary.pulled)
    plan(with_missing_value_guard(run), shown_since=None)


def plan_requested_backfill(run: RunContext, asked: BackfillRequest) -> Counter[tuple[str, str]]:
    """Make the requested period's changes count and judge them; they become pending, withheld or expired.

    Changes picked by an interrupted backfill of the same period are picked again; settled ones are left alone.

    Returns how many changes Oplead doesn't date, which stay as they are, by conversion and destination.
    """
    ledger, undated = run.ledger, Counter[tuple[str, str]]()
    with ledger.write_transaction() as session:
        in_ledger.approve_unfinished_backfill(session, ledger, asked)
    last: Delivery | None = None
    while True:
        run.deps.cancel_token()
        with ledger.write_transaction() as session:
            found = in_ledger.skipped_before_start(session, ledger.account, asked, after=last, limit=AT_ONCE)
            facts = leads.load_lead_facts(session, ledger.account, {LeadId(row.lead) for row, _ in found})
            for row, lead in found:
                route = run.book.find_conversion_route(row.conversion, row.destination)
                if route is None:
                    continue
                at = row.at
                if row.origin == StatusTimeOrigin.BASELINE:
                    at = row.assumed_at = _assumed_time(asked, row, lead, facts[LeadId(row.lead)], route)
                    undated[row.conversion, row.destination] += at is None
                if asked.covers(at):
                    in_ledger.approve_for_backfill(session, ledger, row, asked)
        if not found:
            break
        last = found[-1][0]
    plan(with_missing_value_guard(run), shown_since=None)
    return +undated


def _assumed_time(
    asked: BackfillRequest, row: Delivery, lead: LeadRow, facts: LeadFacts, route: ConversionRoute
) -> datetime | None:
    if not asked.assume_time or not route.limits.takes_assumed_times:
        return None
    undated = (one for one in facts.changes if one.origin is StatusTimeOrigin.BASELINE and one.label == row.label)
    return next((assumed_time(one, lead.updated_at) for one in undated), None)


def mark_listed_as_already_sent(
    run: RunContext, listed: Sequence[AlreadySent], *, conversion: str | None, destination: str | None
) -> AlreadySentListResult:
    """Mark what a file lists as sent by other means, so that it is never sent."""
    done, ledger, now = AlreadySentListResult(), run.ledger, run.now()
    for start in range(0, len(listed), AT_ONCE):
        part = listed[start : start + AT_ONCE]
        with ledger.write_transaction() as session:
            known = leads.stored_lead_ids(session, ledger.account, [one.lead for one in part])
            for one in part:
                if one.lead not in known:
                    done.unknown.append(one.lead)
                    continue
                if conversion is not None and one.conversion not in (None, conversion):
                    continue
                rows = in_ledger.conversions_of_lead(
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


def count_backfill_by_age(run: RunContext) -> tuple[AgeGroupOutcomeCounts, ...]:
    """Return what would become of everything this run picked, by conversion, destination and age."""
    now, counts = run.now(), defaultdict[tuple[str, str, int], Counter[str]](Counter)
    with run.ledger.read_transaction() as session:
        for row in in_ledger.approved_deliveries(session, run.ledger):
            age = (now - (row.at or now)).days
            band = sum(age > days for days in AGE_LIMITS)
            counts[row.conversion, row.destination, band][_outcome_count_field(row, now)] += 1
    prospects = ("sent", "waits", "withheld", "expired", "left")
    return tuple(
        AgeGroupOutcomeCounts(conversion, destination, _age(band), *(found[name] for name in prospects))
        for (conversion, destination, band), found in sorted(counts.items())
    )


def _outcome_count_field(row: Delivery, now: datetime) -> str:
    """Return the `AgeGroupOutcomeCounts` field that counts a delivery."""
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
class RowsToResend:
    """The rows to send again."""

    rows: tuple[Delivery, ...] = ()
    """Conversions first."""
    alike: tuple[RejectedGroup, ...] = ()
    """The same rows, grouped and counted."""
    left: int = 0
    """Matching rows beyond the limit, left for the next retry."""

    @property
    def corrections(self) -> int:
        """The number of corrections."""
        return sum(row.is_correction for row in self.rows)


@dataclass(frozen=True, slots=True)
class Requeued:
    """Numbers of rows put back in the queue."""

    deliveries: int = 0
    corrections: int = 0
    """Sent by the next night."""


def find_rejected(run: RunContext, wanted: RejectionFilter) -> RowsToResend:
    """Return what would be sent again: conversions first, then corrections."""
    account, places, now = (
        run.ledger.account,
        {route.conversion_destination_pair for route in run.book.routes},
        run.now(),
    )
    with run.ledger.read_transaction() as session:
        rows = in_ledger.find_rejected(session, account, wanted, places=places, limit=MAX_RETRIED)
        left = in_ledger.count_rejected(session, account, wanted, places=places) - len(rows)
    alike = defaultdict[tuple[str, str, str, bool], list[Delivery]](list)
    for row in rows:
        alike[row.conversion, row.destination, row.code or "", row.is_correction].append(row)
    return RowsToResend(
        tuple(rows),
        tuple(
            RejectedGroup(*group, len(found), sum(one.expires_at is not None and one.expires_at < now for one in found))
            for group, found in sorted(alike.items())
        ),
        left,
    )


def requeue_rejected(run: RunContext, chosen: RowsToResend, summary: RunSummary) -> Requeued:
    """Read each lead's own page again and requeue its rejected rows.

    A lead that cannot be read is left out: the platform would refuse the same data again. `summary` records what was
    read and any stop.
    """
    now, done = run.now(), summary.pulled
    fetch = DetailFetcher(run, done, until=now + run.deps.sync_window.budget, started=now, afresh=True)
    with recording_source_failures(run, summary):
        open_newest_export(run)
        wanted = list(dict.fromkeys(LeadId(row.lead) for row in chosen.rows))
        asked = fetch.read(wanted)
        done.complete = len(asked.ids) == len(wanted)
        done.deleted = len(asked.deleted)
    if summary.source_stopped is not None:
        return Requeued()
    back = _put_back(run, [stored_row_id(row) for row in chosen.rows], set(asked.as_asked))
    plan(with_missing_value_guard(run), shown_since=None)
    return back


def _put_back(run: RunContext, numbers: Sequence[int], found: set[LeadId]) -> Requeued:
    counts: Counter[bool] = Counter()
    for start in range(0, len(numbers), AT_ONCE):
        run.deps.cancel_token()
        with run.ledger.write_transaction() as session:
            some = numbers[start : start + AT_ONCE]
            back = in_ledger.requeue_rejected(session, run.ledger, some, leads=found, now=run.now())
            counts.update(row.is_correction for row in back)
    return Requeued(counts[False], counts[True])
