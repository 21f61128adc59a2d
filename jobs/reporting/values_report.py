"""Reports what leads in each stage are worth, and how that was reckoned."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from rich.console import Console
from rich.markup import escape

from connectors.language import _, _n, format_day, format_integer, format_rate
from connectors.stage_words import stage_in_words
from jobs.reporting.console import console_table
from jobs.reporting.presentation import AccountPresentation
from jobs.rules.expected_value import MoneyInterval, StageValueEstimate, TooThin

_WIDTH = 80


@dataclass(frozen=True, slots=True)
class CampaignLeadValue:
    """What a lead of one campaign is worth in a stage."""

    campaign: str
    value: StageValueEstimate


@dataclass(frozen=True, slots=True)
class StageValueSuggestion:
    """What a lead in one stage is worth."""

    stage: str
    conversion: str | None
    """The conversion of this stage; None if it has none."""
    value: StageValueEstimate | TooThin
    campaigns: tuple[CampaignLeadValue, ...] = ()
    """Only those with enough leads and sales, the largest first."""


@dataclass(frozen=True, slots=True)
class ValueSuggestions:
    """What `values suggest` reports."""

    account: str
    currency: str
    until: datetime
    """When leads were last read."""
    sale: str
    """The conversion that counts as the sale."""
    stages: tuple[StageValueSuggestion, ...]


def print_values(console: Console, account: AccountPresentation, found: ValueSuggestions) -> None:
    """Print a table of all estimates, then for each stage how it was reckoned and what to write."""
    console.width = min(console.width, _WIDTH)
    known = [(each, each.value) for each in found.stages if isinstance(each.value, StageValueEstimate)]
    if known:
        rows = [
            (_title(account, stage), value, [(each.campaign, each.value) for each in stage.campaigns])
            for stage, value in known
        ]
        console.print(_("What a lead is worth, in {currency}", currency=found.currency))
        console.print()
        _print_table(console, rows)
    for stage, value in known:
        _print_paragraph(console, _title(account, stage), _reasoning(account, found, value))
        if stage.conversion is not None:
            console.print(f"  value: {_whole(value.expected.value)}", markup=False)
            anew = _("estimated anew by itself")
            console.print(f"  value: expected  # {anew}", markup=False)
    for stage in found.stages:
        if isinstance(stage.value, TooThin):
            _print_paragraph(console, _title(account, stage), _refusal(stage.value))


def _title(account: AccountPresentation, stage: StageValueSuggestion) -> str:
    return stage_in_words(stage.stage) if stage.conversion is None else account.conversion(stage.conversion)


def _print_table(
    console: Console, rows: Sequence[tuple[str, StageValueEstimate, Sequence[tuple[str, StageValueEstimate]]]]
) -> None:
    columns = (_("Won"), _("Estimated rate"), _("Average sale"), _("Expected value"))
    made = console_table(_("Stage"), *columns, numbers=columns)
    for title, value, campaigns in rows:
        made.add_section()
        made.add_row(escape(title), *_cells(value))
        for campaign, of_campaign in campaigns:
            made.add_row(escape(f"· {campaign}"), *_cells(of_campaign))
    console.print(made)


def _cells(value: StageValueEstimate) -> tuple[str, ...]:
    rate = value.rate
    return (
        # Below each other, as intervals are: the names of stages and campaigns need the room.
        f"{format_integer(value.won)}\n/ {format_integer(value.leads)}",
        f"{format_rate(rate.value)}\n{format_rate(rate.low)} – {format_rate(rate.high)}",
        *(
            f"{_amount(each.value)}\n{_amount(each.low)} – {_amount(each.high)}"
            for each in (value.mean, value.expected)
        ),
    )


def _print_paragraph(console: Console, title: str, sentences: Iterator[str]) -> None:
    console.print()
    console.print(f"[bold]{escape(title)}[/bold]")
    for sentence in sentences:
        # Unlike rich, textwrap breaks no number at the narrow spaces that French sets in it.
        wrapped = textwrap.wrap(sentence, console.width, initial_indent="  ", subsequent_indent="  ")
        console.print("\n".join(wrapped), markup=False, soft_wrap=True)


def _reasoning(account: AccountPresentation, found: ValueSuggestions, value: StageValueEstimate) -> Iterator[str]:
    """Yield three sentences: the rate, the average sale, the value."""
    rate, mean, expected = value.rate, value.mean, value.expected
    yield _(
        "From {first} to {until}, {leads} leads came to this stage and {won} were won within {days} days: "
        "a rate of {rate} ({low} to {high}), with young leads counted only for the time they have had.",
        first=format_day(value.first.astimezone(account.zone).date()),
        until=format_day(found.until.astimezone(account.zone).date()),
        leads=format_integer(value.leads),
        won=format_integer(value.won),
        days=format_integer(value.horizon.days),
        rate=format_rate(rate.value),
        low=format_rate(rate.low),
        high=format_rate(rate.high),
    )
    yield _(
        "The {sales} sales with an amount came to {mean} {currency} on average ({low} to {high}).",
        sales=format_integer(value.priced),
        currency=found.currency,
        **_amounts(mean, "mean"),
    )
    yield _(
        "Rate times average is {expected} {currency} a lead; with 95 % confidence it lies between {low} and {high}.",
        currency=found.currency,
        **_amounts(expected, "expected"),
    )


def _amounts(interval: MoneyInterval, name: str) -> dict[str, str]:
    return {name: _amount(interval.value), "low": _amount(interval.low), "high": _amount(interval.high)}


def _refusal(thin: TooThin) -> Iterator[str]:
    """Yield why nothing is suggested, and how much is missing."""
    yield _(
        "No value can be suggested yet. Leads that came to this stage: {leads}; won: {won}; with an amount: {priced}.",
        leads=format_integer(thin.leads),
        won=format_integer(thin.won),
        priced=format_integer(thin.priced),
    )
    if thin.missing_sales:
        yield _n(
            "About {count} more sale with an amount is needed.",
            "About {count} more sales with an amount are needed.",
            thin.missing_sales,
        )
    if thin.missing_leads:
        yield _n(
            "At least {count} more lead is needed.",
            "At least {count} more leads are needed.",
            thin.missing_leads,
        )
    if thin.still_rising:
        yield _("Many sales came late in the time that leads have been watched: wait until leads are older.")


def _whole(amount: Decimal) -> Decimal:
    """Return an amount without cents, which no estimate knows."""
    return amount.quantize(Decimal(1), ROUND_HALF_UP) if amount >= 1 else amount


def _amount(amount: Decimal) -> str:
    return format_integer(int(_whole(amount))) if amount >= 1 else str(amount)
