"""Write the leads of a page to the ledger, by a fixed number of statements."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, update
from sqlmodel import Session, SQLModel, col

from connectors.language import in_english
from connectors.records import LeadId, UnreadableLead
from jobs.ledger import bulk
from jobs.ledger.leads import status_labels
from jobs.ledger.schema import ClickIdRow, ContactHash, LeadRow, StatusChange, UnreadableLeadRow
from jobs.rules.extraction import StorableLead
from jobs.rules.model import Amount, ConsentAnswer, ConsentSignalName, UnreadableAmount

_Values = dict[str, Any]
_FORGET_HASHES = delete(bulk.table_of(ContactHash)).where(
    bulk.has_lead_among(col(ContactHash.account), col(ContactHash.lead))
)
_REFUSE = {
    signal: update(bulk.table_of(LeadRow))
    .where(
        bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)),
        bulk.table_of(LeadRow).c[signal] != ConsentAnswer.REFUSED,
    )
    # Without a digest, a lead is read whole once it is shown again as it was stored.
    .values({signal: ConsentAnswer.REFUSED, "digest": "", "contact_mark": None, "to_plan": True})
    for signal in ConsentSignalName
}
_FORGET_UNREADABLE = delete(bulk.table_of(UnreadableLeadRow)).where(
    bulk.has_lead_among(col(UnreadableLeadRow.account), col(UnreadableLeadRow.id))
)
_SEEN_AGAIN = (
    update(bulk.table_of(LeadRow))
    .where(bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)))
    .values(
        missing_since=None,
        merged_into=None,
        # It is as stored again, so no other lead has its id.
        to_plan=or_(col(LeadRow.to_plan), col(LeadRow.reused_in).is_not(None)),
        reused_in=None,
    )
    .returning(col(LeadRow.excluded))
)


def store_lead_readings(
    session: Session,
    account: str,
    readings: Sequence[StorableLead],
    *,
    on_record: Collection[LeadId],
    seen_at: datetime,
) -> None:
    """Store lead readings and flag the leads for planning; status changes and click ids accumulate.

    `on_record` are those stored before.
    """
    status_labels.record_labels(session, account, readings, on_record=on_record, seen_at=seen_at)
    bulk.upsert_rows(session, LeadRow, [_lead(account, one, seen_at) for one in readings])
    bulk.change_rows(session, _FORGET_HASHES, account, on_record)
    rows: dict[type[SQLModel], list[_Values]] = {
        StatusChange: [
            {"account": account, "lead": one.lead.id, **each._asdict()} for one in readings for each in one.changes
        ],
        ClickIdRow: [
            {"account": account, "lead": one.lead.id, **each._asdict()} for one in readings for each in one.click_ids
        ],
        ContactHash: [
            {"account": account, "lead": one.lead.id, "destination": destination, **each._asdict()}
            for one in readings
            for destination, identifiers in one.identifiers.items()
            for each in identifiers
        ],
    }
    for table, added in rows.items():
        bulk.add_rows(session, table, added)


def record_refusals(session: Session, account: str, signal: ConsentSignalName, ids: Collection[LeadId]) -> None:
    """Record that leads refuse, of which nothing else is stored, and erase all hashes of their contact data."""
    bulk.change_rows(session, _REFUSE[signal], account, ids)
    bulk.change_rows(session, _FORGET_HASHES, account, ids)


def _lead(account: str, reading: StorableLead, seen_at: datetime) -> _Values:
    lead = reading.lead
    amounts = {path: _amount_text(amount) for path, amount in reading.amounts.items()}
    kept: dict[str, object] = {"where": dict(reading.where), "amounts": amounts}
    if reading.reported_by is not None:
        kept["by"] = reading.reported_by
    return {
        "account": account,
        "id": lead.id,
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
        "label": reading.label,
        "digest": lead.digest,
        "seen_at": seen_at,
        "ad_user_data": reading.ad_user_data.answer,
        "ad_personalization": reading.ad_personalization.answer,
        "click_id_problem": lead.click_id_problem and in_english(lead.click_id_problem),
        "utm_source": reading.utm.source,
        "utm_medium": reading.utm.medium,
        "utm_campaign": reading.utm.campaign,
        "facts": json.dumps(kept, sort_keys=True, ensure_ascii=False),
        "amount_paths": json.dumps(sorted(amounts), ensure_ascii=False),
        "fresh": True,
        "to_plan": True,
        "to_correct": False,
        "excluded": reading.excluded,
        "contact_mark": reading.contact_mark,
    }


def _amount_text(amount: Amount) -> str:
    return f"<{amount.shape}>" if isinstance(amount, UnreadableAmount) else str(amount)


def store_unreadable_leads(
    session: Session,
    account: str,
    unreadable: Sequence[UnreadableLead],
    *,
    before: Sequence[UnreadableLead],
    seen_at: datetime,
) -> None:
    """Record unreadable leads without changing their stored data.

    Those without an id are numbered by reason, on from those met `before` in this reading: nothing else tells them
    apart that is not about a person.
    """
    met = Counter(one.reason for one in before if not one.id) if any(not one.id for one in unreadable) else Counter()
    rows = []
    for one in unreadable:
        reason = in_english(one.reason)
        met[one.reason] += not one.id
        lead = one.id or f"without id {met[one.reason]}: {reason}"
        rows.append({"account": account, "id": lead, "reason": reason, "seen_at": seen_at, "there": one.is_there})
    bulk.write_rows(session, bulk.upsert_into(UnreadableLeadRow, "reason", "seen_at", "there"), rows)


def forget_unreadable(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Clear the unreadable records of leads that could be read."""
    bulk.change_rows(session, _FORGET_UNREADABLE, account, ids)


def record_seen_again(session: Session, account: str, ids: Collection[LeadId], *, seen_at: datetime) -> int:
    """Record that unchanged leads exist and are as stored; return how many of them are test leads."""
    stored: list[bool] = [row.excluded for row in bulk.select_rows(session, _SEEN_AGAIN, account, ids, seen_at=seen_at)]
    # The others are recognised only because they were excluded before they were ever stored.
    return len(ids) - len(stored) + sum(stored)
