"""Test leads that are left out: their ids and digests, so that those which do not change are not read every night."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import Session, col, delete, select

from connectors.records import LeadId
from jobs.ledger.tables import ExcludedLead


def remember(session: Session, account: str, digests: Mapping[LeadId, str], *, read_at: datetime) -> None:
    """Keep which leads were left out, and by what they are known to be unchanged."""
    for lead, digest in digests.items():
        session.merge(ExcludedLead(account=account, id=lead, digest=digest, read_at=read_at))


def know_by(session: Session, account: str, digests: Mapping[LeadId, str], *, read_since: datetime) -> None:
    """Know those of them that were read since then by these digests from now on."""
    for row in _rows(session, account, digests):
        if row.read_at >= read_since:
            row.digest = digests[LeadId(row.id)]
            session.add(row)


def unchanged(
    session: Session, account: str, digests: Mapping[LeadId, str], *, read_since: datetime | None = None
) -> set[LeadId]:
    """Those of these leads that were left out under the same digest, be it read since a time."""
    return {
        LeadId(row.id)
        for row in _rows(session, account, digests)
        if row.digest == digests[LeadId(row.id)] and (read_since is None or row.read_at > read_since)
    }


def count(session: Session, account: str, ids: Collection[LeadId]) -> int:
    """How many of these leads were left out."""
    return len(_rows(session, account, ids))


def forget(session: Session, account: str, ids: Collection[LeadId] | None = None) -> None:
    """Have these leads read again, or all of them."""
    these = [] if ids is None else [col(ExcludedLead.id).in_(ids)]
    session.exec(delete(ExcludedLead).where(col(ExcludedLead.account) == account, *these))


def _rows(session: Session, account: str, ids: Collection[LeadId]) -> list[ExcludedLead]:
    wanted = select(ExcludedLead).where(ExcludedLead.account == account, col(ExcludedLead.id).in_(list(ids)))
    return list(session.exec(wanted))
