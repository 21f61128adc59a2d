"""Reading a file that is not finished yet: only what looking at Oplead needs must be right."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError

from jobs.settings.lint import fitting_findings
from jobs.settings.load import Invalid, clock_findings, file_text, placed, plain_findings
from jobs.settings.problems import SettingsFinding, SettingsProblem, dotted
from jobs.settings.references import Address, EnvFile, References, read_env_file, taken_apart
from jobs.settings.schema import ClickIds, ConsentRule, Zone
from jobs.settings.sections import OpleadSettings
from jobs.settings.types import OneOrMore, Slug, Strict, Text, state_address
from jobs.settings.yaml_source import Tree, leaves, read_document

_NEEDED = ("timezone", "clock", "oplead", "click_ids")
_WELCOME = ("stages", "ignored_statuses", "consent")


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


@dataclass(frozen=True, slots=True)
class PartialSettings:
    """What a file says of Oplead, and of what its answers mean."""

    look: OpleadSection
    section: Mapping[str, Tree] = field(repr=False)
    """The `oplead` section as it was typed, its token a reference."""
    state_folder: Path | None = None
    """Where the account's commands share their pace; None where the file does not tell yet."""
    env_file: EnvFile | None = None
    """The `.env` beside the file."""


def sketch(path: Path, environ: Mapping[str, str]) -> PartialSettings | Invalid:
    """What the file says so far; whatever it holds, nothing is raised.

    Only the `oplead` section and what goes with it must be right. The rest is left to `check`; what the stages and
    consent say is used where it can be read.
    """
    try:
        document = read_document(file_text(path))
    except ValueError as error:
        return Invalid((SettingsProblem(str(path), 0, 0, "", str(error)),))
    tree, references = document.tree, References(environ, path.parent, read_env_file(path.parent))
    env_file = references.used_env_file(text for _, text in leaves(tree))
    if not isinstance(tree, dict):
        findings = list(document.findings) or [SettingsFinding((), "write keys, each as key: value, as oplead: …")]
        return Invalid(placed(findings, document, str(path)))
    needed = {name: tree[name] for name in _NEEDED if name in tree}
    findings = [*document.findings, *fitting_findings(needed), *clock_findings(needed, references)]
    look = None
    try:
        look = OpleadSection.model_validate(needed, context=references)
    except ValidationError as error:
        findings += plain_findings(error, document)
    if look is None or findings:
        return Invalid(placed(findings, document, str(path)), env_file)
    for name in _WELCOME:
        look = _with(look, name, tree, needed, references)
    section = tree["oplead"]
    return PartialSettings(look, section if isinstance(section, dict) else {}, _state_folder(tree, path), env_file)


def partial_settings_of(
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
        path_prefix: what its paths begin with; where None, what the address tells of it.
        clock: the address of a sandbox's clock.
        auth: how the key is shown, as `oplead.auth` says it.

    Raises:
        ValueError: an address is none, or a clock is given for a platform that is not on this machine.
    """
    given = _located(base_url, path_prefix)
    if auth:
        given["auth"] = dict(auth)
    known: dict[str, Tree] = {} if clock is None else {"clock": clock}
    told: dict[str, Tree] = {**known, "oplead": given}
    for finding in (*fitting_findings(told), *clock_findings(told, References({}, Path()))):
        raise ValueError(f"{dotted(finding.path)}: {finding.message}")
    try:
        look = OpleadSection.model_validate({**known, "oplead": {**given, "token": SecretStr(token)}})
    except ValidationError as error:
        said = next(iter(error.errors(include_url=False, include_input=False)))
        why = said.get("ctx", {}).get("error", "write an address as https://host")
        raise ValueError(f"{dotted(said['loc'])}: {why}") from None
    return PartialSettings(look, {"token": reference, **given})


def _located(base_url: str | None, path_prefix: str | None) -> dict[str, Tree]:
    """The address and the start of the paths, as the `oplead` section has them."""
    if base_url is None:
        return {} if path_prefix is None else {"path_prefix": path_prefix}
    host, start = taken_apart(base_url)
    if path_prefix is None:
        return {"base_url": host} if start is None else {"base_url": host, "path_prefix": start}
    whole = base_url.rstrip("/")
    return {"base_url": whole if whole == f"{host}{start or ''}" else host, "path_prefix": path_prefix}


def _with(
    look: OpleadSection, name: str, tree: Mapping[str, Tree], needed: Mapping[str, Tree], references: References
) -> OpleadSection:
    """The same with one more section, where that can be read already."""
    try:
        more = OpleadSection.model_validate({**needed, name: tree[name]}, context=references)
    except (KeyError, ValidationError):
        return look
    return look.model_copy(update={name: getattr(more, name)})


def _state_folder(tree: Mapping[str, Tree], path: Path) -> Path | None:
    """The folder of the account's state, where the file names an account whose state can lie somewhere."""
    account, state = tree.get("account"), tree.get("state")
    if not isinstance(account, str) or not isinstance(state, str | None):
        return None
    try:
        return Path(state_address(state, account=account, folder=path.parent).removeprefix("sqlite:///")).parent
    except ValueError:
        return None
