"""Erase every row about a lead, and remember of forgotten ones only that they were and when."""

from collections.abc import Collection, Iterator
from datetime import date

import sqlalchemy
from sqlalchemy import Delete
from sqlmodel import Session, col

from connectors.records import LeadId
from jobs.ledger import bulk, incidents
from jobs.ledger.schema import (
    Attempt,
    ClickIdRow,
    ConsentAnswerRow,
    ContactHash,
    DedupKey,
    Delivery,
    ExcludedTestLead,
    ForgottenLead,
    LabelMove,
    LeadRow,
    LeadToldApart,
    ReportedLeadRow,
    StatusChange,
    Transition,
    UnreadableLeadRow,
    is_correction,
)
from jobs.ledger.storage.forgotten_place import ForgottenPlace
from jobs.rules.reasons import NAMING_ANOTHER_LEAD

_THEIRS = bulk.has_lead_among(col(Delivery.account), col(Delivery.lead))
_THEIR_DELIVERIES = sqlalchemy.select(col(Delivery.id)).where(_THEIRS)
_BY_LEAD = (
    DedupKey,
    ContactHash,
    ClickIdRow,
    ConsentAnswerRow,
    StatusChange,
    LabelMove,
    LeadToldApart,
    ReportedLeadRow,
)
_BY_ID = (UnreadableLeadRow, ExcludedTestLead, LeadRow)


def _statements() -> tuple[Delete, ...]:
    """Return the statements that erase all rows of leads: each before those of the rows that it refers to."""
    deliveries = sqlalchemy.delete(bulk.table_of(Delivery)).where(_THEIRS)
    return (
        sqlalchemy.delete(bulk.table_of(Attempt)).where(col(Attempt.delivery).in_(_THEIR_DELIVERIES)),
        sqlalchemy.delete(bulk.table_of(Transition)).where(col(Transition.delivery).in_(_THEIR_DELIVERIES)),
        deliveries.where(is_correction()),
        deliveries,
        *(
            sqlalchemy.delete(bulk.table_of(each)).where(bulk.has_lead_among(col(each.account), col(each.lead)))
            for each in _BY_LEAD
        ),
        *(
            sqlalchemy.delete(bulk.table_of(each)).where(bulk.has_lead_among(col(each.account), col(each.id)))
            for each in _BY_ID
        ),
    )


STATEMENTS = _statements()
"""What `erase_leads` runs, in order."""


def erase_leads(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Erase every row about these leads; requests keep the number of rows they were sent with.

    Whoever calls it has settled what is on its way: an erased delivery is not sent, and nobody asks about it.
    """
    for statement in STATEMENTS:
        bulk.change_rows(session, statement, account, ids)
    incidents.remove_leads_from_incidents(session, account, ids)
    # What the session has read of them is gone.
    session.expire_all()


def erase_mentions(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Erase from other leads' deliveries, and their history, that one of these leads counted in their place."""
    for model in (Delivery, Transition):
        theirs = bulk.has_lead_among(col(model.account), col(model.detail))
        of_duplicates = sqlalchemy.update(bulk.table_of(model)).where(
            theirs, col(model.reason).in_(NAMING_ANOTHER_LEAD)
        )
        bulk.change_rows(session, of_duplicates.values(detail=None), account, ids)
    session.expire_all()


# ── tombstones ───────────────────────────────────────────────────────────────────────────────────

_FORGOTTEN = sqlalchemy.select(col(ForgottenLead.id), col(ForgottenLead.forgotten_on)).where(
    bulk.has_lead_among(col(ForgottenLead.account), col(ForgottenLead.id))
)
_REMEMBER = bulk.insert_missing_into(ForgottenLead)


def forgotten_among(session: Session, account: str, ids: Collection[str]) -> dict[LeadId, date]:
    """Return which of these leads were forgotten, and when."""
    return {LeadId(row.id): row.forgotten_on for row in bulk.select_rows(session, _FORGOTTEN, account, ids)}


def all_forgotten_leads(session: Session, account: str) -> list[LeadId]:
    """Return every lead that was forgotten."""
    rows = sqlalchemy.select(col(ForgottenLead.id)).where(col(ForgottenLead.account) == account)
    return [LeadId(each) for each in session.connection().scalars(rows)]


def remember_forgotten(session: Session, account: str, ids: Collection[LeadId], *, on: date) -> None:
    """Record that these leads were forgotten, so that they are not read in again; the first date stays."""
    rows = [{"account": account, "id": lead, "forgotten_on": on} for lead in ids]
    bulk.write_rows(session, _REMEMBER, rows)


def forgotten_by_either(
    session: Session, account: str, place: ForgottenPlace | None, ids: Collection[LeadId]
) -> dict[LeadId, date]:
    """Return which of these leads were forgotten, and when, as the ledger knows or only the second place does."""
    return forgotten_among(session, account, ids) | ({} if place is None else place.days_of(ids))


def every_lead_id(session: Session, account: str) -> Iterator[LeadId]:
    """Yield every lead that anything is held of, as often as it stands somewhere."""
    of_account = (sqlalchemy.select(col(each.id)).where(col(each.account) == account) for each in _BY_ID)
    return (LeadId(lead) for ids in of_account for lead in session.connection().scalars(ids))
