"""Nightly figures that alerts are based on, and stored incidents and their undelivered notices."""

import json
import operator
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy
from pydantic import TypeAdapter
from sqlalchemy import and_, distinct, exists, func, or_
from sqlmodel import Session, col, select

from connectors.records import DestinationId, OutcomeClass
from jobs.ledger.runs import ENDED, INBOX, NIGHTLY, RESOLVING, Ledger
from jobs.ledger.schema import (
    STREAMED,
    Attempt,
    Delivery,
    IncidentRow,
    Run,
    Transition,
    is_correction,
    matches_delivery_kind,
)
from jobs.ledger.stored_values import values_from_json, values_to_json
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import Incident, IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope, Reason

_ID = TypeAdapter(IncidentId)
_ABOUT: Mapping[IncidentKind, type] = {
    IncidentKind.SOURCE: NoneType,
    IncidentKind.NOT_ERASED: NoneType,
    IncidentKind.ENDS: str,
    IncidentKind.ANOMALY: AnomalyIdentity,
}
"""What incidents are about that concern no scope."""


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
        if run.id == ledger.run or (run.command == NIGHTLY and run.exit_code in ENDED):
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
    counted = (
        or_(and_(before == DeliveryState.IN_FLIGHT, to != DeliveryState.PENDING), suspect),
        to == DeliveryState.ACCEPTED,
        and_(to == DeliveryState.REJECTED, ~expected),
        to == DeliveryState.UNCONFIRMED,
    )
    place = (col(Delivery.destination), is_correction(), col(Transition.run))
    rows = session.connection().execute(
        sqlalchemy.select(*place, *(func.count(distinct(col(Transition.delivery))).filter(moves) for moves in counted))
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(col(Transition.account) == account, col(Transition.run).in_(runs_wanted), or_(*counted))
        .group_by(*place)
    )
    found: dict[DestinationScope, dict[int, NightNumbers]] = defaultdict(dict)
    for destination, corrections, run, *counts in rows:
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


def recorded_incidents(session: Session, account: str) -> dict[IncidentId, IncidentRow]:
    """Return every incident ever recorded, open or cleared."""
    rows = session.exec(select(IncidentRow).where(IncidentRow.account == account).order_by(col(IncidentRow.cause)))
    return {_id_of(row): row for row in rows}


def incident_from_row(row: IncidentRow) -> Incident:
    """Return a recorded incident, as it was last found; one that cannot be read says its kind and its first night."""
    identity = _id_of(row)
    if identity.kind is not IncidentKind.UNREADABLE:
        with suppress(ValueError):
            return Incident(identity, values_from_json(row.details))
    return Incident(identity, {"unreadable": _kind_as_stored(row), "since": row.first_seen_at})


def stored_incident_id(identity: IncidentId) -> str:
    """Return what identifies an incident, as it is stored."""
    return _ID.dump_json(identity).decode()


def _id_of(row: IncidentRow) -> IncidentId:
    """Return what identifies a recorded incident; as it is stored if another version wrote what this one lacks."""
    with suppress(ValueError):
        found = _ID.validate_json(row.cause)
        if _is_part_of(json.loads(row.cause), _ID.dump_python(found, mode="json")) and _fits_its_kind(found):
            return found
    return IncidentId(IncidentKind.UNREADABLE, row.cause)


def _is_part_of(stored: Any, known: Any) -> bool:
    """Return whether nothing stored was passed over in reading it: two incidents could then look like one."""
    if isinstance(stored, dict) and isinstance(known, dict):
        return stored.keys() <= known.keys() and all(_is_part_of(each, known[name]) for name, each in stored.items())
    return bool(stored == known)


def _fits_its_kind(found: IncidentId) -> bool:
    about = found.about
    if isinstance(about, AnomalyIdentity):
        match about.kind:
            case AnomalyKind.STOPPED:
                return found.kind is IncidentKind.ANOMALY and set(about.about) <= set(Reason)
            case AnomalyKind.WHERE:
                return found.kind is IncidentKind.ANOMALY and len(about.about) == len(("conversion", "destination"))
    return isinstance(about, _ABOUT.get(found.kind, DestinationScope))


def _kind_as_stored(row: IncidentRow) -> str:
    """Return the name of a kind that this version may not know; empty if there is none."""
    with suppress(ValueError):
        match json.loads(row.cause):
            case {"kind": str(kind)}:
                return kind
    return ""


def record_incident(
    session: Session, account: str, incident: Incident, row: IncidentRow | None, *, now: datetime
) -> bool:
    """Record an incident and return whether it is newly opened, in which case every address is owed a notice."""
    opens = row is None or row.cleared_at is not None
    cause = stored_incident_id(incident.id)
    row = row or IncidentRow(account=account, cause=cause, details="", first_seen_at=now)
    row.details = values_to_json(incident.values)
    if opens:
        row.first_seen_at, row.notified_at, row.cleared_at, row.undelivered = now, None, None, "[]"
    session.add(row)
    return opens


_NAMED = "leads"
"""The value of an incident that names leads."""


def incidents_naming(session: Session, account: str, ids: Collection[str]) -> Iterator[IncidentRow]:
    """Yield the incidents ever recorded that name one of these leads."""
    # Few incidents name any lead: only those are read.
    may_name = col(IncidentRow.details).contains(json.dumps(_NAMED), autoescape=True)
    for row in session.exec(select(IncidentRow).where(IncidentRow.account == account, may_name)):
        if not _leads_named_by(row).isdisjoint(ids):
            yield row


def remove_leads_from_incidents(session: Session, account: str, ids: Collection[str]) -> None:
    """Have no incident name these leads; all else that it says stays."""
    for row in list(incidents_naming(session, account, ids)):
        values = values_from_json(row.details)
        left = _leads_named_by(row).difference(ids)
        row.details = values_to_json(values | {_NAMED: tuple(sorted(left))})
    session.flush()


def _leads_named_by(row: IncidentRow) -> frozenset[str]:
    with suppress(ValueError):
        named = values_from_json(row.details).get(_NAMED)
        return frozenset(map(str, named)) if isinstance(named, tuple) else frozenset()
    return frozenset()


def update_owed_notices(session: Session, account: str, addresses: Collection[str]) -> list[IncidentRow]:
    """Return the undelivered notices, oldest first, after updating which of `addresses` each is still owed to.

    A notice not delivered anywhere is owed to all of `addresses`, in case a wrong one was corrected.
    """
    owed = []
    rows = session.exec(
        select(IncidentRow)
        .where(IncidentRow.account == account)
        .order_by(col(IncidentRow.first_seen_at), col(IncidentRow.cause))
    )
    for row in rows:
        if row.notified_at is None and (row.cleared_at is None or undelivered_addresses(row)):
            marks = sorted(addresses)
        else:
            marks = [mark for mark in undelivered_addresses(row) if mark in addresses]
        row.undelivered = json.dumps(marks)
        session.add(row)
        if marks:
            owed.append(row)
    return owed


def undelivered_addresses(row: IncidentRow) -> Sequence[str]:
    """Return the marks of the addresses still owed this notice."""
    marks: list[str] = json.loads(row.undelivered)
    return marks


def mark_notice_accepted(session: Session, account: str, cause: str, address: str, *, now: datetime) -> None:
    """Record that an address accepted a notice."""
    row = session.get_one(IncidentRow, (account, cause))
    row.undelivered = json.dumps([mark for mark in undelivered_addresses(row) if mark != address])
    row.notified_at = row.notified_at or now
    session.add(row)
