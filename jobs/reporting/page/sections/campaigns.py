"""The section on campaigns: what each sold, how far its leads have come, and how many carry a click id."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

from connectors.language import (
    NO_NUMBER,
    _,
    _n,
    format_day,
    format_integer,
    format_share,
    join_with_semicolons,
)
from connectors.stage_words import stage_in_words
from jobs.reporting.page import charts
from jobs.reporting.page.facts import CampaignRow, CampaignSales, ReportFacts
from jobs.reporting.page.leads.campaigns import (
    campaign_name_without_source,
    name_of,
    sum_campaigns_by_name,
    sum_sales_by_name,
)
from jobs.reporting.page.leads.sales import CampaignName
from jobs.reporting.page.sections.grids import (
    MOST_ROWS,
    ChartWithTable,
    Column,
    Grid,
    capital,
    grid_of,
    money_formatter,
    money_or_unknown_formatter,
)
from jobs.reporting.page.words import TWO_NAMES

MOST_SOURCES = 6

_Row = TypeVar("_Row", CampaignRow, CampaignSales)


def funnel(facts: ReportFacts) -> Mapping[str, object] | None:
    """Return the campaigns; None without leads."""
    campaigns = facts.funnel.campaigns
    weeks = _shares(facts)
    if not campaigns and not weeks and not facts.funnel.sales:
        return None
    return {
        "sales": _sales(facts),
        "figure": _all_campaigns(facts),
        "grid": _campaigns(facts),
        "shares": weeks,
        "sources_left_out": max(len({each.source for each in facts.funnel.weeks}) - MOST_SOURCES, 0),
        "alike": _written_in_two_ways(facts),
    }


def _sales(facts: ReportFacts) -> Grid:
    def cells(line: _Line[CampaignSales]) -> tuple[str, ...]:
        row = line.row
        return (
            *line.named,
            format_integer(row.count),
            money_or_unknown_formatter(facts)(row.value),
            format_integer(row.unpriced),
        )

    return grid_of(
        _("Sales signed in the period by campaign, from all sources; the most valuable first"),
        (
            Column(_("Campaign")),
            Column(_("Source / medium")),
            Column(_("Sales"), True),
            Column(_("Value"), True),
            Column(_("Without amount"), True),
        ),
        _lines(facts.funnel.sales, sum_sales_by_name),
        cells,
    )


@dataclass(frozen=True, slots=True)
class _Line(Generic[_Row]):
    """A row of a table: a campaign from one source, or what all of its sources come to."""

    row: _Row
    sources: int = 0
    """How many sources and media the row adds up; the rows that follow are theirs. 0 for one of those."""
    is_part: bool = False
    """Whether a row above adds it up."""

    @property
    def named(self) -> tuple[str, str]:
        """The campaign, and where its leads came from."""
        row, name = self.row, self.row.campaign or _("(no campaign)")
        if self.sources:
            return name, _n("{count} source", "{count} sources together", self.sources)
        # The mark tells a part from its sum where a row is read alone.
        return f"↳ {name}" if self.is_part else name, " / ".join(filter(None, (row.source, row.medium))) or NO_NUMBER


def _lines(
    rows: Sequence[_Row], add: Callable[[Sequence[_Row], Callable[[_Row], CampaignName]], Sequence[_Row]]
) -> list[_Line[_Row]]:
    """Return the rows, those of one campaign from several sources below their sum; only sums if all are too many."""
    by_name: defaultdict[CampaignName, list[_Row]] = defaultdict(list)
    for row in rows:
        by_name[_name_of_sum(row)].append(row)
    lines: list[_Line[_Row]] = []
    for total in add(rows, _name_of_sum):
        parts = by_name[name_of(total)]
        if len(parts) == 1:
            lines.append(_Line(parts[0]))
        else:
            lines.append(_Line(total, sources=len(parts)))
            lines.extend(_Line(row, is_part=True) for row in parts)
    return lines if len(lines) <= MOST_ROWS else [line for line in lines if not line.is_part]


def _name_of_sum(row: CampaignRow | CampaignSales) -> CampaignName:
    # Leads without a campaign have nothing in common.
    return campaign_name_without_source(row) if row.campaign else name_of(row)


def _written_in_two_ways(facts: ReportFacts) -> str:
    """Return the pairs of sources that look like one, spelled as they are; empty if there are none."""
    rows: Sequence[CampaignRow | CampaignSales] = (*facts.funnel.campaigns, *facts.funnel.sales)
    sources = {row.source.casefold(): row.source for row in rows}
    return join_with_semicolons(
        _("“{one}” and “{other}”", one=sources[short], other=sources[long])
        for short, long in TWO_NAMES
        if short in sources and long in sources
    )


def _all_campaigns(facts: ReportFacts) -> ChartWithTable | None:
    campaigns = facts.funnel.campaigns
    if not campaigns:
        return None
    reached = [sum(each) for each in zip(*(campaign.reached for campaign in campaigns), strict=True)]
    leads = sum(campaign.leads for campaign in campaigns)
    stages = [capital(stage_in_words(each)) for each in facts.funnel.stages]
    steps = [(_("Leads"), leads), *zip(stages, reached, strict=True)]
    grid = grid_of(
        _("All campaigns together"),
        (Column(_("Stage")), Column(_("Leads"), True), Column(_("Share of all"), True)),
        steps,
        lambda step: (step[0], format_integer(step[1]), format_share(step[1], leads)),
        most=len(steps),
    )
    text = join_with_semicolons(_("{name}: {text}", name=name, text=format_integer(count)) for name, count in steps)
    return ChartWithTable(
        _("From lead to sale, all campaigns"), text, charts.render_svg(charts.funnel_chart(steps)), grid
    )


def _campaigns(facts: ReportFacts) -> Grid:
    stages = [Column(capital(stage_in_words(stage)), True) for stage in facts.funnel.stages]

    def cells(line: _Line[CampaignRow]) -> tuple[str, ...]:
        row = line.row
        return (
            *line.named,
            format_integer(row.leads),
            *map(format_integer, row.reached),
            format_integer(row.won),
            format_share(row.won, row.leads),
            (money_or_unknown_formatter if row.won else money_formatter)(facts)(row.value),
        )

    return grid_of(
        _("Leads of the period by campaign, and how far they have come; the most valuable first"),
        (
            Column(_("Campaign")),
            Column(_("Source / medium")),
            Column(_("Leads"), True),
            *stages,
            Column(_("Sales"), True),
            Column(_("Sales per lead"), True),
            Column(_("Value"), True),
        ),
        _lines(facts.funnel.campaigns, sum_campaigns_by_name),
        cells,
    )


def _shares(facts: ReportFacts) -> Sequence[ChartWithTable]:
    sources: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    for each in facts.funnel.weeks:
        sources[each.source][each.week] = (each.leads, each.with_click_id)
    biggest = sorted(sources, key=lambda source: (-sum(leads for leads, _with in sources[source].values()), source))
    return [_share(source, sources[source]) for source in biggest[:MOST_SOURCES]]


def _share(source: str, found: Mapping[date, tuple[int, int]]) -> ChartWithTable:
    name = source or _("(no source)")
    first, last = min(found), max(found)
    # A week without leads is a gap in the line.
    steps = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    weeks = [(week, *found.get(week, (0, 0))) for week in steps]
    with_leads = [each for each in weeks if each[1]] or weeks
    text = _(
        "Leads of {source} with a click id: {first} in the first week, {last} in the last.",
        source=name,
        first=format_share(with_leads[0][2], with_leads[0][1]),
        last=format_share(with_leads[-1][2], with_leads[-1][1]),
    )
    grid = grid_of(
        _("Leads of {source} with a click id, by week", source=name),
        (
            Column(_("Week from")),
            Column(_("Leads"), True),
            Column(_("With a click id"), True),
            Column(_("Share"), True),
        ),
        weeks,
        lambda week: (
            format_day(week[0]),
            format_integer(week[1]),
            format_integer(week[2]),
            format_share(week[2], week[1]),
        ),
        most=len(weeks),
    )
    return ChartWithTable(name, text, charts.render_svg(charts.share_by_week_chart(weeks)), grid)
