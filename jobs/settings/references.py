"""How a secret is named instead of written: `${VARIABLE}` or `file:/path`, never the secret itself."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobs.settings.env_file import EnvFile

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
