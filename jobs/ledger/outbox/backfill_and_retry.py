"""Requeue rejected deliveries, and store a backfill's progress and approvals."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import BackfillPlace, Delivery, LeadRow, Transition, is_correction, matches_delivery_kind
from jobs.rules.delivery_state import OPEN, DeliveryState
from jobs.rules.model import StatusTimeOrigin
from jobs.rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class RejectionFilter:
    """A filter for rejected deliveries; None matches any value."""

    codes: Collection[str] | None = None
    destination: str | None = None
    conversion: str | None = None


def find_rejected(
    session: Session, account: str, wanted: RejectionFilter, *, places: Collection[tuple[str, str]], limit: int
) -> list[Delivery]:
    """Return up to `limit` rejected deliveries, conversions first, longest rejected first.

    `places` are the pairs of conversion and destination that the settings still have.
    """
    last = select(func.max(Transition.id)).where(Transition.delivery == col(Delivery.id)).scalar_subquery()
    rows = select(Delivery).where(*_rejected_conditions(account, wanted, places))
    return list(session.exec(rows.order_by(is_correction(), last, col(Delivery.id)).limit(limit)))


def count_rejected(
    session: Session, account: str, wanted: RejectionFilter, *, places: Collection[tuple[str, str]]
) -> int:
    """Count the rejected deliveries that match, as in `find_rejected` but without a limit."""
    return session.exec(select(func.count()).where(*_rejected_conditions(account, wanted, places))).one()


def rejection_codes(session: Session, account: str) -> list[str]:
    """Return every code that a currently rejected delivery was rejected with."""
    rejected = (Delivery.account == account, Delivery.state == DeliveryState.REJECTED, col(Delivery.code).is_not(None))
    found = session.exec(select(Delivery.code).where(*rejected).distinct())
    return sorted(code for code in found if code is not None)


def requeue_rejected(
    session: Session, ledger: Ledger, numbers: Collection[int], *, leads: Collection[LeadId], now: datetime
) -> list[Delivery]:
    """Requeue those of these deliveries that are still rejected and belong to these leads, and return them."""
    wanted = (
        col(Delivery.id).in_(numbers),
        col(Delivery.lead).in_(leads),
        Delivery.state == DeliveryState.REJECTED,
    )
    found = list(session.exec(select(Delivery).where(*wanted)))
    for delivery in found:
        if not delivery.is_correction:
            delivery.approved_in = ledger.run
    again = [DeliveryMove(delivery, DeliveryState.PENDING, Reason.RETRY) for delivery in found]
    outbox.change_delivery_states(session, ledger, again, now=now)
    outbox.flag_for_correction_check(session, ledger, found, to_plan=True)
    return found


def _rejected_conditions(
    account: str, wanted: RejectionFilter, places: Collection[tuple[str, str]]
) -> Iterator[ColumnElement[bool]]:
    yield col(Delivery.account) == account
    yield col(Delivery.state) == DeliveryState.REJECTED
    yield tuple_(col(Delivery.conversion), col(Delivery.destination)).in_(list(places))
    if wanted.codes is not None:
        yield col(Delivery.code).in_(wanted.codes)
    yield from _column_value_conditions(destination=wanted.destination, conversion=wanted.conversion)
    # A later correction says everything that an earlier one said.
    later = aliased(Delivery)
    yield ~exists().where(
        col(later.account) == account,
        col(later.lead) == col(Delivery.lead),
        col(later.original) == col(Delivery.original),
        col(later.number) > col(Delivery.number),
    )


def _column_value_conditions(**wanted: str | None) -> Iterator[ColumnElement[bool]]:
    """Match deliveries with these column values; None matches any."""
    for column, value in wanted.items():
        if value is not None:
            yield getattr(Delivery, column) == value


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A human's request to send changes in `[start, end)`, optionally of one conversion or to one destination."""

    start: datetime
    end: datetime
    conversion: str | None = None
    destination: str | None = None
    assume_time: bool = False
    """Whether to use a lead's last update as the time of a change that Oplead doesn't date."""

    def covers(self, at: datetime | None) -> bool:
        """Return whether an instant lies in the requested range."""
        return at is not None and self.start <= at < self.end


def begin_or_resume_reading(
    ledger: Ledger, reads_from: datetime, *, fresh_to: datetime | None, now: datetime
) -> BackfillPlace:
    """Return the cursor of an interrupted reading of leads created since `reads_from`, or a new one at the first page.

    Leads created before `fresh_to` are read in full even if unchanged; None means contact data isn't needed. If it is,
    reading starts over when the earlier pages lack it for some of these leads, or when another run came between and
    erased contact data that no row was waiting for.
    """
    with ledger.write_transaction() as session:
        row = session.get(BackfillPlace, ledger.account)
        if row is None or row.reads_from != reads_from or (fresh_to and not _has_contact_data(row, ledger, fresh_to)):
            row = BackfillPlace(
                account=ledger.account, reads_from=reads_from, fresh_to=fresh_to, started_at=now, resume=None, epoch=0
            )
            row = session.merge(row)
        row.epoch = ledger.epoch
        # The bound that holds for the pages both before and after the cursor.
        row.fresh_to = fresh_to and row.fresh_to and min(fresh_to, row.fresh_to)
        session.add(row)
        return row


def _has_contact_data(place: BackfillPlace, ledger: Ledger, fresh_to: datetime) -> bool:
    """Return whether the earlier pages were read with contact data, and no run has erased it since."""
    return place.epoch == ledger.epoch - 1 and place.fresh_to is not None and place.fresh_to >= fresh_to


def store_backfill_cursor(session: Session, ledger: Ledger, resume: str | None) -> None:
    """Store the cursor after a page."""
    row = session.get_one(BackfillPlace, ledger.account)
    row.resume = resume
    session.add(row)


def delete_backfill_cursor(ledger: Ledger) -> None:
    """Delete the backfill's cursor."""
    with ledger.write_transaction() as session:
        session.exec(delete(BackfillPlace).where(col(BackfillPlace.account) == ledger.account))


def skipped_before_start(
    session: Session, account: str, asked: BackfillRequest, *, after: Delivery | None, limit: int
) -> list[tuple[Delivery, LeadRow]]:
    """Return the next conversions skipped for preceding their start that may lie in the requested range.

    They are ordered by destination and time. An undated one may lie in the range if its lead's last update, or the time
    recorded for it, does.
    """
    # In index order: any other order would sort all remaining rows for each page.
    place = (col(Delivery.destination), col(Delivery.at), col(Delivery.id))
    later = [] if after is None else [tuple_(*place) > (after.destination, after.at, after.id)]
    rows = session.exec(
        select(Delivery, LeadRow)
        .join(LeadRow, and_(col(LeadRow.account) == col(Delivery.account), col(LeadRow.id) == col(Delivery.lead)))
        .where(
            Delivery.account == account,
            Delivery.state == DeliveryState.SKIPPED,
            matches_delivery_kind(corrections=False),
            col(Delivery.reason).not_in((Reason.ALREADY_SENT, Reason.ANOTHER_PLATFORM)),
            *later,
            *_column_value_conditions(conversion=asked.conversion, destination=asked.destination),
            or_(
                _within(Delivery.at, asked),
                and_(col(Delivery.origin) == StatusTimeOrigin.BASELINE, _within(LeadRow.updated_at, asked)),
            ),
        )
        .order_by(*place)
        .limit(limit)
    )
    return list(rows)


def approve_for_backfill(session: Session, ledger: Ledger, delivery: Delivery, asked: BackfillRequest) -> None:
    """Make an approved delivery count from the requested start, and flag its lead for planning, which then moves it."""
    delivery.counts_from = min(delivery.counts_from or asked.start, asked.start)
    delivery.approved_in = ledger.run
    session.add(delivery)
    lead = session.get_one(LeadRow, (delivery.account, delivery.lead))
    lead.to_plan = True
    session.add(lead)


def approve_unfinished_backfill(session: Session, ledger: Ledger, asked: BackfillRequest) -> None:
    """Approve for this run the deliveries in the same range that an earlier backfill left open."""
    left_open = (
        col(Delivery.account) == ledger.account,
        col(Delivery.counts_from).is_not(None),
        col(Delivery.state).in_(OPEN),
        *_column_value_conditions(conversion=asked.conversion, destination=asked.destination),
        _within(Delivery.at, asked),
    )
    session.exec(update(Delivery).where(*left_open).values(approved_in=ledger.run))


def approved_deliveries(session: Session, ledger: Ledger) -> Iterator[Delivery]:
    """Yield every delivery that a human approved in this run."""
    mine = (Delivery.account == ledger.account, Delivery.approved_in == ledger.run)
    yield from session.exec(select(Delivery).where(*mine).order_by(col(Delivery.id)))


def conversions_of_lead(
    session: Session, account: str, lead: LeadId, *, conversion: str | None, destination: str | None
) -> list[Delivery]:
    """Return a lead's conversions, optionally of one conversion or to one destination."""
    wanted = (Delivery.account == account, Delivery.lead == lead, matches_delivery_kind(corrections=False))
    only = _column_value_conditions(conversion=conversion, destination=destination)
    return list(session.exec(select(Delivery).where(*wanted, *only).order_by(col(Delivery.id))))


def _within(at: datetime | None, asked: BackfillRequest) -> ColumnElement[bool]:
    """Match rows whose time column lies in the requested range."""
    return and_(col(at) >= asked.start, col(at) < asked.end)
