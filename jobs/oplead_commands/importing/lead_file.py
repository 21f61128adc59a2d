"""Read a file of leads to create, CSV or JSON lines, and validate it whole."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from connectors.contact import clean_emails, clean_phones
from connectors.crm import LeadToWrite
from connectors.errors import Misconfigured
from connectors.language import N_, _, _n, join_with_newlines
from jobs.exit_codes import UsageError
from jobs.oplead_commands.creation.identity import lead_content_hash
from jobs.oplead_commands.creation.lead_values import lead_from_values
from jobs.oplead_commands.importing.columns import REFERENCE, Column, imported_columns, quoted_column_title
from jobs.wiring.texts import read_csv_rows

_LARGEST = 64 * 1024**2  # bytes
_SHOWN = 20
Encoding = Literal["utf-8", "utf-16", "cp1252"]
Delimiter = Literal[";", ",", "tab"]
ReadClickIds = Callable[[str, str | None], Mapping[str, str]]
"""Reads a column of click ids, given the UTM source: the values by their names, none if there is no click id."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One lead of a file."""

    line: int
    lead: LeadToWrite = field(repr=False)
    reference: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LeadFileOptions:
    """How a file is read."""

    zone: ZoneInfo
    read_click_ids: ReadClickIds
    check: Callable[[LeadToWrite], object]
    """Raises ValueError if a lead cannot be written."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What titles mean, by title."""
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None


Cells = Mapping[str, str]
"""A row's values that are not blank, by title."""


def read_lead_file(file: Path, options: LeadFileOptions) -> list[FileRow]:
    """Return the leads of a file, in its order.

    Raises:
        UsageError: anything is wrong with it; the message names every line, at most twenty, and repeats no value.
    """
    titles, lines = _open_titles_and_rows(file, options)
    try:
        columns = {column.title: column for column in imported_columns(titles, options.columns)}
    except UsageError as error:
        raise _file_problems_error(file, str(error).splitlines()) from None
    rows: list[FileRow] = []
    problems: list[str] = []
    first_lines: dict[str, int] = {}
    for line, cells in lines:
        try:
            row = _row(line, cells, columns, options)
        except (ValueError, UsageError) as error:
            problems.append(_("line {line}: {text}", line=line, text=error))
            continue
        rows.append(row)
        before = first_lines.setdefault(row.reference or lead_content_hash(row.lead, b""), line)
        if before != line:
            same = N_("line {line}: it is the same lead as line {before}")
            if row.reference is not None:
                same = N_("line {line}: it has the reference of line {before}")
            problems.append(_(same, line=line, before=before))
    if problems:
        raise _file_problems_error(file, problems)
    if not rows:
        raise _file_problems_error(file, [_("it holds no lead")])
    return rows


def _file_problems_error(file: Path, problems: Sequence[str]) -> UsageError:
    more = len(problems) - _SHOWN
    last = [_n("and {count} more problem", "and {count} more problems", more)] if more > 0 else []
    shown = [_("{file}: {why}", file=file, why=each) for each in problems[:_SHOWN]]
    return UsageError(join_with_newlines([*shown, *last, _("Nothing was written.")]))


# ── one lead ─────────────────────────────────────────────────────────────────────────────────────


def _row(line: int, cells: Cells, columns: Mapping[str, Column], options: LeadFileOptions) -> FileRow:
    """Return a row's lead.

    Raises:
        UsageError, ValueError: it cannot be created as it is.
    """
    values: dict[str, str] = {}
    fields: dict[str, str] = {}
    called: dict[str, str] = {}
    for title, column in columns.items():
        text = cells.get(title)
        if text is None:
            continue
        if column.is_refused_if_filled:
            raise ValueError(
                _(
                    "{title}: a lead is created with one of these only; give it a path by --columns",
                    title=quoted_column_title(title),
                )
            )
        if column.name is None:
            fields[column.path] = text
        else:
            values[column.name], called[column.name] = text, quoted_column_title(title)
    reference = values.pop(REFERENCE, None)
    if (text := values.pop("click_id", None)) is not None:
        ids = options.read_click_ids(text, values.get("utm_source"))
        if not ids:
            raise ValueError(
                _("{title}: there is no click id in it; write gclid=… or fbclid=…", title=called["click_id"])
            )
        if twice := [name for name in ids if name in values]:
            raise ValueError(_("{title}: {name} has a column of its own too", title=called["click_id"], name=twice[0]))
        values |= ids
    lead = lead_from_values(values, fields, options.zone, called=lambda name: called.get(name, name), in_a_file=True)
    _require_valid_contact(lead, called)
    options.check(lead)
    return FileRow(line, lead, reference.strip() if reference else None)


def _require_valid_contact(lead: LeadToWrite, called: Mapping[str, str]) -> None:
    contact = lead.contact
    if not contact.emails and not contact.phones:
        raise ValueError(_("a lead needs an e-mail address or a phone number"))
    if contact.emails and len(clean_emails(contact.emails)) != 1:
        raise ValueError(_("{title}: this is no e-mail address, or several", title=called["email"]))
    if contact.phones and len(clean_phones(contact.phones, country=contact.country)) != 1:
        raise ValueError(
            _("{title}: this is no phone number, or several; write it as +33 6 12 34 56 78", title=called["phone"])
        )


# ── formats ──────────────────────────────────────────────────────────────────────────────────────


def _open_titles_and_rows(file: Path, options: LeadFileOptions) -> tuple[Sequence[str], Iterator[tuple[int, Cells]]]:
    """Return a file's titles, and each row that is not blank with its line number."""
    if not file.is_file():
        raise UsageError(_("{file}: there is no such file", file=file))
    if file.stat().st_size > _LARGEST:
        raise UsageError(_("{file}: it has more than {size} MB; split it", file=file, size=_LARGEST // 1024**2))
    match file.suffix.casefold():
        case ".csv" | ".tsv" | ".txt":
            return _csv(file, options)
        case ".jsonl" | ".ndjson":
            lines = list(_json_lines(file))
            return list(dict.fromkeys(title for _line, cells in lines for title in cells)), iter(lines)
    raise UsageError(_("{file}: name it .csv, or .jsonl if each line is a JSON object", file=file))


def _csv(file: Path, options: LeadFileOptions) -> tuple[Sequence[str], Iterator[tuple[int, Cells]]]:
    try:
        titles, rows = read_csv_rows(file, encoding=options.encoding, delimiter=options.delimiter)
    except Misconfigured as error:
        raise _unwritten(error) from None
    if twice := [title for number, title in enumerate(titles) if title and title in titles[:number]]:
        raise _file_problems_error(
            file, [_("line 1: two columns are called {title}", title=quoted_column_title(twice[0]))]
        )

    def filled() -> Iterator[tuple[int, Cells]]:
        try:
            for line, cells in rows:
                yield line, {title: text for title, text in zip(titles, cells, strict=True) if text.strip()}
        except Misconfigured as error:
            raise _unwritten(error) from None

    return titles, filled()


def _unwritten(error: Misconfigured) -> UsageError:
    return UsageError(join_with_newlines([str(error), _("Nothing was written.")]))


def _json_lines(file: Path) -> Iterator[tuple[int, Cells]]:
    problems: list[str] = []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _file_problems_error(file, [_("save it as UTF-8")]) from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, _json_cells(line)
        except ValueError as error:
            problems.append(_("line {line}: {text}", line=number, text=error))
    if problems:
        raise _file_problems_error(file, problems)


def _json_cells(line: str) -> Cells:
    try:
        read = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=_reject_duplicate_names)
    except json.JSONDecodeError:
        raise ValueError(_("this is no JSON object")) from None
    except RecursionError:
        raise ValueError(_("it is nested too deeply")) from None
    if not isinstance(read, dict):
        raise ValueError(_("this is no JSON object"))  # noqa: TRY004 - what the file holds
    cells: dict[str, str] = {}
    for title, value in read.items():
        if isinstance(value, dict | list):
            said = N_("{title}: write a text; a value within another one is named by its path")
            if isinstance(value, list):
                said = N_("{title}: write a single text in place of the list")
            raise ValueError(_(said, title=quoted_column_title(title)))  # noqa: TRY004 - what the file holds
        text = str(value).lower() if isinstance(value, bool) else value
        if text is not None and str(text).strip():
            cells[title] = str(text)
    return cells


def _reject_duplicate_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError(_("a name stands there twice"))
    return made
