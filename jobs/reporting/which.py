"""Which leads stand at a fate, or for a reason: their ids, and nothing of a person."""

from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from jobs.ledger.views import Stand
from jobs.reporting.account import Account
from jobs.reporting.reasons import FATES, stands_why, words_for, words_held_for
from jobs.reporting.standing import reasons_table
from jobs.reporting.terminal import counted, day_and_time, keep_whole, number, table

SHOWN = 50
"""How many are shown to a person; JSON has them all."""


@dataclass(frozen=True, slots=True)
class Which:
    """Everything that is called by one name."""

    account: str
    now: datetime
    called: str
    """The fate or reason as it was asked for."""
    stands: tuple[Stand, ...]


def print_which(console: Console, account: Account, which: Which) -> None:
    """Print it for a person, with what the reasons among it mean."""
    leads = len({each.lead for each in which.stands})
    console.print(f"[bold]{account.name}[/bold] · {escape(which.called)}: {counted(leads, 'lead')}")
    if not which.stands:
        return
    shown = which.stands[:SHOWN]
    made = table("Lead", "Conversion", "Stands", "Since", "Why")
    for each in shown:
        name = account.conversion(each.conversion)
        made.add_row(
            escape(each.lead),
            f"{name}{' (correction)' if each.is_correction else ''}\n→ {each.destination}",
            FATES[each.fate].short,
            day_and_time(each.since, account.zone),
            stands_why(each.fate, each.reason, each.held_for),
        )
    keep_whole(made, "Lead")
    console.print(made, crop=False)
    if len(which.stands) > SHOWN:
        console.print(f"… and {number(len(which.stands) - SHOWN)} more (see --json)")
    console.print()
    reasons = [words_for(each.fate, each.reason) for each in which.stands]
    reasons += [words_held_for(each.held_for) for each in which.stands if each.held_for is not None]
    console.print(reasons_table(list({words.short: words for words in reasons}.values())))
    console.print("`oplead-sync explain LEAD` tells the whole story of one.")
