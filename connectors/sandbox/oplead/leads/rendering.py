"""Leads as an Oplead of a given shape serves them; pure functions of leads as JSON."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Final, assert_never
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from connectors.sandbox.oplead.shape import ApiShape

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


def render_lead(lead: object, shape: ApiShape) -> object:
    """Return the whole lead in this shape; a lead that isn't an object stays unchanged."""
    if not isinstance(lead, Mapping):
        return lead
    dated = {name: wire_date(value, shape) if name in _DATES else value for name, value in lead.items()}
    placed = _with_contact(_with_tracking(_with_statuses(dated, shape), shape), shape)
    if isinstance(appointment := placed.get("appointment"), Mapping):
        placed["appointment"] = {name: wire_date(value, shape) for name, value in appointment.items()}
    if isinstance(placed.get("id"), str):
        placed["id"] = wire_lead_id(str(placed["id"]), shape.ids)
    if "amount" in placed:
        placed["amount"] = wire_amount(placed["amount"], shape)
    renamed = {wire_name(name, shape): _renamed(value, shape) for name, value in placed.items()}
    container = wire_name("leadData", shape)
    data = renamed.get(container)
    if isinstance(data, Mapping) and shape.lead_data != "object":
        renamed[container] = [{PAIRS[shape.lead_data]: name, "value": value} for name, value in data.items()]
    return renamed


def render_lead_in_list(lead: object, shape: ApiShape) -> object:
    """Return the lead as the list shows it."""
    whole = render_lead(lead, shape)
    if not isinstance(whole, Mapping) or shape.list_has_details is True:
        return whole
    if shape.list_has_details == "ids":
        return {"id": whole.get("id")}
    left_out = {wire_name("leadData", shape), "tracking"}
    return {name: value for name, value in whole.items() if name not in left_out}


@lru_cache(maxsize=20_000)
def wire_lead_id(lead_id: str, ids: str) -> str | int:
    """Return the id a lead is served under: as is, the number in `L-10000` (or a hash), or a UUID derived from it."""
    if ids == "uuid":
        return str(uuid5(NAMESPACE_URL, lead_id))
    if ids == "int":
        numbered = re.fullmatch(r"L-([1-9][0-9]{0,14})", lead_id)
        return int(numbered[1]) if numbered else int(sha256(lead_id.encode()).hexdigest()[:12], 16)
    return lead_id


def parse_lead_time(text: object) -> datetime | None:
    """Parse an untranslated time; return None if it is unreadable."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)


def paris_wall_time(moment: datetime) -> str:
    """Return an untranslated time, the wall clock in Paris."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def wire_date(value: object, shape: ApiShape, *, day: bool = False) -> object:
    """Return a time in the shape's format; an unreadable one stays unchanged."""
    moment = parse_lead_time(value) if isinstance(value, str) else None
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


def _with_statuses(lead: Fields, shape: ApiShape) -> dict[str, object]:
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


def _status_and_date(fields: Fields, date: str, shape: ApiShape) -> dict[str, object]:
    written = dict(fields)
    if "status" in written:
        written["status"] = _status(written["status"], shape)
    if date in written:
        written[date] = wire_date(written[date], shape, day=shape.status_day == "day")
    return written


def _status(label: object, shape: ApiShape) -> object:
    if not isinstance(label, str):
        return label
    code, number = status_code_and_number(label)
    forms = {
        "label": label,
        "code": code,
        "label_code": {"label": label, "code": code},
        "id_name": {"id": number, "name": label},
    }
    return forms[shape.status]


def status_code_and_number(label: str) -> tuple[str, int]:
    """Return a label's code and number, derived from it if `CODES` lacks it."""
    if label in CODES:
        return CODES[label]
    letters = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().upper()
    return re.sub(r"[^A-Z0-9]+", "_", letters), 100 + int(sha256(label.encode()).hexdigest()[:4], 16)


def _with_tracking(lead: Fields, shape: ApiShape) -> dict[str, object]:
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


def _with_contact(lead: Fields, shape: ApiShape) -> dict[str, object]:
    contact, address = (dict(part) if isinstance(part := lead.get(name), Mapping) else {} for name in _PEOPLE)
    rest = {name: value for name, value in lead.items() if not (name in _PEOPLE and isinstance(value, Mapping))}
    if shape.contact == "nested":
        return dict(lead)
    customer = contact | ({"address": address} if address else {})
    return rest | (contact | address if shape.contact == "flat" else {"customer": customer} if customer else {})


def wire_amount(value: object, shape: ApiShape) -> object:
    """Return an amount as typed, or as a number; None if its meaning is ambiguous."""
    if shape.amounts == "typed" or not isinstance(value, str):
        return value
    compact = re.sub(r"[ \u00a0\u202f€]", "", value)
    if not re.fullmatch(r"[0-9]+(,[0-9]{2})?", compact):
        return None
    euros = Decimal(compact.replace(",", "."))
    return int(euros) if euros == euros.to_integral_value() else float(euros)


def _renamed(value: object, shape: ApiShape) -> object:
    """Rename every field to its name in the shape, at every depth."""
    if isinstance(value, Mapping):
        return {wire_name(name, shape): _renamed(each, shape) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, shape) for each in value]
    return value


def wire_name(name: str, shape: ApiShape) -> str:
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
