"""What a workbook may unpack to, counted as a stream before a library builds anything of it.

openpyxl keeps every row, cell and text until it has read them all, about 300 bytes each; an archive repeats them for a
thousandth of a byte.
"""

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from xml.parsers.expat import ExpatError, ParserCreate

from connectors.language import _
from connectors.oplead.files.table import MB

_MOST_PARTS = 2_000
_MOST_TIMES = 100
"""What deflate makes of real rows stays far below; of a thousand equal ones it makes one."""
_SMALL = MB
_MOST_MEMORY = 160 * MB
"""A million rows and texts of a few words each take so much; measured beside what is estimated below."""
_EACH_KEPT = 110
"""The bytes that a row, or a shared text, leaves behind in the library that reads it."""
_EACH_IN_ROW = 300
_EACH_BESIDE_ROWS = 2_000
"""The bytes of an element that becomes an object, as formats do."""
_TEXT = 50
"""The bytes of a text beside its characters."""
_CHUNK = 64 * 1024
_STREAMED = frozenset({"row", "si"})
"""The elements that openpyxl reads one by one and then empties: rows, and shared texts."""
_READ_WHOLE = ("xl/styles.xml", "xl/theme/")
_NEVER_READ = (
    "xl/calcchain.xml",
    "xl/pivot",
    "xl/externallinks/",
    "xl/comments",
    "xl/threadedcomments/",
    "xl/drawings/",
    "xl/charts",
    "xl/media/",
    "customxml/",
)


class WorkbookOutOfBoundsError(Exception):
    """A workbook is larger, unpacked, than any export; the message says the limit."""


def expect_workbook_in_bounds(path: Path, largest: int) -> None:
    """Read an archive to its end, with flat memory, and check what each part unpacks to.

    Raises:
        WorkbookOutOfBoundsError: it holds more than any export.
        zipfile.BadZipFile: a part is damaged, or declares a document type.
    """
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if not is_never_read(part.filename)]
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
        kept = 0
        for part in parts:
            kept = _read_part(archive, part, kept)


def is_never_read(name: str) -> bool:
    """Whether a part holds no cell, as the order of formulas or a chart: an ordinary workbook's may have any size."""
    return name.casefold().startswith(_NEVER_READ)


def _packed_size(part: zipfile.ZipInfo, archive_size: int) -> int:
    """Return how many bytes a part may take: its directory may say anything, and none takes more than the archive."""
    return min(part.compress_size, archive_size)


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, kept: int) -> int:
    """Read a part to its end, where its checksum is compared; return what memory it adds to, if that is XML."""
    counter = _MemoryEstimate(part.filename, kept)
    with archive.open(part) as content:
        with suppress(ExpatError):  # it is no XML, or openpyxl finds the same fault where this ends
            while chunk := content.read(_CHUNK):
                counter.feed(chunk)
        while content.read(_CHUNK):
            pass
    whole = 0 if counter.has_rows else part.file_size
    counter.expect_little(whole)
    return counter.kept + whole


class _MemoryEstimate:
    """What memory reading a part takes, beside what was kept of the parts before."""

    def __init__(self, name: str, kept: int) -> None:
        self.kept = kept
        self.has_rows = False
        """Whether a row or a shared text has begun; without one, the library holds the whole part."""
        self._is_streamed = not name.casefold().lstrip("/").startswith(_READ_WHOLE)
        self._depth = 0
        self._streamed_at = 0
        """The depth of the row or shared text that is open; 0 if none is."""
        self._elements = self._characters = 0
        """What it holds so far."""
        self._width = 1
        """The bytes of each of its characters: the widest decides."""
        self._fed = 0
        self._last_tag_at = 0
        self._parser = ParserCreate()
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._count_text
        self._parser.StartDoctypeDeclHandler = _refuse_document_type

    def feed(self, chunk: bytes) -> None:
        """Count what begins in the next bytes; between two tags lies at most 1 MB."""
        self._fed += len(chunk)
        self._parser.Parse(chunk)
        if self._fed - self._last_tag_at > MB:
            raise WorkbookOutOfBoundsError(_("it has a text of more than 1 MB in one cell, as no lead has"))
        self.expect_little()

    def _begin(self, name: str, attributes: Sequence[str]) -> None:
        self._note_place()
        self._depth += 1
        if self._streamed_at:
            self._elements += 1
        elif self._is_streamed and name.rpartition(":")[2] in _STREAMED:
            self.has_rows, self._streamed_at = True, self._depth
        else:
            self.kept += _EACH_BESIDE_ROWS
        for text in attributes:
            self._count_text(text)

    def _end(self, name: str) -> None:
        self._note_place()
        if self._depth == self._streamed_at:
            self.kept += _EACH_KEPT
            if name.rpartition(":")[2] == "si":
                self.kept += self._open_texts
            self._streamed_at = self._elements = self._characters = 0
            self._width = 1
        self._depth -= 1

    def _count_text(self, text: str) -> None:
        if not self._streamed_at:
            self.kept += _TEXT + 4 * len(text)
            return
        self._characters += len(text)
        if not text.isascii():
            self._width = max(self._width, 4 if max(text) > "\uffff" else 2)

    @property
    def _open_texts(self) -> int:
        return _TEXT + self._characters * self._width

    def expect_little(self, whole: int = 0) -> None:
        """Return if what was counted fits, with a part that is held whole.

        Raises:
            WorkbookOutOfBoundsError: it does not.
        """
        if whole + self.kept + self._open_texts + self._elements * _EACH_IN_ROW > _MOST_MEMORY:
            raise WorkbookOutOfBoundsError(
                _(
                    "reading its rows, texts and formats would take more than {most} MB of memory; export fewer leads",
                    most=_MOST_MEMORY // MB,
                )
            )

    def _note_place(self) -> None:
        self._last_tag_at = self._parser.CurrentByteIndex


def _refuse_document_type(*_declared: object) -> None:
    """No workbook needs a document type, and it may multiply what the part holds."""
    raise zipfile.BadZipFile
