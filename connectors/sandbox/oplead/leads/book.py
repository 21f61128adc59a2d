"""The leads on record: the population's, those put by hand, those created, and every change written to them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any, Final

from connectors.sandbox.oplead.leads.rendering import ZONE, Fields, paris_wall_time, parse_lead_time

LeadsAt = Callable[[datetime], Mapping[str, object]]
"""The population: every lead at an instant, by id, in list order; None for a deleted one."""

FIRST_CREATED: Final = 1_000_001
"""The number in the first created lead's id, far from the population's."""
_APPOINTMENT_LABELS: Final = ("Rendez-vous", "RDV pris", "Rendez-vous fixé")
_OPENING: Final = timedelta(hours=9)


@dataclass(frozen=True, slots=True)
class CreatedLead:
    """A lead as it was created through the API or the form import."""

    lead: Fields
    creator: str
    position: int
    """How many leads the population had by then: it comes after them in the list."""


@dataclass(frozen=True, slots=True)
class LeadEdit:
    """One change written to a lead."""

    at: str
    """An untranslated time."""
    fields: Fields = field(default_factory=dict)
    """What it writes, as parts of a lead; None removes a value."""
    status: str | None = None


class SandboxLeadStore:
    """Every lead, untranslated."""

    def __init__(self, now: Callable[[], datetime], leads_at: LeadsAt) -> None:
        """Start with the population alone; `now` is the sandbox clock."""
        self._lock = Lock()
        self._now = now
        self._leads_at = leads_at
        self._put: dict[str, object] = {}
        """Leads put by hand, by id; None for a deleted one."""
        self._created: dict[str, CreatedLead] = {}
        self._edits: dict[str, list[LeadEdit]] = {}
        self._documents: dict[str, list[Fields]] = {}
        """Name, type, size and SHA-256 of each document, by lead."""

    def put(self, lead_id: str, lead: object) -> None:
        """Serve this lead from now on, in place of the one with this id and of what was written to it."""
        with self._lock:
            self._put[lead_id] = lead
            self._edits.pop(lead_id, None)

    def clear(self) -> None:
        """Forget everything but the population."""
        with self._lock:
            for part in (self._put, self._created, self._edits, self._documents):
                part.clear()

    def create(self, fields: Fields, creator: str) -> Fields:
        """Add a new lead, and return it."""
        now = self._now()
        made = paris_wall_time(now)
        begun = {"createdAt": made, "updatedAt": made, "status": "Nouveau", "statusDate": made}
        history = [{"status": "Nouveau", "date": made}]
        with self._lock:
            number = FIRST_CREATED + len(self._created)
            while f"L-{number}" in self._put:
                number += 1
            lead_id = f"L-{number}"
            lead = _merged({"id": lead_id, **begun, "statusHistory": history}, _timestamp_appointment(fields, made))
            self._created[lead_id] = CreatedLead(lead, creator, len(self._leads_at(now)))
        return lead

    def edit_lead(self, lead_id: str, fields: Fields | None = None, status: str | None = None) -> None:
        """Change some of a lead's fields, or its status."""
        at = paris_wall_time(self._now())
        with self._lock:
            self._edits.setdefault(lead_id, []).append(LeadEdit(at, _timestamp_appointment(fields or {}, at), status))

    def attach_document(self, lead_id: str, document: Fields) -> Fields:
        """Add a document to a lead, and return what is kept of it."""
        with self._lock:
            every = self._documents.setdefault(lead_id, [])
            added = {"id": f"{lead_id}-D{len(every) + 1}", **document, "addedAt": paris_wall_time(self._now())}
            every.append(added)
            return added

    def creator_of_lead(self, lead_id: str) -> str | None:
        """Return who created a lead; None if it was not created through the API or the form import."""
        created = self._created.get(lead_id)
        return created.creator if created else None

    def leads(self, *, with_appointments: bool = False) -> dict[str, object]:
        """Return every current lead by id, in list order; None for a deleted one."""
        with self._lock:
            merged = self._insert_created_leads(self._leads_at(self._now()))
            if with_appointments:
                merged = {lead_id: _with_appointment(lead) for lead_id, lead in merged.items()}
            merged |= self._put
            for lead_id, edits in self._edits.items():
                merged[lead_id] = apply_lead_edits(merged.get(lead_id), edits)
        return merged

    def get_created_lead(self, lead_id: str) -> object:
        """Return a created lead as it is now, without a look at any other; None unless it is one, and not put since."""
        with self._lock:
            created = self._created.get(lead_id)
            if created is None or lead_id in self._put:
                return None
            return apply_lead_edits(created.lead, self._edits.get(lead_id, ()))

    def created_lead_records(self) -> list[dict[str, object]]:
        """Return each created lead's id, creator and time, oldest first."""
        with self._lock:
            return [
                {"id": lead_id, "by": each.creator, "at": each.lead["createdAt"]}
                for lead_id, each in self._created.items()
            ]

    def documents(self) -> list[dict[str, object]]:
        """Return every document with its lead's id."""
        with self._lock:
            return [{"lead": lead_id, **each} for lead_id, added in self._documents.items() for each in added]

    def dump(self) -> dict[str, object]:
        """Return the state as JSON."""
        with self._lock:
            return {
                "put": dict(self._put),
                "created": {lead_id: asdict(each) for lead_id, each in self._created.items()},
                "edits": {lead_id: [asdict(each) for each in edits] for lead_id, edits in self._edits.items()},
                "documents": {lead_id: list(added) for lead_id, added in self._documents.items()},
            }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `dump` returned, or a state from before leads could be written."""
        with self._lock:
            self._put = dict(state["put"])
            self._created = {lead_id: CreatedLead(**each) for lead_id, each in state.get("created", {}).items()}
            self._edits = {
                lead_id: [LeadEdit(**each) for each in edits] for lead_id, edits in state.get("edits", {}).items()
            }
            self._documents = {lead_id: list(added) for lead_id, added in state.get("documents", {}).items()}

    def _insert_created_leads(self, population: Mapping[str, object]) -> dict[str, object]:
        """Return the population with each created lead after those that were there before it."""
        if not self._created:
            return dict(population)
        merged: dict[str, object] = {}
        older, start = list(population.items()), 0
        for lead_id, created in self._created.items():
            if created.position > start:
                merged.update(older[start : created.position])
                start = created.position
            merged[lead_id] = created.lead
        merged.update(older[start:])
        return merged


def apply_lead_edits(lead: object, edits: Iterable[LeadEdit]) -> object:
    """Return a lead after these edits, oldest first, whatever its own life has brought since; a broken one as it is."""
    if not isinstance(lead, Mapping):
        return lead
    changed: dict[str, object] = dict(lead)
    for edit in edits:
        changed = _merged(changed, edit.fields)
        changed["updatedAt"] = max(str(changed.get("updatedAt", "")), edit.at)
        if edit.status:
            history = changed.get("statusHistory")
            entries = [*(history if isinstance(history, list) else ()), {"status": edit.status, "date": edit.at}]
            entries.sort(key=_entry_time)
            latest = entries[-1]
            changed |= {"status": latest["status"], "statusDate": latest["date"], "statusHistory": entries}
    return changed


def _entry_time(entry: object) -> datetime:
    moment = parse_lead_time(entry.get("date")) if isinstance(entry, Mapping) else None
    return moment or datetime.min.replace(tzinfo=UTC)


def _merged(whole: Fields, part: Fields) -> dict[str, object]:
    """Return the mapping with another's values over its own, at every depth; None removes one."""
    merged = dict(whole)
    for name, value in part.items():
        inner = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _timestamp_appointment(fields: Fields, at: str) -> Fields:
    """Say in an appointment when it was written."""
    appointment = fields.get("appointment")
    return {**fields, "appointment": {**appointment, "updatedAt": at}} if isinstance(appointment, Mapping) else fields


def _with_appointment(lead: object) -> object:
    """Add the appointment that a lead's first appointment status stands for, some days later."""
    history = lead.get("statusHistory") if isinstance(lead, Mapping) else None
    if not isinstance(lead, Mapping) or not isinstance(history, list):
        return lead
    reached = next((each["date"] for each in history if each.get("status") in _APPOINTMENT_LABELS), None)
    moment = parse_lead_time(reached)
    if moment is None:
        return lead
    drawn = int(sha256(str(lead.get("id")).encode()).hexdigest()[:4], 16)
    day = moment.astimezone(ZONE).replace(hour=0, minute=0, second=0) + timedelta(days=1 + drawn % 10)
    date = day + _OPENING + timedelta(minutes=30 * (drawn % 18))
    return {**lead, "appointment": {"date": paris_wall_time(date), "updatedAt": reached}}
