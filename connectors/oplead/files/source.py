"""The `LeadSource` port for exported files: checks the newest one whole, then reads it page by page."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

from connectors.errors import Misconfigured
from connectors.language import N_, _
from connectors.oplead.files.checks import AHEAD, check_export_not_older, check_export_not_smaller, expect_recent
from connectors.oplead.files.columns import DamagedLeadIdError, ExpectedExportColumns, LeadColumns, interpret_columns
from connectors.oplead.files.newest import newest_file, open_export_table
from connectors.oplead.files.options import ExportFileOptions
from connectors.oplead.files.row_index import RowIndex
from connectors.oplead.files.table import ExportFileTable, Row, StampedFile
from connectors.oplead.latest import newest, newest_first
from connectors.oplead.lead_pages import collect_lead_page, collect_seen_in_leads
from connectors.oplead.options import OpleadOptions
from connectors.oplead.parsing.dates import first_instant_at_paths
from connectors.oplead.parsing.lead_parser import LeadParser, UnreadableLeadError, digest_of
from connectors.ports import Clock, FindKnown
from connectors.records import Export, Found, Lead, LeadId, LeadPage, ListedLead, NotInExport, UnreadableLead
from connectors.survey import SeenInLeads

PAGE = 500
"""Rows read and stored at a time."""
_DAMAGED_ID = N_(
    "its id was rounded or grouped by a spreadsheet, as 1,23E+11 or 1 234 567; have that column "
    "be text, or use Oplead's own file as it comes"
)
_CUT_ROW = N_(
    "it is the last one, and the file ends without a line end, so its last value may be cut; "
    "export it again, or end the last line"
)


@dataclass(slots=True)
class _CheckedExportFile:
    """The file that is read, checked whole."""

    file: StampedFile
    table: ExportFileTable
    columns: LeadColumns
    index: "RowIndex"
    export: Export
    is_vouched_for: bool = False
    """Whether it is another file than the last one and has no fewer leads, so that it is no part of a file: what it
    lacks may be gone, and its last row is whole although no line end follows."""

    @property
    def possibly_cut_row(self) -> int | None:
        """The last row's number, if its last value may be cut."""
        return None if self.export.ends_line or self.is_vouched_for else self.index.last_row


@dataclass(frozen=True, slots=True)
class _RowLead:
    """A row as a lead, not parsed yet."""

    row: int
    item: Mapping[str, object]
    listed: ListedLead


class FileSource:
    """Reads leads from the newest of a folder's exported files; it writes nothing and asks nobody."""

    is_budget_spent = False

    def __init__(
        self,
        options: OpleadOptions,
        files: ExportFileOptions,
        clock: Clock,
        *,
        wanted_fields: frozenset[str] = frozenset(),
        needed: tuple[str, ...] = ("id", "created_at", "status"),
    ) -> None:
        """Read nothing yet.

        Args:
            options: where fields are in a lead, and how click ids and times are read.
            files: which files to read, and how.
            clock: the account's clock.
            wanted_fields: the dotted paths copied into `Lead.fields`; each needs a column.
            needed: the fields that need a column, by their names under `oplead.fields`.
        """
        self._options = options
        self._files = files
        self._clock = clock
        self._parser = LeadParser(options, wanted_fields)
        self._expected = ExpectedExportColumns(files.columns, options.fields, wanted_fields, needed)
        self._opened: _CheckedExportFile | None = None
        self.seen = SeenInLeads(0, (), (), lambda _: 0)
        """What the leads read by `fetch_latest` hold."""

    def close(self) -> None:
        """Forget the file."""
        if self._opened is not None:
            self._opened.index.close()
            self._opened = None

    @property
    def exported_at(self) -> datetime | None:
        """When the opened file was last written."""
        return None if self._opened is None else self._opened.export.exported_at

    # ── choosing a file ──────────────────────────────────────────────────────────────────────────

    def open_newest_export(self, last: Export | None, *, read_until: datetime | None, accept: bool) -> Export:
        """Choose the newest file, check it whole, and compare it with the last one."""
        self.close()
        opened = self._checked()
        try:
            export = opened.export
            is_reread = last is not None and (last.exported_at, last.sha256) == (export.exported_at, export.sha256)
            if not is_reread:
                check_export_not_older(opened.file, export, last, read_until)
                if last is not None and not accept:
                    check_export_not_smaller(opened.file, export, last)
            opened.is_vouched_for = last is not None and not is_reread and export.rows >= last.rows
        except Misconfigured:
            opened.index.close()
            raise
        self._opened = opened
        return export

    def _checked(self) -> _CheckedExportFile:
        """Read the newest file once from end to end, and find it sound."""
        file = newest_file(self._files)
        expect_recent(file, self._files.max_age, self._clock.now())
        digest = file.sha256()
        table = open_export_table(file, self._files)
        columns = interpret_columns(file.path, table.titles, self._expected)
        index = RowIndex(file)
        try:
            latest = self._read_through(table, columns, index, file.modified_at)
            file.expect_file_unchanged()
        except Misconfigured:
            index.close()
            raise
        if not index.rows:
            index.close()
            raise Misconfigured(_("{path}: it has titles and no lead; export the leads again", path=file.path))
        # Never later than now: a file's time may be ahead of our clock by a little.
        exported_at = min(file.modified_at, self._clock.now().replace(microsecond=0))
        export = Export(exported_at, digest, index.rows, table.titles, latest, table.ends_line)
        return _CheckedExportFile(file, table, columns, index, export)

    def _read_through(
        self, table: ExportFileTable, columns: LeadColumns, index: "RowIndex", until: datetime
    ) -> datetime | None:
        """Index every row, and return the latest creation or change before `until`, when the file was written."""
        latest: datetime | None = None
        paths, zone = self._options.fields, self._options.zone
        for row in table.rows():
            lead_id, item = None, None
            try:
                item = columns.lead_from_row(row.cells)
                lead_id = self._parser.read_id(item)
            except (DamagedLeadIdError, UnreadableLeadError):
                pass
            index.add(row, lead_id)
            if item is not None:
                times = (first_instant_at_paths(item, one, zone) for one in (paths.created_at, paths.updated_at))
                past = (at for at in times if at is not None and at <= until + AHEAD)
                latest = max((at for at in (*past, latest) if at is not None), default=None)
        index.finish_adding_rows()
        return latest

    def _current_export_file(self) -> _CheckedExportFile:
        if self._opened is None:
            self._opened = self._checked()
        return self._opened

    # ── reading it ───────────────────────────────────────────────────────────────────────────────

    def fetch_changes(
        self,
        since: datetime | None,  # noqa: ARG002 - a file cannot filter
        *,
        resume: str | None,
        find_known: FindKnown,
    ) -> Generator[LeadPage, None, None]:
        """Yield the whole file, a page at a time; a resume token of another file starts at its beginning."""
        opened = self._current_export_file()
        start = _row_after(resume, opened.export.sha256)
        rows = (row for row in self._rows(opened) if row.number > start)
        page = list(islice(rows, PAGE))
        while True:
            following = list(islice(rows, PAGE))
            opened.file.expect_file_unchanged()
            read = self._page(opened, page, find_known)
            resume = _token(opened.export.sha256, page[-1].number) if following else None
            yield replace(read, served_at=opened.export.exported_at, resume=resume)
            if not following:
                return
            page = following

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Yield each lead by id, in order; one that the file lacks is deleted only if files have every lead."""
        opened = self._current_export_file()
        wanted = {
            row: one for row, one in opened.index.file_rows_of_leads(ids).items() if row != opened.possibly_cut_row
        }
        found: dict[LeadId, Lead | UnreadableLead] = {}
        if wanted:
            for row in self._rows(opened):
                if (lead_id := wanted.get(row.number)) is not None:
                    found[lead_id] = self._parsed(opened, self._row_lead(opened, row))
            opened.file.expect_file_unchanged()
        is_gone = self._files.whole and opened.is_vouched_for and not opened.index.has_unnamed
        absent = None if is_gone else NotInExport()
        for lead_id in ids:
            yield lead_id, found.get(lead_id, absent)

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """Return up to `count` of the most recently created leads, newest first, then the unreadable ones."""
        opened = self._current_export_file()
        paths, zone = self._options.fields.created_at, self._options.zone

        def created(row: object) -> datetime | None:
            return first_instant_at_paths(_item_of(opened, row), paths, zone)

        rows = self._rows(opened)
        latest, _, tail = newest(iter(lambda: list(islice(rows, PAGE)), []), count, created)
        opened.file.expect_file_unchanged()
        shown = [row for row in latest or tail if isinstance(row, Row)]
        page = self._page(opened, shown)
        items = [item for row in shown if (item := _item_of(opened, row))]
        self.seen = collect_seen_in_leads(items, page.leads)
        return newest_first(page)

    def _rows(self, opened: _CheckedExportFile) -> Iterator[Row]:
        """Yield the rows, each lead once: a repeated row is the same as the first."""
        opened.file.expect_file_unchanged()
        return (row for row in opened.table.rows() if opened.index.is_first(row.number))

    def _page(
        self, opened: _CheckedExportFile, rows: Sequence[Row], find_known: FindKnown = lambda _listed: ()
    ) -> LeadPage:
        found = [self._row_lead(opened, row) for row in rows]
        known = frozenset(find_known([one.listed for one in found if isinstance(one, _RowLead)]))
        return collect_lead_page(
            [
                one.listed.id if isinstance(one, _RowLead) and one.listed in known else self._parsed(opened, one)
                for one in found
            ]
        )

    def _row_lead(self, opened: _CheckedExportFile, row: Row) -> _RowLead | UnreadableLead:
        """Return a row as a lead, or why it cannot be read."""
        lead_id = None
        try:
            item = opened.columns.lead_from_row(row.cells)
            lead_id = self._parser.read_id(item)
            created_at = partial(first_instant_at_paths, item, self._options.fields.created_at, self._options.zone)
            return _RowLead(row.number, item, ListedLead(lead_id, digest_of(item), created_at))
        except DamagedLeadIdError:
            return UnreadableLead(None, _("row {number}: {problem}", number=row.number, problem=_(_DAMAGED_ID)))
        except UnreadableLeadError as error:
            return UnreadableLead(lead_id, str(error) if lead_id else f"row {row.number}: {error}")

    def _parsed(self, opened: _CheckedExportFile, one: _RowLead | UnreadableLead) -> Lead | UnreadableLead:
        """Return the lead, or why it cannot be read."""
        if isinstance(one, UnreadableLead):
            return one
        if one.row == opened.possibly_cut_row:  # the id itself may be cut
            return UnreadableLead(None, _("row {number}: {problem}", number=one.row, problem=_(_CUT_ROW)))
        try:
            return self._parser.parse(one.item, one.listed.id, one.listed.digest)
        except UnreadableLeadError as error:
            return UnreadableLead(one.listed.id, str(error))


def _item_of(opened: _CheckedExportFile, row: object) -> dict[str, object]:
    """Return a row as a lead; empty if its id is damaged."""
    try:
        return opened.columns.lead_from_row(row.cells) if isinstance(row, Row) else {}
    except DamagedLeadIdError:
        return {}


def _token(sha256: str, row: int) -> str:
    return json.dumps({"file": sha256, "after": row})


def _row_after(resume: str | None, sha256: str) -> int:
    """Return the row after which to go on; 0 if the token is another file's or another source's."""
    try:
        token = json.loads(resume or "{}")
        return int(token["after"]) if token["file"] == sha256 else 0
    except (ValueError, KeyError, TypeError):
        return 0
