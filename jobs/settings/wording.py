"""What pydantic found, said in the words of those who edit the file. No message repeats a value."""

import re
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from jobs.settings.document import Document
from jobs.settings.model import Settings
from jobs.settings.places import value_at
from jobs.settings.problems import Finding, Path
from jobs.settings.suggestions import did_you_mean

Location = tuple[str | int, ...]
"""Where pydantic places an error: a path of the model, with steps that the file need not have."""

_KEYS = "write keys below this one, each as key: value"
_LIST = "write a list, as [one, two]"
_NUMBER = "write a number with a point, as 60 or 59.90"
_WHOLE = "write a whole number"
_ADDRESS = "write an address as https://host"
_SENTENCES = {
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "dict_type": _KEYS,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": "write a text here, in quotes if need be",
    "bool_type": "write true or false",
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "decimal_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "finite_number": _NUMBER,
    "decimal_max_digits": "this number is too long",
    "decimal_whole_digits": "this number is too long",
    "decimal_max_places": "write two decimals at most",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} at most",
    "too_short": "write at least one",
    "string_too_short": "write {min_length} or more characters",
    "string_too_long": "write at most {max_length} characters",
    "string_unicode": "this text holds characters that cannot be used",
    "url_type": _ADDRESS,
    "url_parsing": _ADDRESS,
    "url_syntax_violation": _ADDRESS,
    "url_too_long": _ADDRESS,
    "path_type": "write the path of a file",
    "datetime_type": "write a day as 2026-09-01",
    "time_delta_type": "write a length of time as 3 d, 4 h, 45 min or 30 s",
}
_ALSO_CALLED = {"undo_if": "undo_when", "undo_on": "undo_when"}
"""Keys that people write by their sense; by their letters another one is nearer."""
_OTHERWISE = "this value cannot be used here"


def plain_findings(error: ValidationError, document: Document) -> Iterator[Finding]:
    """Each of pydantic's errors as a finding at its place in the file."""
    for details in error.errors(include_url=False, include_input=False):
        location = details["loc"]
        path = _path_in_file(location, document)
        if details["type"] == "missing":
            key = str(location[-1])
            yield Finding((*path, key), f"this key is missing{_meaning(location)}", document.marks[path])
        elif details["type"] == "extra_forbidden":
            name = str(location[-1])
            hint = did_you_mean(_ALSO_CALLED.get(name, name), _fields(location))
            yield Finding(path, f"there is no such key here{hint}")
        elif (value := value_at(document.tree, path)) is None:
            yield Finding(path, "this key has no value: write one, or take the key out")
        # Pydantic also calls a list too short whose only items were refused just before.
        elif details["type"] != "too_short" or not value:
            yield Finding(path, _sentence(details, value))


def _sentence(details: ErrorDetails, value: object) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if details["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        return f"write one of {', '.join(allowed)}{hint}"
    return _SENTENCES.get(details["type"], _OTHERWISE).format_map(context)


def _path_in_file(location: Location, document: Document) -> Path:
    """The steps that the file has too: one thing instead of a list has no index, a union's choice no key."""
    path: Path = ()
    for part in location:
        if (*path, part) in document.marks:
            path = (*path, part)
    return path


def _meaning(location: Location) -> str:
    """What the missing key is for, from its docstring."""
    field = _fields(location).get(str(location[-1]))
    return f": {field.description}" if field and field.description else ""


def _fields(location: Location) -> dict[str, FieldInfo]:
    """The keys that the model has beside a location's last step."""
    models: list[type[BaseModel]] = [Settings]
    for part in location[:-1]:
        below = [
            found
            for model in models
            if isinstance(part, str) and part in model.model_fields
            for found in _models(model.model_fields[part].annotation)
        ]
        models = below or models
    return {name: field for model in models for name, field in model.model_fields.items()}


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
