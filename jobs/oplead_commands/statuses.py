"""`oplead status set`: one lead's status, or those of a CSV file."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from connectors.crm import LeadWriter, WriteAccepted, WriteReceipt
from connectors.errors import ConnectorError
from connectors.language import _, _n, format_integer, format_list, join_with_newlines
from connectors.ports import LeadSource
from connectors.records import AnswerLost, Lead, LeadId
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import ATTEMPTS, OpleadContext, parse_lead_id_argument
from jobs.oplead_commands.outcomes import ADMIN, exit_code_of_write, write_outcome_for_json, write_outcome_sentence
from jobs.reporting.console import say
from jobs.reporting.presentation import print_json
from jobs.rules.labels import normalise_label
from jobs.wiring.texts import parse_lead_id

SETTABLE = ("En cours", "Nurserie", "Devis à relancer", "devis relancer")
"""The statuses that Oplead's guide says an integration may set, the last one in either of its spellings."""
_GUIDE = {normalise_label(label): label for label in SETTABLE}
_QUOTE = ("devis relancer", "devis a relancer")
"""One status: as the guide's answer has it, and as its question does."""
_AS_TYPED = "devis relance"
"""What people write for it; where an Oplead has a status of just this name, that is another one."""
Statuses = Mapping[str, str]
"""What this Oplead itself calls its statuses, by their codes; empty where it does not say so."""
_NOT_SAID: Statuses = {}
_ID_COLUMNS = ("id", "lead", "lead_id")
_STATUS_COLUMNS = ("status", "statut")
_LARGEST_FILE = 16 * 1024**2  # bytes
_SHOWN = 20


def official_status_spelling(text: str, *, force: bool, statuses: Statuses = _NOT_SAID) -> str:
    """Return a status as this Oplead spells it, else as the guide does, or with `force` any other as it is.

    Raises:
        ValueError: the guide does not name it.
    """
    wanted = normalise_label(text)
    if wanted not in {*_GUIDE, _AS_TYPED} and not force:
        raise ValueError(
            _(
                "an integration may set {statuses}; for another write --force",
                statuses=format_list(SETTABLE, either=True),
            )
        )
    if not text.strip() or not text.isprintable():
        raise ValueError(_("write a status, as Oplead spells it"))
    alike = (wanted, *_QUOTE) if wanted in {*_QUOTE, _AS_TYPED} and not force else (wanted,)
    own = {normalise_label(one): one for one in (*statuses, *statuses.values())}
    return next((names[one] for names in (own, _GUIDE) for one in alike if one in names), text.strip())


def set_lead_status(context: OpleadContext, lead_id: str, text: str, *, force: bool) -> int:
    """Show the change, ask, set one lead's status, and say what became of it."""
    named = parse_lead_id_argument(lead_id)
    try:
        official_status_spelling(text, force=force)
    except ValueError as error:
        raise UsageError(_("STATUS: {error}", error=error)) from None
    statuses = context.official_statuses()
    label = official_status_spelling(text, force=force, statuses=statuses)
    question = _("Set the status of lead {lead} to {label}?", lead=named, label=label)
    shown = _("lead {lead}: status {label}", lead=named, label=label)
    if not context.is_write_confirmed(question, rehearsed={"labels": {label: 1}}, show=partial(say, shown)):
        return Exit.DONE
    with context.writer() as writer, context.source() as source:
        receipt = set_and_confirm_status(context, writer, source, named, label, statuses=statuses)
    look = _(
        "Look at it: `{command}`; setting the same status again does no harm.",
        command=context.account_command_line(f"leads get {named}"),
    )
    text = write_outcome_sentence(
        receipt, _("Lead {lead} is {label} now", lead=named, label=label), key=ADMIN, look=look
    )
    return context.report_write(receipt, {"lead": named, "label": label}, text, exit_code=exit_code_of_write(receipt))


def set_statuses_from_file(context: OpleadContext, file: Path, *, force: bool) -> int:
    """Validate a file whole, show what it holds, ask, set each status, and say what was refused and why."""
    typed, statuses = read_lead_status_file(file, force=force), context.official_statuses()
    wanted = {lead: official_status_spelling(text, force=force, statuses=statuses) for lead, text in typed.items()}
    tally = Counter(wanted.values())
    shown = _n(
        "{count} lead: {labels}",
        "{count} leads: {labels}",
        len(wanted),
        labels=", ".join(f"{label} ×{format_integer(count)}" for label, count in tally.items()),
    )
    question = _n("Set {count} status?", "Set {count} statuses?", len(wanted))
    if not context.is_write_confirmed(question, rehearsed={"labels": dict(tally)}, show=partial(say, shown)):
        return Exit.DONE
    codes: list[int] = []
    problems: list[str] = []
    left = dict(wanted)
    lost_in_a_row = 0
    with context.writer() as writer, context.source() as source:
        for lead_id, label in wanted.items():
            receipt = set_and_confirm_status(context, writer, source, lead_id, label, statuses=statuses)
            codes.append(exit_code_of_write(receipt))
            lost_in_a_row = lost_in_a_row + 1 if isinstance(receipt, AnswerLost) else 0
            if codes[-1] not in _ENDS and not isinstance(receipt, AnswerLost):
                del left[lead_id]
            if context.approval.json_wanted:
                print_json({"lead": lead_id, "label": label, **write_outcome_for_json(receipt)})
            elif not isinstance(receipt, WriteAccepted):
                look = _("Look at it: `{command}`.", command=context.account_command_line(f"leads get {lead_id}"))
                outcome = write_outcome_sentence(receipt, "", key=ADMIN, look=look)
                problems.append(_("{name}: {text}", name=lead_id, text=outcome))
            if codes[-1] in _ENDS or lost_in_a_row == _MOST_LOST:
                break
    if not context.approval.json_wanted:
        say(*_first(problems))
        done = codes.count(Exit.DONE)
        say(_n("{count} status set of {all}.", "{count} statuses set of {all}.", done, all=format_integer(len(wanted))))
        if left:
            say(
                _(
                    "Left: {leads}. Run a file with only these lines; the others are settled, and may have moved on "
                    "since.",
                    leads=", ".join(_first(list(left))),
                )
            )
    return codes[-1] if codes[-1] in _ENDS else Exit.ATTENTION if any(codes) else Exit.DONE


_ENDS = frozenset({Exit.CONFIGURATION, Exit.STOPPED})
"""What would befall every other lead too."""
_MOST_LOST = 10
"""After so many lost answers in a row, nothing else is sent."""


def set_and_confirm_status(
    context: OpleadContext,
    writer: LeadWriter,
    source: LeadSource,
    lead_id: LeadId,
    label: str,
    *,
    statuses: Statuses = _NOT_SAID,
) -> WriteReceipt:
    """Set a status and read it back; after a lost answer, set it again only if nobody has changed it since."""
    before = _label_now(source, lead_id)
    receipt = context.retry_write_if_not_received(partial(writer.set_status, lead_id, label))
    for _attempt in range(ATTEMPTS - 1):
        if not isinstance(receipt, WriteAccepted | AnswerLost):
            break
        has = _label_now(source, lead_id)
        if has is None:
            break
        if _is_same_label(statuses.get(has, has), statuses.get(label, label)):
            return WriteAccepted()
        if isinstance(receipt, WriteAccepted):
            return AnswerLost(_("Oplead called it done, and the lead has another status"))
        if before is None or normalise_label(has) != normalise_label(before):
            break  # somebody else has set another since, which stays
        receipt = context.retry_write_if_not_received(partial(writer.set_status, lead_id, label))
    return receipt


def _is_same_label(one: str, other: str) -> bool:
    """Whether two labels are one status; the guide's own word for a quote's may be either of two."""
    pair = {normalise_label(one), normalise_label(other)}
    return len(pair) == 1 or (_QUOTE[0] in pair and pair <= {*_QUOTE, _AS_TYPED})


def _label_now(source: LeadSource, lead_id: LeadId) -> str | None:
    """Return a lead's status, or None if it cannot be read."""
    try:
        found = dict(source.fetch_each([lead_id])).get(lead_id)
    except ConnectorError:
        return None
    return (found.label or "") if isinstance(found, Lead) else None


# ── the file ─────────────────────────────────────────────────────────────────────────────────────


def read_lead_status_file(file: Path, *, force: bool) -> Mapping[LeadId, str]:
    """Return each lead's status as it is typed, in the file's order.

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
                lead_id, text = _row(row[id_column], row[status_column], wanted, force=force)
            except ValueError as error:
                problems.append(_("{file}:{line}: {error}", file=file, line=rows.line_num, error=error))
            else:
                wanted[lead_id] = text
    except _NoColumnError as error:
        problems.append(_("{file}:{line}: {error}", file=file, line=1, error=error))
    except csv.Error as error:
        problems.append(_("{file}:{line}: {error}", file=file, line=rows.line_num + 1, error=error))
    if not wanted and not problems:
        problems.append(_("{file}: it names no lead", file=file))
    if problems:
        raise UsageError(join_with_newlines([*_first(problems), _("Nothing was written.")]))
    return wanted


class _NoColumnError(Exception):
    """A column is missing."""


def _lines_of(file: Path) -> list[str]:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UsageError(_("{file}: at most {size} MB at once", file=file, size=_LARGEST_FILE // 1024**2))
        return file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UsageError(_("{file}: there is no such file", file=file)) from None
    except UnicodeDecodeError:
        raise UsageError(_("{file}: save it as UTF-8", file=file)) from None


def _columns(names: Iterable[str]) -> tuple[str, str]:
    by_name = {name.strip().casefold(): name for name in names}
    id_column = next((by_name[name] for name in _ID_COLUMNS if name in by_name), None)
    status_column = next((by_name[name] for name in _STATUS_COLUMNS if name in by_name), None)
    if id_column is None or status_column is None:
        raise _NoColumnError(_("the first line must name the columns id and status"))
    return id_column, status_column


def _row(lead_id: str | None, status: str | None, wanted: Mapping[LeadId, str], *, force: bool) -> tuple[LeadId, str]:
    known_as = parse_lead_id(lead_id or "")
    if known_as is None:
        raise ValueError(_("the lead's id is missing or cannot be used"))
    text = status or ""
    label = official_status_spelling(text, force=force)
    if official_status_spelling(wanted.get(known_as, text), force=force) != label:
        raise ValueError(_("lead {lead} has two statuses", lead=known_as))
    return known_as, text


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([_n("and {count} more", "and {count} more", more)] if more > 0 else [])]
