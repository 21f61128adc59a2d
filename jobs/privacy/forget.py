"""Forgets leads in the ledger: what is on its way ends, every row goes, and a tombstone keeps them from coming back."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain

from sqlalchemy import exists, update
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.leads import leads
from jobs.ledger.outbox import outbox, requests
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.retention import erasure, monthly
from jobs.ledger.retention.monthly import CountByMonth
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Attempt, Delivery, ExcludedTestLead, LeadRow, Request, UnreadableLeadRow, stored_row_id
from jobs.rules.delivery_state import OPEN, SENT, DeliveryState, state_once_forgotten
from jobs.rules.reasons import NAMING_ANOTHER_LEAD, Reason


@dataclass(frozen=True, slots=True)
class DeliveryOnRecord:
    """A delivery that is cancelled, or that a platform has or may have."""

    conversion: str
    destination: str
    kind: str
    key: str
    """By which the platform knows the conversion."""
    transport: str | None
    state: DeliveryState
    """Where it stands before its lead is forgotten."""
    sent_at: datetime | None
    """When it was last sent; None if it never was."""


@dataclass(frozen=True, slots=True)
class DataHeldOnLead:
    """What the ledger holds on a lead, or held until it was forgotten."""

    lead: LeadId
    is_known: bool
    """Whether there is any row about it."""
    forgotten_on: date | None
    """When it was forgotten; None if it was not."""
    created_at: datetime | None
    sent: tuple[DeliveryOnRecord, ...]
    cancelled: tuple[DeliveryOnRecord, ...]
    """Those still open, which never go out once the lead is forgotten."""

    @property
    def is_on_record(self) -> bool:
        """Whether anything was held, or it is known to be forgotten."""
        return bool(self.is_known or self.sent or self.cancelled or self.forgotten_on)


def data_held_on_leads(session: Session, account: str, ids: Collection[LeadId]) -> list[DataHeldOnLead]:
    """Return what the ledger holds on each of these leads, in their order."""
    forgotten = erasure.forgotten_among(session, account, ids)
    return [_held(session, account, lead, forgotten.get(lead)) for lead in ids]


def _held(session: Session, account: str, lead: LeadId, forgotten_on: date | None) -> DataHeldOnLead:
    row = session.get(LeadRow, (account, lead))
    others = (session.get(table, (account, lead)) for table in (ExcludedTestLead, UnreadableLeadRow))
    rows = _deliveries(session, account, [lead])
    sent_at = requests.last_send_by_delivery(session, list(map(stored_row_id, rows)))
    on_record = [
        (
            each,
            DeliveryOnRecord(
                each.conversion,
                each.destination,
                each.kind,
                each.key,
                each.transport,
                DeliveryState(each.state),
                sent_at.get(stored_row_id(each)),
            ),
        )
        for each in rows
    ]
    return DataHeldOnLead(
        lead,
        is_known=row is not None or any(others),
        forgotten_on=forgotten_on,
        created_at=None if row is None else row.created_at,
        sent=tuple(one for _, one in on_record if one.sent_at is not None or one.state not in _NEVER_SENT),
        cancelled=tuple(one for _, one in on_record if one.state in OPEN),
    )


_NEVER_SENT = OPEN | {DeliveryState.SKIPPED, DeliveryState.EXPIRED, DeliveryState.CANCELLED, DeliveryState.REJECTED}
"""States that say nothing of whether a platform has it."""


def _deliveries(session: Session, account: str, ids: Collection[LeadId]) -> list[Delivery]:
    """Return every delivery of these leads, a correction after its conversion."""
    wanted = select(Delivery).where(Delivery.account == account, col(Delivery.lead).in_(ids))
    return list(session.exec(wanted.order_by(col(Delivery.id))))


def forget_leads(
    ledger: Ledger, ids: Collection[LeadId], *, now: datetime, today: date, count_by_month: CountByMonth
) -> list[DataHeldOnLead]:
    """Forget leads in one transaction, and return what was held on each; those forgotten earlier stay as they are.

    What they came to stays in the monthly sums, by which reports still add up. The second place knows first: if this is
    cut short, the next run finds them there and forgets them.
    """
    if ledger.place is not None:
        ledger.place.remember(ids, today)
    with ledger.write_transaction() as session:
        held = data_held_on_leads(session, ledger.account, ids)
        _end_what_is_under_way(session, ledger, ids, now=now)
        # Here, since nobody can count them once they are erased.
        monthly.add_monthly_rows(session, monthly.archive_rows_without_campaigns(list(count_by_month(session, ids))))
        erasure.erase_leads(session, ledger.account, ids)
        erasure.erase_mentions(session, ledger.account, ids)
        erasure.remember_forgotten(session, ledger.account, ids, on=today)
        _ask_no_more_about_empty_requests(session, ledger.account)
    return held


def forget_again(
    ledger: Ledger, also: Collection[LeadId], *, now: datetime, count_by_month: CountByMonth
) -> list[LeadId]:
    """Forget whom only the second place knows as forgotten, and return those leads.

    Looked for are all leads that anything is held of, and `also` these. Who is nowhere yet is kept out once read.
    """
    if (place := ledger.place) is None:
        return []
    with ledger.read_transaction() as session:
        known = erasure.all_forgotten_leads(session, ledger.account)
        place.match(erasure.forgotten_among(session, ledger.account, known))
        found = place.days_of(chain(erasure.every_lead_id(session, ledger.account), also))
    for day in sorted(set(found.values())):
        leads = [lead for lead, at in found.items() if at == day]
        forget_leads(ledger, leads, now=now, today=day, count_by_month=count_by_month)
    return list(found)


def _end_what_is_under_way(session: Session, ledger: Ledger, ids: Collection[LeadId], *, now: datetime) -> None:
    for each in _duplicates_of_sent(session, ledger.account, ids):
        outbox.mark_sent_elsewhere(session, ledger, each, now=now)
    moves = [
        DeliveryMove(each, end, Reason.FORGOTTEN)
        for each in _deliveries(session, ledger.account, ids)
        if (end := state_once_forgotten(DeliveryState(each.state))) != each.state
    ]
    outbox.change_delivery_states(session, ledger, moves, now=now)
    session.flush()


def _duplicates_of_sent(session: Session, account: str, ids: Collection[LeadId]) -> list[Delivery]:
    """Return other leads' conversions that were held back because one of these leads' counts instead.

    Once that is erased, nothing else shows that it was sent: they would go out, and the platform would count twice.
    """
    was_sent = leads.is_in_state_for_named_lead(account, SENT)
    held_back = (
        Delivery.account == account,
        Delivery.state == DeliveryState.WITHHELD,
        col(Delivery.reason).in_(NAMING_ANOTHER_LEAD),
        col(Delivery.detail).in_(ids),
        col(Delivery.lead).not_in(ids),
    )
    return list(session.exec(select(Delivery).where(*held_back, was_sent).order_by(col(Delivery.id))))


def _ask_no_more_about_empty_requests(session: Session, account: str) -> None:
    """Await no outcome of requests whose rows are all erased: it would be about nobody on record."""
    has_rows = exists().where(col(Attempt.request) == col(Request.id))
    awaited = (col(Request.account) == account, col(Request.state) == RequestState.RECEIVED, ~has_rows)
    ended = {"state": RequestState.UNRESOLVED, "message": Reason.FORGOTTEN}
    session.connection().execute(update(bulk.table_of(Request)).where(*awaited).values(ended))
