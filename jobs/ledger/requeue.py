"""Rejected deliveries put back in the queue, and what a backfill remembers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import outbox
from jobs.ledger.outbox import Sent
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, AdjustmentTransition, BackfillPlace, Delivery, LeadRow, Transition
from jobs.rules.delivery_state import OPEN, DeliveryState
from jobs.rules.model import Origin
from jobs.rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusals:
    """Which rejected deliveries and corrections are meant; None leaves all."""

    code: str | None = None
    destination: str | None = None
    conversion: str | None = None


def find(
    session: Session, account: str, wanted: Refusals, *, places: Collection[tuple[str, str]], limit: int
) -> list[Delivery]:
    """Some rejected deliveries that the settings still have, the longest rejected first."""
    last = select(func.max(Transition.id)).where(Transition.delivery == Delivery.id).scalar_subquery()
    meant = _meant(account, Delivery, wanted, places)
    return list(session.exec(select(Delivery).where(*meant).order_by(last, col(Delivery.id)).limit(limit)))


def find_corrections(
    session: Session, account: str, wanted: Refusals, *, places: Collection[tuple[str, str]], limit: int
) -> list[Adjustment]:
    """The same of corrections that no later one has taken the place of."""
    moves = AdjustmentTransition
    last = select(func.max(moves.id)).where(moves.adjustment == Adjustment.id).scalar_subquery()
    meant = (*_meant(account, Adjustment, wanted, places), ~_is_followed())
    return list(session.exec(select(Adjustment).where(*meant).order_by(last, col(Adjustment.id)).limit(limit)))


def count(session: Session, account: str, wanted: Refusals, *, places: Collection[tuple[str, str]]) -> int:
    """How many deliveries and corrections there are of both."""
    deliveries = _meant(account, Delivery, wanted, places)
    corrections = (*_meant(account, Adjustment, wanted, places), ~_is_followed())
    return (
        session.exec(select(func.count()).select_from(Delivery).where(*deliveries)).one()
        + session.exec(select(func.count()).select_from(Adjustment).where(*corrections)).one()
    )


def codes(session: Session, account: str) -> list[str]:
    """Every code that something was rejected with."""
    return sorted({*_codes(session, account, Delivery), *_codes(session, account, Adjustment)})


def _codes(session: Session, account: str, kind: type[Sent]) -> Iterator[str]:
    for code in session.exec(
        select(kind.code).where(kind.account == account, kind.state == DeliveryState.REJECTED).distinct()
    ):
        if code is not None:
            yield code


def requeue(
    session: Session,
    ledger: Ledger,
    kind: type[Sent],
    numbers: Collection[int],
    *,
    leads: Collection[LeadId],
    now: datetime,
) -> int:
    """Put back in the queue those of these that are still rejected and whose leads are among these; how many."""
    count = 0
    for row in session.exec(select(kind).where(col(kind.id).in_(numbers), kind.state == DeliveryState.REJECTED)):
        if LeadId(row.lead) not in leads:
            continue
        if isinstance(row, Delivery):
            row.approved_in = ledger.run
        outbox.move(session, ledger, row, DeliveryState.PENDING, Reason.RETRY, now=now)
        lead = session.get_one(LeadRow, (row.account, row.lead))
        lead.to_plan = lead.to_correct = True
        session.add(lead)
        count += 1
    return count


def _meant(
    account: str, kind: type[Sent], wanted: Refusals, places: Collection[tuple[str, str]]
) -> list[ColumnElement[bool]]:
    meant = [
        col(kind.account) == account,
        col(kind.state) == DeliveryState.REJECTED,
        tuple_(col(kind.conversion), col(kind.destination)).in_(list(places)),
    ]
    if wanted.code is not None:
        meant.append(col(kind.code) == wanted.code)
    if wanted.destination is not None:
        meant.append(col(kind.destination) == wanted.destination)
    if wanted.conversion is not None:
        meant.append(col(kind.conversion) == wanted.conversion)
    return meant


def _is_followed() -> ColumnElement[bool]:
    """Whether another correction of the same delivery was begun after this one."""
    later = aliased(Adjustment)
    return exists().where(col(later.delivery) == col(Adjustment.delivery), col(later.number) > col(Adjustment.number))


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a human asks to have sent: changes from an instant on and before another, perhaps of one kind only."""

    start: datetime
    end: datetime
    conversion: str | None = None
    destination: str | None = None
    assume_time: bool = False
    """Whether a lead's last update is taken for the time of a change that Oplead does not date."""

    def covers(self, at: datetime | None) -> bool:
        """Whether an instant lies in the time asked for."""
        return at is not None and self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class ReadingPosition:
    """Where a reading begins."""

    started_at: datetime
    resume: str | None


def begin_reading(ledger: Ledger, reads_from: datetime, *, fresh_to: datetime | None, now: datetime) -> ReadingPosition:
    """Where to read: on from an interrupted reading of the same leads, else from the first page.

    Where contact data is wanted it starts over once another run has come between: that erased what nothing was to be
    sent by. So it does where the pages read before were read without it, or without that of leads created as late.

    Args:
        ledger: where the place is kept.
        reads_from: leads created since then are read.
        fresh_to: leads created before that are read whole though nothing changed; None where contact data is not
            wanted.
        now: when this reading begins.
    """
    with ledger.writing() as session:
        row = session.get(BackfillPlace, ledger.account)
        if row is None or row.reads_from != reads_from or _lacks_contact_data(row, ledger, fresh_to):
            row = session.merge(
                BackfillPlace(
                    account=ledger.account,
                    reads_from=reads_from,
                    fresh_to=fresh_to,
                    started_at=now,
                    resume=None,
                    epoch=ledger.epoch,
                )
            )
        row.epoch = ledger.epoch
        # What all pages have in common, those before the place and those after it.
        row.fresh_to = fresh_to and row.fresh_to and min(fresh_to, row.fresh_to)
        session.add(row)
        return ReadingPosition(row.started_at, row.resume)


def _lacks_contact_data(place: BackfillPlace, ledger: Ledger, fresh_to: datetime | None) -> bool:
    """Whether contact data is wanted that the pages before a place were read without, or that was erased since."""
    if fresh_to is None:
        return False
    return place.epoch != ledger.epoch - 1 or place.fresh_to is None or place.fresh_to < fresh_to


def note_page(session: Session, ledger: Ledger, resume: str | None) -> None:
    """Note where the reading goes on after a page."""
    row = session.get_one(BackfillPlace, ledger.account)
    row.resume = resume
    session.add(row)


def end_reading(ledger: Ledger) -> None:
    """Forget the place."""
    with ledger.writing() as session:
        row = session.get(BackfillPlace, ledger.account)
        if row is not None:
            session.delete(row)


def skipped(
    session: Session, account: str, asked: BackfillRequest, *, after: Delivery | None, limit: int
) -> list[tuple[Delivery, LeadRow]]:
    """The next deliveries, by destination and time, that stand before their start and may lie in the time asked for.

    An undated one may where the lead's last update or what it was taken from does.
    """
    # In the order of the index that leads to them; in another one each page would sort all that are left.
    place = (col(Delivery.destination), col(Delivery.at), col(Delivery.id))
    later = [] if after is None else [tuple_(*place) > (after.destination, after.at, after.id)]
    rows = session.exec(
        select(Delivery, LeadRow)
        .join(LeadRow, and_(col(LeadRow.account) == col(Delivery.account), col(LeadRow.id) == col(Delivery.lead)))
        .where(
            Delivery.account == account,
            Delivery.state == DeliveryState.SKIPPED,
            col(Delivery.reason).not_in((Reason.ALREADY_SENT, Reason.ANOTHER_PLATFORM)),
            *later,
            *_kind(asked),
            or_(
                _within(Delivery.at, asked),
                and_(col(Delivery.origin) == Origin.BASELINE, _within(LeadRow.updated_at, asked)),
            ),
        )
        .order_by(*place)
        .limit(limit)
    )
    return list(rows)


def reopen(session: Session, ledger: Ledger, delivery: Delivery, asked: BackfillRequest) -> None:
    """Have a delivery count that a human agreed to, and its lead judged again; it moves once that is done."""
    delivery.counts_from = min(delivery.counts_from or asked.start, asked.start)
    delivery.approved_in = ledger.run
    session.add(delivery)
    lead = session.get_one(LeadRow, (delivery.account, delivery.lead))
    lead.to_plan = True
    session.add(lead)


def approve_again(session: Session, ledger: Ledger, asked: BackfillRequest) -> None:
    """Have what an earlier backfill of the same time left open go out with this one."""
    session.exec(
        update(Delivery)
        .where(
            col(Delivery.account) == ledger.account,
            col(Delivery.counts_from).is_not(None),
            col(Delivery.state).in_(OPEN),
            *_kind(asked),
            _within(Delivery.at, asked),
        )
        .values(approved_in=ledger.run)
    )


def agreed(session: Session, ledger: Ledger) -> Iterator[Delivery]:
    """Every delivery that a human agreed to in this run."""
    yield from session.exec(
        select(Delivery)
        .where(Delivery.account == ledger.account, Delivery.approved_in == ledger.run)
        .order_by(col(Delivery.id))
    )


def of_lead(
    session: Session, account: str, lead: LeadId, *, conversion: str | None, destination: str | None
) -> list[Delivery]:
    """A lead's deliveries, perhaps only of one conversion, or to one destination."""
    wanted = [Delivery.account == account, Delivery.lead == lead]
    if conversion is not None:
        wanted.append(Delivery.conversion == conversion)
    if destination is not None:
        wanted.append(Delivery.destination == destination)
    return list(session.exec(select(Delivery).where(*wanted).order_by(col(Delivery.id))))


def known(session: Session, account: str, ids: Sequence[LeadId]) -> set[LeadId]:
    """Those of the leads that are on record."""
    found = session.exec(select(LeadRow.id).where(LeadRow.account == account, col(LeadRow.id).in_(ids)))
    return {LeadId(lead) for lead in found}


def _kind(asked: BackfillRequest) -> Iterator[ColumnElement[bool]]:
    if asked.conversion is not None:
        yield col(Delivery.conversion) == asked.conversion
    if asked.destination is not None:
        yield col(Delivery.destination) == asked.destination


def _within(at: datetime | None, asked: BackfillRequest) -> ColumnElement[bool]:
    """Whether a column's instant lies in the time asked for."""
    return and_(col(at) >= asked.start, col(at) < asked.end)
