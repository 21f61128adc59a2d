"""Figures of nights: what each sent and what became of it, what is due, and when the last one succeeded."""

import operator
from collections import defaultdict
from collections.abc import Collection
from dataclasses import astuple, dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import and_, distinct, exists, func, or_
from sqlmodel import Session, col, select

from connectors.records import DestinationId, OutcomeClass
from jobs.ledger.runs import ENDED, INBOX, NIGHTLY, RESOLVING, Ledger
from jobs.ledger.schema import (
    STREAMED,
    Attempt,
    Delivery,
    Run,
    Transition,
    is_correction,
    matches_delivery_kind,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import DestinationScope


@dataclass(frozen=True, slots=True)
class NightNumbers:
    """One night's delivery counts at one destination."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    """Excludes expected rejections."""
    unconfirmed: int = 0

    @property
    def settled_count(self) -> int:
        """The number settled, excluding expected rejections."""
        return self.accepted + self.rejected + self.unconfirmed

    @property
    def acceptance_rate(self) -> Fraction:
        """The accepted share of those settled; raises ZeroDivisionError if none were."""
        return Fraction(self.accepted, self.settled_count)

    def __add__(self, other: "NightNumbers") -> "NightNumbers":
        return NightNumbers(*map(operator.add, astuple(self), astuple(other)))


def night_dates_by_run(session: Session, ledger: Ledger, zone: ZoneInfo, *, since: datetime) -> dict[int, date]:
    """Map each run since `since`, including the current one, to the local date of its night.

    A date is a night if a run completed on it or is under way; runs that died on that date count towards it. A run that
    only asks for outcomes belongs to the preceding night, even past midnight; one of the inbox belongs to the next.
    """
    found: dict[int, date] = {}
    nights: set[date] = set()
    last: date | None = None
    passes: list[int] = []
    for run in session.exec(
        select(Run).where(Run.account == ledger.account, Run.started_at >= since).order_by(col(Run.id))
    ):
        if run.id is None or (run.id != ledger.run and run.command not in (NIGHTLY, RESOLVING, INBOX)):
            continue
        its_own = run.started_at.astimezone(zone).date()
        if run.command == INBOX:
            passes.append(run.id)
            if run.id == ledger.run:
                tonight = its_own if last is None else max(its_own, last + timedelta(days=1))
                found |= dict.fromkeys(passes, tonight)
                nights.add(tonight)
            continue
        night = last or its_own if run.command == RESOLVING else its_own
        found[run.id] = night
        if run.command == NIGHTLY:
            found |= dict.fromkeys(passes, night)
            passes.clear()
        if run.id == ledger.run or (run.command == NIGHTLY and (run.exit_code in ENDED or run.night is not None)):
            nights.add(night)
        last = night
    return {run: night for run, night in found.items() if night in nights}


def night_numbers(
    session: Session, account: str, runs_wanted: Collection[int]
) -> dict[DestinationScope, dict[int, NightNumbers]]:
    """Return the counts of each of these runs, by destination and kind, then run."""
    before, to = col(Transition.from_state), col(Transition.to_state)
    # Rows that didn't reach the platform return to pending. So do suspect rows, which are rejected only once something
    # else sent with them passes.
    suspect = and_(before == DeliveryState.PENDING, to == DeliveryState.REJECTED)
    # For example, a lead sent by contact data alone that did not come from an ad.
    expected = exists().where(
        col(Attempt.delivery) == col(Transition.delivery),
        col(Attempt.code) == col(Transition.code),
        col(Attempt.outcome) == OutcomeClass.DROP_EXPECTED,
    )
    left_the_outbox = or_(and_(before == DeliveryState.IN_FLIGHT, to != DeliveryState.PENDING), suspect)
    settled = to.in_((DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.UNCONFIRMED))
    counted = (
        left_the_outbox,
        to == DeliveryState.ACCEPTED,
        and_(to == DeliveryState.REJECTED, ~expected),
        to == DeliveryState.UNCONFIRMED,
    )
    place = (col(Delivery.destination), is_correction(), col(Transition.run))
    rows = session.connection().execute(
        sqlalchemy.select(*place, *(func.count(distinct(col(Transition.delivery))).filter(moves) for moves in counted))
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        # Too wide by what `expected` leaves out: a subquery here makes the scan so dear to the planner that no way of
        # joining seems worth more than another, and it joined 40,000 rows by reading all deliveries for each.
        .where(col(Transition.account) == account, col(Transition.run).in_(runs_wanted), or_(left_the_outbox, settled))
        .group_by(*place)
    )
    found: dict[DestinationScope, dict[int, NightNumbers]] = defaultdict(dict)
    for destination, corrections, run, *counts in rows:
        if any(counts):
            found[DestinationScope(DestinationId(destination), corrections)][run] = NightNumbers(*counts)
    return found


def scopes_with_received_deliveries(session: Session, ledger: Ledger) -> set[DestinationScope]:
    """Return the scope of each action that received or accepted at least one delivery in this run."""
    rows = session.exec(
        select(Delivery.destination, is_correction(), Delivery.action)
        .join(Transition, col(Transition.delivery) == col(Delivery.id))
        .where(
            Transition.account == ledger.account,
            Transition.run == ledger.run,
            col(Transition.to_state).in_((DeliveryState.SUBMITTED, DeliveryState.ACCEPTED)),
        )
        .distinct()
    )
    return {
        DestinationScope(DestinationId(destination), corrections, action=action or "")
        for destination, corrections, action in rows
    }


def pending_expiries(session: Session, account: str, destination: str) -> list[tuple[str, datetime]]:
    """Return the id and expiry of each conversion pending for a destination, if it expires."""
    rows = session.exec(
        select(Delivery.conversion, Delivery.expires_at).where(
            Delivery.account == account,
            Delivery.destination == destination,
            Delivery.state == DeliveryState.PENDING,
            matches_delivery_kind(corrections=False),
            col(Delivery.expires_at).is_not(None),
        )
    )
    return [(conversion, expires_at) for conversion, expires_at in rows if expires_at is not None]


def oldest_due_conversion_time(session: Session, account: str, *, now: datetime) -> datetime | None:
    """Return when the longest-overdue conversion became due, or None if none is due."""
    rows = session.exec(
        select(Delivery.at, Delivery.not_before, Delivery.deferred_until).where(
            Delivery.account == account,
            Delivery.state == DeliveryState.PENDING,
            matches_delivery_kind(corrections=False),
        ),
        execution_options=STREAMED,
    )
    times = (max(filter(None, row), default=now) for row in rows)
    return min((at for at in times if at <= now), default=None)


def last_success(session: Session, account: str) -> datetime | None:
    """Return when the last night that ran to completion ended, even if it needed human attention."""
    done = (Run.account == account, Run.command == NIGHTLY, col(Run.exit_code).in_((0, 1)))
    return session.exec(select(func.max(Run.ended_at)).where(*done)).one()
