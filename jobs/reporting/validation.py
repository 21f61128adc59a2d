"""What the platforms said of conversions they were asked to check and not to count."""

from rich.console import Console

from jobs.ledger.fates import Fate
from jobs.nightly import Summary
from jobs.reporting.account import Account
from jobs.reporting.reasons import words_for
from jobs.reporting.terminal import number, table

_VALID = {
    "VALIDATED": "valid, says the platform",
    "CHECKED_LOCALLY": "valid, checked on this machine only",
}

_OPEN = (Fate.PENDING, Fate.IN_DOUBT)


def print_verdicts(console: Console, account: Account, summary: Summary) -> None:
    """Print one line for conversions that were told the same."""
    console.print("[bold]What would be sent, checked[/bold]")
    moved = {place: count for place, count in sorted(summary.delivered.moved.items()) if count > 0}
    # What waits where something stopped has no verdict, whatever the request said that it was in.
    left = {place[:2] for place in summary.not_checked}
    moved = {place: count for place, count in moved.items() if place[:2] not in left or Fate(place[2]) not in _OPEN}
    if not moved and not summary.not_checked:
        console.print("Nothing is due, so nothing was checked.")
        return
    made = table("Conversion", "Destination", "How many", "Verdict", numbers=("How many",))
    for (conversion, destination, fate, code), count in moved.items():
        made.add_row(account.conversion(conversion), destination, number(count), _verdict(Fate(fate), code))
    for (conversion, destination, _, stop), count in sorted(summary.not_checked.items()):
        made.add_row(account.conversion(conversion), destination, number(count), f"not checked: {stop}")
    console.print(made)


def _verdict(fate: Fate, code: str) -> str:
    """In words; the platform's own code beside them where it refuses."""
    if fate is Fate.ACCEPTED:
        return _VALID.get(code, "valid")
    words = words_for(fate, code)
    return f"{fate.value.replace('_', ' ')}: {words.short}" + (f" ({code})" if words.short not in code else "")
