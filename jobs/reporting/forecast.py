"""What would become of the latest leads: for a person who is about to go live."""

from collections.abc import Sequence

from rich.console import Console

from connectors.records import Finding, Verdict
from jobs.forecast import Forecast
from jobs.ledger.fates import Fate
from jobs.reporting.account import Account
from jobs.reporting.standing import print_standing
from jobs.reporting.terminal import counted, number
from jobs.settings.unmet import Unmet

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
    said = f"in no stage and not ignored: {', '.join(named)}; of these leads {number(with_click)} with a click id"
    return [Finding("statuses", verdict, said, "Write each under a stage, or under `ignored_statuses`.")]


def _nothing_goes(made: Forecast) -> list[Finding]:
    """An alarm where conversions qualify and not one of them could go out."""
    held = [tally for tally in made.tallies if tally.fate is Fate.WITHHELD]
    if not held or any(tally.fate is Fate.PENDING for tally in made.tallies):
        return []
    count = number(sum(tally.count for tally in held))
    said = f"{count} qualify and none could be sent"
    return [Finding("conversions", Verdict.FAILED, said, "The table below says why, and what to do.")]
