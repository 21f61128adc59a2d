"""A made-up lead for a schema, so that fields are found in a specification as they are in real leads. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from connectors.oplead.parsing.click_ids import is_click_id_label
from connectors.oplead.parsing.field_tree import NAMES, last_path_part
from connectors.oplead.parsing.fields import LOOSE_NAME_KEYS, LOOSE_VALUE_KEYS, NAME_KEYS, VALUE_KEYS
from connectors.oplead.probe.specification.openapi import (
    ApiDescription,
    Schema,
    mapping_or_empty,
    text_or_empty,
    type_of_schema,
)

_DEEPEST = 7
_MOST_VALUES = 3_000
_TIME, _SECONDS = "2026-01-05T10:00:00+01:00", Decimal(1_767_603_600)
_CLICK_ID = "gclid=CjwKCAiA1MadeUp0ForASchema0AndNobodysClick0AbCdEfGhIjKlMn"
_FORMATS: Mapping[str, str] = {
    "date-time": _TIME,
    "date": "2026-01-05",
    "email": "nobody@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_BY_FIELD: Mapping[str, str] = {
    "email": "nobody@example.org",
    "phone": "01 99 00 12 34",
    "click_id": _CLICK_ID,
}
_DATES = frozenset(
    {*NAMES["created_at"], *NAMES["updated_at"], *NAMES["status_at"], *NAMES["click_id_at"], "date", "at"}
)


@dataclass(frozen=True, slots=True)
class SchemaExample:
    """A made-up value that a schema allows."""

    value: object
    enums: Mapping[str, tuple[str, ...]]
    """The values that the schema lists, by path."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """What the schema says of single values, by path."""


def example_of(api: ApiDescription, schema: Schema) -> SchemaExample:
    """Return a made-up value for a schema; what is too deep, or leads in a circle, is None."""
    maker = _ExampleValueMaker(api)
    return SchemaExample(maker.value(schema, "", _DEEPEST), maker.enums, maker.descriptions)


@dataclass(slots=True)
class _ExampleValueMaker:
    api: ApiDescription
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    _made: int = 0

    def value(self, schema: object, path: str, depth: int) -> object:
        """Return a value for a schema, whose place in the lead is at this path."""
        self._made += 1
        if depth == 0 or self._made > _MOST_VALUES:
            return None
        flat = self.api.resolve_schema(schema)
        match type_of_schema(flat):
            case "object":
                properties = mapping_or_empty(flat.get("properties"))
                return {
                    str(name): self.value(one, _join_example_path(path, name), depth - 1)
                    for name, one in properties.items()
                }
            case "array":
                return self._list(self.api.resolve_schema(flat.get("items")), path, depth - 1)
            case "boolean":
                return True
            case kind:
                return self._scalar(kind, flat, path)

    def _list(self, entry: Schema, path: str, depth: int) -> object:
        """Return a list's entries; of name/value pairs there is one for each name that the schema lists."""
        choices = entry.get("oneOf")
        variants = [self.api.resolve_schema(one) for one in choices] if isinstance(choices, list) else [entry]
        made = [pair for one in variants for pair in self._pairs(one, path, depth)]
        return made or [self.value(one, path, depth) for one in variants[:1]]

    def _pairs(self, entry: Schema, path: str, depth: int) -> list[object]:
        properties = mapping_or_empty(entry.get("properties"))
        key = next((name for name in LOOSE_NAME_KEYS if name in properties), None)
        value = next((name for name in LOOSE_VALUE_KEYS if name in properties), None)
        is_strict = key in NAME_KEYS and value in VALUE_KEYS
        if key is None or value is None or not (is_strict or len(properties) == len((key, value))):
            return []
        named = self.api.resolve_schema(properties[key])
        written = [named["const"]] if "const" in named else named.get("enum")
        names = [name for name in written if isinstance(name, str)] if isinstance(written, list) else []
        return [
            {key: name, value: self.value(properties[value], _join_example_path(path, name), depth)} for name in names
        ]

    def _scalar(self, kind: str, flat: Schema, path: str) -> object:
        self.descriptions.setdefault(path, text_or_empty(flat.get("description")))
        listed = flat.get("enum")
        values = [one for one in listed if isinstance(one, str | int | float)] if isinstance(listed, list) else []
        if values:
            self.enums.setdefault(path, tuple(dict.fromkeys(str(one) for one in values if str(one).strip())))
            return values[0] if isinstance(values[0], str) else Decimal(str(values[0]))
        if kind in ("integer", "number"):
            return _SECONDS if last_path_part(path) in _DATES else Decimal(1)
        form = text_or_empty(flat.get("format"))
        if form in _FORMATS:
            return _FORMATS[form]
        given = _schema_own_example(flat)
        if last_path_part(path) in _DATES:
            return given if given and given[0].isdigit() else _TIME
        return _example_by_field_name(last_path_part(path), path) or given or "text"


def _join_example_path(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _example_by_field_name(name: str, path: str) -> str | None:
    """Return a value fit for what a name means, if it has to be more than a text to be recognised."""
    if is_click_id_label(path.rpartition(".")[2]):
        return _CLICK_ID
    return next((value for one, value in _BY_FIELD.items() if name in NAMES.get(one, ())), None)


def _schema_own_example(flat: Schema) -> str | None:
    """Return the schema's own example."""
    examples = flat.get("examples")
    first = examples[0] if isinstance(examples, list) and examples else None
    return next(
        (one for one in (flat.get("example"), first, flat.get("default")) if isinstance(one, str) and one), None
    )
