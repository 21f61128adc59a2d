"""Finds the leads of a person by the hashes still held of them; there is no index of people, and nothing is written."""

from collections.abc import Collection, Iterable

import sqlalchemy
from sqlalchemy import tuple_
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
        mark, here = tuple_(*(col(getattr(table, name)) for name in marks)), col(table.account) == account
        holder = col(getattr(table, lead))
        # Two steps: joined with itself, SQLite goes through the whole table.
        mine = sqlalchemy.select(*mark.clauses).where(here, holder.in_(leads)).distinct()
        theirs = [tuple(row) for row in session.connection().execute(mine)]
        wanted = sqlalchemy.select(holder).where(here, mark.in_(theirs), holder.not_in(leads))
        found.update(map(LeadId, session.connection().scalars(wanted)))
    return sorted(found)


_MARKS: tuple[tuple[type[ClickIdRow | ContactHash | DedupKey | LeadRow], str, tuple[str, ...]], ...] = (
    (ClickIdRow, "lead", ("kind", "value")),
    (ContactHash, "lead", ("kind", "sha256")),
    (DedupKey, "lead", ("dedup_key",)),
    (LeadRow, "id", ("contact_mark",)),
)
"""What leads may have in common, with the columns that name the lead, and that say so."""
