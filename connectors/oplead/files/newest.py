"""Finds the newest of the exported files, and opens it."""

from glob import iglob
from pathlib import Path

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.oplead.files.csv_table import CsvTable
from connectors.oplead.files.options import ExportFileOptions
from connectors.oplead.files.table import MB, ExportFileTable, StampedFile

_LOCKS = ("~$", ".~")
"""How the names of the files begin that Excel and LibreOffice keep beside an open workbook."""


def newest_file(options: ExportFileOptions) -> StampedFile:
    """Return the file modified last of those that the settings name; of several, the last by name.

    Raises:
        Misconfigured: there is none, or it is empty or too large.
    """
    paths = (Path(name) for name in iglob(options.pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = [StampedFile.from_path(path) for path in paths if path.is_file() and not path.name.startswith(_LOCKS)]
    if not files:
        raise Misconfigured(
            _(
                "source.{kind}: no file matches {pattern}; export the leads from Oplead into that folder, or "
                "correct the setting",
                kind=options.kind,
                pattern=options.pattern,
            )
        )
    newest = max(files, key=lambda file: (file.modified_ns, file.path))
    if newest.size == 0:
        raise Misconfigured(_("{path}: it is empty; export the leads again", path=newest.path))
    if newest.size > options.largest_mb * MB:
        raise Misconfigured(
            _(
                "{path}: it has {size} MB, more than source.largest_mb ({largest_mb}); export fewer leads, "
                "or raise that",
                path=newest.path,
                size=newest.size // MB,
                largest_mb=options.largest_mb,
            )
        )
    return newest


def open_export_table(file: StampedFile, options: ExportFileOptions) -> ExportFileTable:
    """Open a file and find its titles.

    Raises:
        Misconfigured: it is damaged, or cannot be read in one certain way; the message says what to write.
    """
    table: ExportFileTable
    if options.kind == "csv":
        table = CsvTable(file.path, encoding=options.encoding, delimiter=options.delimiter)
    else:
        from connectors.oplead.files.xlsx_table import XlsxTable  # noqa: PLC0415 - openpyxl is slow to load

        table = XlsxTable(file.path, sheet=options.sheet, largest=8 * options.largest_mb * MB)
    _expect_titles(file.path, table.titles)
    return table


def _expect_titles(path: Path, titles: tuple[str, ...]) -> None:
    if not any(titles):
        raise Misconfigured(_("{path}: it has no titles; its first line must name the columns", path=path))
    twice = sorted({title for title in titles if title and titles.count(title) > 1})
    if twice:
        # A first line that is no line of titles may hold somebody's data.
        places = ", ".join(str(place) for place, title in enumerate(titles, start=1) if title in twice)
        raise Misconfigured(
            _(
                "{path}: columns {places} have the same title as another, and nothing says which one counts; "
                "rename one in Oplead's export or leave it out",
                path=path,
                places=places,
            )
        )
