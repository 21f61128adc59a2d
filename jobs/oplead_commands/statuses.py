"""`oplead status set`: one lead's status, or those of a CSV file."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from connectors.crm import LeadWriter, WriteAccepted, WriteReceipt
from connectors.errors import ConnectorError
from connectors.ports import LeadSource
from connectors.records import Lead, LeadId, Lost
from connectors.text import plural
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import ATTEMPTS, OpleadContext, named_lead
from jobs.oplead_commands.outcomes import ADMIN, exit_of, write_outcome_for_json, write_outcome_sentence
from jobs.reporting.console import print_json, say
from jobs.rules.model import normalise_label
from jobs.wiring.texts import lead_id_in

SETTABLE = ("En cours", "Nurserie", "Devis à relancer", "Devis relancer")
"""The statuses that Oplead's guide says an integration may set, the last one in either of its spellings."""
_BY_NORMAL = {normalise_label(label): label for label in SETTABLE}
_ID_COLUMNS = ("id", "lead", "lead_id")
_STATUS_COLUMNS = ("status", "statut")
_LARGEST_FILE = 16 * 1024**2  # bytes
_SHOWN = 20


def official_status_spelling(text: str, *, force: bool) -> str:
    """Return a status as the guide spells it, or with `force` any other as it is.

    Raises:
        ValueError: the guide does not name it.
    """
    known = _BY_NORMAL.get(normalise_label(text))
    if known is None and not force:
        raise ValueError(f"an integration may set {', '.join(SETTABLE)}; for another write --force")
    if not text.strip() or not text.isprintable():
        raise ValueError("write a status, as Oplead spells it")
    return known or text.strip()


def set_lead_status(context: OpleadContext, lead_id: str, text: str, *, force: bool) -> int:
    """Show the change, ask, set one lead's status, and say what became of it."""
    named = named_lead(lead_id)
    try:
        label = official_status_spelling(text, force=force)
    except ValueError as error:
        raise UsageError(f"STATUS: {error}") from None
    question = f"Set the status of lead {named} to {label}?"
    if not _is_agreed(context, f"lead {named}: status {label}", {label: 1}, question):
        return Exit.DONE
    with context.writer() as writer, context.source() as source:
        receipt = set_and_confirm_status(context, writer, source, named, label)
    look = f"Look at it: `{context.command(f'leads get {named}')}`; setting the same status again does no harm."
    if context.approval.json:
        print_json({"lead": named, "label": label, **write_outcome_for_json(receipt), "exit_code": exit_of(receipt)})
    else:
        say(write_outcome_sentence(receipt, f"Lead {named} is {label} now", key=ADMIN, look=look))
    return exit_of(receipt)


def set_statuses_from_file(context: OpleadContext, file: Path, *, force: bool) -> int:
    """Validate a file whole, show what it holds, ask, set each status, and say what was refused and why."""
    wanted = read_file(file, force=force)
    tally = Counter(wanted.values())
    shown = ", ".join(f"{label} ×{count}" for label, count in tally.items())
    question = f"Set {plural(len(wanted), 'status', 'statuses')}?"
    if not _is_agreed(context, f"{plural(len(wanted), 'lead')}: {shown}", tally, question):
        return Exit.DONE
    codes: list[int] = []
    problems: list[str] = []
    left = dict(wanted)
    lost_in_a_row = 0
    with context.writer() as writer, context.source() as source:
        for lead_id, label in wanted.items():
            receipt = set_and_confirm_status(context, writer, source, lead_id, label)
            codes.append(exit_of(receipt))
            lost_in_a_row = lost_in_a_row + 1 if isinstance(receipt, Lost) else 0
            if codes[-1] not in _ENDS and not isinstance(receipt, Lost):
                del left[lead_id]
            if context.approval.json:
                print_json({"lead": lead_id, "label": label, **write_outcome_for_json(receipt)})
            elif not isinstance(receipt, WriteAccepted):
                look = f"Look at it: `{context.command(f'leads get {lead_id}')}`."
                problems.append(f"{lead_id}: {write_outcome_sentence(receipt, '', key=ADMIN, look=look)}")
            if codes[-1] in _ENDS or lost_in_a_row == _MOST_LOST:
                break
    if not context.approval.json:
        say(*_first(problems))
        say(f"{plural(codes.count(Exit.DONE), 'status', 'statuses')} set of {len(wanted)}.")
        if left:
            said = ", ".join(_first(list(left)))
            say(f"Left: {said}. Run a file with only these lines; the others are settled, and may have moved on since.")
    return codes[-1] if codes[-1] in _ENDS else Exit.ATTENTION if any(codes) else Exit.DONE


_ENDS = frozenset({Exit.CONFIGURATION, Exit.STOPPED})
"""What would befall every other lead too."""
_MOST_LOST = 10
"""After so many lost answers in a row, nothing else is sent."""


def set_and_confirm_status(
    context: OpleadContext, writer: LeadWriter, source: LeadSource, lead_id: LeadId, label: str
) -> WriteReceipt:
    """Set a status; after a lost answer read the lead, and set it again only if nobody has changed it since."""
    before = _label_now(source, lead_id)
    receipt = context.retry_until_write_arrives(partial(writer.set_status, lead_id, label))
    for _ in range(ATTEMPTS - 1):
        if not isinstance(receipt, Lost):
            break
        has = _label_now(source, lead_id)
        if has is None:
            break
        if normalise_label(has) == normalise_label(label):
            return WriteAccepted()
        if before is None or normalise_label(has) != normalise_label(before):
            break  # somebody else has set another since, which stays
        receipt = context.retry_until_write_arrives(partial(writer.set_status, lead_id, label))
    return receipt


def _label_now(source: LeadSource, lead_id: LeadId) -> str | None:
    """Return a lead's status, or None if it cannot be read."""
    try:
        found = dict(source.fetch_each([lead_id])).get(lead_id)
    except ConnectorError:
        return None
    return (found.label or "") if isinstance(found, Lead) else None


def _is_agreed(context: OpleadContext, shown: str, labels: Mapping[str, int], question: str) -> bool:
    dry_run, json = context.approval.dry_run, context.approval.json
    if json and dry_run:
        print_json({"rehearsed": True, "labels": dict(labels)})
    elif not json:
        say(shown)
    if dry_run or not context.ask_write_approval(question):
        if not json:
            say("Nothing was written.")
        return False
    return True


# ── the file ─────────────────────────────────────────────────────────────────────────────────────


def read_file(file: Path, *, force: bool) -> Mapping[LeadId, str]:
    """Return each lead's status, in the file's order.

    Raises:
        UsageError: it cannot be used as it is; it names every line and why.
    """
    lines = _lines_of(file)
    header = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=";" if header.count(";") > header.count(",") else ",", strict=True)
    wanted: dict[LeadId, str] = {}
    problems: list[str] = []
    try:
        id_column, status_column = _columns(rows.fieldnames or ())
        for row in rows:
            try:
                lead_id, label = _row(row[id_column], row[status_column], wanted, force=force)
            except ValueError as error:
                problems.append(f"{file}:{rows.line_num}: {error}")
            else:
                wanted[lead_id] = label
    except _NoColumnError as error:
        problems.append(f"{file}:1: {error}")
    except csv.Error as error:
        problems.append(f"{file}:{rows.line_num + 1}: {error}")
    if not wanted and not problems:
        problems.append(f"{file}: it names no lead")
    if problems:
        raise UsageError("\n".join([*_first(problems), "Nothing was written."]))
    return wanted


class _NoColumnError(Exception):
    """A column is missing."""


def _lines_of(file: Path) -> list[str]:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{file}: at most {_LARGEST_FILE // 1024**2} MB at once")
        return file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: save it as UTF-8") from None


def _columns(names: Iterable[str]) -> tuple[str, str]:
    by_name = {name.strip().casefold(): name for name in names}
    id_column = next((by_name[name] for name in _ID_COLUMNS if name in by_name), None)
    status_column = next((by_name[name] for name in _STATUS_COLUMNS if name in by_name), None)
    if id_column is None or status_column is None:
        raise _NoColumnError("the first line must name the columns id and status")
    return id_column, status_column


def _row(lead_id: str | None, status: str | None, wanted: Mapping[LeadId, str], *, force: bool) -> tuple[LeadId, str]:
    known_as = lead_id_in(lead_id or "")
    if known_as is None:
        raise ValueError("the lead's id is missing or cannot be used")
    label = official_status_spelling(status or "", force=force)
    if wanted.get(known_as, label) != label:
        raise ValueError(f"lead {known_as} has two statuses")
    return known_as, label


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"and {plural(more, 'more', 'more')}"] if more > 0 else [])]
