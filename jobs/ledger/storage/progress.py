"""How far a ledger has come, read by whoever has it open."""

from sqlmodel import Session, func, select

from jobs.ledger.schema import Lease, Request
from jobs.ledger.storage.plain_reads import LedgerProgress


def ledger_progress(session: Session, account: str) -> LedgerProgress:
    """Return how far an account's ledger has come; a new one has come nowhere."""
    leases = {one.account: one for one in session.exec(select(Lease))}
    lease = leases.get(account)
    last = session.exec(select(func.max(Request.id))).one() or 0
    return LedgerProgress(leases.keys(), lease.epoch if lease else 0, last, lease.forgotten_place if lease else None)
