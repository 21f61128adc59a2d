"""What a workbook may unpack to, counted as a stream before a library builds anything of it.

openpyxl keeps every row, cell and text until it has read them all, about 300 bytes each; an archive repeats them for a
thousandth of a byte.
"""

import zipfile
from contextlib import suppress
from pathlib import Path
from xml.parsers.expat import ExpatError, ParserCreate

from connectors.language import _, format_integer
from connectors.oplead.files.table import MB, MOST_ROWS

_MOST_PARTS = 2_000
_MOST_TIMES = 100
"""What deflate makes of real rows stays far below; of a thousand equal ones it makes one."""
_SMALL = MB
_FEW = 10_000
"""A part may hold so many rows, however small it is; beyond, no more than it has bytes: real ones need several each."""
_MOST_ELEMENTS = 100_000
"""In one row, or in a part without any."""
_CHUNK = 64 * 1024
_STREAMED = frozenset({"row", "si"})
"""The elements that openpyxl reads one by one and then empties: rows, and shared texts."""
_READ_WHOLE = ("xl/styles.xml", "xl/theme/")


class WorkbookOutOfBoundsError(Exception):
    """A workbook is larger, unpacked, than any export; the message says the limit."""


def expect_workbook_in_bounds(path: Path, largest: int) -> None:
    """Read an archive to its end, with flat memory, and check what each part unpacks to.

    Raises:
        WorkbookOutOfBoundsError: it holds more than any export.
        zipfile.BadZipFile: a part is damaged, or declares a document type.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > largest:
            raise WorkbookOutOfBoundsError(
                _(
                    "it unpacks to more than {most} MB, eight times source.largest_mb; export fewer leads",
                    most=largest // MB,
                )
            )
        size = path.stat().st_size
        for part in parts:
            if part.file_size > max(_SMALL, _MOST_TIMES * _packed_size(part, size)):
                raise WorkbookOutOfBoundsError(
                    _("it unpacks to more than {times} times its size, as no export does", times=_MOST_TIMES)
                )
        for part in parts:
            _read_part(archive, part, _packed_size(part, size))


def _packed_size(part: zipfile.ZipInfo, archive_size: int) -> int:
    """Return how many bytes a part may take: its directory may say anything, and none takes more than the archive."""
    return min(part.compress_size, archive_size)


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, packed_size: int) -> None:
    """Read a part to its end, where its checksum is compared, and count what it holds if that is XML."""
    counter = _ElementCounter(part.filename, packed_size)
    with archive.open(part) as content:
        with suppress(ExpatError):  # it is no XML, or openpyxl finds the same fault where this ends
            while chunk := content.read(_CHUNK):
                counter.feed(chunk)
        while content.read(_CHUNK):
            pass


class _ElementCounter:
    """Counts the elements of one part."""

    def __init__(self, name: str, packed_size: int) -> None:
        self._is_streamed = not name.casefold().lstrip("/").startswith(_READ_WHOLE)
        self._most_rows = min(MOST_ROWS, max(_FEW, packed_size))
        self._rows = 0
        self._elements = 0
        self._fed = 0
        self._last_tag_at = 0
        self._parser = ParserCreate()
        self._parser.StartElementHandler = self._count
        self._parser.EndElementHandler = self._note_place
        self._parser.StartDoctypeDeclHandler = _refuse_document_type

    def feed(self, chunk: bytes) -> None:
        """Count what begins in the next bytes; between two tags lies at most 1 MB."""
        self._fed += len(chunk)
        self._parser.Parse(chunk)
        if self._fed - self._last_tag_at > MB:
            raise WorkbookOutOfBoundsError(_("it has a text of more than 1 MB in one cell, as no lead has"))

    def _count(self, name: str, _attributes: object) -> None:
        self._note_place(name)
        if self._is_streamed and name.rpartition(":")[2] in _STREAMED:
            self._rows += 1
            self._elements = 0
        self._elements += 1
        if self._rows > self._most_rows:
            raise WorkbookOutOfBoundsError(
                _(
                    "it has more than {most} rows or texts, too many for its size; export fewer leads",
                    most=format_integer(self._most_rows),
                )
            )
        if self._elements > _MOST_ELEMENTS:
            raise WorkbookOutOfBoundsError(
                _(
                    "it has more than {most} elements in one row, or beside its rows",
                    most=format_integer(_MOST_ELEMENTS),
                )
            )

    def _note_place(self, _name: str) -> None:
        self._last_tag_at = self._parser.CurrentByteIndex


def _refuse_document_type(*_declared: object) -> None:
    """No workbook needs a document type, and it may multiply what the part holds."""
    raise zipfile.BadZipFile
