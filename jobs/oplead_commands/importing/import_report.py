"""What became of each line of an imported file: said, as JSON, and as a report without contact data."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.crm import WriteReceipt, WriteRefused
from connectors.language import N_, Plural, _, _n, format_integer
from connectors.records import AnswerLost
from jobs.exit_codes import Exit
from jobs.ledger.storage.state_file import open_privately
from jobs.oplead_commands.creation.creating import OpleadLeadCreator, WantedLead
from jobs.oplead_commands.creation.outbox import LeadCreationRecord
from jobs.oplead_commands.outcomes import ANY_KEY, exit_code_of_write, write_outcome_for_json, write_outcome_sentence
from jobs.reporting.console import day_and_time, say
from jobs.reporting.presentation import print_json

_SHOWN = 20
_COUNTED = ("created", "created_before", "changed", "refused", "in_doubt", "left")
_FINE = frozenset({"created", "created_before"})
_REASONS_IN_DOUBT: Mapping[str, str] = {
    "ambiguous": N_("several leads, in Oplead or of ours, may be it"),
    "not_seen": N_("it has not been seen in Oplead"),
    "not_looked_up": N_("its answer was lost, and Oplead's leads cannot be read"),
    "no_answer": N_("its answer was lost, and it has not been looked for yet"),
    "restored": N_("it may have been created before a backup was restored, and has not been looked for yet"),
    "died": N_("a command died while it was sent, and it has not been looked for yet"),
}
"""What each reason for which a lead is in doubt means."""


@dataclass(frozen=True, slots=True)
class FileLine:
    """One line of the file, and the lead it asks for."""

    line: int
    wanted: WantedLead

    @property
    def key(self) -> str:
        """What it is on record by."""
        return self.wanted.new.key

    def has_changed_since_creation(self, one: LeadCreationRecord | None) -> bool:
        """Whether it was created with other content."""
        return one is not None and one.is_in_oplead and one.content != self.wanted.new.content


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What became of one line."""

    line: int
    state: str
    lead: str
    """Its id in Oplead; empty if it is not known."""
    reason: str
    """What Oplead said, without contact data, or a code of ours."""

    @property
    def for_json(self) -> Mapping[str, object]:
        """For JSON."""
        return {"line": self.line, "state": self.state, "lead": self.lead or None, "reason": self.reason}


def line_outcome(
    line: FileLine, before: LeadCreationRecord | None, after: LeadCreationRecord | None, refused: WriteRefused | None
) -> LineOutcome:
    """Return what became of a line, by what is on record before and after, and by what Oplead refused."""
    if refused is not None:
        status = f" ({refused.status})" if refused.status else ""
        reason = refused.reason or _("no reason that can be shown")
        return LineOutcome(line.line, "refused", "", _("{reason}{status}", reason=reason, status=status))
    if after is None:
        return LineOutcome(line.line, "left", "", "")
    if not after.is_in_oplead:
        state = "in_doubt"
    elif line.has_changed_since_creation(after):
        state = "changed"
    else:
        state = "created_before" if before is not None and before.is_in_oplead else "created"
    return LineOutcome(line.line, state, after.lead or "", after.reason)


def report_line_outcomes(
    outcomes: Sequence[LineOutcome],
    creating: OpleadLeadCreator,
    *,
    doubtful: Sequence[LeadCreationRecord],
    zone: ZoneInfo,
    update_command: str,
    json: bool,
) -> int:
    """Say what became of the lines, and return the exit code; `doubtful` are the leads in doubt."""
    code = _exit_code(outcomes, creating.stop)
    tally = Counter(one.state for one in outcomes)
    if json:
        stop = {"stopped": write_outcome_for_json(creating.stop)} if creating.stop else {}
        lines = [one.for_json for one in outcomes if one.state not in _FINE]
        looks = {"next_look": min(one.next_look_at for one in doubtful).isoformat()} if doubtful else {}
        print_json({**{name: tally[name] for name in _COUNTED}, "lines": lines, **looks, **stop, "exit_code": code})
        return code
    before = tally["created_before"] + tally["changed"]
    say(
        _(
            "Created: {created}. Created before: {before}.",
            created=format_integer(tally["created"]),
            before=format_integer(before),
        )
    )
    _say_lines(
        N_("Refused: {count}.", "Refused: {count}."),
        [_line(one, one.reason) for one in outcomes if one.state == "refused"],
    )
    say_changed_import_lines([one.line for one in outcomes if one.state == "changed"], update_command)
    _say_in_doubt([one for one in outcomes if one.state == "in_doubt"], creating.unreadable)
    if doubtful:
        _say_what_to_do(doubtful, zone)
    if tally["left"]:
        say(
            _n(
                "Left: {count}, certain not to be in Oplead. Run the same command to go on.",
                "Left: {count}, certain not to be in Oplead. Run the same command to go on.",
                tally["left"],
            )
        )
    if creating.stop is not None:
        say(_stop_sentence(creating.stop))
    return code


def say_changed_import_lines(lines: Sequence[int], update_command: str) -> None:
    """Say which lines were imported with other content, if any, and which command changes a lead."""
    if lines:
        at = ", ".join(map(str, lines[:_SHOWN]))
        if (more := len(lines) - _SHOWN) > 0:
            at = _n("{lines} and {count} more", "{lines} and {count} more", more, lines=at)
        say(
            _n(
                "Imported before with other content: {count}, at line {lines}. It stays in Oplead as it is; change it "
                "by `{command}`.",
                "Imported before with other content: {count}, at line {lines}. They stay in Oplead as they are; change "
                "them by `{command}`.",
                len(lines),
                lines=at,
                command=update_command,
            )
        )


def write_report(file: Path, outcomes: Sequence[LineOutcome]) -> None:
    """Write what became of each line to a new file that only its owner may read."""
    with open_privately(file, "x") as out:
        rows = csv.writer(out)
        rows.writerow(("line", "state", "lead", "reason"))
        rows.writerows((one.line, one.state, one.lead, one.reason) for one in outcomes)


def _exit_code(outcomes: Sequence[LineOutcome], stop: WriteReceipt | None) -> Exit:
    if stop is not None:
        return Exit.STOPPED if isinstance(stop, AnswerLost) else exit_code_of_write(stop)
    return Exit.DONE if {one.state for one in outcomes} <= _FINE else Exit.ATTENTION


def _stop_sentence(stop: WriteReceipt) -> str:
    if isinstance(stop, AnswerLost):
        return _(
            "Stopped: too many answers in a row were lost ({reason}). Run the same command later.", reason=stop.reason
        )
    return _("Stopped. {sentence}", sentence=write_outcome_sentence(stop, "", key=ANY_KEY, look=""))


def _line(one: LineOutcome, text: str) -> str:
    return _("line {line}: {text}", line=one.line, text=text)


def _say_lines(heading: Plural, lines: Sequence[str]) -> None:
    if lines:
        say(_n(*heading, len(lines)), *(f"  {each}" for each in lines[:_SHOWN]))
    if (more := len(lines) - _SHOWN) > 0:
        last = _n(
            "and {count} more; --report FILE.csv lists them all",
            "and {count} more; --report FILE.csv lists them all",
            more,
        )
        say(f"  {last}")


def _say_in_doubt(doubtful: Sequence[LineOutcome], unreadable: str | None) -> None:
    _say_lines(
        N_("In doubt: {count}.", "In doubt: {count}."),
        [
            _line(one, _(_REASONS_IN_DOUBT[one.reason]) if one.reason in _REASONS_IN_DOUBT else one.reason)
            for one in doubtful
        ],
    )
    if doubtful and unreadable is not None:
        say(_("Leads could not be looked for: {why}", why=unreadable))


def _say_what_to_do(doubtful: Sequence[LeadCreationRecord], zone: ZoneInfo) -> None:
    """Say when leads in doubt are looked for, and what a human can do."""
    if not all(one.is_for_humans for one in doubtful):
        say(
            _(
                "What is in doubt is not sent again by itself. The next look is on {time}: by `schedule`, or by the "
                "same command then.",
                time=day_and_time(min(one.next_look_at for one in doubtful), zone),
            )
        )
    if any(one.is_for_humans for one in doubtful):
        say(
            _(
                "What was not found within 30 minutes is for you to decide. Look in Oplead, or have whoever sees its "
                "leads look; then run the same command with --created if they are there, with --create-again to send "
                "them once more, or with --not-created to forget them."
            )
        )
