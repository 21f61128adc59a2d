"""Which rows of a file there are, and whose leads they are."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.oplead.files.table import Row, StampedFile
from connectors.records import LeadId


class RowIndex:
    """Which rows there are, and whose leads they are, in an unnamed database: memory stays flat however many."""

    def __init__(self, file: StampedFile) -> None:
        self._path = file.path
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE lead (row INTEGER PRIMARY KEY, id TEXT UNIQUE, content BLOB NOT NULL)")
        self._database.execute("BEGIN")
        self.rows = 0
        """How many leads there are, those without a usable id included."""
        self.has_unnamed = False
        """Whether a row has no usable id: it may be any lead's."""
        self.last_row: int | None = None
        """The number of the last row."""

    def close(self) -> None:
        """Forget the rows."""
        self._database.close()

    def add(self, row: Row, lead_id: LeadId | None) -> None:
        """Add a row; one that repeats another's id and content is left out.

        Raises:
            Misconfigured: it repeats another's id with other content.
        """
        self.has_unnamed |= lead_id is None
        self.last_row = row.number
        content = hashlib.sha256(
            json.dumps(row.cells, default=str, ensure_ascii=False).encode(errors="replace")
        ).digest()
        added = self._database.execute("INSERT OR IGNORE INTO lead VALUES (?, ?, ?)", (row.number, lead_id, content))
        if added.rowcount:
            self.rows += 1
            return
        (first, before) = self._database.execute("SELECT row, content FROM lead WHERE id = ?", (lead_id,)).fetchone()
        if before != content:
            raise Misconfigured(
                _(
                    "{path}: rows {first} and {second} have the same id and differ, so nothing says which one counts; "
                    "export one row for each lead",
                    path=self._path,
                    first=first,
                    second=row.number,
                )
            )

    def finish_adding_rows(self) -> None:
        """Have everything added be found."""
        self._database.execute("COMMIT")

    def is_first(self, row: int) -> bool:
        """Whether a row is its lead's first."""
        return self._database.execute("SELECT 1 FROM lead WHERE row = ?", (row,)).fetchone() is not None

    def file_rows_of_leads(self, ids: Sequence[LeadId]) -> dict[int, LeadId]:
        """Return the rows of these leads."""
        found = ((self._database.execute("SELECT row FROM lead WHERE id = ?", (one,)).fetchone(), one) for one in ids)
        return {row[0]: one for row, one in found if row is not None}
