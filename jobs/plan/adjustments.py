"""Looks for corrections that accepted conversions need, and begins, puts off or calls off each; sends nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel import Session

from connectors.records import AdjustmentKind, ClickIdKind, DeliveryKey
from jobs.ledger import leads, outbox, starts
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, identity
from jobs.rules.adjustment import (
    MAY_COME_BACK,
    STANDS_AGAIN,
    AdjustmentCause,
    SentConversion,
    WantedAdjustment,
    no_more_of,
    state_of,
    tells_of_person,
    wanted_adjustment,
)
from jobs.rules.delivery_state import OPEN, DeliveryState
from jobs.rules.model import LEAD_DELETED, LeadFacts, Route
from jobs.settings.compile import Rulebook

LEADS_AT_ONCE = 200
"""Leads looked at in one transaction."""
AFTER = timedelta(seconds=1)
"""A correction is at least so much later than what it corrects: platforms count whole seconds."""


def plan_adjustments(ledger: Ledger, book: Rulebook, *, now: datetime) -> None:
    """Bring the corrections in line with what became of each lead that was judged, or answered about, since."""
    with ledger.writing() as session:
        leads.correct_closing(session, ledger.account, now=now)
    looking = True
    while looking:
        with ledger.writing() as session:
            ids = leads.to_correct(session, ledger.account, limit=LEADS_AT_ONCE)
            facts = leads.facts(session, ledger.account, ids)
            sent = outbox.of_leads(session, ledger.account, ids)
            made = outbox.adjustments_of_leads(session, ledger.account, ids)
            renamed = starts.renamed(session, ledger.account)
            correcting = _Correcting(session, ledger, book, renamed, now)
            for lead in ids:
                for delivery in sent.get(lead, []):
                    if delivery.state == DeliveryState.ACCEPTED:
                        correcting.look_at(facts[lead], delivery, made.get(identity(delivery), []))
            leads.corrected(session, ledger.account, ids)
        looking = bool(ids)


def sent_conversion(delivery: Delivery, made: Sequence[Adjustment]) -> SentConversion:
    """What a platform holds of an accepted delivery, after the corrections that it has taken."""
    worth = None if delivery.value is None else Decimal(delivery.value)
    taken_back = retracted = False
    for each in made:
        if each.state not in (DeliveryState.ACCEPTED, DeliveryState.UNCONFIRMED):
            continue
        taken_back = each.cause == AdjustmentCause.UNDONE
        retracted = retracted or each.kind == AdjustmentKind.RETRACTION
        worth = worth if each.value is None else Decimal(each.value)
    if delivery.at is None:
        raise ValueError("an accepted delivery has a time")
    return SentConversion(
        key=DeliveryKey(delivery.key),
        transport=delivery.transport or "",
        at=delivery.at,
        worth=worth,
        click=None if delivery.click_id_kind is None else ClickIdKind(delivery.click_id_kind),
        is_taken_back=taken_back,
        is_retracted=retracted,
    )


@dataclass(frozen=True, slots=True)
class _Correcting:
    """One transaction in which corrections are brought in line."""

    session: Session
    ledger: Ledger
    book: Rulebook
    renamed: Mapping[str, str]
    now: datetime

    def look_at(self, lead: LeadFacts, delivery: Delivery, made: Sequence[Adjustment]) -> None:
        """Bring the corrections of one accepted delivery in line."""
        route = self.book.route(delivery.conversion, delivery.destination)
        last = made[-1] if made else None
        if last is not None and last.state in outbox.UNSETTLED - OPEN:
            if route is not None and last.state == DeliveryState.IN_DOUBT:
                self._give_up(last, lead, route)
            return
        if route is None:
            if last is not None and last.state in OPEN:
                self._move(last, DeliveryState.WITHHELD, "not_configured")
            return
        if lead.stale:
            # What was read under older settings decides nothing.
            return
        want = wanted_adjustment(route, lead, sent_conversion(delivery, made), renamed=self.renamed, now=self.now)
        if lead.deleted and want is not None and tells_of_person(route.limits, want.transport):
            if last is not None and last.state in OPEN:
                self._move(last, DeliveryState.CANCELLED, LEAD_DELETED)
        elif last is not None and last.state in OPEN:
            self._follow(last, want, route, delivery, made[:-1])
        elif want is not None:
            self._begin(want, route, delivery, made)

    def _give_up(self, doubtful: Adjustment, lead: LeadFacts, route: Route) -> None:
        """Ask no more for a lost answer by bytes that tell of somebody who said no, or is not there any more."""
        over = no_more_of(lead, needs_personalization=route.limits.needs_personalization)
        if over is not None and tells_of_person(route.limits, doubtful.transport):
            self._move(doubtful, DeliveryState.UNCONFIRMED, over)

    def _follow(
        self,
        waiting: Adjustment,
        want: WantedAdjustment | None,
        route: Route,
        delivery: Delivery,
        before: Sequence[Adjustment],
    ) -> None:
        """Have a correction that was not made yet follow what is wanted now."""
        if want is None:
            self._move(waiting, DeliveryState.CANCELLED, STANDS_AGAIN)
            return
        _describe(waiting, want, route, delivery, before)
        self._put(waiting, want)

    def _begin(self, want: WantedAdjustment, route: Route, delivery: Delivery, made: Sequence[Adjustment]) -> None:
        last = made[-1] if made else None
        if last is not None and _is_same(last, want) and last.state != DeliveryState.CANCELLED:
            if last.state == DeliveryState.SKIPPED and want.ruled_out_by is None:
                # The settings know a way by now.
                _describe(last, want, route, delivery, made[:-1])
                self._put(last, want)
            return
        begun = Adjustment(
            account=self.ledger.account,
            delivery=identity(delivery),
            number=len(made) + 1,
            lead=delivery.lead,
            conversion=delivery.conversion,
            destination=delivery.destination,
            key=delivery.key,
            kind=want.kind,
            cause=want.cause,
            at=want.at,
            transport=want.transport,
            owner=delivery.owner or "",
            action=delivery.action or "",
            source=delivery.source or "",
            state="",
        )
        _describe(begun, want, route, delivery, made)
        self._put(begun, want)

    def _put(self, row: Adjustment, want: WantedAdjustment) -> None:
        if want.ruled_out_by is None:
            self._move(row, DeliveryState.PENDING, "due" if want.until is None else MAY_COME_BACK)
            return
        state = state_of(want.ruled_out_by)
        # What never waited is kept only so that it can be explained.
        never_waited = state is DeliveryState.WITHHELD and row.state not in OPEN
        self._move(row, DeliveryState.SKIPPED if never_waited else state, want.ruled_out_by)

    def _move(self, row: Adjustment, to: DeliveryState, cause: str) -> None:
        outbox.move(self.session, self.ledger, row, to, cause, now=self.now)


def _describe(
    row: Adjustment, want: WantedAdjustment, route: Route, delivery: Delivery, before: Sequence[Adjustment]
) -> None:
    sent = [at for at in (delivery.at, *(each.at for each in before if each.event_sha256)) if at is not None]
    row.kind, row.cause, row.transport = want.kind, want.cause, want.transport
    row.at = max(want.at, *(at + AFTER for at in sent))
    row.value = None if want.value is None else f"{want.value:.2f}"
    row.currency = None if want.value is None else route.currency
    row.not_before, row.expires_at = want.until, want.closes_at


def _is_same(row: Adjustment, want: WantedAdjustment) -> bool:
    """Whether a settled correction is the one that is wanted, so that it is not made again and again."""
    value = None if want.value is None else f"{want.value:.2f}"
    same = (row.kind, row.cause, row.value) == (want.kind, want.cause, value)
    return same and (want.cause is not AdjustmentCause.UNDONE or row.at >= want.at)
