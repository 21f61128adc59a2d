"""Which nights were done, and how the runs of an account follow one another."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import structlog
from sqlmodel import Session, col, func, select

from jobs.ledger.tables import Run

RESOLVING = "resolve"
"""The command of a run that only asks for outcomes and sends what has come due: it belongs to the night before it."""

NIGHTLY = "run"
"""The command of a run that does a whole night's work, called by hand or by a schedule."""
STOPPED_BY_SIGNAL = 128
"""Exit codes from here on are a signal's."""
_log = structlog.stdlib.get_logger()


class NightDoneError(Exception):
    """There is nothing to do for a night that was due."""

    def __init__(self, run: int | None, next_pass: datetime | None) -> None:
        """Keep which run was that night, where one was, and when outcomes are asked for next."""
        super().__init__("there is nothing to do for this night")
        self.run = run
        self.next_pass = next_pass


def done_since(session: Session, account: str, night: date, *, today: date) -> Run | None:
    """The run that was the night of this date or of a later one, which did this one's work; None where none was.

    A night later than today is none: a clock that was once set ahead must not cost the nights until then.
    """
    ahead = session.exec(select(func.max(Run.night)).where(Run.account == account, col(Run.night) > today)).one()
    if ahead is not None:
        _log.warning(
            "a night on record lies ahead of today and does not count; see that this machine's clock is right",
            night=ahead.isoformat(),
            today=today.isoformat(),
        )
    return _first_between(session, account, night, today)


def is_missed(session: Session, account: str, night: date, *, today: date) -> bool:
    """Whether a night that was due has not been done; before an account's first run nothing is missed."""
    has_run = session.exec(select(Run.id).where(Run.account == account).limit(1)).first() is not None
    return has_run and _first_between(session, account, night, today) is None


def expect_undone(
    session: Session, account: str, night: date, *, today: date, if_missed: bool, passes: Sequence[timedelta]
) -> None:
    """Return where a night is to be done that is due, or, with `if_missed`, was.

    Raises:
        NightDoneError: it is not; the error says when outcomes are asked for next, by these spans after a night.
    """
    done = done_since(session, account, night, today=today)
    if done is not None or (if_missed and not is_missed(session, account, night, today=today)):
        raise NightDoneError(None if done is None else done.id, next_pass(session, account, passes))


def end(session: Session, run: int, exit_code: int, *, night: date | None, now: datetime) -> None:
    """Write down that a run has ended and how, and whose night it was where that date has none yet."""
    ended = session.get(Run, run)
    if ended is None:
        return
    ended.ended_at, ended.exit_code = now, exit_code
    if night is not None and _first_between(session, ended.account, night, night) is None:
        ended.night = night
    session.add(ended)


def next_pass(session: Session, account: str, after: Sequence[timedelta]) -> datetime | None:
    """When outcomes of the last night are to be asked for next, by how long after its end; None where that is over.

    A pass that is late does the work of those that were due before it.
    """
    last = session.exec(
        select(Run).where(Run.account == account, col(Run.night).is_not(None)).order_by(col(Run.id).desc()).limit(1)
    ).first()
    if last is None or last.ended_at is None:
        return None
    # A pass or a run by hand asked as well; a backfill perhaps not, nor what died or was stopped.
    asked = session.exec(
        select(Run.started_at).where(
            Run.account == account,
            col(Run.id) > last.id,
            col(Run.command).in_((NIGHTLY, RESOLVING)),
            col(Run.exit_code) < STOPPED_BY_SIGNAL,
        )
    ).all()
    latest = max(asked, default=last.ended_at)
    return next((due for span in sorted(after) if (due := last.ended_at + span) > latest), None)


def _first_between(session: Session, account: str, first: date, last: date) -> Run | None:
    nights = select(Run).where(Run.account == account, col(Run.night).between(first, last))
    return session.exec(nights.order_by(col(Run.night)).limit(1)).first()
