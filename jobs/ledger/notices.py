"""Causes for which a human is needed: since when each stands, who was told of it, and who is still owed that."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from jobs.ledger.tables import Notice
from jobs.rules.notices import Act, Cause, CauseId, Record


def on_record(session: Session, account: str) -> dict[CauseId, Notice]:
    """Every cause that was ever found."""
    rows = session.exec(select(Notice).where(Notice.account == account).order_by(col(Notice.cause)))
    return {CauseId.read(row.cause): row for row in rows}


def record_of(row: Notice | None) -> Record:
    """Where a cause stands."""
    if row is None:
        return Record.NONE
    return Record.OPEN if row.cleared_at is None else Record.CLEARED


def act(
    session: Session,
    account: str,
    act: Act,
    cause: Cause | None,
    row: Notice | None,
    *,
    now: datetime,
) -> None:
    """Keep what becomes of a cause; `cause` is how it was found tonight, where it was."""
    match act:
        case Act.OPEN if cause is not None:
            # One that came back before anybody heard of it is still the first message owed.
            opened = row or Notice(account=account, cause=str(cause.id), title="", text="", first_seen_at=now)
            opened.title, opened.text = cause.title, cause.text
            opened.first_seen_at, opened.told_at, opened.cleared_at, opened.undelivered = now, None, None, "[]"
            session.add(opened)
        case Act.KEEP if row is not None and cause is not None:
            row.title, row.text = cause.title, cause.text
            session.add(row)
        case Act.CLEAR if row is not None:
            row.cleared_at = now
            session.add(row)
        case _:
            pass


def owe(session: Session, account: str, addresses: Collection[str]) -> list[Notice]:
    """The notices that addresses are owed, the oldest first; what no address is left to be told is owed no more.

    A notice that reached nobody is owed to every address there is now: the one it was meant for may have been mended.
    """
    owed = []
    rows = session.exec(
        select(Notice).where(Notice.account == account).order_by(col(Notice.first_seen_at), col(Notice.cause))
    )
    for row in rows:
        if row.told_at is None and (row.cleared_at is None or undelivered(row)):
            marks = sorted(addresses)
        else:
            marks = [mark for mark in undelivered(row) if mark in addresses]
        row.undelivered = json.dumps(marks)
        session.add(row)
        if marks:
            owed.append(row)
    return owed


def undelivered(row: Notice) -> Sequence[str]:
    """The marks of the addresses that are still owed a notice."""
    marks: list[str] = json.loads(row.undelivered)
    return marks


def delivered(session: Session, account: str, cause: str, address: str, *, now: datetime) -> None:
    """Note that an address took a notice."""
    row = session.get_one(Notice, (account, cause))
    row.undelivered = json.dumps([mark for mark in undelivered(row) if mark != address])
    row.told_at = row.told_at or now
    session.add(row)
