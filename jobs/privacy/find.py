"""Finds the leads of a person by the hashes still held of them; there is no index of people, and nothing is written."""

from collections.abc import Iterable

import sqlalchemy
from sqlmodel import Session, col

from connectors.records import Identifier, LeadId
from jobs.ledger.schema import ContactHash, DedupKey
from jobs.rules.eligibility import person_dedup_key


def leads_of_person(session: Session, account: str, identifiers: Iterable[Identifier]) -> list[LeadId]:
    """Return the leads whose contact hashes or deduplication keys are those of a person, in order.

    A person's hashes are kept only while a delivery may use them, so no lead found does not mean that there is none.
    """
    known = set(identifiers)
    hashes = sqlalchemy.select(col(ContactHash.lead)).where(
        col(ContactHash.account) == account, col(ContactHash.sha256).in_(sorted({each.sha256 for each in known}))
    )
    keys = sqlalchemy.select(col(DedupKey.lead)).where(
        col(DedupKey.account) == account, col(DedupKey.dedup_key).in_(sorted(map(person_dedup_key, known)))
    )
    found = session.connection().scalars(hashes.union(keys))
    return sorted(map(LeadId, found))
