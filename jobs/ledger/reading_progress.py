"""How far an account's leads have been read: the cursor, the place in its inbox, and when leads were last read."""

from datetime import datetime

from sqlalchemy import bindparam, func, or_, update
from sqlmodel import Session

from jobs.ledger import bulk
from jobs.ledger.schema import Cursor, InboxPlace, Lease


def get_cursor(session: Session, account: str) -> Cursor:
    """Return the account's cursor in Oplead, creating it if missing."""
    found = session.get(Cursor, account)
    if found is None:
        found = Cursor(account=account)
        session.add(found)
    return found


def begin_whole_reading(session: Session, account: str) -> None:
    """Have the next pull read the whole list from its first page; what has not changed is not read whole."""
    place = get_cursor(session, account)
    place.full_read_at = place.resume = None


_CURSORS = bulk.table_of(Cursor)
_ADVANCE = (
    update(_CURSORS)
    .where(_CURSORS.c.account == bindparam("of_account"))
    .values(
        pull_started_at=func.coalesce(
            _CURSORS.c.pull_started_at, bindparam("started", type_=_CURSORS.c.pull_started_at.type)
        ),
        resume=bindparam("next_page"),
        moved=or_(_CURSORS.c.moved, bindparam("has_moved", type_=_CURSORS.c.moved.type)),
        listed=_CURSORS.c.listed + bindparam("on_page"),
    )
)


def advance_cursor(
    session: Session, account: str, *, started: datetime, resume: str | None, moved: bool, listed: int
) -> None:
    """Record where a pull goes on after a page; `started` counts only for its first, `moved` for all that follow."""
    values = {"of_account": account, "started": started, "next_page": resume, "has_moved": moved, "on_page": listed}
    session.connection().execute(_ADVANCE, values)


def last_read_inbox_event(session: Session, account: str, inbox: str) -> int:
    """Return the last event of this inbox whose lead was read; 0 if none was."""
    row = session.get(InboxPlace, account)
    return 0 if row is None or row.inbox != inbox else row.event


def record_last_read_event(session: Session, account: str, inbox: str, event: int) -> None:
    """Record that the leads of all events of this inbox up to this one were read."""
    session.merge(InboxPlace(account=account, event=event, inbox=inbox))


_LEASES = bulk.table_of(Lease)
_RECORD_READING = update(_LEASES).where(_LEASES.c.account == bindparam("of_account")).values(read_at=bindparam("at"))


def record_reading(session: Session, account: str, *, at: datetime) -> None:
    """Record when leads were last read."""
    session.connection().execute(_RECORD_READING, {"of_account": account, "at": at})


def last_read(session: Session, account: str) -> datetime | None:
    """Return the later of when leads were last read and when the last settled pull began; None without either."""
    lease, place = session.get(Lease, account), session.get(Cursor, account)
    times = (lease.read_at if lease else None, place.since if place else None)
    return max((at for at in times if at is not None), default=None)
