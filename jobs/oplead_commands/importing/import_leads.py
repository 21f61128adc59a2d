"""`oplead leads import`: create the leads of a file, each once, however often the command is killed and run again."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path

import structlog

from connectors.crm import PreviewsWrites, WritePreview
from connectors.language import N_, _, _n, format_integer
from jobs.cancellation import StoppedBySignal
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.creating import (
    CHANGED_MEANWHILE,
    OpleadLeadCreator,
    Verdict,
    add_reference_to_lead,
    lead_to_create,
    may_send,
)
from jobs.oplead_commands.creation.lead_values import click_id_values
from jobs.oplead_commands.creation.outbox import (
    LeadCreationOutbox,
    LeadCreationRecord,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)
from jobs.oplead_commands.importing.columns import read_column_mapping
from jobs.oplead_commands.importing.import_report import (
    FileLine,
    line_outcome,
    report_line_outcomes,
    say_changed_import_lines,
    write_report,
)
from jobs.oplead_commands.importing.lead_file import Delimiter, Encoding, FileRow, LeadFileOptions, read_lead_file
from jobs.reporting.console import facts_grid, results_console, say
from jobs.reporting.presentation import print_json
from jobs.reporting.progress_bars import WorkProgress
from jobs.wiring.texts import click_ids_in

_log = structlog.stdlib.get_logger()
_LOG_EVERY = 100  # leads
_SHOWN_AS_THEY_ARE = ("utm_source", "utm_medium", "utm_campaign")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is imported."""

    columns: Path | None = None
    """The mapping file."""
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    verdict: Verdict | None = None
    """What a human says of the leads in doubt."""
    report: Path | None = None
    """Where the state of each line is written."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an import would do."""

    lines: Sequence[FileLine]
    before: Mapping[str, LeadCreationRecord]
    """What was on record, by key."""
    lines_to_send: Sequence[FileLine]
    """The lines whose lead may be sent: not those in doubt, unless a human says so."""

    @property
    def lines_to_settle(self) -> Sequence[FileLine]:
        """The lines with something to settle."""
        return [one for one in self.lines if one.key not in self.before or not self.before[one.key].is_in_oplead]

    @property
    def lines_with_changed_content(self) -> Sequence[FileLine]:
        """The lines that were imported with other content."""
        return [one for one in self.lines if one.has_changed_since_creation(self.before.get(one.key))]


def import_file_into_oplead(context: OpleadContext, file: Path, options: ImportOptions) -> int:
    """Validate a file whole, show what it holds, ask, create what is new, and say what became of each line."""
    if options.report is not None and (options.report.exists() or not options.report.parent.is_dir()):
        raise UsageError(
            _(
                "{file}: it exists already, or its folder does not; name another file for --report",
                file=options.report,
            )
        )
    with context.writer() as writer:
        rows = read_lead_file(file, _file_options(context, writer, options))
        path = lead_creation_outbox_path(context.known.state_folder, context.known.settings.account)
        with open_outbox(path) as known:
            plan = _plan(context, rows, known, options.verdict)
        _show(context, writer, plan)
        if context.approval.dry_run:
            return Exit.DONE
        asked = len(plan.lines_to_send)
        question = _n("Create {count} lead in Oplead?", "Create {count} leads in Oplead?", asked)
        if asked and not context.ask_write_approval(question):
            say(_("Nothing was written."))
            return Exit.DONE
        with lock_lead_creation_outbox(path, now=context.clock.now) as outbox:
            plan = _plan(context, rows, outbox, options.verdict)
            left = len(plan.lines_to_send)
            if left > asked:
                raise UsageError(_(CHANGED_MEANWHILE))
            if left != asked and not context.approval.json_wanted:
                say(
                    _(
                        "Another command has created some of them meanwhile; to create: {left}.",
                        left=format_integer(left),
                    )
                )
            creating = _create_due_leads(context, outbox, plan, options.verdict)
            after = outbox.find([one.key for one in plan.lines])
    outcomes = [
        line_outcome(one, plan.before.get(one.key), after.get(one.key), creating.refusals.get(one.key))
        for one in plan.lines
    ]
    if options.report is not None:
        write_report(options.report, outcomes)
    return report_line_outcomes(
        outcomes,
        creating,
        doubtful=[one for one in after.values() if not one.is_in_oplead],
        zone=context.known.settings.zone,
        update_command=context.account_command_line("leads update LEAD"),
        json=context.approval.json_wanted,
    )


def _file_options(context: OpleadContext, writer: PreviewsWrites, options: ImportOptions) -> LeadFileOptions:
    look = context.known.settings
    return LeadFileOptions(
        zone=look.zone,
        read_click_ids=lambda text, utm_source: click_id_values(click_ids_in(look, text, utm_source)),
        check=writer.preview_write,
        columns=read_column_mapping(options.columns) if options.columns else {},
        encoding=options.encoding,
        delimiter=options.delimiter,
    )


def _plan(
    context: OpleadContext, rows: Sequence[FileRow], outbox: LeadCreationOutbox | None, verdict: Verdict | None
) -> _Plan:
    salt = outbox.salt if outbox else b""
    lines = [
        FileLine(
            row.line,
            lead_to_create(context, add_reference_to_lead(context, row.lead, row.reference), row.reference, salt),
        )
        for row in rows
    ]
    before, now = outbox.find([one.key for one in lines]) if outbox else {}, context.clock.now()
    return _Plan(lines, before, [one for one in lines if may_send(before.get(one.key), verdict, now)])


def _create_due_leads(
    context: OpleadContext, outbox: LeadCreationOutbox, plan: _Plan, verdict: Verdict | None
) -> OpleadLeadCreator:
    """Do as a human says with what is in doubt, and create what is due."""
    with _progress(len(plan.lines_to_settle)) as on_settled:
        creating = OpleadLeadCreator(
            context, outbox, {one.key: one.wanted for one in plan.lines_to_settle}, on_settled, verdict
        )
        try:
            creating.run()
        except StoppedBySignal:
            if not context.approval.json_wanted:
                say(_("Stopped. The same command goes on from here, and creates no lead twice."))
            raise
    outbox.erase_recognition_marks(now=context.clock.now())
    return creating


# ── what is shown first ──────────────────────────────────────────────────────────────────────────


def _show(context: OpleadContext, writer: PreviewsWrites, plan: _Plan) -> None:
    due, rate = plan.lines_to_send, context.known.settings.oplead.rate
    minutes = ceil(len(due) / rate)
    done = len(plan.lines) - len(plan.lines_to_settle)
    preview = writer.preview_write(due[0].wanted.lead) if due else WritePreview("", {})
    first = {place: _masked(place, value) for place, value in preview.values.items()}
    dry_run = context.approval.dry_run
    if context.approval.json_wanted:
        if dry_run:
            counts = {
                "to_create": len(due),
                "created_before": done,
                "changed": len(plan.lines_with_changed_content),
                "minutes": minutes,
            }
            print_json({"rehearsed": True, **counts, "request": preview.request, "first": first})
        return
    say(
        _n(
            "{count} lead in the file; created before: {done}; to create: {due}.",
            "{count} leads in the file; created before: {done}; to create: {due}.",
            len(plan.lines),
            done=format_integer(done),
            due=format_integer(len(due)),
        )
    )
    if doubtful := len(plan.lines_to_settle) - len(due):
        say(
            _n(
                "{count} whose answer was lost is not sent by this command.",
                "{count} whose answers were lost are not sent by this command.",
                doubtful,
            )
        )
    if due:
        a_minute = _n("{count} request a minute", "{count} requests a minute", rate)
        say(_n("About {count} minute at {rate}.", "About {count} minutes at {rate}.", minutes, rate=a_minute))
        line = due[0].line
        say(_("{request}; the first one, from line {line}, masked:", request=preview.request, line=line))
        results_console().print(facts_grid(tuple(first.items())))
    if dry_run:
        say_changed_import_lines(
            [one.line for one in plan.lines_with_changed_content], context.account_command_line("leads update LEAD")
        )
        say(_("Nothing was written."))


def _masked(place: str, value: str) -> str:
    return value if place.rpartition(".")[2] in _SHOWN_AS_THEY_ARE else f"{value[:1]}…"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show how many leads are settled: a bar at a terminal, otherwise a log line for every hundred."""
    if not sys.stderr.isatty():
        settled = count(1)

        def log() -> None:
            if (done := next(settled)) % _LOG_EVERY == 0:
                _log.info("importing", settled=done, total=total)

        yield log
        return
    settled_so_far = 0
    # Drawn only as it moves: the waits for Oplead's rate are shown in between.
    with WorkProgress(auto_refresh=False) as bar:
        bar.begin_step(_("importing"), lambda: settled_so_far, N_("{count} lead", "{count} leads"), lambda: total)

        def advance() -> None:
            nonlocal settled_so_far
            settled_so_far += 1
            bar.refresh()

        yield advance
