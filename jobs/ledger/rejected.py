"""What platforms rejected, found and put back in the queue."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, tuple_
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import sendables
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.tables import Delivery, LeadRow, Transition

AGAIN = "retry"
"""The cause of a move that a human asked for."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Which rejected deliveries are meant; None leaves all."""

    code: str | None = None
    destination: str | None = None
    conversion: str | None = None


def find(
    session: Session, account: str, wanted: Refusals, *, places: Collection[tuple[str, str]], limit: int
) -> list[Delivery]:
    """Some rejected deliveries that the settings still have, the longest rejected first."""
    last = select(func.max(Transition.id)).where(Transition.delivery == Delivery.id).scalar_subquery()
    return list(
        session.exec(
            select(Delivery).where(*_meant(account, wanted, places)).order_by(last, col(Delivery.id)).limit(limit)
        )
    )


def count(session: Session, account: str, wanted: Refusals, *, places: Collection[tuple[str, str]]) -> int:
    """How many there are."""
    return session.exec(select(func.count()).select_from(Delivery).where(*_meant(account, wanted, places))).one()


def codes(session: Session, account: str) -> list[str]:
    """Every code that something was rejected with."""
    rows = session.exec(
        select(Delivery.code).where(Delivery.account == account, Delivery.fate == Fate.REJECTED).distinct()
    )
    return sorted(code for code in rows if code is not None)


def leads_of(session: Session, numbers: Collection[int]) -> list[LeadId]:
    """The leads of these deliveries, each once."""
    rows = session.exec(select(Delivery.lead).where(col(Delivery.id).in_(numbers)).order_by(col(Delivery.id)))
    return [LeadId(lead) for lead in dict.fromkeys(rows)]


def requeue(
    session: Session, ledger: Ledger, numbers: Collection[int], *, leads: Collection[LeadId], now: datetime
) -> None:
    """Put back in the queue those of these deliveries that are still rejected and whose leads are among these."""
    for row in session.exec(select(Delivery).where(col(Delivery.id).in_(numbers), Delivery.fate == Fate.REJECTED)):
        if LeadId(row.lead) not in leads:
            continue
        row.agreed_in = ledger.run
        sendables.move(session, ledger, row, Fate.PENDING, AGAIN, now=now)
        lead = session.get_one(LeadRow, (row.account, row.lead))
        lead.to_plan = True
        session.add(lead)


def _meant(account: str, wanted: Refusals, places: Collection[tuple[str, str]]) -> list[ColumnElement[bool]]:
    meant = [
        col(Delivery.account) == account,
        col(Delivery.fate) == Fate.REJECTED,
        tuple_(col(Delivery.conversion), col(Delivery.destination)).in_(list(places)),
    ]
    if wanted.code is not None:
        meant.append(col(Delivery.code) == wanted.code)
    if wanted.destination is not None:
        meant.append(col(Delivery.destination) == wanted.destination)
    if wanted.conversion is not None:
        meant.append(col(Delivery.conversion) == wanted.conversion)
    return meant
