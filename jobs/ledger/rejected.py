"""What platforms rejected, found and put back in the queue."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import sendables
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.sendables import Sent
from jobs.ledger.tables import Adjustment, AdjustmentTransition, Delivery, LeadRow, Transition

AGAIN = "retry"
"""The cause of a move that a human asked for."""


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
    for code in session.exec(select(kind.code).where(kind.account == account, kind.fate == Fate.REJECTED).distinct()):
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
    for row in session.exec(select(kind).where(col(kind.id).in_(numbers), kind.fate == Fate.REJECTED)):
        if LeadId(row.lead) not in leads:
            continue
        if isinstance(row, Delivery):
            row.agreed_in = ledger.run
        sendables.move(session, ledger, row, Fate.PENDING, AGAIN, now=now)
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
        col(kind.fate) == Fate.REJECTED,
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
