"""Remember the file of exported leads that was read last."""

import json
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, select

from connectors.records import Export
from jobs.ledger.schema import LeadRow, ReadExport


def last_export(session: Session, account: str) -> Export | None:
    """Return the file read last; None if leads never came from one."""
    row = session.get(ReadExport, account)
    if row is None:
        return None
    titles = tuple(json.loads(row.titles))
    return Export(row.exported_at, row.sha256, row.rows, titles, row.newest, row.ends_line)


def record_export_being_read(session: Session, account: str, export: Export) -> None:
    """Record the file that is being read."""
    session.merge(
        ReadExport(
            account=account,
            exported_at=export.exported_at,
            sha256=export.sha256,
            rows=export.rows,
            titles=json.dumps(export.titles, ensure_ascii=False),
            newest=export.newest,
            ends_line=export.ends_line,
        )
    )


def leads_last_read_at(session: Session, account: str) -> datetime | None:
    """Return as of when leads were last read, from a file or from the API; None if none was."""
    found: datetime | None = session.exec(select(func.max(LeadRow.seen_at)).where(LeadRow.account == account)).one()
    return found
