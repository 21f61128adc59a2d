"""The page in a few lines, for a message, the end of a run and `status`: is all well, and three numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connectors.language import _, _n, format_count, format_day, format_round_money, format_share
from jobs.reporting.page.facts import (
    AdPlatform,
    Recoverable,
    ReportFacts,
    Sales,
    Task,
    worst_level,
)
from jobs.reporting.page.words import LEVELS, RESPONSIBLE, URGENCY
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


def total_from_ads(sales: Iterable[Sales]) -> Total:
    """Add up the sales that came from ads."""
    found = [each for each in sales if each.platform is not AdPlatform.NONE]
    return Total(
        sum(each.count for each in found),
        sum((each.value for each in found), Decimal(0)),
        sum(each.matured for each in found),
        sum((each.matured_value for each in found), Decimal(0)),
    )


def change_since_before(facts: ReportFacts) -> str:
    """Return how the sales compare with those of the period before; empty where there are none in either."""
    now, before = total_from_ads(facts.headline.sales), total_from_ads(facts.headline.sales_before)
    if not now.count and not before.count:
        return ""
    then = _n("{count} sale", "{count} sales", before.count)
    if not before.count:
        return _("None in the {days} days before", days=format_count(facts.period.days))
    difference = now.count - before.count
    values = {"then": then, "value": format_round_money(before.value, facts.currency)}
    share = format_share(abs(difference), before.count)
    if difference > 0:
        return _("▲ {share} more than before ({then}, {value})", share=share, **values)
    if difference < 0:
        return _("▼ {share} fewer than before ({then}, {value})", share=share, **values)
    return _("= as many as before ({then}, {value})", **values)


def verdict(tasks: Sequence[Task]) -> str:
    """Return the page's first line: whether everything is all right, and how much needs doing."""
    count = len(tasks)
    todo = _n("{count} thing to do.", "{count} things to do.", count) if count else _("Nothing needs doing.")
    return f"{_(LEVELS[worst_level(tasks)])} {todo}"


def three_numbers(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    """Yield the name of each of the page's three numbers, and what it is."""
    sales, change = total_from_ads(facts.headline.sales), change_since_before(facts)
    worth = f"{format_count(sales.count)} ({format_round_money(sales.value, facts.currency)})"
    yield _("Signed sales from ads"), f"{worth} · {change}" if change else worth
    known, accepted = (
        sum(each.sales for each in facts.headline.counted),
        sum(each.accepted for each in facts.headline.counted),
    )
    told = _("{accepted} of {sales} accepted", accepted=format_count(accepted), sales=format_count(known))
    share = f"{format_share(accepted, known)} · {told}" if known else _("There is no sale from an ad to count yet.")
    yield _("Counted by the platforms"), share
    yield _("Can still be saved"), can_be_saved(facts.headline.recoverable, facts.currency)


def can_be_saved(recoverable: Sequence[Recoverable], currency: str) -> str:
    """Return what expires soon unless its cause is mended: how much, and how many conversions."""
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
    lines += (f"{name}: {number}" for name, number in three_numbers(facts))
    if tasks:
        lines += ["", _("What needs doing:")]
        lines += (
            f"- {_(URGENCY[task.level])} · {_(RESPONSIBLE[task.who])} · {task.title}" for task in tasks[:MOST_TASKS]
        )
    more = len(tasks) - MOST_TASKS
    if more > 0:
        lines.append(_n("… and {count} more", "… and {count} more", more))
    return Notice(_("the week to {day}", day=last), "\n".join(lines))
