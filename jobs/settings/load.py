"""Loads a configuration file: settings with warnings, or everything that is wrong with it at once."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import AnyUrl, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from jobs.settings.lint import doubtful_notes, fitting_findings
from jobs.settings.problems import KeyPath, SettingsFinding, SettingsProblem, SourceMark, did_you_mean, dotted, one_line
from jobs.settings.references import Address, EnvFile, References, is_local, read_env_file, token_address
from jobs.settings.schema import GoogleAdsSettings, MetaSettings, Settings
from jobs.settings.sections import OpleadSettings
from jobs.settings.types import Strict
from jobs.settings.yaml_source import Document, Tree, find, items, leaves, read_document, text_at, value_at


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key not acted on yet, and what to do meanwhile."""

    pattern: str
    meanwhile: str


NOTED = (
    NotYet("report", "each run prints its numbers"),
    NotYet("retention", "nothing is erased by age"),
)


def pending_notes(tree: Tree) -> Iterator[SettingsFinding]:
    """The keys of the file that do nothing yet, and do no harm by it."""
    for row in NOTED:
        for path, value in find(tree, row.pattern):
            if value is not None:
                yield SettingsFinding(path, f"not acted on yet: {row.meanwhile}")


_ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)


def clock_findings(tree: Tree, references: References) -> Iterator[SettingsFinding]:
    """A finding where `clock` stands beside a remote of the real world, which a false `now` must not reach.

    An address that cannot be read has a finding of its own already and none here.
    """
    if value_at(tree, ("clock",)) is None:
        return
    away = [name for name, address in _remotes(tree, references) if not is_local(address)]
    if away:
        names = ", ".join(away)
        yield SettingsFinding(
            ("clock",),
            f"a sandbox's clock is for local servers only, and these are not on this machine: {names}",
        )


def _remotes(tree: Tree, references: References) -> Iterator[tuple[str, AnyUrl]]:
    """The account's addresses by name, the real platforms' where none is given."""
    places: list[tuple[KeyPath, str, str]] = [
        ((), "clock", ""),
        (("oplead",), "base_url", _default(OpleadSettings, "base_url")),
    ]
    for path, _ in items((("google_ads",), value_at(tree, ("google_ads",)))):
        places.append((path, "endpoint", _default(GoogleAdsSettings, "endpoint")))
        places.append((path, "ads_api_endpoint", _default(GoogleAdsSettings, "ads_api_endpoint")))
    for path, _ in items((("meta",), value_at(tree, ("meta",)))):
        places.append((path, "graph_url", _default(MetaSettings, "graph_url")))
    for path, key, default in places:
        with suppress(ValidationError):
            yield (
                dotted((*path, key)),
                _ADDRESS.validate_python(text_at(value_at(tree, path), key) or default),
            )
    for path, credentials in find(tree, "google_ads.*.credentials"):
        with suppress(ValueError):
            if isinstance(credentials, str):
                yield (
                    f"token_uri in the key file of {dotted(path)}",
                    token_address(references.path(credentials)),
                )


def _default(model: type[Strict], key: str) -> str:
    return str(model.model_fields[key].default)


Location = tuple[str | int, ...]
"""Where pydantic places an error: a path of the model, with steps that the file need not have."""

_KEYS = "write keys below this one, each as key: value"
_LIST = "write a list, as [one, two]"
_NUMBER = "write a number with a point, as 60 or 59.90"
_WHOLE = "write a whole number"
_HOW_AN_ADDRESS_READS = "write an address as https://host"
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
    "url_type": _HOW_AN_ADDRESS_READS,
    "url_parsing": _HOW_AN_ADDRESS_READS,
    "url_syntax_violation": _HOW_AN_ADDRESS_READS,
    "url_too_long": _HOW_AN_ADDRESS_READS,
    "path_type": "write the path of a file",
    "datetime_type": "write a day as 2026-09-01",
    "time_delta_type": "write a length of time as 3 d, 4 h, 45 min or 30 s",
}
_ALSO_CALLED = {"undo_if": "undo_when", "undo_on": "undo_when"}
"""Keys that people write by their sense; by their letters another one is nearer."""
_OTHERWISE = "this value cannot be used here"


def plain_findings(error: ValidationError, document: Document) -> Iterator[SettingsFinding]:
    """Each of pydantic's errors as a finding at its place in the file."""
    for details in error.errors(include_url=False, include_input=False):
        location = details["loc"]
        path = _path_in_file(location, document)
        if details["type"] == "missing":
            key = str(location[-1])
            yield SettingsFinding((*path, key), f"this key is missing{_meaning(location)}", document.marks[path])
        elif details["type"] == "extra_forbidden":
            name = str(location[-1])
            hint = did_you_mean(_ALSO_CALLED.get(name, name), _fields(location))
            yield SettingsFinding(path, f"there is no such key here{hint}")
        elif (value := value_at(document.tree, path)) is None:
            yield SettingsFinding(path, "this key has no value: write one, or take the key out")
        # Pydantic also calls a list too short whose only items were refused just before.
        elif details["type"] != "too_short" or not value:
            yield SettingsFinding(path, _sentence(details, value))


def _sentence(details: ErrorDetails, value: object) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if details["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        return f"write one of {', '.join(allowed)}{hint}"
    return _SENTENCES.get(details["type"], _OTHERWISE).format_map(context)


def _path_in_file(location: Location, document: Document) -> KeyPath:
    """The steps that the file has too: one thing instead of a list has no index, a union's choice no key."""
    path: KeyPath = ()
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


LONGEST_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Valid:
    """A configuration that may run."""

    settings: Settings
    notes: tuple[SettingsProblem, ...]
    """Keys not acted on yet, and what may be a slip, in the order of the file."""
    env_file: EnvFile | None = None
    """The `.env` beside it."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A configuration that must not run, and all that is wrong with it, in the order of the file."""

    problems: tuple[SettingsProblem, ...]
    env_file: EnvFile | None = None
    """The `.env` beside it."""


Loaded = Valid | Invalid


def load(path: Path, environ: Mapping[str, str], *, secrets: bool = True) -> Loaded:
    """Read and check the whole configuration file at `path`; whatever it holds, nothing is raised.

    Args:
        path: the YAML file; relative paths in it start at its folder.
        environ: where `${VARIABLE}` is looked up first, then in `.env` beside the file; no problem or note ever
            repeats a value of either.
        secrets: whether they are looked up; who only reads the state needs none, and may have none.
    """
    try:
        text = file_text(path)
    except ValueError as error:
        return Invalid((SettingsProblem(str(path), 0, 0, "", str(error)),))
    document = read_document(text)
    env_file = read_env_file(path.parent) if secrets else None
    references = References(environ, path.parent, env_file, looks_up=secrets)
    env_file = references.used_env_file(text for _, text in leaves(document.tree))
    settings, findings = _check(document, references)
    if settings is None or findings:
        return Invalid(placed(findings, document, str(path)), env_file)
    notes = [*pending_notes(document.tree), *doubtful_notes(document.tree)]
    return Valid(settings, placed(notes, document, str(path)), env_file)


def file_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from None
    if len(content) > LONGEST_FILE_BYTES:
        raise ValueError("the file is too long for a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text; save it as UTF-8") from None


def _check(document: Document, references: References) -> tuple[Settings | None, list[SettingsFinding]]:
    tree, findings = document.tree, list(document.findings)
    if not isinstance(tree, dict):
        return None, findings or [SettingsFinding((), "write keys, each as key: value, as account: my-company")]
    settings = None
    try:
        settings = Settings.model_validate(tree, context=references)
    except ValidationError as error:
        findings += plain_findings(error, document)
    findings += fitting_findings(tree)
    findings += clock_findings(tree, references)
    return settings, findings


def placed(findings: list[SettingsFinding], document: Document, file: str) -> tuple[SettingsProblem, ...]:
    """The findings at their places in the file, in its order."""
    return tuple(sorted(set(_problems(findings, document, file))))


def _problems(findings: list[SettingsFinding], document: Document, file: str) -> Iterator[SettingsProblem]:
    for finding in findings:
        mark = finding.at or _nearest_mark(finding, document)
        yield SettingsProblem(file, mark.line, mark.column, one_line(dotted(finding.path)), one_line(finding.message))


def _nearest_mark(finding: SettingsFinding, document: Document) -> SourceMark:
    """The mark of the path, or of what stands around it."""
    for length in range(len(finding.path), -1, -1):
        if mark := document.marks.get(finding.path[:length]):
            return mark
    return SourceMark(1, 1)
