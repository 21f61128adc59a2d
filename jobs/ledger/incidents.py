"""Stored incidents, and their undelivered notices."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import NoneType
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import or_
from sqlmodel import Session, col, select

from jobs.ledger.schema import (
    IncidentRow,
)
from jobs.ledger.stored_values import values_from_json, values_to_json
from jobs.rules.incident import Incident, IncidentId, IncidentKind, OpenIncident
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, DestinationScope, Message, Reason

_ID = TypeAdapter(IncidentId)
_ABOUT: Mapping[IncidentKind, type] = {
    IncidentKind.SOURCE: NoneType,
    IncidentKind.NOT_ERASED: NoneType,
    IncidentKind.ENDS: str,
    IncidentKind.FINDING: str,
    IncidentKind.ANOMALY: AnomalyIdentity,
}
"""What incidents are about that concern no scope."""


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


def open_incidents(
    session: Session, account: str, new: Collection[IncidentId] = frozenset()
) -> tuple[OpenIncident, ...]:
    """Return the incidents on record that are open; those of `new` were opened tonight."""
    return tuple(
        OpenIncident(incident_from_row(row), row.first_seen_at, cause in new)
        for cause, row in recorded_incidents(session, account).items()
        if row.cleared_at is None
    )


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


_PAIRS = "pairs"
_NAMING = ("leads", _PAIRS)
"""The values of an incident, or of its message, that name leads: each alone, or with the one that it may be."""


def incidents_naming(session: Session, account: str, ids: Collection[str]) -> Iterator[IncidentRow]:
    """Yield the incidents ever recorded that name one of these leads."""
    # Few incidents name any lead: only those are read.
    may_name = or_(*(col(IncidentRow.details).contains(json.dumps(name), autoescape=True) for name in _NAMING))
    for row in session.exec(select(IncidentRow).where(IncidentRow.account == account, may_name)):
        with suppress(ValueError):
            values = values_from_json(row.details)
            if values != _without_leads(values, ids):
                yield row


def remove_leads_from_incidents(session: Session, account: str, ids: Collection[str]) -> None:
    """Have no incident name these leads; all else that it says stays."""
    for row in list(incidents_naming(session, account, ids)):
        row.details = values_to_json(_without_leads(values_from_json(row.details), ids))
    session.flush()


def _without_leads(values: Mapping[str, object], ids: Collection[str]) -> dict[str, object]:
    return {name: _value_without_leads(name, value, ids) for name, value in values.items()}


def _value_without_leads(name: str, value: object, ids: Collection[str]) -> object:
    match value:
        case Message():
            return Message(value.id, _without_leads(value.values, ids))
        case tuple() if name in _NAMING:
            left = tuple(each for each in value if not any(_is_named(str(each), lead) for lead in ids))
            # The sentence goes on after its pairs.
            return left or ("…",) if name == _PAIRS else left
    return value


def _is_named(text: str, lead: str) -> bool:
    """Return whether a lead is named alone, or in a pair as `twins_message` writes it."""
    return text == lead or text.startswith(f"{lead} (") or text.endswith(f" ({lead})")


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
