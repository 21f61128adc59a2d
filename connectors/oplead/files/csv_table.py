"""CSV files: the encoding and the delimiter are certain or refused, and every row is as long as the titles."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from connectors.errors import Misconfigured
from connectors.language import N_, _
from connectors.oplead.files.options import Delimiter, Encoding
from connectors.oplead.files.table import (
    MB,
    MOST_COLUMNS,
    MOST_ROWS,
    Row,
    clean_column_title,
    describe_most_rows_and_columns,
)

_DELIMITERS: dict[Delimiter, str] = {";": ";", ",": ",", "tab": "\t"}
_NAMES = {character: name for name, character in _DELIMITERS.items()}
_LONGEST_LINE = MB  # characters; a longer one is no line of an export, nor is a row of several such lines
_SAMPLED = 200
_DECLARED = re.compile(r"sep=(.)[\r\n]*")
"""Excel's own first line, which names the delimiter."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WITHOUT_MARK: dict[str, str] = {"utf-16": "utf-16-le"}
"""The encodings that a file named so has if it begins with no mark."""
_RARE = re.compile(
    # Western Windows text never has the first five, and French text has none of the rest: from DOS or an old Mac, they
    # are é, à or ê. The two last are UTF-8 that is broken elsewhere in the file.
    rb"[\x81\x8d\x8f\x90\x9d\x82\x83\x84\x86\x87\x88\x89\x8a\x8b\x8e\x98\x9a\x9b\x9e\xa4]|[\xc2\xc3][\x80-\xbf]"
)


@dataclass(frozen=True, slots=True)
class CsvSettingHints:
    """What to write where the encoding or the delimiter must be named."""

    cp1252: str = "source.encoding: cp1252"
    utf16: str = "source.encoding: utf-16"
    encoding: str = "source.encoding"
    delimiter: str = N_('under source, as delimiter: ";" (or "," or tab)')
    excel: str = N_("name it under source.xlsx if it is Excel's")


OPTIONS = CsvSettingHints(
    cp1252="--encoding cp1252",
    utf16="--encoding utf-16",
    encoding="--encoding",
    delimiter=N_("as --delimiter ';' (or ',' or tab)"),
    excel=N_("save it as CSV first if it is Excel's"),
)
"""The hints where a command reads the file."""
_SETTINGS = CsvSettingHints()
_CUT = N_("it ends in the middle of {what}, so it is cut; export it again, whole")


class CsvTable:
    """The rows of a CSV file, read as a stream."""

    def __init__(
        self,
        path: Path,
        *,
        encoding: Encoding | None = None,
        delimiter: Delimiter | None = None,
        hints: CsvSettingHints = _SETTINGS,
        fewest: int = 2,
    ) -> None:
        """Find the encoding, the delimiter and the titles, at least `fewest`: an id and a status.

        Raises:
            Misconfigured: one of them is uncertain, or the file is damaged.
        """
        self._path = path
        self._hints = hints
        with self._opened() as file:
            self._encoding, self.ends_line = _encoding_of(file, path, encoding, hints)
        with self._records(None) as (_records, first_line):
            self._declared = _DECLARED.fullmatch(first_line)
        self._delimiter = self._declared[1] if self._declared else None
        if self._delimiter is None:
            self._delimiter = _DELIMITERS[delimiter] if delimiter else self._detect_delimiter()
        with self._records(self._delimiter) as (records, _line):
            self.titles = _trimmed(next(records, Row(1, ())))
        if not self.titles:
            raise self._refusal(_("its first line is empty, and has to name the columns"))
        if len(self.titles) < fewest:
            raise self._refusal(
                _(
                    "its first line has one column only; export it with columns separated by ; or , or tabs, or "
                    "write another separator {delimiter}",
                    delimiter=_(hints.delimiter),
                )
            )

    def rows(self) -> Iterator[Row]:
        """Read every row that is not blank, as long as the titles."""
        width = len(self.titles)
        with self._records(self._delimiter) as (records, _line):
            short: Row | None = None
            for row in islice(records, 1, None):
                cells = _without_empty_end(row.cells, width)
                if short is not None or len(cells) > width:
                    raise self._wrong_width_error(short or row)
                if len(cells) == width or not any(cells):
                    if any(cells):
                        yield Row(row.number, cells)
                    continue
                short = row
            if short is not None:
                raise self._refusal(_(_CUT, what=_("its last row, line {number}", number=short.number)))

    def _wrong_width_error(self, row: Row) -> Misconfigured:
        return self._refusal(
            _(
                "line {number} has {cells} columns and the titles have {titles}; a text with a line break or "
                "a separator needs quotes around it: export it again",
                number=row.number,
                cells=len(row.cells),
                titles=len(self.titles),
            )
        )

    def _refusal(self, why: str) -> Misconfigured:
        return Misconfigured(f"{self._path}: {why}")

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise self._refusal(_("it cannot be read ({strerror})", strerror=error.strerror)) from None

    @contextmanager
    def _records(self, delimiter: str | None) -> Iterator[tuple[Iterator[Row], str]]:
        """Yield the rows, titles first, and the first line as it stands."""
        with self._opened() as file, TextIOWrapper(file, self._encoding, newline="") as text:
            lines = self._lines(text)
            first = next(lines, "")
            skipped = 1 if _DECLARED.fullmatch(first) else 0
            rest = lines if skipped else _prepend_line(first, lines)
            yield self._read(rest, delimiter or ";", skipped), first

    def _lines(self, text: TextIOWrapper) -> Iterator[str]:
        while True:
            try:
                line = text.readline(_LONGEST_LINE)
            except UnicodeError:
                raise self._refusal(
                    _(
                        "its text is not {encoding} throughout, so it is cut or damaged, or {setting} is wrong; "
                        "export it again",
                        encoding=self._encoding,
                        setting=self._hints.encoding,
                    )
                ) from None
            except OSError as error:
                raise self._refusal(_("it cannot be read ({strerror})", strerror=error.strerror)) from None
            if len(line) >= _LONGEST_LINE:
                raise self._refusal(_("it has a line of more than 1 MB, as no lead has, so it is no CSV file"))
            if "\0" in line:
                raise self._refusal(_("it is no text; export it as CSV, or {excel}", excel=_(self._hints.excel)))
            if not line:
                return
            yield line

    def _read(self, lines: Iterator[str], delimiter: str, skipped: int) -> Iterator[Row]:
        record = _RecordLength()
        reader = csv.reader(record.count(lines), delimiter=delimiter, strict=True)
        start = skipped + 1
        try:
            for number, cells in enumerate(reader):
                if number > MOST_ROWS or len(cells) > MOST_COLUMNS:
                    raise self._refusal(describe_most_rows_and_columns())
                yield Row(start, tuple(cells))
                start = reader.line_num + skipped + 1
                record.characters = 0
        except _EndlessRecordError:
            raise self._refusal(
                _("the row at line {start} has more than 1 MB, as no lead has; export it again", start=start)
            ) from None
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                raise self._refusal(
                    _(
                        "a quote opened at line {start} or after is never closed, so it is cut or damaged; export it "
                        "again",
                        start=start,
                    )
                ) from None
            raise self._refusal(
                _('line {start} has text after a closing quote; write a quote inside as ""', start=start)
            ) from None

    def _detect_delimiter(self) -> str:
        """Return the only delimiter that fits the titles and the first rows."""
        counts = {delimiter: self._columns_by(delimiter) for delimiter in _NAMES}
        split = [delimiter for delimiter, count in counts.items() if count.titles > 1]
        if len(split) > 1:
            split = [delimiter for delimiter in split if counts[delimiter].are_alike]
        if len(split) == 1:
            return split[0]
        if not any(count.titles > 1 for count in counts.values()):
            return ";"
        named = " and ".join(_NAMES[delimiter] for delimiter in (split or counts))
        raise self._refusal(
            _(
                "its columns may be separated by {named}; write which {delimiter}",
                named=named,
                delimiter=_(self._hints.delimiter),
            )
        )

    def _columns_by(self, delimiter: str) -> "_DelimiterTrial":
        with self._records(delimiter) as (records, _line):
            try:
                rows = list(islice(records, _SAMPLED))
            except Misconfigured:
                return _DelimiterTrial(0, are_alike=False)
        titles = len(rows[0].cells) if rows else 0
        alike = all(len(_without_empty_end(row.cells, titles)) == titles for row in rows if any(row.cells))
        # A quote beside another delimiter opens or closes one of that delimiter's columns.
        others = [mark for other in _NAMES if other != delimiter for mark in (f'{other}"', f'"{other}')]
        strange = any(mark in str(cell) for row in rows for cell in row.cells for mark in others)
        return _DelimiterTrial(titles, are_alike=alike and not strange)


class _EndlessRecordError(Exception):
    """A row goes on over more lines than any lead's."""


class _RecordLength:
    """How long one row is, over all its lines."""

    def __init__(self) -> None:
        self.characters = 0

    def count(self, lines: Iterator[str]) -> Iterator[str]:
        """Pass lines on while their row is of a possible length."""
        for line in lines:
            self.characters += len(line)
            if self.characters > _LONGEST_LINE:
                raise _EndlessRecordError
            yield line


class _DelimiterTrial:
    """What a delimiter makes of the first rows."""

    def __init__(self, titles: int, *, are_alike: bool) -> None:
        self.titles = titles
        self.are_alike = are_alike


def _prepend_line(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _trimmed(row: Row) -> tuple[str, ...]:
    titles = [clean_column_title(cell) for cell in row.cells]
    while titles and not titles[-1]:  # some exports end every line with a delimiter
        titles.pop()
    return tuple(titles)


def _without_empty_end(cells: tuple[str, ...] | tuple[object, ...], width: int) -> tuple[str, ...]:
    """Leave out empty cells beyond the titles."""
    end = len(cells)
    while end > width and not cells[end - 1]:
        end -= 1
    return tuple(str(cell) for cell in cells[:end])


def _encoding_of(file: BinaryIO, path: Path, named: Encoding | None, hints: CsvSettingHints) -> tuple[str, bool]:
    """Return the encoding, and whether the file ends with the end of a line."""
    start = file.read(4)
    marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)
    file.seek(0)
    unmarked = None if named is None else _WITHOUT_MARK.get(named, named)
    encoding = marked or unmarked or _detect_encoding_without_bom(file, path, hints)
    file.seek(0, 2)
    file.seek(-min(2, file.tell()), 2)
    end = file.read().replace(b"\0", b"")
    return encoding, end.endswith((b"\n", b"\r"))


def _detect_encoding_without_bom(file: BinaryIO, path: Path, hints: CsvSettingHints) -> str:
    """Tell UTF-8 from Western Windows text; refuse what may be either or neither."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_rare, last = True, False, b""
    while chunk := file.read(MB):
        if b"\0" in chunk:
            raise Misconfigured(
                _(
                    "{path}: it is no plain text; export it as CSV UTF-8, write {utf16} if it is that, or {excel}",
                    path=path,
                    utf16=hints.utf16,
                    excel=_(hints.excel),
                )
            )
        try:
            decoder.decode(chunk if is_utf8 else b"")
        except UnicodeDecodeError:
            is_utf8 = False
        is_rare = is_rare or _RARE.search(last + chunk) is not None
        last = chunk[-1:]
    if is_utf8 and decoder.getstate()[0]:
        raise Misconfigured(f"{path}: " + _(_CUT, what=_("a character")))
    if is_utf8:
        return "utf-8"
    if is_rare:
        raise Misconfigured(
            _(
                "{path}: its accents are written in a way that cannot be told; export it as CSV UTF-8, or "
                "write {cp1252} if it was saved by Excel for Windows",
                path=path,
                cp1252=hints.cp1252,
            )
        )
    return "cp1252"
