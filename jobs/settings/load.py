"""Load a configuration file into settings with warnings, or into a list of everything wrong with it.

An unfinished file can be loaded in part: the keys needed to read from Oplead.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from connectors.language import N_, Language, _, chosen_language, using_language
from jobs.settings.account_secrets import account_secrets
from jobs.settings.document import (
    KeyPath,
    ParsedSettingsFile,
    SettingsFinding,
    SettingsProblem,
    Tree,
    did_you_mean,
    dotted,
    read_document,
    read_file,
    texts_with_paths,
    value_at,
)
from jobs.settings.lint import lint_warnings, settings_inconsistency_findings
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.oplead_schema import ExportFileSettings, OpleadSettings, WebhookSettings
from jobs.settings.references import Address, EnvFile, SecretReferenceResolver, read_env_file, split_oplead_address
from jobs.settings.schema import ConsentRule, Settings, UnlabelledClickIdSettings, Zone
from jobs.settings.secrets_command import SecretsCommandFailedError
from jobs.settings.types import OneOrMore, Slug, StateDatabaseAddress, StateFile, Strict, Text, state_address


@dataclass(frozen=True, slots=True)
class ValidSettings:
    """A configuration that can run."""

    settings: Settings
    notes: tuple[SettingsProblem, ...]
    """Keys not acted on yet and likely slips, in file order."""
    env_file: EnvFile | None = None
    """The `.env` beside the settings file."""

    @property
    def language(self) -> Language | None:
        """The language to address people in; None for the terminal's."""
        return self.settings.language


@dataclass(frozen=True, slots=True)
class InvalidSettings:
    """A configuration that must not run, with everything wrong with it, in file order."""

    problems: tuple[SettingsProblem, ...]
    env_file: EnvFile | None = None
    """The `.env` beside the settings file."""
    language: Language | None = None
    """The language to address people in; None for the terminal's."""
    may_pass: bool = False
    """Whether nothing is wrong but that the secrets command failed, which may pass by itself."""


Loaded = ValidSettings | InvalidSettings


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    secrets: bool = True,
    text: str | None = None,
    in_fleet: bool = False,
) -> Loaded:
    """Read and validate a configuration file; never raises, whatever the file holds.

    Args:
        path: the YAML file; relative paths in it start at its folder.
        environ: where `${VARIABLE}` is looked up first, before the `.env` beside the file; problems and notes
            never include a value from either.
        secrets: whether to resolve secrets; commands that only read the state work without them.
        text: what the file holds, if it is stored elsewhere; then `path` only says where relative paths start.
        in_fleet: whether the account may name secrets of its own only, and those that `environ` or `.env` shares.
    """
    document = read_file(path) if text is None else read_document(text)
    language = _language(document.tree)
    # What is wrong with the file is said in its language, too, unless one is spoken already, as English for programs.
    with using_language(chosen_language() or language):
        return _load(path, document, environ, language, secrets=secrets, in_fleet=in_fleet)


def _language(tree: Tree) -> Language | None:
    """Return the language a file names, if it is one."""
    named = tree.get("language") if isinstance(tree, dict) else None
    return next((language for language in Language if language == named), None)


def _load(
    path: Path,
    document: ParsedSettingsFile,
    environ: Mapping[str, str],
    language: Language | None,
    *,
    secrets: bool,
    in_fleet: bool,
) -> Loaded:
    folder, own, beside = path.parent, None, read_env_file(path.parent)
    if in_fleet and isinstance(document.tree, dict):
        own = account_secrets(str(document.tree.get("account")), {**beside.values, **environ}, folder)
    references = SecretReferenceResolver(environ, folder, beside if secrets else None, looks_up=secrets, own=own)
    env_file = references.used_env_file(text for _, text in texts_with_paths(document.tree))
    settings, findings = _validate(Settings, document, document.tree, references)
    if settings is None or findings:
        return InvalidSettings(document.problems(findings, path), env_file, language, _may_pass(findings, references))
    return ValidSettings(settings, likely_slips(document, path), env_file)


def likely_slips(document: ParsedSettingsFile, path: Path) -> tuple[SettingsProblem, ...]:
    """Return the notes on a file, also on one that still lacks something, as `init` writes it."""
    return document.problems(lint_warnings(document.tree), path)


def _may_pass(findings: Collection[SettingsFinding], references: SecretReferenceResolver) -> bool:
    return all(references.command.is_own_failure(each.message) for each in findings)


Model = TypeVar("Model", bound=Strict)


def _validate(
    model: type[Model], document: ParsedSettingsFile, tree: Tree, references: SecretReferenceResolver
) -> tuple[Model | None, list[SettingsFinding]]:
    findings = list(document.findings)
    if not isinstance(tree, dict):
        return None, findings or [SettingsFinding((), _("write keys, each as key: value, as account: my-company"))]
    settings = None
    try:
        settings = model.model_validate(tree, context=references)
    except ValidationError as error:
        findings += _validation_findings(error, document)
    return settings, [*findings, *settings_inconsistency_findings(tree, references)]


# ── pydantic's errors as findings ────────────────────────────────────────────────────────────────

Location = tuple[str | int, ...]
"""A pydantic error location: a path in the model, which may have steps that the file lacks."""

_ADDRESS = N_("write an address as https://host")
_SENTENCES = {
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type"), N_("write keys below this one, each as key: value")
    ),
    **dict.fromkeys(("tuple_type", "list_type"), N_("write a list, as [one, two]")),
    **dict.fromkeys(("int_parsing", "int_parsing_size", "int_type", "int_from_float"), N_("write a whole number")),
    **dict.fromkeys(
        ("decimal_parsing", "decimal_type", "finite_number"), N_("write a number with a point, as 60 or 59.90")
    ),
    **dict.fromkeys(("decimal_max_digits", "decimal_whole_digits"), N_("this number is too long")),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation", "url_too_long"), _ADDRESS),
    "string_type": N_("write a text here, in quotes if need be"),
    "bool_type": N_("write true or false"),
    "decimal_max_places": N_("write two decimals at most"),
    "greater_than": N_("write a number above {gt}"),
    "greater_than_equal": N_("write {ge} or more"),
    "less_than_equal": N_("write {le} at most"),
    "too_short": N_("write at least one"),
    "string_too_short": N_("write {min_length} or more characters"),
    "string_too_long": N_("write at most {max_length} characters"),
    "string_unicode": N_("this text holds characters that cannot be used"),
    "path_type": N_("write the path of a file"),
    "datetime_type": N_("write a day as 2026-09-01"),
    "time_delta_type": N_("write a length of time as 3 d, 4 h, 45 min or 30 s"),
}
_SIDES = {
    ("attach", "none"): N_("write attach for yes, none for no{hint}"),
    ("included", "excluded"): N_("write included for TTC, excluded for HT{hint}"),
}
"""Choices with two sides that have words of their own, as in `init`'s questions."""
_SYNONYMS = {"undo_if": "undo_when", "undo_on": "undo_when"}
"""Plausible misnomers whose intended key isn't the closest in spelling."""
_OTHERWISE = N_("this value cannot be used here")


def _validation_findings(error: ValidationError, document: ParsedSettingsFile) -> Iterator[SettingsFinding]:
    """Yield each pydantic error as a finding at its place in the file."""
    for details in error.errors(include_url=False, include_input=False):
        location = details["loc"]
        path = _path_in_file(location, document)
        if details["type"] == "missing":
            key = str(location[-1])
            section = _keys(location).get(key)
            what = meaning_of_setting(section, key) if section else None
            message = _("this key is missing: {what}", what=_(what)) if what else _("this key is missing")
            yield SettingsFinding((*path, key), message, document.marks[path])
        elif details["type"] == "extra_forbidden":
            name = str(location[-1])
            hint = did_you_mean(_SYNONYMS.get(name, name), _keys(location))
            yield SettingsFinding(path, _("there is no such key here{hint}", hint=hint))
        elif (value := value_at(document.tree, path)) is None:
            yield SettingsFinding(path, _("this key has no value: write one, or take the key out"))
        # Pydantic also reports a list as too short when its only items were rejected just before.
        elif details["type"] != "too_short" or not value:
            yield SettingsFinding(path, _sentence(details, value))


def _sentence(details: ErrorDetails, value: object) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if details["type"] in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        if sides := _SIDES.get(tuple(allowed)):
            return _(sides, hint=hint)
        if len(allowed) == len(("one", "other")):
            return _("write {one} or {other}{hint}", one=allowed[0], other=allowed[1], hint=hint)
        return _("write one of {allowed}{hint}", allowed=", ".join(allowed), hint=hint)
    return _(_SENTENCES.get(details["type"], _OTHERWISE), **context)


def _path_in_file(location: Location, document: ParsedSettingsFile) -> KeyPath:
    """Drop the steps that the file lacks: the index of a bare item for a list, the tag of a union's choice."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) in document.marks:
            path = (*path, part)
    return path


def _keys(location: Location) -> dict[str, type[BaseModel]]:
    """Return the keys at the level of a location's last step, each with the model that has it."""
    models: list[type[BaseModel]] = [Settings]
    for part in location[:-1]:
        below = [
            found
            for model in models
            if isinstance(part, str) and part in model.model_fields
            for found in models_in(model.model_fields[part].annotation)
        ]
        models = below or models
    return {key: model for model in models for key in model.model_fields}


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


# ── files that are not finished yet ──────────────────────────────────────────────────────────────


class OpleadSection(Strict):
    """The part of the settings needed to read from Oplead."""

    timezone: Zone = "Europe/Paris"
    clock: Address | None = None
    oplead: OpleadSettings = OpleadSettings()
    account: Slug | None = None
    source: ExportFileSettings | None = None
    webhooks: WebhookSettings | None = None
    click_ids: UnlabelledClickIdSettings = UnlabelledClickIdSettings()
    stages: dict[Slug, OneOrMore] = Field(default_factory=dict)
    ignored_statuses: tuple[Text, ...] = ()
    consent: ConsentRule | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.timezone)


_REQUIRED = ("timezone", "clock", "oplead", "click_ids")
_OPTIONAL = ("account", "source", "webhooks", "stages", "ignored_statuses", "consent")
"""Keys used if they are valid; `check` reports what is wrong with them."""


@dataclass(frozen=True, slots=True)
class PartialSettings:
    """The settings for reading from Oplead and interpreting its leads."""

    settings: OpleadSection
    section: Mapping[str, Tree] = field(repr=False)
    """The `oplead` section as written, with its token as a reference."""
    source: Mapping[str, Tree] = field(default_factory=dict)
    """The `source` section as written."""
    webhooks: Tree = field(default=None, repr=False)
    """The `webhooks` section as written, likewise."""
    state: StateFile | StateDatabaseAddress | None = None
    """Where the account's state lies, whether or not it is there yet; None if the file doesn't determine it."""
    env_file: EnvFile | None = None
    """The `.env` beside the settings file."""
    file: Path | None = None
    """The settings file, as the user named it; None if there is none."""
    language: Language | None = None
    """The language to address people in; None for the terminal's."""

    @property
    def state_folder(self) -> Path | None:
        """Where the account's commands share their request rate; None if the file doesn't determine it yet."""
        return None if self.state is None else self.state.folder


def load_partial(
    path: Path, environ: Mapping[str, str], *, needed: Collection[str] = (), without: Collection[str] = ()
) -> PartialSettings | InvalidSettings:
    """Load what an unfinished file holds so far; never raises, whatever the file holds.

    `needed` are the optional keys that must be valid if the file has them; keys of `oplead` in `without` are left out.
    """
    document = read_file(path)
    language = _language(document.tree)
    with using_language(chosen_language() or language):
        return _load_partial(path, document, environ, language, needed=needed, without=without)


def _load_partial(
    path: Path,
    document: ParsedSettingsFile,
    environ: Mapping[str, str],
    language: Language | None,
    *,
    needed: Collection[str],
    without: Collection[str],
) -> PartialSettings | InvalidSettings:
    tree, references = document.tree, SecretReferenceResolver(environ, path.parent, read_env_file(path.parent))
    env_file = references.used_env_file(text for _, text in texts_with_paths(tree))
    keys = tree if isinstance(tree, dict) else {}
    if without and isinstance(oplead := keys.get("oplead"), dict):
        keys = keys | {"oplead": {name: value for name, value in oplead.items() if name not in without}}
    required = {name: keys[name] for name in (*_REQUIRED, *needed) if name in keys and name != "state"}
    settings, findings = _validate(OpleadSection, document, required if keys else tree, references)
    findings = [one for one in findings if one.path[:1] != ("oplead",) or not {*one.path[1:2]} & {*without}]
    if settings is None or findings:
        return InvalidSettings(document.problems(findings, path), env_file, language, _may_pass(findings, references))
    for name in _OPTIONAL:
        with suppress(KeyError, ValidationError):
            more = OpleadSection.model_validate({**required, name: keys[name]}, context=references)
            settings = settings.model_copy(update={name: getattr(more, name)})
    try:
        state = _state(keys, references)
    except ValueError as error:
        may_pass = isinstance(error, SecretsCommandFailedError)
        if may_pass or "state" in needed:
            findings = [SettingsFinding(("state",), str(error))]
            return InvalidSettings(document.problems(findings, path), env_file, language, may_pass=may_pass)
        state = None
    return PartialSettings(
        settings,
        _mapping(keys.get("oplead")),
        _mapping(keys.get("source")),
        keys.get("webhooks"),
        state=state,
        env_file=env_file,
        file=path,
        language=language,
    )


def read_state_address(
    text: str, file: Path, account: str, environ: Mapping[str, str]
) -> StateFile | StateDatabaseAddress:
    """Return where an account's state would lie if `state` were this text in its settings.

    Raises:
        ValueError: it names no state; the message says what to write.
    """
    references = SecretReferenceResolver(environ, file.parent, read_env_file(file.parent))
    return state_address(text, account=account, references=references)


def _mapping(tree: Tree) -> Mapping[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _state(keys: Mapping[str, Tree], references: SecretReferenceResolver) -> StateFile | StateDatabaseAddress | None:
    """Return where the account's state lies, or None without an account name or a text under `state`.

    Raises:
        SecretsCommandFailedError: the secrets command failed.
        ValueError: `state` names neither a file nor a database.
    """
    account, state = keys.get("account"), keys.get("state")
    if isinstance(account, str) and isinstance(state, str | None):
        return state_address(state, account=account, references=references)
    return None


def partial_settings_without_file(
    base_url: str | None,
    token: str,
    reference: str,
    *,
    path_prefix: str | None = None,
    clock: str | None = None,
    auth: Mapping[str, str] | None = None,
    status_field: str | None = None,
) -> PartialSettings:
    """Build partial settings without a file.

    Args:
        base_url: Oplead's address, or that of its documentation or list; None means the public one.
        token: the API key itself.
        reference: how a settings file would refer to the key.
        path_prefix: the start of Oplead's paths; None takes it from the address.
        clock: the address of a sandbox's clock.
        auth: how the key is passed, as in `oplead.auth`.
        status_field: where a lead's status is.

    Raises:
        ValueError: a value is invalid, or a clock is given for a platform that is not on this machine.
    """
    host, prefix = (None, None) if base_url is None else split_oplead_address(base_url)
    if base_url is not None and path_prefix is not None and base_url.rstrip("/") == f"{host}{prefix or ''}":
        host = base_url.rstrip("/")  # with an explicit prefix, the address keeps its own path
    section: dict[str, Tree] = {"base_url": host, "path_prefix": prefix if path_prefix is None else path_prefix}
    section = {name: value for name, value in section.items() if value is not None}
    if auth:
        section["auth"] = dict(auth)
    if status_field is not None:
        section["fields"] = {"status": status_field}
    rest: dict[str, Tree] = {} if clock is None else {"clock": clock}
    for finding in settings_inconsistency_findings(
        {**rest, "oplead": {"token": reference, **section}}, SecretReferenceResolver({}, Path())
    ):
        raise ValueError(f"{dotted(finding.path)}: {finding.message}")
    try:
        settings = OpleadSection.model_validate({**rest, "oplead": {**section, "token": SecretStr(token)}})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        why = first.get("ctx", {}).get("error", _ADDRESS)
        raise ValueError(f"{dotted(first['loc'])}: {why}") from None
    return PartialSettings(settings, {"token": reference, **section})
