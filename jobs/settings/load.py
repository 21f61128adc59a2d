"""Loads a configuration file: settings with warnings, or everything that is wrong with it at once.

A file that is not finished yet can be loaded in part: as much as looking at Oplead needs.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from jobs.settings.lint import fitting_findings, lint_warnings
from jobs.settings.problems import KeyPath, SettingsFinding, SettingsProblem, did_you_mean, dotted
from jobs.settings.references import Address, EnvFile, References, read_env_file, split_address
from jobs.settings.schema import ClickIds, ConsentRule, OpleadSettings, Settings, Zone
from jobs.settings.types import OneOrMore, Slug, Strict, Text, state_address
from jobs.settings.yaml_source import Document, Tree, leaves, read_file, value_at


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
        secrets: whether they are looked up; a command that only reads the state needs none, and may have none.
    """
    document = read_file(path)
    references = References(environ, path.parent, read_env_file(path.parent) if secrets else None, looks_up=secrets)
    env_file = references.used_env_file(text for _, text in leaves(document.tree))
    settings, findings = _validate(Settings, document, document.tree, references)
    if settings is None or findings:
        return Invalid(document.problems(findings, path), env_file)
    return Valid(settings, document.problems(lint_warnings(document.tree), path), env_file)


Model = TypeVar("Model", bound=Strict)


def _validate(
    model: type[Model], document: Document, tree: Tree, references: References
) -> tuple[Model | None, list[SettingsFinding]]:
    findings = list(document.findings)
    if not isinstance(tree, dict):
        return None, findings or [SettingsFinding((), "write keys, each as key: value, as account: my-company")]
    settings = None
    try:
        settings = model.model_validate(tree, context=references)
    except ValidationError as error:
        findings += _validation_findings(error, document)
    return settings, [*findings, *fitting_findings(tree, references)]


# ── pydantic's errors as findings ────────────────────────────────────────────────────────────────

Location = tuple[str | int, ...]
"""Where pydantic places an error: a path of the model, with steps that the file need not have."""

_ADDRESS = "write an address as https://host"
_SENTENCES = {
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type"), "write keys below this one, each as key: value"
    ),
    **dict.fromkeys(("tuple_type", "list_type"), "write a list, as [one, two]"),
    **dict.fromkeys(("int_parsing", "int_parsing_size", "int_type", "int_from_float"), "write a whole number"),
    **dict.fromkeys(
        ("decimal_parsing", "decimal_type", "finite_number"), "write a number with a point, as 60 or 59.90"
    ),
    **dict.fromkeys(("decimal_max_digits", "decimal_whole_digits"), "this number is too long"),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation", "url_too_long"), _ADDRESS),
    "string_type": "write a text here, in quotes if need be",
    "bool_type": "write true or false",
    "decimal_max_places": "write two decimals at most",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} at most",
    "too_short": "write at least one",
    "string_too_short": "write {min_length} or more characters",
    "string_too_long": "write at most {max_length} characters",
    "string_unicode": "this text holds characters that cannot be used",
    "path_type": "write the path of a file",
    "datetime_type": "write a day as 2026-09-01",
    "time_delta_type": "write a length of time as 3 d, 4 h, 45 min or 30 s",
}
_SYNONYMS = {"undo_if": "undo_when", "undo_on": "undo_when"}
"""Keys that people write by their sense; by their letters another one is nearer."""
_OTHERWISE = "this value cannot be used here"


def _validation_findings(error: ValidationError, document: Document) -> Iterator[SettingsFinding]:
    """Each of pydantic's errors as a finding at its place in the file."""
    for details in error.errors(include_url=False, include_input=False):
        location = details["loc"]
        path = _path_in_file(location, document)
        if details["type"] == "missing":
            key = str(location[-1])
            field = _fields(location).get(key)
            meaning = f": {field.description}" if field and field.description else ""
            yield SettingsFinding((*path, key), f"this key is missing{meaning}", document.marks[path])
        elif details["type"] == "extra_forbidden":
            name = str(location[-1])
            hint = did_you_mean(_SYNONYMS.get(name, name), _fields(location))
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


# ── files that are not finished yet ──────────────────────────────────────────────────────────────


class OpleadSection(Strict):
    """The part of the settings that looking at Oplead takes."""

    timezone: Zone = "Europe/Paris"
    clock: Address | None = None
    oplead: OpleadSettings
    click_ids: ClickIds = ClickIds()
    stages: dict[Slug, OneOrMore] = Field(default_factory=dict)
    ignored_statuses: tuple[Text, ...] = ()
    consent: ConsentRule | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The account's zone."""
        return ZoneInfo(self.timezone)


_REQUIRED = ("timezone", "clock", "oplead", "click_ids")
_OPTIONAL = ("stages", "ignored_statuses", "consent")
"""What is used where it can be read; what is wrong with it is left to `check`."""


@dataclass(frozen=True, slots=True)
class PartialSettings:
    """What a file says of Oplead, and of what its answers mean."""

    settings: OpleadSection
    section: Mapping[str, Tree] = field(repr=False)
    """The `oplead` section as it was typed, its token a reference."""
    state_folder: Path | None = None
    """Where the account's commands share their pace; None where the file does not say yet."""
    env_file: EnvFile | None = None
    """The `.env` beside the file."""


def load_partial(path: Path, environ: Mapping[str, str]) -> PartialSettings | Invalid:
    """What the file says so far; whatever it holds, nothing is raised."""
    document = read_file(path)
    tree, references = document.tree, References(environ, path.parent, read_env_file(path.parent))
    env_file = references.used_env_file(text for _, text in leaves(tree))
    keys = tree if isinstance(tree, dict) else {}
    required = {name: keys[name] for name in _REQUIRED if name in keys}
    settings, findings = _validate(OpleadSection, document, required if keys else tree, references)
    if settings is None or findings:
        return Invalid(document.problems(findings, path), env_file)
    for name in _OPTIONAL:
        with suppress(KeyError, ValidationError):
            more = OpleadSection.model_validate({**required, name: keys[name]}, context=references)
            settings = settings.model_copy(update={name: getattr(more, name)})
    section = keys["oplead"]
    return PartialSettings(
        settings, section if isinstance(section, dict) else {}, _state_folder(keys, path.parent), env_file
    )


def _state_folder(keys: Mapping[str, Tree], folder: Path) -> Path | None:
    """The folder of the account's state, where the file names an account and a usable place."""
    account, state = keys.get("account"), keys.get("state")
    if isinstance(account, str) and isinstance(state, str | None):
        with suppress(ValueError):
            return Path(state_address(state, account=account, folder=folder).removeprefix("sqlite:///")).parent
    return None


def partial_settings(
    base_url: str | None,
    token: str,
    reference: str,
    *,
    path_prefix: str | None = None,
    clock: str | None = None,
    auth: Mapping[str, str] | None = None,
) -> PartialSettings:
    """What is known without any file.

    Args:
        base_url: Oplead's address, the public one where None; one of its documentation or of its list will do.
        token: the key itself.
        reference: how a settings file would name it.
        path_prefix: what its paths begin with; where None, what the address shows of it.
        clock: the address of a sandbox's clock.
        auth: how the key is passed, as in `oplead.auth`.

    Raises:
        ValueError: an address is none, or a clock is given for a platform that is not on this machine.
    """
    section = _address_keys(base_url, path_prefix)
    if auth:
        section["auth"] = dict(auth)
    rest: dict[str, Tree] = {} if clock is None else {"clock": clock}
    for finding in fitting_findings({**rest, "oplead": section}, References({}, Path())):
        raise ValueError(f"{dotted(finding.path)}: {finding.message}")
    try:
        settings = OpleadSection.model_validate({**rest, "oplead": {**section, "token": SecretStr(token)}})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        why = first.get("ctx", {}).get("error", _ADDRESS)
        raise ValueError(f"{dotted(first['loc'])}: {why}") from None
    return PartialSettings(settings, {"token": reference, **section})


def _address_keys(base_url: str | None, path_prefix: str | None) -> dict[str, Tree]:
    """The address and the start of the paths, as the `oplead` section has them."""
    host, prefix = (None, None) if base_url is None else split_address(base_url)
    if base_url is not None and path_prefix is not None and base_url.rstrip("/") == f"{host}{prefix or ''}":
        host = base_url.rstrip("/")  # its path is the platform's own, before the prefix
    keys = {"base_url": host, "path_prefix": prefix if path_prefix is None else path_prefix}
    return {name: value for name, value in keys.items() if value is not None}
