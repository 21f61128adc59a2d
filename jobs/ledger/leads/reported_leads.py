"""Leads that webhooks named: which were looked up, which do not exist, and which still wait for it.

Whoever knows the secret may name any id, so what was looked up is remembered. What is not on record goes within days.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import Session, col

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.schema import ExcludedTestLead, LeadRow, ReportedLeadRow


class LookupState(StrEnum):
    """What became of a lead that webhooks named."""

    READ = "read"
    """It was read; kept until the inbox counts as taken."""
    MISSING = "missing"
    """Oplead shows no such lead, and nobody was told yet."""
    TOLD = "told"
    """Somebody was told that Oplead shows no such lead."""
    WAITING = "waiting"
    """It is not on record, and others had to be looked up first."""


NOT_FOUND = frozenset({LookupState.MISSING, LookupState.TOLD})
_ROWS = bulk.table_of(ReportedLeadRow)
_OF_LEADS = bulk.has_lead_among(col(ReportedLeadRow.account), col(ReportedLeadRow.lead))
_ON_RECORD = tuple(
    select(col(model.id)).where(bulk.has_lead_among(col(model.account), col(model.id)))
    for model in (LeadRow, ExcludedTestLead)
)
_DELETE = delete(_ROWS).where(_OF_LEADS)


def looked_up_leads(session: Session, account: str) -> dict[LeadId, ReportedLeadRow]:
    """Return what is remembered of the leads that webhooks named."""
    rows = session.scalars(select(ReportedLeadRow).where(col(ReportedLeadRow.account) == account))
    return {LeadId(row.lead): row for row in rows}


def leads_on_record(session: Session, account: str, ids: Collection[LeadId]) -> set[LeadId]:
    """Return which of these leads are stored, or were left out as test leads or too old."""
    return {LeadId(row.id) for found in _ON_RECORD for row in bulk.select_rows(session, found, account, ids)}


def record_lookups(
    session: Session, account: str, found: Mapping[LeadId, LookupState], *, inbox: str, event: int, at: datetime
) -> None:
    """Remember what became of these leads, with all events of an inbox up to one; those that wait keep their time."""
    same = {"account": account, "inbox": inbox, "event": event, "at": at}
    rows = [same | {"lead": lead, "state": state.value} for lead, state in found.items()]
    waiting = [row for row in rows if row["state"] == LookupState.WAITING]
    bulk.write_rows(session, bulk.insert_missing_into(ReportedLeadRow), waiting)
    bulk.upsert_rows(session, ReportedLeadRow, [row for row in rows if row["state"] != LookupState.WAITING])


def forget_read_leads(session: Session, account: str) -> None:
    """Forget which leads were read: the inbox counts as taken up to their events."""
    of_account = (col(ReportedLeadRow.account) == account, col(ReportedLeadRow.state) == LookupState.READ)
    session.connection().execute(delete(_ROWS).where(*of_account))


def missing_leads(session: Session, account: str) -> dict[LeadId, bool]:
    """Return the leads that do not exist, and whether somebody was told; those that came on record are none of them."""
    of_account = (col(ReportedLeadRow.account) == account, col(ReportedLeadRow.state).in_(NOT_FOUND))
    rows = session.connection().execute(
        select(col(ReportedLeadRow.lead), col(ReportedLeadRow.state)).where(*of_account)
    )
    missing = {LeadId(lead): state == LookupState.TOLD for lead, state in rows}
    found = leads_on_record(session, account, missing)
    delete_lookups(session, account, found)
    return {lead: is_told for lead, is_told in missing.items() if lead not in found}


def mark_missing_leads_told(session: Session, account: str) -> None:
    """Record that somebody was told of every lead that does not exist."""
    untold = (col(ReportedLeadRow.account) == account, col(ReportedLeadRow.state) == LookupState.MISSING)
    session.connection().execute(update(_ROWS).where(*untold).values(state=LookupState.TOLD.value))


def leads_looked_up_before(session: Session, account: str, before: datetime) -> list[LeadId]:
    """Return the leads that have waited, or were found missing, since before a time."""
    rows = select(col(ReportedLeadRow.lead)).where(
        col(ReportedLeadRow.account) == account,
        col(ReportedLeadRow.state) != LookupState.READ,
        col(ReportedLeadRow.at) < bindparam("before", before, type_=_ROWS.c.at.type),
    )
    return [LeadId(lead) for lead in session.connection().scalars(rows)]


def delete_lookups(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Forget what was remembered of these leads."""
    bulk.change_rows(session, _DELETE, account, ids)
