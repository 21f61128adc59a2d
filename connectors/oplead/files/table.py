"""One exported file at one moment, and its rows, whatever its format."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from connectors.errors import Misconfigured
from connectors.language import _, format_integer
from connectors.text import strip_control_characters

Cell = str | Decimal | bool | None
"""A cell as JSON would hold it; an empty one is None or blank."""
MB = 1024 * 1024
MOST_COLUMNS = 1_000
MOST_ROWS = 2_000_000
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row, its cells in the order of the titles."""

    number: int
    """Its line or row in the file, as a text editor or Excel counts them."""
    cells: tuple[Cell, ...]


def clean_column_title(cell: Cell) -> str:
    """Return a title fit to compare, store and show: on one line, without control characters."""
    return " ".join(strip_control_characters("" if cell is None else str(cell)).split())[:_LONGEST_TITLE]


def describe_most_rows_and_columns() -> str:
    """Return what is wrong with a file that has more of either than any export."""
    return _(
        "it has more than {rows} rows or {columns} columns, as no export has; export fewer leads",
        rows=format_integer(MOST_ROWS),
        columns=format_integer(MOST_COLUMNS),
    )


class ExportFileTable(Protocol):
    """The rows of one file."""

    titles: tuple[str, ...]
    """The columns' titles, trimmed; empty for a column without one."""
    ends_line: bool
    """Whether the file ends where a line does, as far as its format shows."""

    def rows(self) -> Iterator[Row]:
        """Read the rows that are not blank, from the first on.

        Raises:
            Misconfigured: the file is damaged; the message says where and what to do.
        """


@dataclass(frozen=True, slots=True)
class StampedFile:
    """A file at one moment; another size, time or place on disk means that it is no longer the same."""

    path: Path
    size: int
    modified_ns: int
    inode: int

    @classmethod
    def from_path(cls, path: Path) -> "StampedFile":
        """Look at a file.

        Raises:
            Misconfigured: it cannot be looked at, or is no regular file.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise Misconfigured(
                _("{path}: it cannot be read ({strerror})", path=path, strerror=error.strerror)
            ) from None
        if not S_ISREG(found.st_mode):
            raise Misconfigured(_("{path}: it is no file; name files under source, as exports/*.csv", path=path))
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def modified_at(self) -> datetime:
        """When it was last written, in whole seconds."""
        return datetime.fromtimestamp(self.modified_ns // 1_000_000_000, UTC)

    def sha256(self) -> str:
        """Return the digest of what is in it.

        Raises:
            Misconfigured: it cannot be read.
        """
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as content:
                while chunk := content.read(MB):
                    digest.update(chunk)
        except OSError as error:
            raise Misconfigured(
                _("{path}: it cannot be read ({strerror})", path=self.path, strerror=error.strerror)
            ) from None
        return digest.hexdigest()

    def expect_file_unchanged(self) -> None:
        """Check that nobody has written to it since.

        Raises:
            Misconfigured: somebody has, or it is gone.
        """
        if StampedFile.from_path(self.path) != self:
            raise Misconfigured(
                _(
                    "{path}: it changed while it was read, so it may still be written; start again once it is "
                    "complete, and have whoever writes it use another name until then, such as leads.part",
                    path=self.path,
                )
            )
