"""`oplead status set`: one lead's status, or those of a CSV file."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.crm import LeadWriter, WriteFault, WriteReceipt, WriteRefused, Written
from connectors.errors import ConnectorError
from connectors.ports import LeadSource
from connectors.records import Lead, LeadId, Lost
from connectors.text import counted
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import ATTEMPTS, OpleadContext
from jobs.oplead_commands.outcomes import ADMIN, document_of, exit_of, sentence_of
from jobs.reporting.console import print_json, say
from jobs.rules.model import normalise_label

SETTABLE = ("En cours", "Nurserie", "Devis à relancer", "Devis relancer")
"""The statuses that Oplead's guide says an integration may set, the last one in either of its spellings."""
_BY_NORMAL = {normalise_label(label): label for label in SETTABLE}
_ID_COLUMNS = ("id", "lead", "lead_id")
_STATUS_COLUMNS = ("status", "statut")
_MOST_ROWS = 100_000
_SHOWN = 20


def label_of(text: str, *, force: bool) -> str:
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


def set_one(context: OpleadContext, lead_id: LeadId, text: str, *, force: bool) -> int:
    """Show the change, ask, set one lead's status, and say what became of it."""
    try:
        label = label_of(text, force=force)
    except ValueError as error:
        raise UsageError(f"STATUS: {error}") from None
    if not _is_agreed(context, f"lead {lead_id}: status {label}", f"Set the status of lead {lead_id} to {label}?"):
        return Exit.DONE
    with context.writer() as writer, context.source() as source:
        receipt = settled(context, writer, source, lead_id, label)
    look = f"Look at it: `oplead-sync oplead leads get {lead_id}`; setting the same status again does no harm."
    if context.approval.json:
        print_json({"lead": lead_id, "status": label, **document_of(receipt), "exit_code": exit_of(receipt)})
    else:
        say(sentence_of(receipt, f"Lead {lead_id} is {label} now", key=ADMIN, look=look))
    return exit_of(receipt)


def set_many(context: OpleadContext, file: Path, *, force: bool) -> int:
    """Validate a file whole, show what it holds, ask, set each status, and say what was refused and why."""
    wanted = read_file(file, force=force)
    tally = Counter(wanted.values())
    shown = ", ".join(f"{label} ×{count}" for label, count in tally.items())
    if not _is_agreed(context, f"{counted(len(wanted), 'lead')}: {shown}", f"Set {counted(len(wanted), 'status', 'statuses')}?"):
        return Exit.DONE
    codes: list[int] = []
    problems: list[str] = []
    with context.writer() as writer, context.source() as source:
        for lead_id, label in wanted.items():
            receipt = settled(context, writer, source, lead_id, label)
            codes.append(exit_of(receipt))
            if context.approval.json:
                print_json({"lead": lead_id, "status": label, **document_of(receipt)})
            elif not isinstance(receipt, Written):
                look = "Run the same file again: a status that is set already is set once more, which does no harm."
                problems.append(f"{lead_id}: {sentence_of(receipt, '', key=ADMIN, look=look)}")
            if codes[-1] in _ENDS:
                break
    if not context.approval.json:
        say(*problems[:_SHOWN], *([f"and {counted(len(problems) - _SHOWN, 'more')}"] if len(problems) > _SHOWN else []))
        say(f"{counted(codes.count(Exit.DONE), 'status', 'statuses')} set of {len(wanted)}.")
    return codes[-1] if codes[-1] in _ENDS else Exit.ATTENTION if any(codes) else Exit.DONE


_ENDS = frozenset({Exit.CONFIGURATION, Exit.STOPPED})
"""What would befall every other lead too."""


def settled(
    context: OpleadContext, writer: LeadWriter, source: LeadSource, lead_id: LeadId, label: str
) -> WriteReceipt:
    """Set a status; after a lost answer read the lead, and set it again only if it has another."""
    receipt = context.until_taken(lambda: writer.set_status(lead_id, label))
    for _ in range(ATTEMPTS - 1):
        if not isinstance(receipt, Lost):
            break
        has = _label_now(source, lead_id)
        if has is None:
            break
        if normalise_label(has) == normalise_label(label):
            return Written()
        receipt = context.until_taken(lambda: writer.set_status(lead_id, label))
    return receipt


def _label_now(source: LeadSource, lead_id: LeadId) -> str | None:
    """Return a lead's status, or None if it cannot be read."""
    try:
        found = dict(source.fetch_each([lead_id])).get(lead_id)
    except ConnectorError:
        return None
    return (found.label or "") if isinstance(found, Lead) else None


def _is_agreed(context: OpleadContext, shown: str, question: str) -> bool:
    dry_run, json = context.approval.dry_run, context.approval.json
    if json and dry_run:
        print_json({"rehearsed": True, "would_set": shown})
    elif not json:
        say(shown)
    if dry_run or not context.agrees(question):
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
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    lines = text.splitlines()
    header = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=";" if header.count(";") > header.count(",") else ",", strict=True)
    columns = {(name or "").strip().casefold(): name for name in rows.fieldnames or ()}
    id_column = next((columns[name] for name in _ID_COLUMNS if name in columns), None)
    status_column = next((columns[name] for name in _STATUS_COLUMNS if name in columns), None)
    if id_column is None or status_column is None:
        raise UsageError(f"{file}: its first line must name the columns id and status")
    wanted: dict[LeadId, str] = {}
    problems: list[str] = []
    try:
        for row in rows:
            lead_id, status = LeadId((row[id_column] or "").strip()), (row[status_column] or "").strip()
            try:
                label = _row(lead_id, status, wanted, force=force)
            except ValueError as error:
                problems.append(f"{file}:{rows.line_num}: {error}")
            else:
                wanted[lead_id] = label
    except csv.Error as error:
        problems.append(f"{file}:{rows.line_num}: {error}")
    if len(wanted) > _MOST_ROWS:
        problems.append(f"{file}: at most {_MOST_ROWS:,} lines at once")
    if not wanted and not problems:
        problems.append(f"{file}: it names no lead")
    if problems:
        more = [f"and {counted(len(problems) - _SHOWN, 'more')}"] if len(problems) > _SHOWN else []
        raise UsageError("\n".join([*problems[:_SHOWN], *more, "Nothing was written."]))
    return wanted


def _row(lead_id: LeadId, status: str, wanted: Mapping[LeadId, str], *, force: bool) -> str:
    if not lead_id or not lead_id.isprintable() or lead_id in {".", ".."}:
        raise ValueError("the lead's id is missing or cannot be used")
    label = label_of(status, force=force)
    if wanted.get(lead_id, label) != label:
        raise ValueError(f"lead {lead_id} has two statuses")
    return label
