"""Applies the rules to leads and updates their deliveries; sends nothing."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.language import _
from connectors.records import ClickIdKind, DeliveryKey, DestinationId, LeadId, OutcomeClass
from jobs.faults import ContainedFault
from jobs.ledger import bulk
from jobs.ledger.leads import leads, starts
from jobs.ledger.outbox import deduplication, outbox, twins
from jobs.ledger.outbox.deduplication import DedupCandidateLead, DedupCandidates, DuplicatePrecedence
from jobs.ledger.outbox.outbox import DeliveriesOfLeads, DeliveryMove
from jobs.ledger.outbox.twins import Place
from jobs.ledger.report import queries
from jobs.ledger.schema import Delivery, DeliveryRecord
from jobs.plan.expected_values import with_latest_estimates
from jobs.rules.decision import (
    Decision,
    DeliveryStatus,
    NoSuchConversion,
    decide,
    lead_meets_where_conditions,
    next_delivery_state,
)
from jobs.rules.delivery_state import COUNTING, OPEN, DeliveryState
from jobs.rules.eligibility import (
    consent_is_withdrawn,
    dedup_keys,
    is_alternative_destination,
    is_route_for_other_clicks,
)
from jobs.rules.model import (
    FEWEST_LEADS,
    ConversionRoute,
    CountingStarts,
    LeadFacts,
    StatusTimeOrigin,
    ValueOrigin,
    delivery_key,
)
from jobs.rules.reasons import HELD_FOR_A_HUMAN, NAMING_ANOTHER_LEAD, Reason
from jobs.rules.status_changes import DATED, first_entry
from jobs.run_context import RunContext
from jobs.settings.compile import Rulebook


def with_missing_value_guard(run: RunContext) -> RunContext:
    """Return the run with the missing-value guard applied to its rules, as planning and sending need them."""
    with run.ledger.read_transaction() as session:
        return replace(run, book=withhold_missing_amounts(session, run.book))


def withhold_missing_amounts(session: Session, book: Rulebook) -> Rulebook:
    """Missing-value guard: return rules that withhold conversions whose amount no lead has at the configured path.

    If only a few leads have reached a conversion's stage, they may simply have no amount yet; its route stays as it is.
    The rules returned know the latest estimates of expected values, too.
    """
    book = with_latest_estimates(session, book)
    paths = {route.field_value.path for route in book.routes if route.field_value is not None}
    absent = paths - queries.amount_paths(session, book.account) if paths else paths
    return replace(book, routes=tuple(_hold_missing_value(session, route, absent) for route in book.routes))


def _hold_missing_value(session: Session, route: ConversionRoute, absent: set[str]) -> ConversionRoute:
    value, labels = route.field_value, None if route.on_creation else route.labels
    if value is None or value.path not in absent:
        return route
    reached = queries.count_leads_with_labels(session, route.account, labels, enough=FEWEST_LEADS)
    return replace(route, field_value=replace(value, never_seen=reached == FEWEST_LEADS))


UNUSED_CLICK = timedelta(days=90)
"""How long to keep a click id that none of the account's platforms accepts."""
LEADS_AT_ONCE = 200
"""Leads per transaction: few enough for memory, enough for speed."""


@dataclass(slots=True)
class PlanningResult:
    """What tonight's planning covered."""

    leads: int = 0
    same_click: Counter[str] = field(default_factory=Counter)
    """By conversion, how many became pending with a click another counting lead shares; reported, not blocked."""
    filtered_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By conversion and destination, how many leads reached the stage after its start but are excluded by `where`."""
    faults: list[str] = field(default_factory=list)
    """Failures that nobody foresaw, by kind of error."""


def plan(run: RunContext, *, shown_since: datetime | None) -> PlanningResult:
    """Plan every lead that changed, whose open delivery ran out of time or whose rules changed; update its deliveries.

    Leads that were not shown since `shown_since` are not known to exist still. With None, nothing was read that tells:
    what looks like a conversion of one of those waits for a run that knows.
    `run` must have been `with_missing_value_guard` since leads were last read.
    """
    account, now = run.ledger.account, run.now()
    with ExitStack() as stack:
        once = [route for route in run.book.routes if route.once is not None]
        candidates = {
            route.conversion_destination_pair: stack.enter_context(closing(DedupCandidates())) for route in once
        }
        with run.ledger.write_transaction() as session:
            leads.flag_expired_for_planning(session, account, now=now)
            with_value = {
                route.conversion
                for route in run.book.routes
                if (route.field_value is None or not route.field_value.never_seen)
                and (route.expected_value is None or route.expected_value.value is not None)
            }
            routes = {route.conversion_destination_pair for route in run.book.routes}
            leads.flag_released_for_planning(
                session, account, routes, with_value=with_value, now=now, shown_since=shown_since or now
            )
            planner = _Planner(run, starts.load_counting_starts(session, account), now, candidates, shown_since)
        with run.ledger.read_transaction() as session:
            planner.find_duplicates(session)
        planning = True
        while planning:
            run.deps.cancel_token()
            with run.ledger.write_transaction() as session:
                planning = planner.plan_some(session)
                if not planning:
                    deduplication.erase_unmatchable_keys(session, account, run.book.routes, now=now)
                    planner.done.same_click = deduplication.count_leads_sharing_clicks(session, run.ledger)
    return planner.done


def erase_unusable_personal_data(run: RunContext) -> None:
    """Erase the contact hashes and click ids that no future send can use, and marks whose click window has closed."""
    now = run.now()
    # The oldest click time, by kind, that some platform still accepts.
    accepted: dict[ClickIdKind, datetime] = {}
    for sink in run.deps.sinks.values():
        for kind in sink.limits.click_ids:
            accepted[kind] = min(accepted.get(kind, now), now - sink.limits.click_window)
    with run.ledger.write_transaction() as session:
        leads.erase_unusable_hashes_and_clicks(
            session, run.ledger.account, clicks_before=now - UNUSED_CLICK, but=accepted
        )
        if run.ledger.may_have_marks:
            closed = min(accepted.values(), default=now - UNUSED_CLICK)
            leads.erase_contact_marks(session, run.ledger.account, created_before=closed)


def erase_contact_data_of_settled(run: RunContext) -> None:
    """Erase the contact hashes that became unusable by what this run moved; what it planned has been looked at."""
    with run.ledger.write_transaction() as session:
        leads.erase_unusable_hashes(session, run.ledger.account, moved_in=run.ledger.run)


@dataclass(slots=True)
class _Changes:
    """What becomes of some leads' deliveries."""

    moves: list[DeliveryMove] = field(default_factory=list)
    counting_once: list[tuple[DeliveryRecord, frozenset[str]]] = field(default_factory=list)
    """Deliveries that count once per click or person, with their deduplication keys."""


@dataclass(slots=True)
class _Planner:
    """State shared while leads are planned one by one."""

    run: RunContext
    starts: Mapping[tuple[str, str], CountingStarts]
    now: datetime
    candidates: Mapping[tuple[str, DestinationId], DedupCandidates]
    """Tonight's duplicate leads, by conversion and destination, where a conversion counts once per click or person."""
    shown_since: datetime | None
    """When what was read tonight began; None if that does not tell which leads exist."""
    done: PlanningResult = field(default_factory=PlanningResult)
    originals: Mapping[Place, LeadId] = field(default_factory=dict)
    """Of the leads being planned, the conversions that may be twins, and the vanished leads that they counted for."""
    last: LeadId | None = None
    """The last lead planned; each batch starts after it, so that leads waiting before it aren't scanned again."""

    def find_duplicates(self, session: Session) -> None:
        """Find which of the leads to be planned are duplicates.

        All of them are scanned before the first is planned, so that the outcome doesn't depend on planning order; none
        of them is kept in memory.
        """
        once = [
            (route, route.once, self.candidates[route.conversion_destination_pair])
            for route in self.run.book.routes
            if route.once
        ]
        for lead, known, stored in self._to_plan(session) if once else ():
            for route, _rule, candidates in once:
                on_record = stored.get((lead.id, *route.conversion_destination_pair), frozenset())
                if (candidate := self._candidate(route, lead, known, on_record)) is not None:
                    candidates.add(candidate)
        for route, rule, candidates in once:
            for candidate in deduplication.stored_dedup_candidates(
                session, self.run.ledger.account, route, candidates.dedup_keys()
            ):
                candidates.add(candidate)
            candidates.find_duplicates(rule.within)

    def _candidate(
        self, route: ConversionRoute, lead: LeadFacts, known: DeliveriesOfLeads, on_record: AbstractSet[str]
    ) -> DedupCandidateLead | None:
        """The lead's conversion on a route, if it already counts or could from tonight on.

        `on_record` is the deduplication keys stored for it.
        """
        existing = known.conversions.get(lead.id, [])
        delivery = _delivery_to_decide(_by_route(existing).get(route.conversion_destination_pair), route, lead, known)
        decision, state = self._verdict(route, lead, delivery, existing)
        rank = deduplication.duplicate_precedence(delivery)
        if delivery.at is not None and rank is DuplicatePrecedence.SENT:
            at = delivery.at
        elif state is DeliveryState.PENDING and isinstance(decision, Decision):
            at = decision.entry.at
        else:
            return None
        keys = frozenset() if rank is DuplicatePrecedence.NEW else on_record
        return DedupCandidateLead(lead.id, at, dedup_keys(route, lead, at) | keys, rank)

    def _to_plan(
        self, session: Session
    ) -> Iterator[tuple[LeadFacts, DeliveriesOfLeads, Mapping[tuple[str, str, str], AbstractSet[str]]]]:
        """Every lead to be planned, with the deliveries and deduplication keys on record, in batches."""
        account, after = self.run.ledger.account, None
        while ids := leads.leads_to_plan(session, account, limit=LEADS_AT_ONCE, after=after):
            facts = self._load_facts(session, ids)
            known = outbox.deliveries_of_leads(session, account, ids)
            stored = deduplication.dedup_keys_of_leads(session, account, ids)
            yield from ((facts[lead], known, stored) for lead in ids)
            after = ids[-1]

    def _load_facts(self, session: Session, ids: Collection[LeadId]) -> Mapping[LeadId, LeadFacts]:
        account = self.run.ledger.account
        facts = leads.load_lead_facts(session, account, ids)
        self.originals = twins.find_originals(session, account, facts, shown_since=self.shown_since or self.now)
        return facts

    def plan_some(self, session: Session) -> bool:
        """Plan the next leads; return False when none is left."""
        account = self.run.ledger.account
        ids = leads.leads_to_plan(session, account, limit=LEADS_AT_ONCE, after=self.last)
        if not ids:
            return False
        facts = self._load_facts(session, ids)
        known = outbox.deliveries_of_leads(session, account, ids)
        changes = _Changes()
        waiting = {lead for lead, _, _ in self.originals} if self.shown_since is None else frozenset[str]()
        judged = [lead for lead in ids if lead not in waiting]
        for lead in judged:
            self._plan_lead(facts[lead], known, changes)
        outbox.change_delivery_states(session, self.run.ledger, changes.moves, now=self.now)
        deduplication.record_dedup_keys(session, changes.counting_once)
        leads.mark_leads_planned(session, account, judged)
        self.done.leads += len(judged)
        self.last = ids[-1]
        return len(ids) == LEADS_AT_ONCE

    def _plan_lead(self, lead: LeadFacts, known: DeliveriesOfLeads, changes: _Changes) -> None:
        existing = known.conversions.get(lead.id, [])
        by_route = _by_route(existing)
        for route in self.run.book.routes:
            delivery = _delivery_to_decide(by_route.pop(route.conversion_destination_pair, None), route, lead, known)
            decision, state = self._verdict(route, lead, delivery, existing)
            if decision.reason is Reason.WHERE_DOES_NOT_MATCH and lead.fresh:
                self._count_filtered_out(route, lead, DeliveryKey(delivery.key))
            if state is not None:
                move = update_delivery_from_decision(
                    delivery, route=route, decision=decision, state=state, restored_at=self.run.ledger.restored_at
                )
                changes.moves.append(move)
                state = move.to
            if route.once is not None and delivery.at and (state or delivery.state) in COUNTING:
                changes.counting_once.append((delivery, dedup_keys(route, lead, delivery.at)))
        changes.moves += filter(None, (self._withhold_unlisted_delivery(each, lead) for each in by_route.values()))

    def _verdict(
        self, route: ConversionRoute, lead: LeadFacts, delivery: DeliveryRecord, existing: Sequence[Delivery]
    ) -> tuple[Decision | NoSuchConversion, DeliveryState | None]:
        """Decide one route; also return the delivery's next state, None to leave it alone."""
        decision = decide_route(route, lead, self.starts[route.conversion_destination_pair], delivery, now=self.now)
        candidates = self.candidates.get(route.conversion_destination_pair)
        rival = None if candidates is None else candidates.lead_counting_instead(lead.id)
        reason = Reason.COUNTED_ALREADY
        if rival is None and delivery.state not in COUNTING:
            rival, reason = self.originals.get((lead.id, *route.conversion_destination_pair)), Reason.POSSIBLE_TWIN
        if rival is not None and isinstance(decision, Decision) and decision.state is DeliveryState.PENDING:
            decision = Decision(DeliveryState.WITHHELD, reason, decision.entry, decision.closes_at, rival)
        sent_before = was_sent(route, lead, existing, self.run.book.routes)
        if not isinstance(delivery, Delivery):
            return decision, None if sent_before else next_delivery_state(None, decision)
        if _was_skipped_earlier(delivery, decision):
            return decision, None
        if sent_before:
            decision = NoSuchConversion(Reason.SENT_ELSEWHERE)
        return decision, next_delivery_state(self._current_delivery_status(delivery, decision, route, lead), decision)

    def _count_filtered_out(self, route: ConversionRoute, lead: LeadFacts, key: DeliveryKey) -> None:
        start = self.starts[route.conversion_destination_pair]
        entry = first_entry(route, lead, start, key, after=None)
        if (
            entry is not None
            and entry.origin is not StatusTimeOrigin.BASELINE
            and entry.at >= start.start_for_label(entry.label)
        ):
            self.done.filtered_out[route.conversion_destination_pair] += 1

    def _current_delivery_status(
        self, delivery: Delivery, decision: Decision | NoSuchConversion, route: ConversionRoute, lead: LeadFacts
    ) -> DeliveryStatus:
        return DeliveryStatus(
            state=DeliveryState(delivery.state),
            outcome=OutcomeClass(delivery.outcome) if delivery.outcome else None,
            mended=delivery.state == DeliveryState.REJECTED
            and self._would_resend_differ(delivery, decision, route, lead),
            withdrawn=consent_is_withdrawn(lead, needs_personalization=route.limits.needs_personalization),
            deleted=lead.deleted,
            was_deleted=delivery.state == DeliveryState.CANCELLED and delivery.reason == Reason.LEAD_DELETED,
            closed=delivery.expires_at is not None and delivery.expires_at < self.now,
            sent_elsewhere=outbox.is_sent_elsewhere(delivery),
        )

    def _would_resend_differ(
        self, delivery: Delivery, decision: Decision | NoSuchConversion, route: ConversionRoute, lead: LeadFacts
    ) -> bool:
        """Whether a rejected delivery would differ if sent again: it goes elsewhere, or fresh data change it.

        One that cannot be encoded could not be sent either, so it stays as it is.
        """
        if isinstance(decision, NoSuchConversion) or decision.state is not DeliveryState.PENDING:
            return False
        if decision.event is None:
            return lead.fresh
        with ContainedFault(self.done.faults, _("an event could not be encoded"), delivery=delivery.id) as fault:
            encoded = self.run.deps.sinks[route.destination].encode(decision.event)
        if fault.error is not None:
            return False
        digest = hashlib.sha256(encoded).hexdigest()
        place = (route.target.owner, route.target.action, route.target.source)
        elsewhere = (delivery.owner, delivery.action, delivery.source) != place
        return elsewhere or (lead.fresh and digest != delivery.event_sha256)

    def _withhold_unlisted_delivery(self, orphan: Delivery, lead: LeadFacts) -> DeliveryMove | None:
        """Withhold an open delivery the settings no longer list while its window lasts, in case that is a mistake."""
        if orphan.state == DeliveryState.IN_DOUBT and consent_is_withdrawn(lead, needs_personalization=False):
            state, cause = DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN
        elif orphan.state not in OPEN:
            return None
        else:
            state, cause = DeliveryState.WITHHELD, Reason.NOT_CONFIGURED
            if lead.deleted:
                state, cause = DeliveryState.CANCELLED, Reason.LEAD_DELETED
            if orphan.expires_at is not None and orphan.expires_at < self.now:
                orphan.held_for = _expiry_hold_reason(orphan, NoSuchConversion(cause))
                state, cause = DeliveryState.EXPIRED, Reason.WINDOW_CLOSED
        return DeliveryMove(orphan, state, cause)


def _by_route(existing: Iterable[Delivery]) -> dict[tuple[str, str], Delivery]:
    """Return the last occurrence of each conversion at each destination."""
    return {(delivery.conversion, delivery.destination): delivery for delivery in existing}


def _delivery_to_decide(
    delivery: Delivery | None, route: ConversionRoute, lead: LeadFacts, known: DeliveriesOfLeads
) -> DeliveryRecord:
    """The delivery to decide, which may never begin if it is new: the first, or the next after a retracted one."""
    if delivery is None:
        return new_delivery(route, lead.id)
    after = known.retracted_at(delivery)
    if after is None:
        return delivery
    return new_delivery(route, lead.id, occurrence=delivery.occurrence + 1, entered_after=after)


def _was_skipped_earlier(delivery: Delivery, decision: Decision | NoSuchConversion) -> bool:
    """Whether the conversion was skipped for an earlier entry, by a label its stage may have lost since."""
    if delivery.state != DeliveryState.SKIPPED or delivery.at is None:
        return False
    return isinstance(decision, Decision) and decision.entry.at > delivery.at


def was_sent(
    route: ConversionRoute, lead: LeadFacts, existing: Sequence[Delivery], routes: Sequence[ConversionRoute]
) -> bool:
    """Return whether it was sent already, under another destination name, by another route or before the lead moved.

    A lead that no longer meets the `where` of the destination it was sent to has moved to another one of that platform.
    """
    sent = [row for row in existing if row.event_sha256]
    if not sent:
        return False
    place = (route.conversion, route.target.owner, route.target.action)
    elsewhere = (row for row in sent if row.destination != route.destination)
    if any((row.conversion, row.owner, row.action) == place for row in elsewhere):
        return True
    sent_before = {(row.destination, row.conversion): row.state for row in sent}
    return any(
        is_route_for_other_clicks(route, other)
        or (
            is_alternative_destination(route, other)
            and state != DeliveryState.REJECTED
            and not lead_meets_where_conditions(other, lead)
        )
        for other in routes
        if (state := sent_before.get((other.destination, other.conversion))) is not None
    )


def decide_route(
    route: ConversionRoute, lead: LeadFacts, start: CountingStarts, delivery: DeliveryRecord, *, now: datetime
) -> Decision | NoSuchConversion:
    """Decide one route for the current delivery, or for a new one."""
    if lead.deleted:
        return NoSuchConversion(Reason.LEAD_DELETED)
    if lead.reused:
        return NoSuchConversion(Reason.REUSED_ID)
    if lead.stale:
        return NoSuchConversion(Reason.TO_BE_READ_AGAIN)
    if lead.excluded:
        return NoSuchConversion(Reason.EXCLUDED)
    return decide(
        route,
        lead,
        start,
        DeliveryKey(delivery.key),
        now=now,
        entered_after=_entered_after(delivery),
        counts_from=delivery.counts_from,
        assumed_at=delivery.assumed_at if delivery.counts_from is not None else None,
    )


def _entered_after(delivery: DeliveryRecord) -> datetime | None:
    """The time after which entries count for this delivery; None accepts any entry."""
    called_off = delivery.state == DeliveryState.CANCELLED and delivery.reason != Reason.LEAD_DELETED
    return delivery.at if called_off else delivery.entered_after


def new_delivery(
    route: ConversionRoute, lead: LeadId, *, occurrence: int = 1, entered_after: datetime | None = None
) -> DeliveryRecord:
    """Return a new delivery without a state."""
    return bulk.new_record(
        DeliveryRecord,
        account=route.account,
        lead=lead,
        conversion=route.conversion,
        destination=route.destination,
        occurrence=occurrence,
        key=delivery_key(route.account, lead, route.conversion, route.destination, occurrence),
        entered_after=entered_after,
        state="",
    )


def update_delivery_from_decision(
    delivery: DeliveryRecord,
    *,
    route: ConversionRoute,
    decision: Decision | NoSuchConversion,
    state: DeliveryState,
    restored_at: datetime | None,
) -> DeliveryMove:
    """Store what the decision determined about a delivery, and return its move to `state`.

    What expires for nothing but its time is unconfirmed if a state since lost may have sent it.
    """
    if state is DeliveryState.UNCONFIRMED:
        # The row keeps describing what was sent.
        return DeliveryMove(delivery, state, Reason.CONSENT_WITHDRAWN)
    delivery.not_before = None
    if isinstance(decision, Decision):
        # A cancelled delivery that comes back keeps counting only its later entry.
        delivery.entered_after = _entered_after(delivery)
        entry = decision.entry
        delivery.at, delivery.origin, delivery.label = entry.at, entry.origin, entry.label
        delivery.happened_after = None if entry.origin in DATED else entry.after
        delivery.expires_at = decision.closes_at or delivery.expires_at
        delivery.not_before = decision.not_before
        if decision.event is not None:
            value, click_id = decision.event.value, decision.event.click_id
            delivery.value = None if value is None else f"{value.amount:.2f}"
            delivery.currency = None if value is None else value.currency
            delivery.value_from = decision.value_from
            is_expected = route.expected_value is not None and decision.value_from is ValueOrigin.EXPECTED
            delivery.estimate = route.expected_value.estimate if route.expected_value and is_expected else None
            delivery.click_id_kind = None if click_id is None else click_id.kind
            delivery.click_estimated = decision.click_estimated
    delivery.tax = route.field_value.tax if route.field_value else None
    reason, detail = decision.reason, decision.detail
    if state is DeliveryState.EXPIRED:
        if _is_only_late(delivery, decision) and outbox.may_have_been_sent(delivery, restored_at=restored_at):
            return DeliveryMove(delivery, DeliveryState.UNCONFIRMED, Reason.SENT_BEFORE_RESTORE)
        delivery.held_for, reason, detail = _expiry_hold_reason(delivery, decision), Reason.WINDOW_CLOSED, None
    elif state is DeliveryState.CANCELLED and reason not in (Reason.LEAD_DELETED, Reason.UNDONE):
        reason, detail = Reason.CONSENT_WITHDRAWN, None
    return DeliveryMove(delivery, state, reason, detail)


def _is_only_late(delivery: DeliveryRecord, decision: Decision | NoSuchConversion) -> bool:
    """Whether an expiring delivery would go out today but for its time, and counts by no other lead."""
    if isinstance(decision, NoSuchConversion) or decision.state is not DeliveryState.EXPIRED:
        return False
    return decision.held_for is None and delivery.reason not in NAMING_ANOTHER_LEAD


def _expiry_hold_reason(delivery: DeliveryRecord, decision: Decision | NoSuchConversion) -> Reason | None:
    """What withheld an expiring delivery until now, or what stands in its way now if it wasn't withheld."""
    if delivery.state == DeliveryState.WITHHELD or (
        delivery.state == DeliveryState.PENDING and delivery.reason in HELD_FOR_A_HUMAN
    ):
        return Reason(delivery.reason) if delivery.reason else None
    if isinstance(decision, Decision) and decision.state is DeliveryState.EXPIRED:
        return decision.held_for
    return decision.reason
