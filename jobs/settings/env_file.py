"""`.env` beside a settings file: where its `${VARIABLE}`s are found that the environment does not hold."""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
