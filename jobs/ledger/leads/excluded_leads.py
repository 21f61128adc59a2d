"""Leads left out, as they are test leads or too old: each is recognised by its digest, with no personal data."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import Session, col

from connectors.records import LeadId, ListedLead
from jobs.ledger import bulk
from jobs.ledger.schema import ExcludedTestLead

_OF_LEADS = bulk.has_lead_among(col(ExcludedTestLead.account), col(ExcludedTestLead.id))
_TOO_OLD = col(ExcludedTestLead.too_old)
_DIGESTS = select(col(ExcludedTestLead.id), col(ExcludedTestLead.digest), col(ExcludedTestLead.read_at)).where(
    _OF_LEADS, bindparam("too_old") == _TOO_OLD
)
_FORGET = delete(bulk.table_of(ExcludedTestLead)).where(_OF_LEADS)
_RENEW = (
    update(bulk.table_of(ExcludedTestLead))
    .where(
        col(ExcludedTestLead.account) == bindparam("of_account"),
        col(ExcludedTestLead.id) == bindparam("of_lead"),
        col(ExcludedTestLead.read_at) >= bindparam("read_since"),
    )
    .values(digest=bindparam("new_digest"))
)


def record_excluded_leads(
    session: Session, account: str, digests: Mapping[LeadId, str], *, read_at: datetime, too_old: bool = False
) -> None:
    """Record which leads were left out, with the digests that identify them as unchanged."""
    read = {"account": account, "read_at": read_at, "too_old": too_old}
    rows = [read | {"id": lead, "digest": digest} for lead, digest in digests.items()]
    bulk.write_rows(session, bulk.upsert_into(ExcludedTestLead), rows)


def replace_excluded_lead_digests(
    session: Session, account: str, listed: Collection[ListedLead], *, read_since: datetime
) -> None:
    """Replace the digests of excluded leads read since `read_since`."""
    rows = [
        {"of_account": account, "of_lead": one.id, "new_digest": one.digest, "read_since": read_since} for one in listed
    ]
    bulk.write_rows(session, _RENEW, rows)


def unchanged_excluded_leads(
    session: Session,
    account: str,
    listed: Collection[ListedLead],
    *,
    read_since: datetime | None = None,
    too_old: bool = False,
) -> set[ListedLead]:
    """Return which of these leads were left out with the same digest and, if given, read after `read_since`."""
    rows = bulk.select_rows(session, _DIGESTS, account, [one.id for one in listed], too_old=too_old)
    digests = {row.id: row.digest for row in rows if read_since is None or row.read_at > read_since}
    return {one for one in listed if digests.get(one.id) == one.digest}


def delete_exclusions(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Forget that these leads were excluded."""
    bulk.change_rows(session, _FORGET, account, ids)
