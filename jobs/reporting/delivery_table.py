"""Where deliveries stand, as a table, with what each reason means and what to do about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from connectors.text import number
from jobs.ledger.queries import StateCount
from jobs.reporting.console import AccountHeading, day_and_time, money, table
from jobs.reporting.wording import NOTHING, REASONS, STATES, Words, code_of, stands_why, words_for
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Reason

_PLAIN = (STATES[DeliveryState.ACCEPTED], STATES[DeliveryState.SUBMITTED], REASONS[Reason.DUE])
"""They say all there is to say in the table itself."""


def print_states(console: Console, account: AccountHeading, tallies: Sequence[StateCount]) -> None:
    """Print the table, then the reasons in it that anyone could act on or wonder about."""
    console.print(states_table(account, tallies))
    reasons = explained_reasons(tallies)
    if reasons:
        console.print()
        console.print(reasons_table(reasons))


def print_pointer(console: Console, tallies: Sequence[StateCount]) -> None:
    """Print how to have the leads behind the numbers named; nothing where no one would wonder."""
    codes = dict.fromkeys(
        code
        for tally in tallies
        if words_for(tally.state, tally.reason) not in _PLAIN
        for code in (code_of(tally.state, tally.reason), tally.held_for)
        if code is not None
    )
    if codes:
        console.print()
        console.print(f"Which leads: `oplead-sync status --reason CODE`, as {', '.join(codes)}", markup=False)


def states_table(account: AccountHeading, tallies: Sequence[StateCount]) -> Table:
    """One row for deliveries that stand alike; what they are and where they go stands on the first rows only."""
    made = table("Conversion", "Stands", "How many", "Worth", "Why", numbers=("How many", "Worth"))
    for (conversion, destination), found in groupby(tallies, lambda tally: (tally.conversion, tally.destination)):
        made.add_section()
        alike: dict[tuple[str, str], list[StateCount]] = {}
        for tally in found:
            why = stands_why(tally.state, tally.reason, tally.held_for)
            alike.setdefault((_stands(tally, account.zone), why), []).append(tally)
        names = [account.conversion(conversion), f"→ {destination}"]
        shown = [*names, *[""] * len(alike)] if len(alike) > 1 else ["\n".join(names)]
        for name, ((stands, why), same) in zip(shown, alike.items(), strict=False):
            worth = money(sum((tally.value for tally in same), Decimal()), account.currency)
            made.add_row(name, stands, number(sum(tally.count for tally in same)), worth, why)
    return made


def explained_reasons(tallies: Sequence[StateCount]) -> list[Words]:
    """The words of every reason in a table, each once, in the order it has them."""
    found = {words.short: words for tally in tallies for words in _words(tally) if words not in _PLAIN}
    return list(found.values())


def _words(tally: StateCount) -> list[Words]:
    """Those of its reason, and of what it was held for."""
    held_for = [] if tally.held_for is None else [REASONS[tally.held_for]]
    return [words_for(tally.state, tally.reason), *held_for]


def reasons_table(reasons: Sequence[Words], how_many: Mapping[str, int] | None = None) -> Table:
    """What each reason means and what to do; with numbers, by the reasons' short words, how many stand so."""
    numbers = () if how_many is None else ("How many",)
    made = table("Why", *numbers, "What it means", "What to do", numbers=numbers)
    made.columns[0].min_width = 16
    for words in reasons:
        counts = () if how_many is None else (number(how_many[words.short]),)
        made.add_row(words.short, *counts, words.means, words.todo or NOTHING)
    return made


def counted_reasons_table(tallies: Sequence[StateCount]) -> Table:
    """The same with how many stand for each reason; each delivery counts once, so that the numbers add up."""
    found = [(_in_full(tally), tally.count) for tally in tallies]
    explained = {words.short: words for words, _ in found if words not in _PLAIN}
    how_many: Counter[str] = Counter()
    for words, count in found:
        how_many[words.short] += count
    return reasons_table(list(explained.values()), how_many)


def _in_full(tally: StateCount) -> Words:
    """The words of its reason together with those of what it was held for."""
    words = words_for(tally.state, tally.reason)
    if tally.held_for is None:
        return words
    held = REASONS[tally.held_for]
    return Words(
        stands_why(tally.state, tally.reason, tally.held_for),
        f"{words.means} Until then: {held.means}",
        f"Nothing to do for this lead. For those to come: {held.todo}",
    )


def _stands(tally: StateCount, zone: ZoneInfo) -> str:
    if tally.due_at is None:
        return STATES[tally.state].short
    return f"waiting, first until {day_and_time(tally.due_at, zone)}"
