"""Excel workbooks: unpacked within bounds, their dates and numbers as Oplead's JSON would show them."""

import math
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from openpyxl.chartsheet import Chartsheet
from openpyxl.reader.excel import ExcelReader

from connectors.errors import Misconfigured
from connectors.language import N_, _
from connectors.oplead.files.table import (
    MOST_COLUMNS,
    MOST_ROWS,
    Cell,
    Row,
    clean_column_title,
    describe_most_rows_and_columns,
)
from connectors.oplead.files.xlsx_bounds import WorkbookOutOfBoundsError, expect_workbook_in_bounds, is_never_read

warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")  # about styles and extensions
_HALF_A_SECOND = timedelta(microseconds=500_000)
_DAMAGED = N_("it is no whole Excel workbook (.xlsx), so it is cut or damaged; export it again")
_EXACT = 10**15
"""From here on, a spreadsheet does not keep every digit of a whole number."""


class XlsxTable:
    """The rows of a workbook's sheet, read as a stream."""

    ends_line = True

    def __init__(self, path: Path, *, sheet: str | None, largest: int) -> None:
        """Check the archive and find the titles: the first row that is not blank.

        Raises:
            Misconfigured: it is damaged, too large unpacked, or has no such sheet.
        """
        self._path = path
        self._sheet = sheet
        self._check_archive_safety(largest)
        with closing(self._every_row()) as rows:
            first = next(rows, Row(1, ()))
        self._titles_at = first.number
        self.titles = tuple(map(clean_column_title, first.cells))

    def rows(self) -> Iterator[Row]:
        """Read every row below the titles that is not blank."""
        width = len(self.titles)
        for row in self._every_row():
            if row.number <= self._titles_at:
                continue
            if any(cell not in (None, "") for cell in row.cells[width:]):
                raise self._refusal(
                    _("row {number} has values beyond the last title; give each column a title", number=row.number)
                )
            yield Row(row.number, (*row.cells[:width], *(None,) * (width - len(row.cells))))

    def _refusal(self, why: str) -> Misconfigured:
        return Misconfigured(f"{self._path}: {why}")

    def _check_archive_safety(self, largest: int) -> None:
        """Check the archive before openpyxl builds anything of it."""
        try:
            expect_workbook_in_bounds(self._path, largest)
        except OSError as error:
            raise self._refusal(_("it cannot be read ({strerror})", strerror=error.strerror)) from None
        except WorkbookOutOfBoundsError as error:
            raise self._refusal(str(error)) from None
        except Exception:  # noqa: BLE001 - a damaged archive fails in as many ways as its format has parts
            raise self._refusal(_(_DAMAGED)) from None

    @contextmanager
    def _workbook(self) -> Iterator[Any]:
        reader = ExcelReader(self._path, read_only=True, data_only=True, keep_links=False)
        with closing(reader.archive):
            # What was not counted cannot be read, whatever another part calls it.
            for name in filter(is_never_read, reader.archive.namelist()):
                reader.archive.NameToInfo.pop(name, None)
            reader.read_chartsheet = partial(_add_empty_chartsheet, reader)
            reader.read()
            yield reader.wb

    def _every_row(self) -> Generator[Row, None, None]:
        try:
            with self._workbook() as workbook:
                sheet = self._chosen(workbook)
                sheet.reset_dimensions()  # what the file says they are need not be true
                for number, cells in enumerate(sheet.iter_rows(), start=1):
                    self._expect_bounded(number, len(cells))
                    read = tuple(map(_cell, cells))
                    if any(cell not in (None, "") for cell in read):
                        yield Row(number, read)
        except Misconfigured:
            raise
        except Exception:  # noqa: BLE001 - openpyxl raises whatever a damaged part trips
            raise self._refusal(_(_DAMAGED)) from None

    def _expect_bounded(self, rows: int, columns: int) -> None:
        if rows > MOST_ROWS or columns > MOST_COLUMNS:
            raise self._refusal(describe_most_rows_and_columns())

    def _chosen(self, workbook: Any) -> Any:
        sheets = [sheet for sheet in workbook.worksheets if self._sheet in (None, sheet.title)]
        if not sheets:
            raise self._refusal(_("it has no sheet called {sheet}; correct source.sheet", sheet=self._sheet))
        return sheets[0]


def _add_empty_chartsheet(reader: Any, sheet: Any, _relation: object) -> None:
    """Keep the place of a sheet that holds a chart and no cell."""
    reader.wb._add_sheet(Chartsheet(parent=reader.wb, title=sheet.name))  # noqa: SLF001 - as the reader does


def _cell(cell: Any) -> Cell:
    match cell.value:
        case None | bool() | str() as value:
            return value
        case int() as value:
            return Decimal(value)
        case float() as value:
            return _number(value)
        case datetime() as value:
            return _moment(value, str(cell.number_format or ""))
        case date() as value:
            return value.isoformat()
        case value:
            return str(value)


def _number(value: float) -> Decimal | None:
    if not math.isfinite(value):
        return None
    return Decimal(int(value)) if value.is_integer() and abs(value) < _EXACT else Decimal(repr(value))


def _moment(value: datetime, form: str) -> str:
    """Write a date as text, to the second: a spreadsheet keeps a fraction of a day. Shown as a day, it is one."""
    rounded = (value + _HALF_A_SECOND).replace(microsecond=0)
    is_day = "h" not in form.casefold() and (rounded.hour, rounded.minute, rounded.second) == (0, 0, 0)
    return rounded.date().isoformat() if is_day else rounded.isoformat(sep=" ")
