"""The parts of a lead that may be written, in the shape's own names."""

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.sandbox.oplead.bodies import reject_unknown_fields, require_valid_webhook_address
from connectors.sandbox.oplead.gate import RefusedError
from connectors.sandbox.oplead.leads.rendering import PAIRS, Fields, paris_wall_time, parse_lead_time, wire_name
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.settings import CUSTOM_FIELDS
from connectors.sandbox.oplead.shape import ApiShape

LONGEST_TEXT: Final = 2_000
CONTACT: Final = ("civility", "firstname", "lastname", "email", "phone", "mobile")
ADDRESS: Final = ("street", "postcode", "city", "country")
UTM: Final = ("utm_source", "utm_medium", "utm_campaign")

Places = Mapping[str, object]
"""What may be written: by wire name, the path of a value in an untranslated lead, or the places within an object."""


def lead_fields_from_body(body: Fields, shape: ApiShape, options: UndocumentedBehaviour) -> dict[str, object]:
    """Return the parts of an untranslated lead that a body in the shape's names writes."""
    container = wire_name("leadData", shape)
    if shape.lead_data != "object" and container in body:
        body = {**body, container: _from_pairs(body[container], PAIRS[shape.lead_data])}
    parts: dict[str, object] = {}
    for path, value in _values_with_paths(body, _writable_field_paths(shape), options):
        target = parts
        for folder in path[:-1]:
            target = target.setdefault(folder, {})  # type: ignore[assignment]  # folders are dicts by construction
        target[path[-1]] = _validate_field_value(path, value)
    return parts


def require_email_or_phone(lead: Fields) -> None:
    """Raise RefusedError unless the lead has an e-mail address or a telephone number."""
    contact = lead.get("contact")
    known = contact if isinstance(contact, Mapping) else {}
    if not any(str(known.get(name) or "").strip() for name in ("email", "phone", "mobile")):
        raise RefusedError(422, "a lead needs an e-mail address or a telephone number")


def writable_lead_parts(lead: object, shape: ApiShape) -> object:
    """Return the parts of a lead on the wire that may be written."""
    return _keep_known_fields(lead, _writable_field_paths(shape))


def _keep_known_fields(value: object, places: object) -> object:
    if not isinstance(places, Mapping) or not isinstance(value, Mapping):
        return value
    return {name: _keep_known_fields(one, places[name]) for name, one in value.items() if name in places}


def _writable_field_paths(shape: ApiShape) -> Places:
    def paths_by_wire_name(names: Iterable[str], *folder: str) -> dict[str, object]:
        return {wire_name(name, shape): (*folder, name) for name in names}

    click_id = "externalID" if shape.external_id == "tracking" else shape.external_id
    contact, address = paths_by_wire_name(CONTACT, "contact"), paths_by_wire_name(ADDRESS, "address")
    utm, data = paths_by_wire_name(UTM, "leadData"), paths_by_wire_name(CUSTOM_FIELDS, "leadData")
    tracking = {click_id: ("leadData", "externalID"), **utm}
    people: Mapping[str, dict[str, object]] = {
        "nested": {"contact": contact, "address": address},
        "flat": contact | address,
        "customer": {"customer": {**contact, "address": address}},
    }
    objects: dict[str, object] = {
        "leadData": data if shape.external_id == "tracking" else data | tracking,
        "provider": paths_by_wire_name(("name", "url"), "provider"),
        "appointment": paths_by_wire_name(("date",), "appointment"),
        **({"tracking": tracking} if shape.external_id == "tracking" else {}),
        **people[shape.contact],
    }
    top = paths_by_wire_name(("channel", "agency", "amount"))
    return utm | top | {wire_name(name, shape): _renamed_places(each, shape) for name, each in objects.items()}


def _renamed_places(places: object, shape: ApiShape) -> object:
    """Give the objects within an object their names in the shape."""
    if not isinstance(places, Mapping):
        return places
    return {
        wire_name(name, shape) if isinstance(each, Mapping) else name: _renamed_places(each, shape)
        for name, each in places.items()
    }


def _values_with_paths(
    body: Fields, places: Places, options: UndocumentedBehaviour
) -> Iterable[tuple[tuple[str, ...], object]]:
    """Yield each value of a body with its path in an untranslated lead."""
    for name, value in reject_unknown_fields(body, places, options).items():
        place = places[name]
        if isinstance(place, tuple):
            yield place, value
        elif isinstance(place, Mapping) and isinstance(value, Mapping):
            yield from _values_with_paths(value, place, options)
        elif value is None and isinstance(place, Mapping):
            yield from ((path, None) for path in place.values() if isinstance(path, tuple))
        else:
            raise RefusedError(422, f"{name} is an object")


def _from_pairs(value: object, name: str) -> object:
    pairs = {}
    for entry in value if isinstance(value, list) else [None]:
        if not isinstance(entry, dict) or entry.keys() != {name, "value"}:
            raise RefusedError(422, f"leadData is a list of objects of {name} and value")
        pairs[str(entry[name])] = entry["value"]
    return pairs


def _validate_field_value(path: tuple[str, ...], value: object) -> object:
    """Return a value that its place may hold."""
    if value is None:
        return None
    if path == ("amount",) and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise RefusedError(422, f"{path[-1]} is a text of at most {LONGEST_TEXT} characters")
    if path[-1] == "email" and value.strip() and "@" not in value:
        raise RefusedError(422, "email is an e-mail address")
    if path == ("provider", "url"):
        require_valid_webhook_address(value)
    if path == ("appointment", "date"):
        moment = parse_lead_time(value)
        if moment is None:
            raise RefusedError(422, "an appointment's date is a time in ISO 8601")
        return paris_wall_time(moment)
    return value
