"""Leads as an Oplead of a given shape serves them, perhaps after an accident; pure functions of leads as JSON.

An accident damages a whole CRM's leads from some moment on and leaves `updatedAt` unchanged. A website that drops
click ids damages only the leads it creates, a CRM that renames a label changes all of them; hence `only_new`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, assert_never
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass

from connectors.sandbox.oplead.shape import Shape
from connectors.sandbox.platform import STRICT

ZONE: Final = ZoneInfo("Europe/Paris")
"""The zone of untranslated times, which are French wall-clock times without an offset."""

Fields = Mapping[str, object]

CODES: Final[Mapping[str, tuple[str, int]]] = {
    "Nouveau": ("NEW", 1),
    "En cours": ("IN_PROGRESS", 2),
    "Rendez-vous": ("MEETING", 3),
    "RDV pris": ("MEETING_SET", 4),
    "Rendez-vous fixé": ("MEETING_SET", 4),
    "Devis à relancer": ("QUOTE_SENT", 5),
    "Gagné": ("WON", 6),
    "Perdu": ("LOST", 7),
    "Sans suite": ("DROPPED", 8),
    "Nurserie": ("NURSERY", 9),
}
"""Each status label's code and number; a renamed label keeps them."""

_SNAKE: Final = {"firstname": "first_name", "lastname": "last_name", "postcode": "post_code"}
_FRENCH: Final = {
    "createdAt": "dateCreation",
    "updatedAt": "dateModification",
    "status": "statut",
    "statusDate": "dateStatut",
    "statusHistory": "historique",
    "firstname": "prenom",
    "lastname": "nom",
    "phone": "telephone",
    "mobile": "portable",
    "customer": "client",
    "address": "adresse",
    "postcode": "codePostal",
    "city": "ville",
    "country": "pays",
    "amount": "montant",
    "channel": "canal",
    "agency": "agence",
    "consent": "consentement",
    "adPersonalization": "personnalisation",
    "provider": "fournisseur",
    "appointment": "rendezVous",
}
"""French field names; other fields have the same name in French, or a documented one."""
_SPELLINGS: Final = frozenset({"externalID", "externalId", "external_id"})
"""These names have an axis of their own, so the `names` axis skips them."""
PAIRS: Final = {"name_value": "name", "key_value": "key"}
"""What the name in a pair of `leadData` stands under, by position of the `lead_data` axis."""
_PEOPLE: Final = ("contact", "address")
_DATES: Final = frozenset({"createdAt", "updatedAt"})


def render_lead(lead: object, shape: Shape) -> object:
    """Return the whole lead in this shape; a lead that isn't an object stays unchanged."""
    if not isinstance(lead, Mapping):
        return lead
    dated = {name: wire_date(value, shape) if name in _DATES else value for name, value in lead.items()}
    placed = _with_contact(_with_tracking(_with_statuses(dated, shape), shape), shape)
    if isinstance(appointment := placed.get("appointment"), Mapping):
        placed["appointment"] = {name: wire_date(value, shape) for name, value in appointment.items()}
    if isinstance(placed.get("id"), str):
        placed["id"] = wire_id(str(placed["id"]), shape.ids)
    if "amount" in placed:
        placed["amount"] = _amount(placed["amount"], shape)
    renamed = {wire_name(name, shape): _renamed(value, shape) for name, value in placed.items()}
    container = wire_name("leadData", shape)
    data = renamed.get(container)
    if isinstance(data, Mapping) and shape.lead_data != "object":
        renamed[container] = [{PAIRS[shape.lead_data]: name, "value": value} for name, value in data.items()]
    return renamed


def render_list_entry(lead: object, shape: Shape) -> object:
    """Return the lead as the list shows it."""
    whole = render_lead(lead, shape)
    if not isinstance(whole, Mapping) or shape.list_has_details is True:
        return whole
    if shape.list_has_details == "ids":
        return {"id": whole.get("id")}
    left_out = {wire_name("leadData", shape), "tracking"}
    return {name: value for name, value in whole.items() if name not in left_out}


@lru_cache(maxsize=20_000)
def wire_id(lead_id: str, ids: str) -> str | int:
    """Return the id a lead is served under: as is, the number in `L-10000` (or a hash), or a UUID derived from it."""
    if ids == "uuid":
        return str(uuid5(NAMESPACE_URL, lead_id))
    if ids == "int":
        numbered = re.fullmatch(r"L-([1-9][0-9]{0,14})", lead_id)
        return int(numbered[1]) if numbered else int(sha256(lead_id.encode()).hexdigest()[:12], 16)
    return lead_id


def instant(text: object) -> datetime | None:
    """Parse an untranslated time; return None if it is unreadable."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)


def wire_date(value: object, shape: Shape, *, day: bool = False) -> object:
    """Return a time in the shape's format; an unreadable one stays unchanged."""
    moment = instant(value) if isinstance(value, str) else None
    if moment is None or (shape.dates == "naive" and not day):
        return value
    local = moment.astimezone(ZONE)
    forms: Mapping[str, object] = {
        "naive": f"{local:%Y-%m-%d}",
        "iso": f"{local:%Y-%m-%d}" if day else local.isoformat(timespec="seconds"),
        "french": f"{local:%d/%m/%Y}" if day else f"{local:%d/%m/%Y %H:%M}",
        "epoch_s": int(moment.timestamp()),
        "epoch_ms": int(moment.timestamp()) * 1000,
        "php": {"date": f"{local:%Y-%m-%d %H:%M:%S}.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
    }
    return forms[shape.dates]


def _with_statuses(lead: Fields, shape: Shape) -> dict[str, object]:
    """Translate the lead's status, and keep those of its dates and history that the shape has."""
    written = _status_and_date(lead, "statusDate", shape)
    if shape.status_dates == "none":
        written.pop("statusDate", None)
    history = written.get("statusHistory")
    if shape.status_dates != "history":
        written.pop("statusHistory", None)
    elif isinstance(history, list):
        entries = [_status_and_date(each, "date", shape) if isinstance(each, Mapping) else each for each in history]
        written["statusHistory"] = entries if shape.history_order == "oldest" else entries[::-1]
    return written


def _status_and_date(fields: Fields, date: str, shape: Shape) -> dict[str, object]:
    written = dict(fields)
    if "status" in written:
        written["status"] = _status(written["status"], shape)
    if date in written:
        written[date] = wire_date(written[date], shape, day=shape.status_day == "day")
    return written


def _status(label: object, shape: Shape) -> object:
    if not isinstance(label, str):
        return label
    code, number = CODES.get(label) or _coded(label)
    forms = {
        "label": label,
        "code": code,
        "label_code": {"label": label, "code": code},
        "id_name": {"id": number, "name": label},
    }
    return forms[shape.status]


def _coded(label: str) -> tuple[str, int]:
    """Derive a code and a number for a label that `CODES` lacks."""
    letters = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().upper()
    return re.sub(r"[^A-Z0-9]+", "_", letters), 100 + int(sha256(label.encode()).hexdigest()[:4], 16)


def _with_tracking(lead: Fields, shape: Shape) -> dict[str, object]:
    """Rename the click id field, or move it to `tracking` together with the UTM fields."""
    placed, data = dict(lead), lead.get("leadData")
    if not isinstance(data, Mapping) or shape.external_id == "externalID":
        return placed
    if shape.external_id != "tracking":
        placed["leadData"] = {shape.external_id if name == "externalID" else name: data[name] for name in data}
        return placed
    moved = {name for name in data if name == "externalID" or name.startswith("utm_")}
    placed["leadData"] = {name: value for name, value in data.items() if name not in moved}
    return placed | {"tracking": {name: data[name] for name in data if name in moved}}


def _with_contact(lead: Fields, shape: Shape) -> dict[str, object]:
    contact, address = (dict(part) if isinstance(part := lead.get(name), Mapping) else {} for name in _PEOPLE)
    rest = {name: value for name, value in lead.items() if not (name in _PEOPLE and isinstance(value, Mapping))}
    if shape.contact == "nested":
        return dict(lead)
    customer = contact | ({"address": address} if address else {})
    return rest | (contact | address if shape.contact == "flat" else {"customer": customer} if customer else {})


def _amount(value: object, shape: Shape) -> object:
    """Return an amount as typed, or as a number; None if its meaning is ambiguous."""
    if shape.amounts == "typed" or not isinstance(value, str):
        return value
    compact = re.sub(r"[ \u00a0\u202f€]", "", value)
    if not re.fullmatch(r"[0-9]+(,[0-9]{2})?", compact):
        return None
    euros = Decimal(compact.replace(",", "."))
    return int(euros) if euros == euros.to_integral_value() else float(euros)


def _renamed(value: object, shape: Shape) -> object:
    """Rename every field to its name in the shape, at every depth."""
    if isinstance(value, Mapping):
        return {wire_name(name, shape): _renamed(each, shape) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, shape) for each in value]
    return value


def wire_name(name: str, shape: Shape) -> str:
    """Return what a field is called in the shape."""
    if name in _SPELLINGS:
        return name
    match shape.names:
        case "camel":
            return name
        case "snake":
            return _SNAKE.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        case "run_together":
            return name.replace("_", "").lower()
        case "french":
            return _FRENCH.get(name, name)
    assert_never(shape.names)


class AccidentKind(StrEnum):
    """How an accident changes a lead."""

    RELABEL = "relabel"
    """Rename the label `old` to `new`, in the status and in the history."""
    DROP_UTM = "drop_utm"
    """Remove the UTM fields."""
    BARE_IDS = "bare_ids"
    """Strip the label from the click id and remove the UTM fields."""
    DROP_CLICK_IDS = "drop_click_ids"
    """Empty the click id field."""
    LOWER_CASE = "lower_case"
    """Lower-case the click id field."""
    TRUNCATE = "truncate"
    """Cut the click id field to `length` characters."""
    MOVE_FIELD = "move_field"
    """Move the value at the dotted path `old` to `new`."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Accident:
    """One accident: what happens, when, and to which leads."""

    kind: AccidentKind
    since: AwareDatetime
    until: AwareDatetime | None = None
    """When it is fixed."""
    only_new: bool = False
    """Whether it affects only the leads created while it lasts, but those permanently."""
    old: str = ""
    new: str = ""
    length: int = Field(default=50, ge=1)

    def __post_init__(self) -> None:
        """Raise ValueError for an impossible period or missing labels or paths."""
        if self.until is not None and self.until <= self.since:
            raise ValueError("until lies after since")
        if self.kind in (AccidentKind.RELABEL, AccidentKind.MOVE_FIELD) and not (self.old and self.new):
            raise ValueError(f"{self.kind} needs old and new")

    def affects(self, lead: Fields, now: datetime) -> bool:
        """Return whether it changes this lead when served now."""
        moment = instant(lead.get("createdAt")) if self.only_new else now
        return moment is not None and self.since <= moment and (self.until is None or moment < self.until)


def accident_json(accident: Accident) -> dict[str, object]:
    """Return the JSON form that `platform.from_json` reads."""
    fields = {name: value for name, value in asdict(accident).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def apply_accidents(accidents: Iterable[Accident], lead: object, now: datetime) -> object:
    """Apply each accident in turn to a lead served now; a lead that isn't an object stays unchanged."""
    for accident in accidents:
        if isinstance(lead, Mapping) and accident.affects(lead, now):
            lead = _EFFECTS[accident.kind](lead, accident)
    return lead


def _relabelled(lead: Fields, accident: Accident) -> Fields:
    def relabel(fields: Fields) -> Fields:
        is_old = fields.get("status") == accident.old
        return {**fields, "status": accident.new} if is_old else fields

    history = lead.get("statusHistory")
    if isinstance(history, list):
        lead = {**lead, "statusHistory": [relabel(entry) if isinstance(entry, dict) else entry for entry in history]}
    return relabel(lead)


def _without_utm(lead: Fields, _: Accident) -> Fields:
    data = lead.get("leadData")
    if not isinstance(data, Mapping):
        return lead
    return {**lead, "leadData": {name: data[name] for name in data if not name.startswith("utm_")}}


def _without_labels(lead: Fields, accident: Accident) -> Fields:
    return _without_utm(_with_click_id(lead, lambda text: text.rpartition("=")[2].rpartition(": ")[2]), accident)


def _with_click_id(lead: Fields, edit: Callable[[str], str]) -> Fields:
    data = lead.get("leadData")
    if isinstance(data, Mapping) and isinstance(text := data.get("externalID"), str):
        return {**lead, "leadData": {**data, "externalID": edit(text)}}
    return lead


def _moved(lead: Fields, accident: Accident) -> Fields:
    """Move a value to another path; a lead without it stays unchanged."""
    changed = deepcopy(dict(lead))
    *folders, name = accident.old.split(".")
    source: object = changed
    for folder in folders:
        source = source.get(folder) if isinstance(source, dict) else None
    if not isinstance(source, dict) or name not in source:
        return lead
    value = source.pop(name)
    *folders, name = accident.new.split(".")
    target = changed
    for folder in folders:
        inner = target.get(folder)
        deeper = inner if isinstance(inner, dict) else {}
        target[folder] = deeper
        target = deeper
    target[name] = value
    return changed


_EFFECTS: Final[Mapping[AccidentKind, Callable[[Fields, Accident], Fields]]] = {
    AccidentKind.RELABEL: _relabelled,
    AccidentKind.DROP_UTM: _without_utm,
    AccidentKind.BARE_IDS: _without_labels,
    AccidentKind.DROP_CLICK_IDS: lambda lead, _: _with_click_id(lead, lambda _: ""),
    AccidentKind.LOWER_CASE: lambda lead, _: _with_click_id(lead, str.lower),
    AccidentKind.TRUNCATE: lambda lead, accident: _with_click_id(lead, lambda text: text[: accident.length]),
    AccidentKind.MOVE_FIELD: _moved,
}
