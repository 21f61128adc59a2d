"""What a check found: with the platforms, on the latest leads, and what it comes to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.records import AdjustmentKind, CheckFinding, CheckVerdict
from connectors.text import counted, number
from jobs.forecast import AnswersSeen, Forecast, ForecastLabel
from jobs.reporting.console import AccountHeading, keep_whole, table
from jobs.reporting.status_report import print_states
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import Route
from jobs.settings import Settings
from jobs.settings.compile import IGNORED, Rulebook
from jobs.settings.unmatched import UnmatchedReference

_STYLES = {
    CheckVerdict.FAILED: "bold red",
    CheckVerdict.DOUBTFUL: "yellow",
    CheckVerdict.UNREADABLE: "yellow",
    CheckVerdict.VERIFIED: "green",
}
"""What needs a human stands first."""
_COUNTED = {CheckVerdict.DOUBTFUL: "to look at"}
"""How several are called, where that is not the verdict itself."""


def print_findings(console: Console, found: Mapping[str, Sequence[CheckFinding]], *, verbose: bool = False) -> None:
    """Print what was found by destination: all failed ones first, each with what to do about it, what is well last.

    What is well, and asks for nothing, is one line unless all is wanted.
    """
    every = [(destination, finding) for destination, findings in found.items() for finding in findings]
    counted = Counter(finding.verdict for _, finding in every)
    summary = ", ".join(
        f"{counted[verdict]} {_COUNTED.get(verdict, verdict)}" for verdict in _STYLES if counted[verdict]
    )
    console.print(f"\n[bold]As the platforms have it[/bold]: {summary or 'nothing to look up'}")
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for verdict, style in _STYLES.items():
        for destination, finding in every:
            if finding.verdict is verdict and (verbose or not _is_well(finding)):
                made.add_row(f"  [{style}]{verdict}[/]", escape(_finding(destination, finding)))
    well = Counter(destination for destination, finding in every if _is_well(finding))
    if well and not verbose:
        said = ", ".join(f"{destination} {number(count)}" for destination, count in well.items())
        made.add_row(
            f"  [{_STYLES[CheckVerdict.VERIFIED]}]{CheckVerdict.VERIFIED}[/]", escape(f"{said} (--verbose lists them)")
        )
    console.print(made)
    if counted[CheckVerdict.UNREADABLE]:
        console.print("  [dim]What this access cannot read says nothing against sending.[/dim]")


def _is_well(finding: CheckFinding) -> bool:
    return finding.verdict is CheckVerdict.VERIFIED and not finding.advice and not finding.is_notable


def _finding(destination: str, finding: CheckFinding) -> str:
    """What was found, and below it what to do."""
    shown = f"{destination}: {finding.subject}: {finding.said}"
    return f"{shown}\n→ {finding.advice}" if finding.advice else shown


_UNLISTED = Fraction(1, 5)
"""More than this share of answers in no list is told."""
_STAGES = {None: "in no stage", IGNORED: "ignored"}
_NAMED = 3
"""Unreadable leads, and labels, that a sentence names."""


def forecast_findings(made: Forecast) -> Sequence[CheckFinding]:
    """What the latest leads say of the settings."""
    read = counted(made.leads, "lead")
    if not made.leads and not made.unreadable:
        return [CheckFinding("leads", CheckVerdict.FAILED, "there are none", "See that the key is the client admin's.")]
    found = [CheckFinding("leads", CheckVerdict.VERIFIED, f"the latest {read} can be read")] if made.leads else []
    return [*found, *_unreadable(made), *_unknown_labels(made), *_nothing_goes(made)]


def unmatched_findings(found: Sequence[UnmatchedReference]) -> Sequence[CheckFinding]:
    """What the settings name and none of these leads has, each at its place in the file."""
    return [
        CheckFinding(
            f"{one.problem.file}:{one.problem.line}: {one.problem.path}",
            CheckVerdict.FAILED if one.stops else CheckVerdict.DOUBTFUL,
            one.problem.message,
            one.advice,
        )
        for one in found
    ]


def phone_findings(lost: str | None) -> Sequence[CheckFinding]:
    """What is said of phones that reach no platform, though the settings send contact data."""
    advice = "Mend them in Oplead, or name the field that holds the country's code as `oplead.fields.country`."
    return [CheckFinding("phones", CheckVerdict.DOUBTFUL, lost, advice)] if lost else []


def print_forecast(console: Console, account: AccountHeading, made: Forecast) -> None:
    """Print what the settings would do to them, as if all of their past counted."""
    if not made.leads:
        return
    latest = counted(made.leads, "lead")
    console.print(f"\n[bold]The latest {latest}, if all of their past counted[/bold]")
    if made.tallies:
        print_states(console, account, made.tallies)
    else:
        console.print("None of them has reached a stage that counts.")


def consent_findings(seen: Sequence[AnswersSeen]) -> Sequence[CheckFinding]:
    """Where so many answers are in no list that a spelling is likely to be missing."""
    return [
        CheckFinding(
            f"consent at {one.path}",
            CheckVerdict.DOUBTFUL,
            f"{number(one.unlisted_count)} of {counted(one.answered, 'answer')} "
            f"{'is' if one.unlisted_count == 1 else 'are'} in neither list: {_shapes(one.unlisted)}",
            "Add those that mean yes or no to `granted` or `refused`; `oplead-sync probe` lists the answers.",
        )
        for one in seen
        if one.unlisted_count > _UNLISTED * one.answered
    ]


def _shapes(unlisted: Mapping[str, int]) -> str:
    """How many answers have each shape."""
    named = [f"<{shape}> {number(count)}" for shape, count in list(unlisted.items())[:_NAMED]]
    return ", ".join([*named, *(["…"] if len(unlisted) > _NAMED else [])])


def print_labels(console: Console, settings: Settings, seen: Sequence[ForecastLabel], *, leads: int) -> None:
    """Print each stage with its statuses, how many leads have them, and one to look up in Oplead."""
    if not leads:
        return
    console.print(f"\n[bold]Statuses found in the latest {counted(leads, 'lead')}[/bold]")
    made = table("Stage", "Counts as", "Status in Oplead", "Now", "Ever", "For example", numbers=("Now", "Ever"))
    for stage, labels in groupby(seen, lambda one: one.stage):
        made.add_section()
        named = [conversion.id for conversion in settings.conversions if stage and stage == conversion.stage]
        for at, one in enumerate(labels):
            first = (_STAGES.get(stage, escape(stage or "")), escape(", ".join(named))) if at == 0 else ("", "")
            made.add_row(*first, escape(one.label), number(one.now), number(one.ever), escape(one.example or "-"))
    keep_whole(made, "For example")
    console.print(made, crop=False)


def _unreadable(made: Forecast) -> list[CheckFinding]:
    if not made.unreadable:
        return []
    count = len(made.unreadable)
    by_reason: dict[str, list[str]] = {}
    for lead in made.unreadable:
        by_reason.setdefault(lead.reason, []).append(lead.id or "without an id")
    shown = [f"{reason} ({_some(ids)})" for reason, ids in list(by_reason.items())[:_NAMED]]
    said = f"{number(count)} cannot be read: {'; '.join(shown)}"
    if count >= made.leads:
        advice = "Write in `oplead.fields` where it stands; `oplead-sync probe` shows what leads have."
        return [CheckFinding("unreadable leads", CheckVerdict.FAILED, said, advice)]
    advice = "Mend these leads in Oplead; nothing is sent for them meanwhile, and the others are not concerned."
    return [CheckFinding("unreadable leads", CheckVerdict.DOUBTFUL, said, advice)]


def _some(ids: Sequence[str]) -> str:
    """The first few leads, by id."""
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")


def _unknown_labels(made: Forecast) -> list[CheckFinding]:
    if not made.unknown_labels:
        return []
    named = [f"{label} ({leads})" for label, leads, _ in made.unknown_labels]
    with_click = sum(clicked for _, _, clicked in made.unknown_labels)
    verdict = CheckVerdict.FAILED if with_click else CheckVerdict.DOUBTFUL
    count = number(with_click) if with_click else "none"
    clicked = f"{count} of these leads {'have' if with_click > 1 else 'has'} a click id"
    said = f"in no stage and not ignored: {', '.join(named)}; {clicked}"
    return [CheckFinding("statuses", verdict, said, "Write each under a stage, or under `ignored_statuses`.")]


def _nothing_goes(made: Forecast) -> list[CheckFinding]:
    """An alarm where conversions qualify and not one of them could go out."""
    held = [tally for tally in made.tallies if tally.state is DeliveryState.WITHHELD]
    if not held or any(tally.state is DeliveryState.PENDING for tally in made.tallies):
        return []
    count = number(sum(tally.count for tally in held))
    said = f"{count} qualify and none could be sent"
    return [CheckFinding("conversions", CheckVerdict.FAILED, said, "The table below says why, and what to do.")]


Word = Literal["may run", "needs a human first", "must not run"]
_WORDS: dict[int, Word] = {0: "may run", 1: "needs a human first", 2: "must not run"}
"""What each exit code of `check` means for a file."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of one file."""

    file: Path
    exit_code: int
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    failed: int = 0
    """Problems of a file that must not run, else look-ups that failed."""
    is_live: bool = False
    """Whether the platforms were asked."""
    unconfirmed: tuple[str, ...] = ()
    """Accounts and datasets of which nothing showed, where the platforms were asked, that they are there."""

    @property
    def word(self) -> Word:
        """The conclusion itself; it agrees with the exit code."""
        return _WORDS[self.exit_code]

    @property
    def because(self) -> str:
        """What it rests on."""
        match self.word:
            case "must not run":
                return f"{counted(self.failed, 'problem')}, named above"
            case "needs a human first":
                return f"{self.failed} failed: mend what is named above, then check again"
            case "may run":
                return _nothing_failed(self.unconfirmed) if self.is_live else "no mistakes in the file"


def print_conclusions(console: Console, concluded: Sequence[Conclusion]) -> None:
    """Print each file's conclusion, and of several what they come to together."""
    console.print()
    for one in concluded:
        if one.checked:
            _print(console, f"{one.file}: {_looked_at(one)}")
        _print(console, f"{one.file}: {one.word} ({one.because})")
    if len(concluded) > 1:
        words = Counter(one.word for one in concluded)
        shown = ", ".join(f"{words[word]} {word}" for word in reversed(_WORDS.values()) if words[word])
        _print(console, f"{len(concluded)} files: {shown}")


def _nothing_failed(unconfirmed: Sequence[str]) -> str:
    """A wrong number passes where nobody could look it up, so it is named."""
    rest = f"; nobody could confirm {', '.join(unconfirmed)}" if unconfirmed else ""
    return f"nothing failed{rest}"


def _looked_at(one: Conclusion) -> str:
    rest = ""
    if one.unchecked:
        why = "could not be reached" if one.is_live else "--live asks them"
        rest = f"; not checked: {', '.join(one.unchecked)} ({why})"
    return f"checked: {', '.join(one.checked)}{rest}"


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


_DAY = timedelta(days=1)


def corrections_on(settings: Settings, book: Rulebook) -> Iterator[str]:
    """What is corrected of each conversion once a platform has accepted it, a sentence a destination."""
    untouched = []
    for conversion in settings.conversions:
        routes = [route for route in book.routes if route.conversion == conversion.id]
        shown = [
            (route, said) for route in routes if (said := [*_amount(route), *_undoing(route, conversion.undo_when)])
        ]
        yield from (f"{conversion.id} → {route.destination}: {'; '.join(said)}" for route, said in shown)
        if not shown:
            untouched.append(conversion.id)
    if untouched:
        yield f"{', '.join(untouched)}: nothing (no value.field, no undo_when)"


def _amount(route: Route) -> Iterator[str]:
    """What becomes of a value that was read from the lead."""
    field = route.field_value
    if field is None:
        return
    if not _can(route, route.target.transport, AdjustmentKind.RESTATEMENT):
        yield "a new amount cannot be sent there"
    elif field.restate_above is None:
        yield "no new amount is sent (restate_above: off)"
    else:
        yield f"a new amount is sent once it differs by more than {field.restate_above * 100:.0f} % (restate_above)"


def _undoing(route: Route, stages: Sequence[str]) -> Iterator[str]:
    """What becomes of a conversion whose lead is lost again."""
    if route.undo is None:
        return
    transport = route.undo.via or route.target.transport
    when = f"once its lead has been in {' or '.join(stages)} for {_span(route.undo.after)}"
    if _can(route, transport, AdjustmentKind.RETRACTION):
        yield f"it is taken back {when}{f', by {transport}' if route.undo.via else ''}"
    elif _can(route, transport, AdjustmentKind.RESTATEMENT):
        yield f"its value becomes 0 {when}, and its count stays"
    else:
        yield "it cannot be taken back there (undo_when)"


def _can(route: Route, transport: str, kind: AdjustmentKind) -> bool:
    correction = route.limits.corrects.get(transport)
    return correction is not None and kind in correction.kinds


def _span(span: timedelta) -> str:
    """As the settings write it: 3 d, 12 h."""
    days, rest = divmod(span, _DAY)
    return f"{span / timedelta(hours=1):g} h" if rest else f"{days} d"
