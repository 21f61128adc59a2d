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

NAME = ".env"
LONGEST_FILE_BYTES = 262_144
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*")
_ESCAPED = re.compile(r'\\(["\\$`])')
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What such a file holds; it has no values where there is none or it cannot be read."""

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
        """What its owner should mend, without anything of a value."""
        if self.is_shared:
            yield f"{self.path} holds secrets and others may read it: chmod 600 {self.path}"
        for line in self.unclear_lines:
            yield f"{self.path}:{line}: this line is not read; write KEY=VALUE, and close every quote"

    def how_to_set(self, name: str) -> str:
        """What to type so that a variable is set."""
        if self.why_unread:
            return f"{self.path} cannot be read ({self.why_unread}); mend that, or type  export {name}=…"
        if self.exists:
            return f"neither is it in {self.path}; add the line  {name}=…"
        return f"write the line  {name}=…  into {self.path}, or type  export {name}=…"


def read_env_file(folder: Path) -> EnvFile:
    """The `.env` of a folder, as a shell reads it, but that nothing in a value is expanded.

    Nothing is raised: a file that only root and systemd may read is no mistake where the environment holds it all.
    """
    path = folder / NAME
    try:
        mode = path.stat().st_mode
        text = _text(path)
    except FileNotFoundError:
        return EnvFile(path, exists=False)
    except OSError as error:
        return EnvFile(path, why_unread=error.strerror or "no reason given")
    except ValueError as error:
        return EnvFile(path, why_unread=str(error))
    is_shared = bool(stat.S_IMODE(mode) & _OTHERS)
    values: dict[str, str] = {}
    unclear = tuple(number for number, line in enumerate(text.split("\n"), start=1) if not _take(line, values))
    return EnvFile(path, values, unclear_lines=unclear, is_shared=is_shared)


def _text(path: Path) -> str:
    """The file's text. Raises ValueError where it cannot be one, OSError where it cannot be read."""
    if not path.is_file():
        raise ValueError("it is no plain file")  # a pipe would be waited for
    with path.open("rb") as file:
        content = file.read(LONGEST_FILE_BYTES + 1)
    if len(content) > LONGEST_FILE_BYTES:
        raise ValueError("it is too long")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


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


LONGEST_SECRET_BYTES = 65_536
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
        if variable := _VARIABLE.fullmatch(text.strip()):
            found, source = self._variable(variable[1]), self._source(variable[1])
        elif text.startswith("file:"):
            found, source = self._file(text.removeprefix("file:")), "the file named here"
        else:
            raise ValueError(f"a secret must not stand in this file: {HOW_TO_REFER}")
        if not found:
            raise ValueError(f"{source} is empty; put the secret there")
        # Anything else would be refused by HTTP libraries, some of which quote it in their error.
        if not _TYPEABLE.fullmatch(found):
            raise ValueError(f"{source} holds spaces, line breaks or accents inside the secret; paste it again")
        return found

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

    def _file(self, name: str) -> str:
        try:
            path = self.folder / name
            if not path.is_file():
                raise ValueError("the file named here does not exist, or is not a plain file")
            with path.open("rb") as file:
                content = file.read(LONGEST_SECRET_BYTES + 1)
        except OSError as error:
            raise ValueError(f"the file named here cannot be read ({error.strerror})") from None
        if len(content) > LONGEST_SECRET_BYTES:
            raise ValueError("the file named here is too long for a secret")
        return content.decode(errors="replace").strip()


_DOCUMENTATION = frozenset(
    {"documentation", "docs", "doc", "swagger", "swagger-ui", "api-docs", "apidoc", "redoc", "openapi"}
)
_FILES = (".html", ".json", ".yaml", ".yml")
_LEADS = frozenset({"leads", "lead"})


def taken_apart(address: str) -> tuple[str, str | None]:
    """An address as people copy it, from documentation or of the list itself: the host's, and how its paths begin.

    None where it does not tell how they begin. Oplead's guide names a page of documentation:
    https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
    """
    try:
        told = urlsplit(address)
    except ValueError:
        return address, None
    names = [name for name in told.path.split("/") if name]
    ends = (place for place, name in enumerate(names) if _is_documented(name) or name in _LEADS)
    end = next(ends, None)
    if not names:
        return address, None
    query, fragment = (told.query, told.fragment) if end is None else ("", "")
    start = "".join(f"/{name}" for name in names[:end])
    is_page = end is not None and names[end] not in _LEADS
    return urlunsplit((told.scheme, told.netloc, "", query, fragment)), None if is_page and not start else start


def _is_documented(name: str) -> bool:
    return name.casefold() in _DOCUMENTATION or name.casefold().endswith(_FILES)


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
_ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)
LONGEST_KEY_FILE_BYTES = 65_536


def token_address(path: Path) -> AnyUrl:
    """The address where a service account's key file says tokens are given.

    Raises:
        ValueError: this is no usable key file; the message says what is wrong and holds nothing of the file.
    """
    fields = _fields(path)
    if fields.get("type") != "service_account":
        raise ValueError('the key file is not a service account\'s: its "type" must be "service_account"')
    for name in _NEEDED:
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(f'the key file has no "{name}"; download a new key of the service account')
    try:
        return _ADDRESS.validate_python(fields["token_uri"])
    except ValidationError:
        raise ValueError('the key file\'s "token_uri" must be an https address (http only on this machine)') from None


def _fields(path: Path) -> dict[str, object]:
    try:
        if not path.is_file():
            raise ValueError("no key file stands at the path given; check the path and who may read it")
        with path.open("rb") as file:
            content = file.read(LONGEST_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the key file cannot be read ({error.strerror})") from None
    try:
        fields = json.loads(content) if len(content) <= LONGEST_KEY_FILE_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("the key file is not the JSON file that Google gives for a service account")  # noqa: TRY004 - pydantic reports ValueError only
    return fields
