"""Reports where deliveries stand, and why: as a table, as the status between nights, and lead by lead."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.language import N_, _, _n, format_day, format_integer, translated
from jobs.ledger.report.queries import AwaitedOutcomes, DeliveryStanding, StateCount
from jobs.ledger.retention.retention import RetentionTotals
from jobs.reporting.console import (
    bulleted,
    console_table,
    day_and_time,
    facts_grid,
    money,
    never_wrap_column,
    print_section,
)
from jobs.reporting.page.brief import Brief, print_brief, task_with_text
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.sentences import (
    explain_state,
    message_in_words,
    reason_or_state_code,
    reused_sentences,
    rough_age,
    short_reason_for_state,
)
from jobs.reporting.standings import HeldReportCount, LastRun, MatchingDeliveries, StatusReport
from jobs.reporting.wording.reasons import NOTHING, REASONS, STATES, StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import HELD_FOR_A_HUMAN, Cause, Reason
from jobs.webhooks.inbox import WaitingEvents


def _is_plain(words: StateAndReasonTexts) -> bool:
    """Return whether words need no explanation below the table."""
    return words in (STATES[DeliveryState.ACCEPTED], STATES[DeliveryState.SUBMITTED], REASONS[Reason.DUE])


def print_states(
    console: Console,
    account: AccountPresentation,
    tallies: Sequence[StateCount],
    *,
    on_record: bool = True,
    explained: Collection[Cause] = (),
    now: datetime | None = None,
) -> None:
    """Print the table, then explain the reasons in it that a user may act on or wonder about.

    Those that were `explained` before are not explained again. For deliveries on record, also print how to list the
    leads behind the numbers. In a forecast in which all of the past counts, `now`
    tells which starts are still to come.
    """
    console.print(_states_table(account, tallies, now))
    unclear = [tally for tally in tallies if not _is_plain(explain_state(tally.state, tally.reason))]
    if not unclear:
        return
    if new := [tally for tally in unclear if tally.reason not in explained]:
        console.print()
        console.print(reasons_table(_reasons_of(new)))
    if on_record:
        names = (
            name for tally in unclear for name in (reason_or_state_code(tally.state, tally.reason), tally.held_for)
        )
        codes = ", ".join(dict.fromkeys(name for name in names if name))
        console.print()
        command = account.account_command_line("status --reason CODE")
        console.print(_("Which leads: `{command}`", command=command), markup=False, soft_wrap=True)
        console.print(_("CODE is one of {codes}", codes=codes), markup=False)


def print_future_starts(
    console: Console, account: AccountPresentation, tallies: Sequence[StateCount], now: datetime
) -> None:
    """Print which conversions have a start still to come, unless something of them counted under an earlier one."""
    counting = {tally.conversion for tally in tallies if tally.state is not DeliveryState.SKIPPED}
    for sentence in account.future_start_sentences(now, besides=counting):
        console.print(sentence, markup=False)


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


def _states_table(account: AccountPresentation, tallies: Sequence[StateCount], now: datetime | None) -> Table:
    """Return a table with a row for like deliveries; only a group's first rows name its conversion and destination."""
    numbers = (_("How many"), _("Worth"))
    made = console_table(_("Conversion"), _("Stands"), *numbers, _("Why"), numbers=numbers)
    for (conversion, destination), found in groupby(tallies, lambda tally: (tally.conversion, tally.destination)):
        made.add_section()
        alike: dict[tuple[str, str], list[StateCount]] = {}
        for tally in found:
            due = tally.due_at and _("waiting, first until {time}", time=day_and_time(tally.due_at, account.zone))
            why = short_reason_for_state(tally.state, tally.reason, tally.held_for)
            if tally.state is DeliveryState.PENDING and now and (start := account.start_to_come(conversion, now)):
                why = _("nothing goes out before {day}", day=format_day(start.astimezone(account.zone).date()))
            alike.setdefault((due or STATES[tally.state].short, why), []).append(tally)
        names = [account.conversion(conversion), f"→ {destination}"]
        shown = [*names, *[""] * len(alike)] if len(alike) > 1 else ["\n".join(names)]
        for name, ((stands, why), same) in zip(shown, alike.items(), strict=False):
            worth = money(sum((tally.value for tally in same), Decimal()), account.currency)
            made.add_row(name, stands, format_integer(sum(tally.count for tally in same)), worth, why)
    return made


def reasons_table(reasons: Sequence[StateAndReasonTexts], how_many: Mapping[str, int] | None = None) -> Table:
    """Return a table of what each reason means and what to do; `how_many` adds counts, by the reasons' short words."""
    numbers = () if how_many is None else (_("How many"),)
    made = console_table(_("Why"), *numbers, _("What it means"), _("What to do"), numbers=numbers)
    made.columns[0].min_width = 16
    for words in reasons:
        counts = () if how_many is None else (format_integer(how_many[words.short]),)
        made.add_row(words.short, *counts, words.means, words.todo or _(NOTHING))
    return made


def counted_reasons_table(tallies: Sequence[StateCount]) -> Table:
    """Return the same table with a count per reason; each delivery counts once, so that the counts add up."""
    explained: dict[str, StateAndReasonTexts] = {}
    how_many: Counter[str] = Counter()
    for tally in tallies:
        words = _full_reason_texts(tally)
        how_many[words.short] += tally.count
        if not _is_plain(words):
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
        _("{meaning} Until then: {held}", meaning=words.means, held=held.means),
        _("Nothing to do for this lead. For those to come: {todo}", todo=held.todo),
    )


SHOWN = 50
"""Maximum number of unreadable leads or deliveries listed."""


_ENDED = {
    0: N_("done"),
    1: N_("done, and a human is needed"),
    2: N_("settings or state were wrong"),
    3: N_("the source or a destination stopped"),
    70: N_("all or a part of it was broken off by a bug"),
}


def print_status(
    console: Console, account: AccountPresentation, status: StatusReport, brief: Brief | None = None
) -> None:
    """Print the status, below what the report's page says first."""
    now = day_and_time(status.now, account.zone)
    console.print(f"[bold]{account.name}[/bold] · {now} ({account.zone.key})")
    if brief is not None:
        print_brief(console, account, brief)
        print_section(console, _("[bold]What needs doing[/bold]"), bulleted(map(task_with_text, brief.tasks)))
        console.print()
    lines = [(_("last run"), _run(account, status.run)), (_("next"), _next_actions_text(account, status))]
    if status.awaited.requests:
        lines.append((_("awaited"), _awaited(account, status.awaited)))
    if status.webhooks is not None:
        lines.append((_("webhooks"), _webhooks(account, status.webhooks)))
    if status.held is not None:
        lines.append((_("held"), _held(status.held, status.now)))
    console.print(facts_grid(lines))
    if any(tally.reason is Reason.EXCESS_VOLUME for tally in status.tallies):
        command = account.account_command_line("run --accept-volume")
        console.print(_("To approve what is held: `{command}`", command=command), markup=False, soft_wrap=True)
    console.print()
    if status.tallies:
        print_states(console, account, status.tallies)
    else:
        console.print(_("No lead has reached a conversion's stage yet."))
    print_future_starts(console, account, status.tallies, status.now)
    if status.left is not None:
        console.print()
        console.print(_left(account, status.left), markup=False)
    if status.overdue:
        console.print()
        console.print(
            _(
                "Leads that should have left more than a week ago are still on record (see `retention`): they leave "
                "after a night that ends and has read everything."
            ),
            markup=False,
        )
    print_section(
        console,
        _("[bold yellow]Something keeps conversions from being sent[/bold yellow]"),
        bulleted(map(message_in_words, status.anomalies)),
    )
    print_section(
        console, _("[bold yellow]Ids now used by other leads[/bold yellow]"), bulleted(reused_sentences(status.reused))
    )
    # A lead without an id is on record under its reason.
    unreadable = [
        (_("no id") if lead.endswith(reason) else lead, translated(reason))
        for lead, reason in status.unreadable.items()
    ]
    more = [("", _and_more(len(unreadable) - SHOWN))] if len(unreadable) > SHOWN else []
    heading = _n(
        "[bold]{count} lead could not be read[/bold]; correct it in Oplead",
        "[bold]{count} leads could not be read[/bold]; correct them in Oplead",
        len(unreadable),
    )
    print_section(console, heading, unreadable[:SHOWN] + more)
    print_section(
        console,
        _("[bold]Statuses renamed in Oplead[/bold]; write the new name where the old one stands"),
        bulleted(
            _n(
                "{before} seems to be called {after} now: seen on {count} lead",
                "{before} seems to be called {after} now: seen on {count} leads",
                each.leads,
                before=each.before,
                after=each.after,
            )
            for each in status.renamed
        ),
    )
    print_section(
        console,
        _("[bold]Statuses the settings do not name[/bold]; put them under `stages` or `ignored_statuses`"),
        bulleted(
            _n(
                "{label}: {count} lead, {with_click} of them with a click id",
                "{label}: {count} leads, {with_click} of them with a click id",
                leads,
                label=label,
                with_click=format_integer(with_click),
            )
            for label, leads, with_click in status.unknown_labels
        ),
    )


def _left(account: AccountPresentation, left: RetentionTotals) -> str:
    """Say why the counts have shrunk."""
    leads = _n("{count} lead has left", "{count} leads have left", left.leads)
    conversions = _n("{count} conversion", "{count} conversions", left.conversions)
    return _(
        "{leads} since {since}, as nothing had happened to them for long (see `retention`): with {conversions}, which "
        "are not counted above; the report counts leads and sales by month.",
        leads=leads,
        since=format_day(left.since.astimezone(account.zone).date()),
        conversions=conversions,
    )


def _and_more(count: int) -> str:
    return _n("… and {count} more (see --json)", "… and {count} more (see --json)", count)


def _run(account: AccountPresentation, run: LastRun | None) -> str:
    if run is None:
        return _("none yet")
    began = day_and_time(run.started_at, account.zone)
    if run.exit_code is None:
        return _(
            "no. {number}, {began}: still at work, or it died; the next one fixes what it left",
            number=run.number,
            began=began,
        )
    known = _ENDED.get(run.exit_code)
    ended = _(known) if known else _("stopped by signal {signal}", signal=run.exit_code - 128)
    return _(
        "no. {number}, {began}: {ended} (exit code {code})",
        number=run.number,
        began=began,
        ended=ended,
        code=run.exit_code,
    )


def _next_actions_text(account: AccountPresentation, status: StatusReport) -> str:
    pending = [tally for tally in status.tallies if tally.state is DeliveryState.PENDING]
    held: Counter[Reason] = Counter()
    for tally in pending:
        if isinstance(tally.reason, Reason) and tally.reason in HELD_FOR_A_HUMAN:
            held[tally.reason] += tally.count
    due = sum(tally.count for tally in pending if tally.due_at is None and tally.reason not in HELD_FOR_A_HUMAN)
    later = [tally for tally in pending if tally.due_at is not None]
    in_doubt = sum(
        tally.count for tally in status.tallies if tally.state in (DeliveryState.IN_DOUBT, DeliveryState.IN_FLIGHT)
    )
    text = [_n("{count} goes out with the next run", "{count} go out with the next run", due)] if due else []
    text += [_HELD[reason](count) for reason, count in held.items()]
    if in_doubt:
        text.append(
            _n(
                "{count} is in doubt and sent again, unless `in_doubt: ask` has it wait for you",
                "{count} are in doubt and sent again, unless `in_doubt: ask` has them wait for you",
                in_doubt,
            )
        )
    if later:
        first = min(tally.due_at for tally in later if tally.due_at is not None)
        waiting = sum(tally.count for tally in later)
        time = day_and_time(first, account.zone)
        text.append(_n("{count} waits until {time}", "{count} wait, the first until {time}", waiting, time=time))
    return ", ".join(text) or _("nothing is waiting to go out")


_HELD: Mapping[Reason, Callable[[int], str]] = {
    Reason.EXCESS_VOLUME: lambda count: _n(
        "{count} is held as far more than usual, until someone approves it",
        "{count} are held as far more than usual, until someone approves them",
        count,
    ),
    Reason.IDS_CHANGED: lambda count: _n(
        "{count} is held, as lead ids or creation dates seem to have changed in Oplead, until you answer with "
        "`oplead-sync run --same-leads` or `oplead-sync run --other-leads`",
        "{count} are held, as lead ids or creation dates seem to have changed in Oplead, until you answer with "
        "`oplead-sync run --same-leads` or `oplead-sync run --other-leads`",
        count,
    ),
    Reason.AFTER_RESTORE: lambda count: _n(
        "{count} is held, as it may have been sent before the state was restored, until you decide",
        "{count} are held, as they may have been sent before the state was restored, until you decide",
        count,
    ),
}
"""What keeps pending conversions from going out until a human says so, for each of `HELD_FOR_A_HUMAN`."""


def _awaited(account: AccountPresentation, awaited: AwaitedOutcomes) -> str:
    outcomes = _n("the outcome of {count} conversion", "the outcome of {count} conversions", awaited.deliveries)
    text = _n("{outcomes} in {count} request", "{outcomes} in {count} requests", awaited.requests, outcomes=outcomes)
    if awaited.ask_at is None:
        return text
    time = day_and_time(awaited.ask_at, account.zone)
    return _("{outcomes}, to be asked for from {time} on", outcomes=text, time=time)


def _webhooks(account: AccountPresentation, webhooks: WaitingEvents) -> str:
    if webhooks.received_at is None:
        return _("none has arrived yet")
    time = day_and_time(webhooks.received_at, account.zone)
    if not webhooks.count:
        return _("the last one arrived {time}", time=time)
    return _n(
        "{count} waits for the next run, the last one arrived {time}",
        "{count} wait for the next run, the last one arrived {time}",
        webhooks.count,
        time=time,
    )


def _held(held: HeldReportCount, now: datetime) -> str:
    return _n(
        "{count} status that only a webhook reported, {age} ago, waits for a reading of Oplead to show it",
        "{count} statuses that only webhooks reported, the oldest {age} ago, wait for a reading of Oplead to show them",
        held.count,
        age=rough_age(held.oldest, now),
    )


def _name_in_words(name: str) -> str:
    """Return a reason or state that someone typed, with its words if it is a code."""
    codes = {str(code): words for texts in (STATES, REASONS) for code, words in texts.items()}
    words = codes.get(name.strip().casefold())
    return _("{name} ({text})", name=name, text=words.short) if words and words.short != name else name


def print_delivery_list(console: Console, account: AccountPresentation, which: MatchingDeliveries) -> None:
    """Print the list, and what its reasons mean."""
    leads = len({each.lead for each in which.stands})
    found = _n("{count} lead", "{count} leads", leads)
    called = escape(_name_in_words(which.called))
    console.print(_("[bold]{account}[/bold] · {name}: {found}", account=account.name, name=called, found=found))
    if not which.stands:
        return
    shown = which.stands[:SHOWN]
    made = console_table(_("Lead"), _("Conversion"), _("Stands"), _("Since"), _("Why"))
    for each in shown:
        name = account.conversion(each.conversion)
        if each.is_correction:
            name = _("{conversion} (correction)", conversion=name)
        made.add_row(
            escape(each.lead),
            f"{name}\n→ {each.destination}",
            STATES[each.state].short,
            day_and_time(each.since, account.zone),
            short_reason_for_state(each.state, each.reason, each.held_for),
        )
    never_wrap_column(made, _("Lead"))
    console.print(made, crop=False)
    if len(which.stands) > SHOWN:
        console.print(_and_more(len(which.stands) - SHOWN))
    console.print()
    console.print(reasons_table(_reasons_of(which.stands)))
    command = account.account_command_line("explain LEAD")
    console.print(_("`{command}` tells the whole story of one.", command=command), markup=False, soft_wrap=True)
