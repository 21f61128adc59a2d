"""Resolve secrets and paths from `${VARIABLE}`, `.env`, a command and files, and validate addresses and key files."""

import json
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, AnyUrl, TypeAdapter, ValidationError

from connectors.http import is_loopback
from connectors.language import N_, _
from jobs.settings.account_secrets import AccountSecrets
from jobs.settings.document import read_file_with_limit
from jobs.settings.secrets_command import VARIABLE as COMMAND
from jobs.settings.secrets_command import SecretsCommand

NAME = ".env"
MAX_ENV_FILE_BYTES = 262_144
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*")
_ESCAPED = re.compile(r'\\(["\\$`])')


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The `.env` beside the settings; `values` is empty if it is missing or unreadable."""

    path: Path
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    exists: bool = True
    why_unread: str = ""
    unclear_lines: tuple[int, ...] = ()
    """Numbers of the lines that are not `KEY=VALUE`, from 1."""
    is_shared: bool = False
    """Whether the file's mode grants anything to group or others."""
    taken: tuple[str, ...] = ()
    """Names of the variables that the settings take from this file."""

    @property
    def warnings(self) -> Iterator[str]:
        """What the file's owner should fix; never includes any part of a value."""
        if self.is_shared:
            yield _(
                "{path} holds secrets and others may read it: chmod 600 {quoted}",
                path=self.path,
                quoted=shlex.quote(str(self.path)),
            )
        for line in self.unclear_lines:
            yield _(
                "{path}:{line}: this line is not read; write KEY=VALUE, and close every quote",
                path=self.path,
                line=line,
            )

    def missing_variable_instructions(self, name: str) -> str:
        """Return instructions for setting a variable that was not found."""
        if self.why_unread:
            return _("{why_unread}; fix that, or type  export {name}=…", why_unread=self.why_unread, name=name)
        if self.exists:
            return _("neither is it in {path}; add the line  {name}=…", path=self.path, name=name)
        return _("write the line  {name}=…  into {path}, or type  export {name}=…", name=name, path=self.path)


def read_env_file(folder: Path) -> EnvFile:
    """Read the `.env` of a folder with shell syntax, without expanding values.

    Never raises: a file that only root and systemd can read is fine as long as the environment has every variable.
    """
    path = folder / NAME
    try:
        is_shared = bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
        text = read_file_with_limit(path, MAX_ENV_FILE_BYTES, str(path)).decode("utf-8-sig")
    except FileNotFoundError:
        return EnvFile(path, exists=False)
    except UnicodeDecodeError:
        return EnvFile(path, why_unread=_("{path} is not UTF-8 text", path=path))
    except OSError as error:
        return EnvFile(path, why_unread=_("{path} cannot be read ({strerror})", path=path, strerror=error.strerror))
    except ValueError as error:
        return EnvFile(path, why_unread=str(error))
    values: dict[str, str] = {}
    unclear = tuple(
        number for number, line in enumerate(text.split("\n"), start=1) if not _parse_env_line(line, values)
    )
    return EnvFile(path, values, unclear_lines=unclear, is_shared=is_shared)


def _parse_env_line(line: str, values: dict[str, str]) -> bool:
    """Add a line's value, replacing an earlier one; return False if the line is malformed."""
    line = line.strip()
    if not line or line.startswith("#"):
        return True
    found = _LINE.fullmatch(line)
    value = _value(found[2]) if found else None
    if found is None or value is None:
        return False
    values[found[1]] = value
    return True


def _value(written: str) -> str | None:
    """Strip quotes and comment from a value; None if a quote is never closed or is followed by more text."""
    if quoted := _QUOTED.fullmatch(written):
        single, double = quoted.groups()
        return str(single) if double is None else _ESCAPED.sub(r"\1", double)
    return None if written.startswith(("'", '"')) else _COMMENT.sub("", written)


MAX_SECRET_BYTES = MAX_KEY_FILE_BYTES = 65_536
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OWN = "OPLEAD_SYNC_"
"""What the names of the variables begin with that the program itself reads."""
_TYPEABLE = re.compile(r"[!-~]+")
HOW_TO_REFER = N_("write ${VARIABLE} for an environment variable, or file:/path for a file that holds it")


def is_secret_reference(text: str) -> bool:
    """Whether a text names where a secret is, rather than being one."""
    return bool(_VARIABLE.fullmatch(text.strip())) or text.startswith("file:")


@dataclass(frozen=True, slots=True)
class SecretReferenceResolver:
    """Resolves references; relative paths start at `folder`, the configuration file's own."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    env_file: EnvFile | None = None
    """The fallback for variables missing from `environ`."""
    looks_up: bool = True
    """Whether to resolve secrets at all; if not, each keeps its reference as its value."""
    reads_own: bool = False
    """Whether the program's own variables may be read, such as the database's address: for its own purposes alone."""
    own: AccountSecrets | None = None
    """What alone may be named, in a fleet; `reads_own` may name any file."""
    command: SecretsCommand = field(default_factory=SecretsCommand, repr=False, compare=False)
    """What is asked for variables that are nowhere else."""

    def secret(self, text: str) -> str:
        """Return the secret behind a reference, without surrounding white space.

        Raises:
            ValueError: the secret is written out in the file, missing, empty, unreadable or malformed; the message
                names the variable and never includes any part of the secret.
        """
        self._refuse_foreign(text)
        if not self.looks_up:
            return text
        if variable := _VARIABLE.fullmatch(text.strip()):
            found, source = self._variable(variable[1]), self._source(variable[1])
        elif text.startswith("file:"):
            source = _("the file named here")
            content = read_file_with_limit(self.folder / text.removeprefix("file:"), MAX_SECRET_BYTES, source)
            found = content.decode(errors="replace").strip()
        else:
            raise ValueError(_("a secret must not stand in this file: {how_to_refer}", how_to_refer=_(HOW_TO_REFER)))
        if not found:
            raise ValueError(_("{source} is empty; put the secret there", source=source))
        # HTTP libraries reject anything else, and some quote the secret in their error.
        if not _TYPEABLE.fullmatch(found):
            raise ValueError(
                _("{source} holds spaces, line breaks or accents inside the secret; paste it again", source=source)
            )
        return found

    def key_file(self, text: str) -> Path:
        """Return the path of a valid service account key file.

        Raises:
            ValueError: the path or the file is unusable.
        """
        self._refuse_foreign(text, is_path=True)
        if not self.looks_up:
            return Path(text)
        path = self.path(text)
        token_address(path)
        return path

    def path(self, text: str) -> Path:
        """Return the path written here or in `${VARIABLE}`, made absolute.

        Raises:
            ValueError: the variable is missing or empty, or holds the key itself instead of its file's path.
        """
        self._refuse_foreign(text, is_path=True)
        variable = _VARIABLE.fullmatch(text.strip())
        found = self._variable(variable[1]) if variable else text.strip().removeprefix("file:")
        source = self._source(variable[1]) if variable else "this"
        if not found:
            raise ValueError(_("{source} is empty; put the path of the key file there", source=source))
        if _is_key(found):
            raise ValueError(_("{source} must be the path of the key file, not what the file holds", source=source))
        return (self.folder / found).absolute()

    def used_env_file(self, texts: Iterable[str]) -> EnvFile | None:
        """Return the `.env` with `taken` set to the variables referenced in `texts` that have a value from it."""
        named = {variable[1] for text in texts if (variable := _VARIABLE.fullmatch(text.strip()))}
        from_file = (name for name in named if not self._is_in_environment(name))
        taken = sorted(name for name in from_file if (self._value_in_env_file(name) or "").strip())
        return replace(self.env_file, taken=tuple(taken)) if self.env_file else None

    def _refuse_foreign(self, text: str, *, is_path: bool = False) -> None:
        """Refuse to hand the program's own secrets, or other accounts', to whatever address the settings name."""
        variable = _VARIABLE.fullmatch(text.strip())
        if variable and variable[1].startswith(_OWN):
            self._refuse_own(variable[1])
        elif self.own is not None and variable:
            self.own.refuse_foreign_variable(variable[1])
        elif self.own is None or self.reads_own or (is_path and _is_key(text)):
            return
        elif is_path or text.startswith("file:"):
            self.own.refuse_foreign_file(self.folder / text.strip().removeprefix("file:"))

    def _refuse_own(self, name: str) -> None:
        if not self.reads_own:
            raise ValueError(
                _(
                    "{name} is for oplead-sync itself, and only `state` may refer to a variable that begins with "
                    "{prefix}: put this secret into a variable of its own",
                    name=name,
                    prefix=_OWN,
                )
            )

    def _variable(self, name: str) -> str:
        written = (self.environ.get(name), self._value_in_env_file(name))
        # An empty one hides none: `.env.example` is copied with all its lines empty.
        found = next((value for value in written if value and value.strip()), None)
        if found is None:
            found = self.command.fetch_secret(name, self.environ, limit=MAX_SECRET_BYTES)
        if found is None and any(value is not None for value in written):
            found = ""
        if found is None:
            how = (
                self.env_file.missing_variable_instructions(name)
                if self.env_file
                else _("type  export {name}=…", name=name)
            )
            raise ValueError(_("the environment variable {name} is not set: {how}", name=name, how=how))
        return found.strip()

    def _is_in_environment(self, name: str) -> bool:
        return bool(self.environ.get(name, "").strip())

    def _value_in_env_file(self, name: str) -> str | None:
        return self.env_file.values.get(name) if self.env_file else None

    def _source(self, name: str) -> str:
        """Name a variable's source for a message."""
        if self.command.has_secret(name):
            return _("what {command} says for {name}", command=COMMAND, name=name)
        if self.env_file is None or self._is_in_environment(name) or name not in self.env_file.values:
            return _("the environment variable {name}", name=name)
        return _("{name} in {path}", name=name, path=self.env_file.path)


def _is_key(path: str) -> bool:
    """Whether what should be a key file's path is what the file holds."""
    return path.startswith("{") or "PRIVATE KEY" in path or "\0" in path


_DOCUMENTATION = frozenset(
    {"documentation", "docs", "doc", "swagger", "swagger-ui", "api-docs", "apidoc", "redoc", "openapi"}
)
_LEADS = frozenset({"leads", "lead"})


def split_oplead_address(address: str) -> tuple[str, str | None]:
    """Split the address of a documentation page or of the leads list into host and path prefix.

    The prefix is None if the address does not show it. People paste documentation addresses because Oplead's guide
    points to one: https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
    """
    try:
        url = urlsplit(address)
    except ValueError:
        return address, None
    names = [name for name in url.path.split("/") if name]
    if not names:
        return address, None
    end = next((place for place, name in enumerate(names) if name in _LEADS or _is_documentation(name)), None)
    query, fragment = (url.query, url.fragment) if end is None else ("", "")
    prefix = "".join(f"/{name}" for name in names[:end])
    is_unknown = not prefix and (end is None or names[end] not in _LEADS)
    return urlunsplit((url.scheme, url.netloc, "", query, fragment)), None if is_unknown else prefix


def _is_documentation(name: str) -> bool:
    return name.casefold() in _DOCUMENTATION or name.casefold().endswith((".html", ".json", ".yaml", ".yml"))


def is_local(url: AnyUrl) -> bool:
    """Whether an address is on this machine."""
    return is_loopback(url.host or "")


def _require_https_address(url: AnyUrl) -> AnyUrl:
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError(_("write an address as https://host"))
    if url.scheme == "http" and not is_local(url):
        raise ValueError(_("plain http is for this machine only (127.0.0.1, localhost); write https://"))
    if url.username or url.password:
        raise ValueError(_("an address carries no user name or password; take them out"))
    if url.query or url.fragment:
        raise ValueError(_("an address ends before any ? or #; take out what follows"))
    return url


Address = Annotated[AnyUrl, AfterValidator(_require_https_address)]
"""An absolute https address without user, query or fragment; http is allowed for this machine only."""


_NEEDED = ("client_email", "private_key", "token_uri")
ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)


def token_address(path: Path) -> AnyUrl:
    """Return the token address from a service account's key file.

    Raises:
        ValueError: the key file is unusable; the message never includes any of its content.
    """
    content = read_file_with_limit(path, MAX_KEY_FILE_BYTES, _("the key file"))
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError(_("the key file is not the JSON file that Google gives for a service account"))  # noqa: TRY004 - pydantic reports ValueError only
    if fields.get("type") != "service_account":
        raise ValueError(_('the key file is not a service account\'s: its "type" must be "service_account"'))
    for name in _NEEDED:
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(_('the key file has no "{name}"; download a new key of the service account', name=name))
    try:
        return ADDRESS.validate_python(fields["token_uri"])
    except ValidationError:
        raise ValueError(
            _('the key file\'s "token_uri" must be an https address (http only on this machine)')
        ) from None
