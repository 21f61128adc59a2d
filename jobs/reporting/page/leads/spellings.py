"""Campaigns whose names differ only by capitals are one: `Google` and `google` in two links mean the same."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from jobs.reporting.page.facts import CampaignRow, CampaignSales, ClickIdWeek, Funnel
from jobs.reporting.page.leads.campaigns import name_of, sum_campaigns_by_name, sum_sales_by_name
from jobs.reporting.page.leads.sales import CampaignName


def merge_campaign_case_variants(funnel: Funnel) -> Funnel:
    """Return the funnel with such names taken together, each spelled as most leads have it."""
    spelled = _Spellings.of(funnel)
    return Funnel(
        funnel.stages,
        sum_campaigns_by_name(funnel.campaigns, spelled.name),
        _weeks(funnel.weeks, spelled),
        sum_sales_by_name(funnel.sales, spelled.name),
    )


@dataclass(frozen=True, slots=True)
class _Spellings:
    """The usual spelling of each source, medium and campaign, by the name without capitals."""

    fields: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, funnel: Funnel) -> "_Spellings":
        """Find the spellings that most leads of the period have; sales of older leads come second."""
        rows = [*((name_of(row), row.leads) for row in funnel.campaigns), *((name_of(row), 0) for row in funnel.sales)]
        rows += [((week.source, "", ""), 0) for week in funnel.weeks]
        return cls(tuple(_usual((name[field], leads) for name, leads in rows) for field in range(3)))

    def usual_source(self, written: str) -> str:
        """Return the usual spelling of a source."""
        return self.fields[0][written.casefold()]

    def name(self, row: CampaignRow | CampaignSales) -> CampaignName:
        """Return the usual spelling of a campaign's name."""
        source, medium, campaign = (
            usual[written.casefold()] for usual, written in zip(self.fields, name_of(row), strict=True)
        )
        return source, medium, campaign


def _usual(found: Iterable[tuple[str, int]]) -> Mapping[str, str]:
    leads = Counter[str]()
    for written, count in found:
        leads[written] += count
    # The last one stays: the spelling of most leads, and of equal ones the first in the alphabet.
    in_order = sorted(sorted(leads, reverse=True), key=leads.__getitem__)
    return {written.casefold(): written for written in in_order}


def _weeks(rows: Iterable[ClickIdWeek], spelled: _Spellings) -> tuple[ClickIdWeek, ...]:
    found: dict[tuple[str, object], ClickIdWeek] = {}
    for row in rows:
        place = spelled.usual_source(row.source), row.week
        other = found.get(place) or ClickIdWeek(*place, 0, 0)
        found[place] = replace(
            other, leads=other.leads + row.leads, with_click_id=other.with_click_id + row.with_click_id
        )
    return tuple(sorted(found.values(), key=lambda week: (week.source, week.week)))
