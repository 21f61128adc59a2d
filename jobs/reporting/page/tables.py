"""The records as tables for spreadsheets, and as JSON.

`TABLES` is the one list of their columns; `make docs` writes it into the documentation.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.language import N_
from connectors.stage_words import stage_in_words
from connectors.text import strip_control_characters
from jobs.reporting.page.facts import OutcomeCount, Period, ReportFacts, Sales
from jobs.reporting.page.leads.campaigns import campaign_name_without_source, sum_campaigns_by_name, sum_sales_by_name
from jobs.reporting.page.words import explain_outcome, why_held_back
from jobs.reporting.page.writing import replacing
from jobs.reporting.presentation import conversion_in_words

Value = str | int | Decimal | bool | date | datetime | timedelta | tuple[str, ...] | Mapping[str, int] | None
"""What a cell may hold: a list of ids and a count for each stage, too."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, called the same in CSV and JSON."""

    name: str
    means: str
    """A message of the catalogues."""
    read: Callable[[Any, ReportFacts], Value]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `name.csv`, and a list in JSON."""

    name: str
    means: str
    """A message of the catalogues."""
    rows: Callable[[ReportFacts], Iterable[Any]]
    columns: tuple[Column, ...]


def _plain(name: str, means: str, attribute: str | None = None) -> Column:
    return Column(name, means, lambda row, _facts: getattr(row, attribute or name))


def _local(name: str, means: str) -> Column:
    def read(row: Any, facts: ReportFacts) -> datetime | None:
        at: datetime | None = getattr(row, name)
        return at and at.astimezone(facts.zone)

    return Column(name, means, read)


_CONVERSION = _plain("conversion", N_("The conversion’s id in the settings."))
_CONVERSION_NAME = Column(
    "conversion_name",
    N_("What the settings call it."),
    lambda row, facts: conversion_in_words(facts.conversion_names, row.conversion),
)
_DESTINATION = _plain("destination", N_("The destination’s id in the settings."))
_COUNT = _plain("count", N_("How many conversions."))
_VALUE = _plain("value", N_("What they are worth."))
_OUTCOME = _plain(
    "outcome",
    N_("`waiting`, `held`, `sent`, `received`, `accepted`, `rejected`, `expired`, `in_doubt` or `not_sent`."),
)
_PLATFORM = _plain("platform", N_("Whose ad: `google`, `meta`, `other`, or `none` without a click id."))
_WHO = _plain("who", N_("Who can do it: `marketing`, `oplead_users`, `website` or `operator`."))
_LEADS = _plain("leads", N_("How many leads."))

_CAMPAIGN = (
    _plain("source", N_("The UTM source; empty where the lead has none.")),
    _plain("medium", N_("The UTM medium; empty where the lead has none.")),
    _plain("campaign", N_("The UTM campaign; empty where the lead has none.")),
)

_REACHED = Column(
    "reached",
    N_("How many ever reached each stage; in CSV a column for each, `reached: STAGE`."),
    lambda row, facts: dict(zip(facts.funnel.stages, row.reached, strict=True)),
)
_OF_CAMPAIGN = (
    _LEADS,
    _REACHED,
    _plain("won", N_("How many were signed.")),
    _plain("value", N_("The known amounts of those.")),
)
_OF_SALES = (
    _plain("count", N_("How many sales.")),
    _plain("value", N_("The sum of the amounts that are known.")),
    _plain("unpriced", N_("How many have no amount.")),
)


def _standings(rows: Callable[[ReportFacts], Iterable[OutcomeCount]], name: str, means: str) -> Table:
    columns = (
        _CONVERSION,
        _CONVERSION_NAME,
        _DESTINATION,
        _OUTCOME,
        _plain("reason", N_("The reason’s code or the platform’s; empty where the outcome says all."), "cause"),
        Column(
            "reason_in_words", N_("The same in words."), lambda row, _: explain_outcome(row.outcome, row.cause).short
        ),
        _COUNT,
        _VALUE,
        _plain(
            "worth",
            N_("What those held or expired would be worth; empty for all others."),
        ),
        _plain(
            "matched", N_("How many the platform says it matched with an ad or a person; empty where it does not say.")
        ),
    )
    return Table(name, means, rows, columns)


@dataclass(frozen=True, slots=True)
class _PeriodSales:
    period: Period
    sales: Sales


def _sales(facts: ReportFacts) -> Iterator[_PeriodSales]:
    for period, sales in (
        (facts.period, facts.headline.sales),
        (facts.period.preceding_period, facts.headline.sales_before),
    ):
        yield from (_PeriodSales(period, each) for each in sales)


def _of_sales(name: str, means: str, attribute: str | None = None) -> Column:
    return Column(name, means, lambda row, _facts: getattr(row.sales, attribute or name))


TABLES: tuple[Table, ...] = (
    Table(
        "tasks",
        N_("What needs doing, the most urgent first."),
        lambda facts: facts.tasks,
        (
            _plain("level", N_("`red`, `amber` or `green`.")),
            _WHO,
            _plain("title", N_("What it is about.")),
            _plain("text", N_("What happened, and what to do.")),
            _local("since", N_("When it was first found.")),
        ),
    ),
    Table(
        "sales",
        N_("Signed sales of the period, and of the one before."),
        _sales,
        (
            Column("first_day", N_("The first day of the period."), lambda row, _: row.period.first),
            Column("last_day", N_("Its last day."), lambda row, _: row.period.last),
            _of_sales("platform", _PLATFORM.means),
            _of_sales("count", N_("How many sales.")),
            _of_sales("value", N_("The sum of the amounts that are known.")),
            _of_sales("matured", N_("How many are older than the 14 days in which a sale can be withdrawn.")),
            _of_sales("matured_value", N_("The amounts of those.")),
        ),
    ),
    Table(
        "counted",
        N_("How many of the period’s signed sales from ads each platform knows of."),
        lambda facts: facts.headline.counted,
        (
            _PLATFORM,
            _plain("sales", N_("Signed sales from its ads.")),
            _plain("sent", N_("How many were sent at least once, whatever the answer.")),
            _plain("received", N_("How many it received.")),
            _plain("accepted", N_("How many it accepted.")),
            _plain("not_to_be_sent", N_("How many were never sent and are not to be, as those from before the start.")),
        ),
    ),
    Table(
        "recoverable",
        N_("Conversions that expire within seven days unless their cause is fixed."),
        lambda facts: facts.headline.recoverable,
        (
            _plain("reason", N_("Why they are held back, by its code.")),
            Column(
                "reason_in_words",
                N_("The same in words."),
                lambda row, _: why_held_back(row.reason).short,
            ),
            _WHO,
            _COUNT,
            _VALUE,
            _local("first_expiry", N_("When the first of them expires.")),
        ),
    ),
    _standings(
        lambda facts: facts.last_night.moved if facts.last_night else (),
        "last_night",
        N_("Where the conversions that the last night moved stood after it."),
    ),
    _standings(
        lambda facts: facts.last_night.standing if facts.last_night else (),
        "standing",
        N_("All conversions as they stand now."),
    ),
    Table(
        "trend",
        N_("Conversions that reached an outcome, by night, over 90 nights."),
        lambda facts: facts.trend,
        (
            _plain("night", N_("The day of the night.")),
            _CONVERSION,
            _CONVERSION_NAME,
            _DESTINATION,
            _OUTCOME,
            _COUNT,
            _VALUE,
        ),
    ),
    Table(
        "campaign_sales",
        N_("Sales signed in the period by campaign, from all sources; the most valuable first."),
        lambda facts: facts.funnel.sales,
        (*_CAMPAIGN, *_OF_SALES),
    ),
    Table(
        "campaign_sales_totals",
        N_("The same sales by campaign alone, those of all its sources together; add up either table, not both."),
        lambda facts: sum_sales_by_name(facts.funnel.sales, campaign_name_without_source),
        (_CAMPAIGN[-1], *_OF_SALES),
    ),
    Table(
        "campaigns",
        N_("Leads created in the period by campaign, and how far they have come; the most valuable first."),
        lambda facts: facts.funnel.campaigns,
        (*_CAMPAIGN, *_OF_CAMPAIGN),
    ),
    Table(
        "campaign_totals",
        N_("The same leads by campaign alone, those of all its sources together; add up either table, not both."),
        lambda facts: sum_campaigns_by_name(facts.funnel.campaigns, campaign_name_without_source),
        (_CAMPAIGN[-1], *_OF_CAMPAIGN),
    ),
    Table(
        "click_ids",
        N_("Leads with a click id, by UTM source and week."),
        lambda facts: facts.funnel.weeks,
        (
            _plain("source", N_("The UTM source; empty where the lead has none.")),
            _plain("week", N_("The Monday of the week in which the leads were created.")),
            _LEADS,
            _plain("with_click_id", N_("How many of them have a click id.")),
        ),
    ),
    Table(
        "timing",
        N_("How long after the click a stage is reached, over 180 days."),
        lambda facts: facts.timing,
        (
            _plain("stage", N_("The stage in the settings.")),
            Column(
                "stage_name",
                N_("Its name on every screen."),
                lambda row, _facts: stage_in_words(row.stage),
            ),
            _PLATFORM,
            _plain("count", N_("How many leads reached it.")),
            _plain("per_30_days", N_("How many that is in 30 days.")),
            _plain(
                "median_hours", N_("Hours within which half of them get there; empty for fewer than five."), "median"
            ),
            _plain(
                "nine_in_ten_hours",
                N_("Hours within which nine in ten get there; empty for fewer than five."),
                "nine_in_ten",
            ),
            _plain("window_hours", N_("The platform’s window, in hours."), "window"),
            _plain("within_window", N_("How many reached it within the window.")),
            _plain("fitness", N_("`fit`, `too_rare`, `too_late`, `too_late_and_too_rare` or `too_few_to_tell`.")),
        ),
    ),
    Table(
        "agencies",
        N_("The period’s leads by the field `report.by`; agencies with fewer than five are together, without a name."),
        lambda facts: facts.agencies or (),
        (
            _plain("name", N_("The field’s value.")),
            _LEADS,
            _plain("untouched", N_("How many are still in the status that they were created in.")),
            _plain("days_until_read", N_("The median of days from a change in Oplead to its being read.")),
            _plain("missing_amounts", N_("Sales without an amount.")),
            _plain("lost", N_("The value of conversions that somebody there could have saved.")),
        ),
    ),
    Table(
        "coverage",
        N_("What keeps conversions of leads from ads from being sent."),
        lambda facts: facts.coverage,
        (
            _plain(
                "gap",
                N_(
                    "`unknown_status`, `unreadable_amount`, `missing_amount`, `ambiguous_click_id`, "
                    "`unusable_click_id`, `consent_missing`, `consent_unclear` or `unreadable_lead`."
                ),
            ),
            _plain("detail", N_("The status as Oplead writes it, or the problem.")),
            _LEADS,
            _plain("conversions", N_("How many conversions.")),
            _VALUE,
            _plain("lead_ids", N_("Up to 50 of the leads, by their ids in Oplead, the latest first.")),
        ),
    ),
    Table(
        "held_reports",
        N_("What only webhooks reported and waits for a reading of Oplead to show it, the oldest first."),
        lambda facts: facts.held_reports,
        (
            _plain("lead", N_("The lead’s id in Oplead.")),
            _plain("label", N_("The status reported; `appointment_set` for an appointment.")),
            _local("received_at", N_("When the webhook came.")),
            _local("lapses_at", N_("Until when it waits.")),
        ),
    ),
    Table(
        "platforms",
        N_("What the platforms report, beside ours."),
        lambda facts: facts.platforms,
        (
            _DESTINATION,
            _plain("name", N_("What the platform calls the number.")),
            _plain("theirs", N_("Its number.")),
            _plain("ours", N_("Ours for the same thing, where we have one.")),
            _plain("differs", N_("Whether the two should agree and do not.")),
            _local("read_at", N_("When it was read.")),
        ),
    ),
)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def as_json(facts: ReportFacts) -> dict[str, Any]:
    """Return the records as JSON values: amounts and decimals as text, times with their zone."""
    return {
        "account": facts.account,
        "made_at": facts.now.astimezone(facts.zone).isoformat(),
        "currency": facts.currency,
        "first_day": facts.period.first.isoformat(),
        "last_day": facts.period.last.isoformat(),
        "level": facts.level.value,
        "consent_assumed_because": facts.consent_assumed_because,
        "whole_months_before": None if facts.whole_months_before is None else facts.whole_months_before.isoformat(),
        **{
            table.name: [
                {column.name: _json(column.read(row, facts)) for column in table.columns} for row in table.rows(facts)
            ]
            for table in TABLES
        },
    }


def _json(value: Value) -> object:
    match value:
        case Decimal():
            return f"{_rounded(value):f}"
        case timedelta():
            return _hours(value)
        case date():
            return value.isoformat()
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case str():
            return str(value)
    return value


def _rounded(number: Decimal) -> Decimal:
    return number if number == (cents := round(number, 2)) else cents


def _hours(duration: timedelta) -> float:
    return round(duration / timedelta(hours=1), 1)


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────

# Where Excel's language is French, it opens a file as columns only if semicolons part them, takes a number with a
# comma for a number, and reads letters as UTF-8 only after a byte order mark.
_SEPARATOR, _DECIMAL_COMMA, _ENCODING = ";", ",", "utf-8-sig"
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet may take for the beginning of a formula, in any language's letters.

https://owasp.org/www-community/attacks/CSV_Injection
"""


def write_csv(facts: ReportFacts, folder: Path) -> list[Path]:
    """Write each table to a file of its own in a folder, made where missing, and return the files."""
    return [_write(table, facts, folder / f"{table.name}.csv") for table in TABLES]


def _write(table: Table, facts: ReportFacts, path: Path) -> Path:
    with replacing(path, encoding=_ENCODING, newline="") as file:
        writer = csv.writer(file, delimiter=_SEPARATOR)
        writer.writerow(_text(name) for name in _heads(table, facts))
        for row in table.rows(facts):
            writer.writerow(_cells(table.columns, row, facts))
    return path


def _heads(table: Table, facts: ReportFacts) -> Iterator[str]:
    for column in table.columns:
        if column.name == "reached":
            yield from (f"reached: {stage}" for stage in facts.funnel.stages)
        else:
            yield column.name


def _cells(columns: Sequence[Column], row: object, facts: ReportFacts) -> Iterator[str | int]:
    for column in columns:
        value = column.read(row, facts)
        if isinstance(value, Mapping):
            yield from value.values()
        else:
            yield _cell(value)


def _cell(value: Value) -> str | int:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return value
        case Decimal():
            return f"{_rounded(value):f}".replace(".", _DECIMAL_COMMA)
        case timedelta():
            return str(_hours(value)).replace(".", _DECIMAL_COMMA)
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case date():
            return value.isoformat()
        case tuple():
            return _text(" ".join(value))
    return _text(str(value))


def _text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: tabs and line ends, which may hide one, become spaces."""
    plain = strip_control_characters(text)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) else plain
