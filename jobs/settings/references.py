"""How a secret is named instead of written: `${VARIABLE}` or `file:/path`, never the secret itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_SECRET_BYTES = 65_536
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TYPEABLE = re.compile(r"[!-~]+")
HOW_TO_REFER = "write ${VARIABLE} for an environment variable, or file:/path for a file that holds it"


@dataclass(frozen=True, slots=True)
class References:
    """Where references are looked up; relative paths start at `folder`, the configuration file's own."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path

    def secret(self, text: str) -> str:
        """The secret behind a reference, without surrounding white space.

        Raises:
            ValueError: it is written out, missing, empty or unreadable; the message names the variable, and
                never holds any part of the secret.
        """
        if variable := _VARIABLE.fullmatch(text.strip()):
            found, source = self._variable(variable[1]), f"the environment variable {variable[1]}"
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
        source = f"the environment variable {variable[1]}" if variable else "this"
        if not found:
            raise ValueError(f"{source} is empty; put the path of the key file there")
        if found.startswith("{") or "PRIVATE KEY" in found or "\0" in found:
            raise ValueError(f"{source} must be the path of the key file, not what the file holds")
        return (self.folder / found).absolute()

    def _variable(self, name: str) -> str:
        if name not in self.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return self.environ[name].strip()

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
