"""The schemas of Oplead's specification, made from examples of what is served."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from connectors.sandbox.oplead.leads.rendering import CODES, PAIRS, Fields

Schema = dict[str, object]

LISTED_LEAD: Final = object()
"""Stands for a lead of the list."""
_AT: Final = "2026-07-06 20:02:10"


def _exemplar(label: str, answer: str) -> Fields:
    """Return an untranslated lead that has everything a lead can have."""
    return {
        "id": "L-10005",
        "createdAt": _AT,
        "updatedAt": _AT,
        "status": label,
        "statusDate": _AT,
        "statusHistory": [{"status": label, "date": _AT}],
        "leadData": {
            "externalID": "gclid=CjwKCAjwLHJGZ03vcEbOEV1USvUOo3EHm1EV1HLDpZ6c",
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "fenetres-pvc",
            "consent": answer,
            "adPersonalization": answer,
        },
        "contact": {
            "firstname": "Jeanne",
            "lastname": "Exemple",
            "email": "jeanne.exemple@example.org",
            "phone": "01 99 00 12 34",
            "mobile": "06 39 98 12 34",
        },
        "address": {"postcode": "44000", "city": "Nantes", "country": "FR"},
        "channel": "Site web",
        "agency": "Nantes",
        "amount": "1 250,00",
        "provider": {"name": "Fournisseur", "url": "https://supplier.example.org/leads"},
        "appointment": {"date": _AT, "updatedAt": _AT},
    }


EXEMPLARS: Final = [_exemplar(label, answer) for label, answer in zip(CODES, ("oui", "non") * len(CODES), strict=False)]
"""They differ in what has few possible values only."""


def infer_schema(examples: Sequence[object]) -> Schema:
    """Return the schema of these values; what differs among them is enumerated."""
    first = examples[0]
    if first is LISTED_LEAD:
        return openapi_schema_reference("ListedLead")
    if isinstance(first, Mapping):
        names = dict.fromkeys(name for one in examples if isinstance(one, Mapping) for name in one)
        return {
            "type": "object",
            "properties": {name: infer_schema(list(_values_of_key(examples, name))) for name in names},
        }
    if isinstance(first, list | tuple):
        return {"type": "array", "items": _entry([entry for one in examples for entry in _entries(one)])}
    kind = {bool: "boolean", int: "integer", float: "number"}.get(type(first), "string")
    different = list(dict.fromkeys(examples))
    scalar: Schema = {"type": kind, "enum": different} if len(different) > 1 else {"type": kind, "example": first}
    return scalar | ({"format": "date-time"} if isinstance(first, str) and "T" in first and "+" in first else {})


def _values_of_key(examples: Iterable[object], name: str) -> Iterator[object]:
    return (one[name] for one in examples if isinstance(one, Mapping) and name in one)


def _entries(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _entry(entries: Sequence[object]) -> Schema:
    """Return the schema of a list's entries; pairs of a name and a value have one for each name."""
    key = next((key for key in PAIRS.values() if _are_pairs(entries, key)), None)
    if key is None:
        return infer_schema(entries) if entries else {}
    by_name: dict[object, list[object]] = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            by_name.setdefault(entry[key], []).append(entry["value"])
    return {
        "oneOf": [
            {"type": "object", "properties": {key: {"type": "string", "enum": [name]}, "value": infer_schema(values)}}
            for name, values in by_name.items()
        ]
    }


def _are_pairs(entries: Sequence[object], key: str) -> bool:
    return bool(entries) and all(isinstance(one, Mapping) and one.keys() == {key, "value"} for one in entries)


def openapi_schema_reference(name: str) -> Schema:
    """Return a reference to one of the specification's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}
