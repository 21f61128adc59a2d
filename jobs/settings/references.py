"""Secrets and addresses by reference: `${VARIABLE}`, `.env`, files, key files, and which addresses are safe."""

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, AnyUrl, TypeAdapter, ValidationError

from connectors.http import is_loopback
from jobs.settings.problems import read_limited

NAME = ".env"
MAX_ENV_FILE_BYTES = 262_144
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*")
_ESCAPED = re.compile(r'\\(["\\$`])')


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The `.env` beside the settings; it has no values where there is none or it cannot be read."""

    path: Path
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    exists: bool = True
    why_unread: str = ""
    unclear_lines: tuple[int, ...] = ()
    """Lines that are no `KEY=VALUE`, counted from 1."""
    is_shared: bool = False
    """Whether the group or anybody else may use the file."""
    taken: tuple[str, ...] = ()
    """The names of the variables that the settings take from here."""

    @property
    def warnings(self) -> Iterator[str]:
        """What its owner should fix, without anything of a value."""
        if self.is_shared:
            yield f"{self.path} holds secrets and others may read it: chmod 600 {self.path}"
        for line in self.unclear_lines:
            yield f"{self.path}:{line}: this line is not read; write KEY=VALUE, and close every quote"

    def how_to_set(self, name: str) -> str:
        """What to type so that a variable is set."""
        if self.why_unread:
            return f"{self.why_unread}; fix that, or type  export {name}=…"
        if self.exists:
            return f"neither is it in {self.path}; add the line  {name}=…"
        return f"write the line  {name}=…  into {self.path}, or type  export {name}=…"


def read_env_file(folder: Path) -> EnvFile:
    """The `.env` of a folder, as a shell reads it, but that nothing in a value is expanded.

    Nothing is raised: a file that only root and systemd may read is no mistake where the environment holds it all.
    """
    path = folder / NAME
    try:
        is_shared = bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
        text = read_limited(path, MAX_ENV_FILE_BYTES, str(path)).decode("utf-8-sig")
    except FileNotFoundError:
        return EnvFile(path, exists=False)
    except UnicodeDecodeError:
        return EnvFile(path, why_unread=f"{path} is not UTF-8 text")
    except OSError as error:
        return EnvFile(path, why_unread=f"{path} cannot be read ({error.strerror})")
    except ValueError as error:
        return EnvFile(path, why_unread=str(error))
    values: dict[str, str] = {}
    unclear = tuple(number for number, line in enumerate(text.split("\n"), start=1) if not _take(line, values))
    return EnvFile(path, values, unclear_lines=unclear, is_shared=is_shared)


def _take(line: str, values: dict[str, str]) -> bool:
    """Put a line's value among the others, a later one in place of an earlier; False where the line is unclear."""
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
    """A value without quotes and comment; None where a quote is never closed or something follows it."""
    if quoted := _QUOTED.fullmatch(written):
        single, double = quoted.groups()
        return str(single) if double is None else _ESCAPED.sub(r"\1", double)
    return None if written.startswith(("'", '"')) else _COMMENT.sub("", written)


MAX_SECRET_BYTES = MAX_KEY_FILE_BYTES = 65_536
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TYPEABLE = re.compile(r"[!-~]+")
HOW_TO_REFER = "write ${VARIABLE} for an environment variable, or file:/path for a file that holds it"


@dataclass(frozen=True, slots=True)
class References:
    """Where references are looked up; relative paths start at `folder`, the configuration file's own."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    env_file: EnvFile | None = None
    """Where variables are looked up that `environ` does not hold."""
    looks_up: bool = True
    """Whether secrets are looked up at all; else each stays the reference it is written as."""

    def secret(self, text: str) -> str:
        """The secret behind a reference, without surrounding white space.

        Raises:
            ValueError: it is written out, missing, empty or unreadable; the message names the variable, and
                never holds any part of the secret.
        """
        if not self.looks_up:
            return text
        if variable := _VARIABLE.fullmatch(text.strip()):
            found, source = self._variable(variable[1]), self._source(variable[1])
        elif text.startswith("file:"):
            source = "the file named here"
            content = read_limited(self.folder / text.removeprefix("file:"), MAX_SECRET_BYTES, source)
            found = content.decode(errors="replace").strip()
        else:
            raise ValueError(f"a secret must not stand in this file: {HOW_TO_REFER}")
        if not found:
            raise ValueError(f"{source} is empty; put the secret there")
        # Anything else would be refused by HTTP libraries, some of which quote it in their error.
        if not _TYPEABLE.fullmatch(found):
            raise ValueError(f"{source} holds spaces, line breaks or accents inside the secret; paste it again")
        return found

    def key_file(self, text: str) -> Path:
        """The path of a key file that can be used.

        Raises:
            ValueError: it cannot; the message says why.
        """
        if not self.looks_up:
            return Path(text)
        path = self.path(text)
        token_address(path)
        return path

    def path(self, text: str) -> Path:
        """The path written here or in `${VARIABLE}`, made absolute.

        Raises:
            ValueError: the variable is missing or empty, or holds a key where the path of its file is wanted.
        """
        variable = _VARIABLE.fullmatch(text.strip())
        found = self._variable(variable[1]) if variable else text.strip().removeprefix("file:")
        source = self._source(variable[1]) if variable else "this"
        if not found:
            raise ValueError(f"{source} is empty; put the path of the key file there")
        if found.startswith("{") or "PRIVATE KEY" in found or "\0" in found:
            raise ValueError(f"{source} must be the path of the key file, not what the file holds")
        return (self.folder / found).absolute()

    def used_env_file(self, texts: Iterable[str]) -> EnvFile | None:
        """The file beside the settings, with which of the variables named in `texts` it gives."""
        named = {variable[1] for text in texts if (variable := _VARIABLE.fullmatch(text.strip()))}
        taken = sorted(name for name in named if name not in self.environ and self._filed(name) is not None)
        return replace(self.env_file, taken=tuple(taken)) if self.env_file else None

    def _variable(self, name: str) -> str:
        found = self.environ.get(name, self._filed(name))
        if found is None:
            how = self.env_file.how_to_set(name) if self.env_file else f"type  export {name}=…"
            raise ValueError(f"the environment variable {name} is not set: {how}")
        return found.strip()

    def _filed(self, name: str) -> str | None:
        return self.env_file.values.get(name) if self.env_file else None

    def _source(self, name: str) -> str:
        """Where a variable was found, for a message."""
        if self.env_file is None or name in self.environ:
            return f"the environment variable {name}"
        return f"{name} in {self.env_file.path}"


_DOCUMENTATION = frozenset(
    {"documentation", "docs", "doc", "swagger", "swagger-ui", "api-docs", "apidoc", "redoc", "openapi"}
)
_LEADS = frozenset({"leads", "lead"})


def split_address(address: str) -> tuple[str, str | None]:
    """Split a copied address, of documentation or of the list itself, into host and path prefix.

    The prefix is None where the address does not show it. Oplead's guide names a page of documentation:
    https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
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


def _usable(url: AnyUrl) -> AnyUrl:
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError("write an address as https://host")
    if url.scheme == "http" and not is_local(url):
        raise ValueError("plain http is for this machine only (127.0.0.1, localhost); write https://")
    if url.username or url.password:
        raise ValueError("an address carries no user name or password; take them out")
    if url.query or url.fragment:
        raise ValueError("an address ends before any ? or #; take out what follows")
    return url


Address = Annotated[AnyUrl, AfterValidator(_usable)]
"""An absolute https address without user, query or fragment; http where the host is this machine."""


_NEEDED = ("client_email", "private_key", "token_uri")
ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)


def token_address(path: Path) -> AnyUrl:
    """The address where a service account's key file says tokens are given.

    Raises:
        ValueError: this is no usable key file; the message says what is wrong and holds nothing of the file.
    """
    fields = _key_fields(path)
    if fields.get("type") != "service_account":
        raise ValueError('the key file is not a service account\'s: its "type" must be "service_account"')
    for name in _NEEDED:
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(f'the key file has no "{name}"; download a new key of the service account')
    try:
        return ADDRESS.validate_python(fields["token_uri"])
    except ValidationError:
        raise ValueError('the key file\'s "token_uri" must be an https address (http only on this machine)') from None


def _key_fields(path: Path) -> dict[str, object]:
    content = read_limited(path, MAX_KEY_FILE_BYTES, "the key file")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("the key file is not the JSON file that Google gives for a service account")  # noqa: TRY004 - pydantic reports ValueError only
    return fields
