"""The page in a few lines, for a message, the end of a run and `status`: is all well, and three numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from connectors.language import _, _n, format_day, format_integer, format_round_money, format_share
from jobs.reporting.console import facts_grid
from jobs.reporting.page.facts import (
    ActionItem,
    AdPlatform,
    ConversionOutcome,
    Headline,
    Level,
    RecoverableConversions,
    ReportFacts,
    Sales,
    SalesKnownToPlatform,
    worst_level,
)
from jobs.reporting.page.words import LEVELS, RESPONSIBLE, URGENCY
from jobs.reporting.presentation import AccountPresentation
from jobs.rules.incident import Notice

MOST_TASKS = 5
"""In a message; the page has them all."""


@dataclass(frozen=True, slots=True)
class Total:
    """Sales from ads, of all platforms."""

    count: int
    value: Decimal
    matured: int
    matured_value: Decimal


def total_sales_from_ads(sales: Iterable[Sales]) -> Total:
    """Add up the sales that came from ads."""
    found = [each for each in sales if each.platform is not AdPlatform.NONE]
    return Total(
        sum(each.count for each in found),
        sum((each.value for each in found), Decimal(0)),
        sum(each.matured for each in found),
        sum((each.matured_value for each in found), Decimal(0)),
    )


def total_counted(counted: Iterable[SalesKnownToPlatform]) -> tuple[int, int]:
    """Return how many signed sales from ads the platforms have accepted, and how many were to be sent to them."""
    found = list(counted)
    return sum(each.accepted for each in found), sum(each.sales - each.not_to_be_sent for each in found)


def accepted_of_due_text(accepted: int, due: int) -> str:
    """Return how many sales the platforms have accepted of those that were to be sent."""
    return _("{accepted} accepted of {due} to be sent", accepted=format_integer(accepted), due=format_integer(due))


@dataclass(frozen=True, slots=True)
class SalesSummary:
    """The page's numbers about sales, and the length of its period."""

    headline: Headline
    days: int
    awaited: int = 0
    """How many sales are with the platforms, which have yet to say what became of them."""

    @property
    def are_answers_awaited(self) -> bool:
        """Whether no platform has answered for any sale that was sent."""
        return bool(self.awaited) and self.awaited >= sum(each.sent for each in self.headline.counted)


@dataclass(frozen=True, slots=True)
class Brief:
    """What the end of a run and `status` say of the page."""

    tasks: tuple[ActionItem, ...]
    recoverable: tuple[RecoverableConversions, ...]
    currency: str
    sold: SalesSummary | None = None
    """None where no page was written: counting sales takes a look at every change of status."""
    page: Path | None = None
    """Where the page is, if there is one."""


def sales_awaited(facts: ReportFacts) -> int:
    """Return how many sales await the platforms' answers."""
    standing = facts.last_night.standing if facts.last_night else ()
    return sum(
        one.count for one in standing if one.conversion == facts.sale and one.outcome is ConversionOutcome.RECEIVED
    )


def awaited_text(count: int) -> str:
    """Return that answers are awaited, where a share of none accepted would sound an alarm."""
    return _n(
        "{count} sale awaits the platforms' answers.",
        "{count} sales await the platforms' answers.",
        count,
    )


def brief_of_report(facts: ReportFacts, page: Path | None = None) -> Brief:
    """Return what there is to say of a page, which was just written if it has a place."""
    sold = SalesSummary(facts.headline, facts.period.days, sales_awaited(facts))
    return Brief(facts.tasks, facts.headline.recoverable, facts.currency, sold, page)


def change_since_before(sold: SalesSummary, currency: str) -> str:
    """Return how the sales compare with those of the period before; empty where there are none in either."""
    now, before = total_sales_from_ads(sold.headline.sales), total_sales_from_ads(sold.headline.sales_before)
    if not now.count and not before.count:
        return ""
    then = _n("{count} sale", "{count} sales", before.count)
    if not before.count:
        return _n("None on the day before", "None in the {count} days before", sold.days)
    difference = now.count - before.count
    share = format_share(abs(difference), before.count)
    if difference > 0:
        sales = _("▲ {share} more than before ({then})", share=share, then=then)
    elif difference < 0:
        sales = _("▼ {share} fewer than before ({then})", share=share, then=then)
    else:
        sales = _("= as many as before ({then})", then=then)
    if not before.value:
        return sales
    return _(
        "{sales}; value {change} (from {value})",
        sales=sales,
        change=_change(now.value, before.value),
        value=format_round_money(before.value, currency),
    )


def _change(now: Decimal, before: Decimal) -> str:
    if now == before:
        return "="
    return f"{'▲' if now > before else '▼'} {format_share(abs(now - before), before)}"


def verdict(tasks: Sequence[ActionItem]) -> str:
    """Return the page's first line: whether everything is all right, and how much needs doing."""
    count = len(tasks)
    todo = _n("{count} thing to do.", "{count} things to do.", count) if count else _("Nothing needs doing.")
    return f"{_(LEVELS[worst_level(tasks)])} {todo}"


def numbers_in_brief(brief: Brief) -> Iterator[tuple[str, str]]:
    """Yield the name of each of the page's three numbers, and what it is; only the last where no page was written."""
    if brief.sold is not None:
        sales, change = total_sales_from_ads(brief.sold.headline.sales), change_since_before(brief.sold, brief.currency)
        worth = _(
            "{count} ({value}) in {days} days",
            count=format_integer(sales.count),
            value=format_round_money(sales.value, brief.currency),
            days=format_integer(brief.sold.days),
        )
        yield _("Signed sales from ads"), f"{worth} · {change}" if change else worth
        yield _("Counted by the platforms"), _counted(brief.sold)
    yield _("Can still be saved"), _can_be_saved(brief.recoverable, brief.currency)


def _counted(sold: SalesSummary) -> str:
    accepted, due = total_counted(sold.headline.counted)
    if not due:
        return _("No sale from an ad was to be sent yet.")
    if not accepted and sold.are_answers_awaited:
        return awaited_text(sold.awaited)
    return f"{format_share(accepted, due)} · {accepted_of_due_text(accepted, due)}"


def _can_be_saved(recoverable: Sequence[RecoverableConversions], currency: str) -> str:
    count = sum(each.count for each in recoverable)
    if not count:
        return _("nothing, and nothing is about to be lost")
    value = format_round_money(sum((each.value for each in recoverable), Decimal(0)), currency)
    expire = _n("{count} conversion expires within seven days", "{count} conversions expire within seven days", count)
    return f"{value} · {expire}"


def weekly_notice(facts: ReportFacts) -> Notice:
    """Return the summary of the facts' period, as a message."""
    last, tasks = format_day(facts.period.last), facts.tasks
    lines = [verdict(tasks), ""]
    lines.append(_("From {first} to {last}:", first=format_day(facts.period.first), last=last))
    numbers = numbers_in_brief(brief_of_report(facts))
    lines += (_("{name}: {number}", name=name, number=number) for name, number in numbers)
    if tasks:
        lines += ["", _("What needs doing:")]
        lines += (f"- {task_line(task)}" for task in tasks[:MOST_TASKS])
    more = len(tasks) - MOST_TASKS
    if more > 0:
        lines.append(_n("… and {count} more", "… and {count} more", more))
    return Notice(_("the week to {day}", day=last), "\n".join(lines))


def task_line(task: ActionItem) -> str:
    """Return a task in one line: when, by whom, and what."""
    return f"{_(URGENCY[task.level])} · {_(RESPONSIBLE[task.who])} · {task.title}"


def task_with_text(task: ActionItem) -> str:
    """Return the same, and below it what happened and what to do."""
    return f"{task_line(task)}\n{task.text}"


_STYLES = {Level.GREEN: "bold green", Level.AMBER: "bold yellow", Level.RED: "bold red"}


def print_brief(console: Console, account: AccountPresentation, brief: Brief) -> None:
    """Print the page's first line, its numbers, and where it is or how to write it."""
    console.print(verdict(brief.tasks), style=_STYLES[worst_level(brief.tasks)], markup=False)
    console.print(facts_grid(list(numbers_in_brief(brief))))
    if brief.page is None:
        text = _("Sales, campaigns and what needs doing: `{command}`", command=account.account_command_line("report"))
    else:
        text = _("Sales, campaigns and what needs doing: {page}", page=brief.page)
    console.print(text, markup=False, soft_wrap=True)
