"""What each run did at each destination, counted from the moves of deliveries."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import ColumnElement, and_, distinct, exists, func, or_
from sqlmodel import Session, col, select

from connectors.records import OutcomeClass
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.runs import NIGHTLY, RESOLVING
from jobs.ledger.tables import Adjustment, AdjustmentTransition, Attempt, Delivery, Run, Transition
from jobs.rules.notices import Numbers

_ENDED = (0, 1, 3)
"""Exit codes of a run that did what it could; one that was not let in, or broke, is no night."""
_ARRIVED = (Fate.SUBMITTED, Fate.ACCEPTED, Fate.REJECTED, Fate.EXPIRED, Fate.UNCONFIRMED, Fate.IN_DOUBT)
"""Where a delivery stands after a request that may have left it with its platform."""


def dates(session: Session, ledger: Ledger, zone: ZoneInfo, *, since: datetime) -> dict[int, date]:
    """The night each run since then belongs to, by its local date; the present run's among them.

    A date is a night where a run came to its end on it, or is under way. What died on that date sent something too,
    and a run that only asks for outcomes belongs to the night before it, also past midnight.
    """
    found: dict[int, date] = {}
    nights: set[date] = set()
    last: date | None = None
    for run in session.exec(
        select(Run).where(Run.account == ledger.account, Run.started_at >= since).order_by(col(Run.id))
    ):
        if run.id is None or (run.id != ledger.run and run.command not in (NIGHTLY, RESOLVING)):
            continue
        its_own = run.started_at.astimezone(zone).date()
        night = last or its_own if run.command == RESOLVING else its_own
        found[run.id] = night
        if run.id == ledger.run or (run.command == NIGHTLY and run.exit_code in _ENDED):
            nights.add(night)
        last = night
    return {run: night for run, night in found.items() if night in nights}


def numbers(session: Session, account: str, runs_wanted: Collection[int]) -> dict[str, dict[int, Numbers]]:
    """What each of these runs did, by destination and run."""
    found: dict[str, dict[int, Numbers]] = defaultdict(dict)
    rows = session.connection().execute(
        sqlalchemy.select(
            col(Delivery.destination),
            col(Transition.run),
            _how_many(_went_out()),
            _how_many(col(Transition.to_fate) == Fate.ACCEPTED),
            _how_many(and_(col(Transition.to_fate) == Fate.REJECTED, ~_was_expected())),
            _how_many(col(Transition.to_fate) == Fate.UNCONFIRMED),
        )
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(col(Transition.account) == account, col(Transition.run).in_(runs_wanted))
        .group_by(col(Delivery.destination), col(Transition.run))
    )
    for destination, run, sent, accepted, rejected, unconfirmed in rows:
        found[destination][run] = Numbers(sent, accepted, rejected, unconfirmed)
    return found


def reached(session: Session, ledger: Ledger) -> set[tuple[str, str]]:
    """The destinations and actions that took something, or told that they had, in this run."""
    rows = session.exec(
        select(Delivery.destination, Delivery.action)
        .join(Transition, col(Transition.delivery) == col(Delivery.id))
        .where(
            Transition.account == ledger.account,
            Transition.run == ledger.run,
            col(Transition.to_fate).in_((Fate.SUBMITTED, Fate.ACCEPTED)),
        )
        .distinct()
    )
    return {(destination, action or "") for destination, action in rows}


def corrected(session: Session, ledger: Ledger) -> set[tuple[str, str]]:
    """The destinations and actions that took a correction, or told that they had, in this run."""
    rows = session.exec(
        select(Adjustment.destination, Adjustment.action)
        .join(AdjustmentTransition, col(AdjustmentTransition.adjustment) == col(Adjustment.id))
        .where(
            AdjustmentTransition.account == ledger.account,
            AdjustmentTransition.run == ledger.run,
            col(AdjustmentTransition.to_fate).in_((Fate.SUBMITTED, Fate.ACCEPTED)),
        )
        .distinct()
    )
    return set(rows)


def in_doubt(session: Session, account: str) -> dict[str, int]:
    """How many deliveries stand in doubt, by destination."""
    rows = session.exec(
        select(Delivery.destination, func.count())
        .where(Delivery.account == account, Delivery.fate == Fate.IN_DOUBT)
        .group_by(col(Delivery.destination))
    )
    return dict(list(rows))


def pending(session: Session, account: str, destination: str) -> list[tuple[str, datetime]]:
    """The conversion of each delivery that waits for a destination, and when it expires."""
    rows = session.exec(
        select(Delivery.conversion, Delivery.expires_at).where(
            Delivery.account == account,
            Delivery.destination == destination,
            Delivery.fate == Fate.PENDING,
            col(Delivery.expires_at).is_not(None),
        )
    )
    return [(conversion, expires_at) for conversion, expires_at in rows if expires_at is not None]


def oldest_due(session: Session, account: str, *, now: datetime) -> datetime | None:
    """Since when the delivery that has been due the longest could have gone out; None where none is due."""
    rows = session.exec(select(Delivery).where(Delivery.account == account, Delivery.fate == Fate.PENDING))
    times = [max(filter(None, (row.at, row.not_before, row.deferred_until)), default=now) for row in rows]
    return min((at for at in times if at <= now), default=None)


def last_success(session: Session, account: str) -> datetime | None:
    """When the last night ended that did not stop; a human may have been needed for it."""
    return session.exec(
        select(func.max(Run.ended_at)).where(
            Run.account == account, Run.command == NIGHTLY, col(Run.exit_code).in_((0, 1))
        )
    ).one()


def _how_many(moves: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(distinct(col(Transition.delivery))).filter(moves)


def _went_out() -> ColumnElement[bool]:
    sent = and_(col(Transition.from_fate) == Fate.IN_FLIGHT, col(Transition.to_fate).in_(_ARRIVED))
    # A row that was blamed goes back until something sent with it has passed, and is rejected then.
    blamed = and_(col(Transition.from_fate) == Fate.PENDING, col(Transition.to_fate) == Fate.REJECTED)
    return or_(sent, blamed)


def _was_expected() -> ColumnElement[bool]:
    """Whether a rejection alarms nobody: as of a lead that is sent by contact data and came without an ad."""
    return exists().where(
        col(Attempt.delivery) == col(Transition.delivery),
        col(Attempt.code) == col(Transition.cause),
        col(Attempt.outcome) == OutcomeClass.DROP_EXPECTED,
    )
