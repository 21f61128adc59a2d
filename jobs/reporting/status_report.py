"""Reports where deliveries stand, and why: as a table, as the status between nights, and lead by lead."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.text import format_number, plural
from jobs.ledger.queries import AwaitedOutcomes, DeliveryStanding, StateCount
from jobs.reporting.console import (
    AccountPresentation,
    bulleted,
    day_and_time,
    facts_grid,
    money,
    never_wrap_column,
    print_section,
    table,
)
from jobs.reporting.sentences import explain_state, reason_or_state_code, sentence, short_reason_for_state
from jobs.reporting.wording import NOTHING, REASONS, STATES, StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Message, Reason
from jobs.rules.status_changes import LabelChange
from jobs.run_summary import LabelCount
from jobs.webhooks.inbox import WaitingEvents

_PLAIN = (STATES[DeliveryState.ACCEPTED], STATES[DeliveryState.SUBMITTED], REASONS[Reason.DUE])
"""Words that need no explanation below the table."""


def print_states(
    console: Console, account: AccountPresentation, tallies: Sequence[StateCount], *, on_record: bool = True
) -> None:
    """Print the table, then explain the reasons in it that a user may act on or wonder about.

    For deliveries on record, also print how to list the leads behind the numbers.
    """
    console.print(_states_table(account, tallies))
    unclear = [tally for tally in tallies if explain_state(tally.state, tally.reason) not in _PLAIN]
    if not unclear:
        return
    console.print()
    console.print(reasons_table(_reasons_of(unclear)))
    if on_record:
        names = (
            name for tally in unclear for name in (reason_or_state_code(tally.state, tally.reason), tally.held_for)
        )
        codes = ", ".join(dict.fromkeys(name for name in names if name))
        console.print()
        command = account.command("status --reason CODE")
        console.print(f"Which leads: `{command}`", markup=False, soft_wrap=True)
        console.print(f"CODE is one of {codes}", markup=False)


def _reasons_of(found: Iterable[StateCount | DeliveryStanding]) -> list[StateAndReasonTexts]:
    """Return the distinct reasons, and what expired deliveries were held for."""
    words = [
        each_words
        for each in found
        for each_words in (
            explain_state(each.state, each.reason),
            *([] if each.held_for is None else [REASONS[each.held_for]]),
        )
    ]
    return list({each.short: each for each in words}.values())


def _states_table(account: AccountPresentation, tallies: Sequence[StateCount]) -> Table:
    """Return a table with a row for like deliveries; only a group's first rows name its conversion and destination."""
    made = table("Conversion", "Stands", "How many", "Worth", "Why", numbers=("How many", "Worth"))
    for (conversion, destination), found in groupby(tallies, lambda tally: (tally.conversion, tally.destination)):
        made.add_section()
        alike: dict[tuple[str, str], list[StateCount]] = {}
        for tally in found:
            due = tally.due_at and f"waiting, first until {day_and_time(tally.due_at, account.zone)}"
            why = short_reason_for_state(tally.state, tally.reason, tally.held_for)
            alike.setdefault((due or STATES[tally.state].short, why), []).append(tally)
        names = [account.conversion(conversion), f"→ {destination}"]
        shown = [*names, *[""] * len(alike)] if len(alike) > 1 else ["\n".join(names)]
        for name, ((stands, why), same) in zip(shown, alike.items(), strict=False):
            worth = money(sum((tally.value for tally in same), Decimal()), account.currency)
            made.add_row(name, stands, format_number(sum(tally.count for tally in same)), worth, why)
    return made


def reasons_table(reasons: Sequence[StateAndReasonTexts], how_many: Mapping[str, int] | None = None) -> Table:
    """Return a table of what each reason means and what to do; `how_many` adds counts, by the reasons' short words."""
    numbers = () if how_many is None else ("How many",)
    made = table("Why", *numbers, "What it means", "What to do", numbers=numbers)
    made.columns[0].min_width = 16
    for words in reasons:
        counts = () if how_many is None else (format_number(how_many[words.short]),)
        made.add_row(words.short, *counts, words.means, words.todo or NOTHING)
    return made


def counted_reasons_table(tallies: Sequence[StateCount]) -> Table:
    """Return the same table with a count per reason; each delivery counts once, so that the counts add up."""
    explained: dict[str, StateAndReasonTexts] = {}
    how_many: Counter[str] = Counter()
    for tally in tallies:
        words = _full_reason_texts(tally)
        how_many[words.short] += tally.count
        if words not in _PLAIN:
            explained[words.short] = words
    return reasons_table(list(explained.values()), how_many)


def _full_reason_texts(tally: StateCount) -> StateAndReasonTexts:
    """Combine the words of its reason with those of what it was held for."""
    words = explain_state(tally.state, tally.reason)
    if tally.held_for is None:
        return words
    held = REASONS[tally.held_for]
    return StateAndReasonTexts(
        short_reason_for_state(tally.state, tally.reason, tally.held_for),
        f"{words.means} Until then: {held.means}",
        f"Nothing to do for this lead. For those to come: {held.todo}",
    )


SHOWN = 50
"""Maximum number of unreadable leads or deliveries listed."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest run, whether or not it has ended."""

    number: int
    command: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class DetectedRename(LabelChange):
    """A status found to be renamed."""

    leads: int
    """Number of leads that show it."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything `status` reports."""

    account: str
    now: datetime
    run: LastRun | None
    tallies: tuple[StateCount, ...]
    awaited: AwaitedOutcomes
    unreadable: Mapping[str, str]
    """The reason for each unreadable lead, by lead id."""
    unknown_labels: list[LabelCount]
    anomalies: tuple[Message, ...] = ()
    """What keeps conversions from being sent, one message per cause."""
    webhooks: WaitingEvents | None = None
    """Events that no run has taken up yet; None without an inbox that can be read."""
    renamed: tuple[DetectedRename, ...] = ()
    """Statuses renamed in Oplead whose new names no setting has."""


_ENDED = {
    0: "done",
    1: "done, and a human is needed",
    2: "settings or state were wrong",
    3: "the source or a destination stopped",
    70: "broken off by a bug",
}


def print_status(console: Console, account: AccountPresentation, status: StatusReport) -> None:
    """Print the status."""
    now = day_and_time(status.now, account.zone)
    console.print(f"[bold]{account.name}[/bold] · {now} ({account.zone.key})")
    lines = [("last run", _run(account, status.run)), ("next", _next_actions_text(account, status))]
    if status.awaited.requests:
        lines.append(("awaited", _awaited(account, status.awaited)))
    if status.webhooks is not None:
        lines.append(("webhooks", _webhooks(account, status.webhooks)))
    console.print(facts_grid(lines))
    if any(tally.reason is Reason.EXCESS_VOLUME for tally in status.tallies):
        command = account.command("run --accept-volume")
        console.print(f"To approve what is held: `{command}`", markup=False, soft_wrap=True)
    console.print()
    if status.tallies:
        print_states(console, account, status.tallies)
    else:
        console.print("No lead has reached a conversion's stage yet.")
    print_section(
        console,
        "[bold yellow]Something keeps conversions from being sent[/bold yellow]",
        bulleted(map(sentence, status.anomalies)),
    )
    # A lead without an id is on record under its reason.
    unreadable = [("no id" if lead.endswith(reason) else lead, reason) for lead, reason in status.unreadable.items()]
    more = (
        [("", f"… and {format_number(len(unreadable) - SHOWN)} more (see --json)")] if len(unreadable) > SHOWN else []
    )
    heading = f"[bold]{plural(len(unreadable), 'lead')} could not be read[/bold]; correct them in Oplead"
    print_section(console, heading, unreadable[:SHOWN] + more)
    print_section(
        console,
        "[bold]Statuses renamed in Oplead[/bold]; write the new name where the old one stands",
        bulleted(
            f"{each.before} seems to be called {each.after} now: seen on {plural(each.leads, 'lead')}"
            for each in status.renamed
        ),
    )
    print_section(
        console,
        "[bold]Statuses the settings do not name[/bold]; put them under `stages` or `ignored_statuses`",
        bulleted(
            f"{label}: {plural(leads, 'lead')}, {format_number(with_click)} of them with a click id"
            for label, leads, with_click in status.unknown_labels
        ),
    )


def _run(account: AccountPresentation, run: LastRun | None) -> str:
    if run is None:
        return "none yet"
    began = day_and_time(run.started_at, account.zone)
    if run.exit_code is None:
        return f"no. {run.number}, {began}: still at work, or it died; the next one mends what it left"
    ended = _ENDED.get(run.exit_code, f"stopped by signal {run.exit_code - 128}")
    return f"no. {run.number}, {began}: {ended} (exit code {run.exit_code})"


def _next_actions_text(account: AccountPresentation, status: StatusReport) -> str:
    pending = [tally for tally in status.tallies if tally.state is DeliveryState.PENDING]
    held = sum(tally.count for tally in pending if tally.reason is Reason.EXCESS_VOLUME)
    due = sum(tally.count for tally in pending if tally.due_at is None) - held
    later = [tally for tally in pending if tally.due_at is not None]
    in_doubt = sum(
        tally.count for tally in status.tallies if tally.state in (DeliveryState.IN_DOUBT, DeliveryState.IN_FLIGHT)
    )
    text = [f"{_count_with_verb(due, 'goes', 'go')} out with the next run"] if due else []
    if held:
        text.append(f"{_count_with_verb(held, 'is', 'are')} held as far more than usual, until someone approves them")
    if in_doubt:
        text.append(
            f"{_count_with_verb(in_doubt, 'is', 'are')} in doubt and sent again, "
            "unless `in_doubt: ask` has it wait for you"
        )
    if later:
        first = min(tally.due_at for tally in later if tally.due_at is not None)
        waiting = sum(tally.count for tally in later)
        text.append(
            f"{_count_with_verb(waiting, 'waits', 'wait')}, the first until {day_and_time(first, account.zone)}"
        )
    return ", ".join(text) or "nothing is waiting to go out"


def _count_with_verb(count: int, one: str, several: str) -> str:
    """Return e.g. `1 waits` or `1,269 wait`."""
    return f"{format_number(count)} {one if count == 1 else several}"


def _awaited(account: AccountPresentation, awaited: AwaitedOutcomes) -> str:
    text = f"the outcome of {plural(awaited.deliveries, 'conversion')} in {plural(awaited.requests, 'request')}"
    if awaited.ask_at is None:
        return text
    return f"{text}, to be asked for from {day_and_time(awaited.ask_at, account.zone)} on"


def _webhooks(account: AccountPresentation, webhooks: WaitingEvents) -> str:
    if webhooks.received_at is None:
        return "none has arrived yet"
    last = f"the last one arrived {day_and_time(webhooks.received_at, account.zone)}"
    return f"{_count_with_verb(webhooks.count, 'waits', 'wait')} for the next run, {last}" if webhooks.count else last


@dataclass(frozen=True, slots=True)
class DeliveryList:
    """All deliveries that match one name."""

    account: str
    now: datetime
    called: str
    """The state or reason, as the user wrote it."""
    stands: tuple[DeliveryStanding, ...]


def print_delivery_list(console: Console, account: AccountPresentation, which: DeliveryList) -> None:
    """Print the list, and what its reasons mean."""
    leads = len({each.lead for each in which.stands})
    console.print(f"[bold]{account.name}[/bold] · {escape(which.called)}: {plural(leads, 'lead')}")
    if not which.stands:
        return
    shown = which.stands[:SHOWN]
    made = table("Lead", "Conversion", "Stands", "Since", "Why")
    for each in shown:
        name = account.conversion(each.conversion)
        made.add_row(
            escape(each.lead),
            f"{name}{' (correction)' if each.is_correction else ''}\n→ {each.destination}",
            STATES[each.state].short,
            day_and_time(each.since, account.zone),
            short_reason_for_state(each.state, each.reason, each.held_for),
        )
    never_wrap_column(made, "Lead")
    console.print(made, crop=False)
    if len(which.stands) > SHOWN:
        console.print(f"… and {format_number(len(which.stands) - SHOWN)} more (see --json)")
    console.print()
    console.print(reasons_table(_reasons_of(which.stands)))
    command = account.command("explain LEAD")
    console.print(f"`{command}` tells the whole story of one.", markup=False, soft_wrap=True)
