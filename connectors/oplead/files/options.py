"""Options for reading leads from exported files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

Encoding = Literal["utf-8", "utf-16", "cp1252"]
Delimiter = Literal[";", ",", "tab"]


@dataclass(frozen=True, slots=True)
class ExportFileOptions:
    """Where exported files are and how to read them."""

    kind: Literal["csv", "xlsx"]
    pattern: str
    """The files, as `/srv/exports/*.csv`; the one modified last is read."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The place in a lead of each column's values, by the column's title; other columns go by their usual titles."""
    encoding: Encoding | None = None
    """How a CSV file's text is encoded; None finds out."""
    delimiter: Delimiter | None = None
    """What separates a CSV file's columns; None finds out."""
    sheet: str | None = None
    """The workbook's sheet; None takes the first."""
    whole: bool = False
    """Whether each file has every lead, so that a missing one counts as deleted."""
    max_age: timedelta = timedelta(days=3)
    """The oldest that the newest file may be."""
    largest_mb: int = 64
    """The largest file in megabytes; a workbook may unpack to eight times that."""
