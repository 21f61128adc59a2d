"""What would become of the latest leads: for a person who is about to go live."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from rich.console import Console
from rich.markup import escape

from connectors.records import Finding, Verdict
from jobs.forecast import Forecast
from jobs.ledger.fates import Fate
from jobs.reporting.account import Account
from jobs.reporting.standing import print_standing
from jobs.reporting.terminal import counted, keep_whole, number, table
from jobs.routes import IGNORED
from jobs.seen import AnswersSeen, LabelSeen
from jobs.settings import Settings
from jobs.settings.unmet import Unmet

_UNLISTED = Fraction(1, 5)
"""More than this share of answers in no list is told."""
_STAGES = {None: "in no stage", IGNORED: "ignored"}
_NAMED = 3
"""Unreadable leads, and labels, that a sentence names."""


def forecast_findings(made: Forecast) -> Sequence[Finding]:
    """What the latest leads say of the settings."""
    read = counted(made.leads, "lead")
    if not made.leads and not made.unreadable:
        return [Finding("leads", Verdict.FAILED, "there are none", "See that the key is the client admin's.")]
    found = [Finding("leads", Verdict.VERIFIED, f"the latest {read} can be read")] if made.leads else []
    return [*found, *_unreadable(made), *_unknown_labels(made), *_nothing_goes(made)]


def unmet_findings(found: Sequence[Unmet]) -> Sequence[Finding]:
    """What the settings name and none of these leads has, each at its place in the file."""
    return [
        Finding(
            f"{one.problem.file}:{one.problem.line}: {one.problem.path}",
            Verdict.FAILED if one.stops else Verdict.DOUBTFUL,
            one.problem.message,
            one.advice,
        )
        for one in found
    ]


def phone_findings(lost: str | None) -> Sequence[Finding]:
    """What is said of phones that reach no platform, though the settings send contact data."""
    advice = "Mend them in Oplead, or name the field that holds the country's code as `oplead.fields.country`."
    return [Finding("phones", Verdict.DOUBTFUL, lost, advice)] if lost else []


def print_forecast(console: Console, account: Account, made: Forecast) -> None:
    """Print what the settings would do to them, as if all of their past counted."""
    if not made.leads:
        return
    latest = counted(made.leads, "lead")
    console.print(f"\n[bold]The latest {latest}, if all of their past counted[/bold]")
    if made.tallies:
        print_standing(console, account, made.tallies)
    else:
        console.print("None of them has reached a stage that counts.")


def consent_findings(seen: Sequence[AnswersSeen]) -> Sequence[Finding]:
    """Where so many answers are in no list that a spelling is likely to be missing."""
    return [
        Finding(
            f"consent at {one.path}",
            Verdict.DOUBTFUL,
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


def print_labels(console: Console, settings: Settings, seen: Sequence[LabelSeen], *, leads: int) -> None:
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


def _unreadable(made: Forecast) -> list[Finding]:
    if not made.unreadable:
        return []
    count = len(made.unreadable)
    by_reason: dict[str, list[str]] = {}
    for lead in made.unreadable:
        by_reason.setdefault(lead.reason, []).append(lead.id or "without an id")
    told = [f"{reason} ({_some(ids)})" for reason, ids in list(by_reason.items())[:_NAMED]]
    said = f"{number(count)} cannot be read: {'; '.join(told)}"
    if count >= made.leads:
        advice = "Write in `oplead.fields` where it stands; `oplead-sync probe` shows what leads have."
        return [Finding("unreadable leads", Verdict.FAILED, said, advice)]
    advice = "Mend these leads in Oplead; nothing is sent for them meanwhile, and the others are not concerned."
    return [Finding("unreadable leads", Verdict.DOUBTFUL, said, advice)]


def _some(ids: Sequence[str]) -> str:
    """The first few leads, by id."""
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")


def _unknown_labels(made: Forecast) -> list[Finding]:
    if not made.unknown_labels:
        return []
    named = [f"{label} ({leads})" for label, leads, _ in made.unknown_labels]
    with_click = sum(clicked for _, _, clicked in made.unknown_labels)
    verdict = Verdict.FAILED if with_click else Verdict.DOUBTFUL
    count = number(with_click) if with_click else "none"
    clicked = f"{count} of these leads {'have' if with_click > 1 else 'has'} a click id"
    said = f"in no stage and not ignored: {', '.join(named)}; {clicked}"
    return [Finding("statuses", verdict, said, "Write each under a stage, or under `ignored_statuses`.")]


def _nothing_goes(made: Forecast) -> list[Finding]:
    """An alarm where conversions qualify and not one of them could go out."""
    held = [tally for tally in made.tallies if tally.fate is Fate.WITHHELD]
    if not held or any(tally.fate is Fate.PENDING for tally in made.tallies):
        return []
    count = number(sum(tally.count for tally in held))
    said = f"{count} qualify and none could be sent"
    return [Finding("conversions", Verdict.FAILED, said, "The table below says why, and what to do.")]
