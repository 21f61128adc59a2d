"""Finds the leads of a person by the hashes still held of them; there is no index of people, and nothing is written."""

from collections.abc import Collection, Iterable

import sqlalchemy
from sqlalchemy import and_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from connectors.records import Identifier, LeadId
from jobs.ledger.schema import ClickIdRow, ContactHash, DedupKey, LeadRow
from jobs.rules.eligibility import person_dedup_key


def leads_of_person(
    session: Session, account: str, identifiers: Iterable[Identifier], marks: Collection[bytes] = ()
) -> list[LeadId]:
    """Return the leads whose contact hashes, marks or deduplication keys are those of a person, in order.

    A person's hashes are kept only while a delivery may use them, so no lead found does not mean that there is none.
    """
    known = set(identifiers)
    hashes = sqlalchemy.select(col(ContactHash.lead)).where(
        col(ContactHash.account) == account, col(ContactHash.sha256).in_(sorted({each.sha256 for each in known}))
    )
    keys = sqlalchemy.select(col(DedupKey.lead)).where(
        col(DedupKey.account) == account, col(DedupKey.dedup_key).in_(sorted(map(person_dedup_key, known)))
    )
    marked = sqlalchemy.select(col(LeadRow.id)).where(
        col(LeadRow.account) == account, col(LeadRow.contact_mark).in_(sorted(marks))
    )
    found = session.connection().scalars(hashes.union(keys, marked))
    return sorted(map(LeadId, found))


def leads_sharing_marks(session: Session, account: str, leads: Collection[LeadId]) -> list[LeadId]:
    """Return the other leads that have a click id, or a hash of contact data, in common with these, in order."""
    found: set[LeadId] = set()
    for table, lead, marks in _MARKS:
        mine, other = aliased(table), aliased(table)
        same = and_(*(col(getattr(other, name)) == col(getattr(mine, name)) for name in ("account", *marks)))
        my_lead, other_lead = (col(getattr(each, lead)) for each in (mine, other))
        theirs = sqlalchemy.select(other_lead).join(mine, same)
        wanted = theirs.where(col(mine.account) == account, my_lead.in_(leads), other_lead.not_in(leads))
        found.update(map(LeadId, session.connection().scalars(wanted)))
    return sorted(found)


_MARKS: tuple[tuple[type[ClickIdRow | ContactHash | DedupKey | LeadRow], str, tuple[str, ...]], ...] = (
    (ClickIdRow, "lead", ("kind", "value")),
    (ContactHash, "lead", ("kind", "sha256")),
    (DedupKey, "lead", ("dedup_key",)),
    (LeadRow, "id", ("contact_mark",)),
)
"""What leads may have in common, with the columns that name the lead, and that say so."""
