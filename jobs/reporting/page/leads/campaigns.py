"""Leads and sales of the period by campaign, how far the leads have come, and how many have a click id."""

import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from sqlmodel import Session

from jobs.ledger.report.leads import amounts_and_agency, count_leads, count_leads_by_stage, count_sold_leads
from jobs.reporting.page.attribution import NOT_FROM_ADS
from jobs.reporting.page.counting_rules import ReportCountingRules, span_of_period
from jobs.reporting.page.facts import CampaignRow, CampaignSales, ClickIdWeek, Funnel, Period
from jobs.reporting.page.leads.sales import CampaignName, Sale, campaign_of
from jobs.settings.lint import CREATED


@dataclass(slots=True)
class _Campaign:
    leads: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    won: int = 0
    value: Decimal = Decimal()


@dataclass(frozen=True, slots=True)
class PeriodLeadCounts:
    """What the leads created in the period come to."""

    funnel: Funnel
    unpriced: Mapping[str, int]
    """Sales without an amount, by agency; empty for leads without one."""


def count_leads_in_period(session: Session, rules: ReportCountingRules) -> PeriodLeadCounts:
    """Count the leads created in the period."""
    account = rules.settings.account
    campaigns: defaultdict[CampaignName, _Campaign] = defaultdict(_Campaign)
    weeks: defaultdict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for monday, week in _weeks(rules.period):
        span = span_of_period(week, rules.book.zone)
        for row in count_leads(session, account, span, not_from_ads=NOT_FROM_ADS, among=rules.leads):
            name = campaign_of(row)
            campaigns[name].leads += row.leads
            counts = weeks[name[0], monday]
            counts[0] += row.leads
            counts[1] += row.with_click
    for row in count_leads_by_stage(session, account, rules.span, rules.stage_of, among=rules.leads):
        campaigns[campaign_of(row)].reached[row.stage] += row.leads
    unpriced = Counter[str]()
    sold = None if rules.sale_conversion.stage == CREATED else rules.sale_labels
    deciding = rules.sale_deciding_labels
    for row in count_sold_leads(session, account, rules.span, sold=sold, deciding=deciding, among=rules.leads):
        if not rules.is_undone(row.decided_by):
            campaign, amount = campaigns[campaign_of(row)], rules.amount(row.facts)
            campaign.won += row.leads
            if amount is None:
                unpriced[amounts_and_agency(row.facts)[1] or ""] += row.leads
            else:
                campaign.value += amount * row.leads
    return PeriodLeadCounts(_funnel(rules, campaigns, weeks), unpriced)


def _weeks(period: Period) -> Iterator[tuple[date, Period]]:
    """Yield the Monday of each week of a period, and the days of it that are in the period."""
    monday = period.first - timedelta(days=period.first.weekday())
    while monday <= period.last:
        sunday = monday + timedelta(days=6)
        yield monday, Period(max(monday, period.first), min(sunday, period.last))
        monday = sunday + timedelta(days=1)


def _funnel(
    rules: ReportCountingRules,
    campaigns: Mapping[CampaignName, _Campaign],
    weeks: Mapping[tuple[str, date], list[int]],
) -> Funnel:
    stages = tuple(rules.settings.stages)
    rows = [
        CampaignRow(*name, it.leads, tuple(it.reached[stage] for stage in stages), it.won, it.value)
        for name, it in campaigns.items()
    ]
    shares = (ClickIdWeek(*place, *counts) for place, counts in sorted(weeks.items()))
    return Funnel(stages, sort_campaigns(rows), tuple(shares), ())


name_of = operator.attrgetter("source", "medium", "campaign")


def sort_campaigns(campaigns: Iterable[CampaignRow]) -> tuple[CampaignRow, ...]:
    """Return campaigns, the most valuable first."""
    return tuple(sorted(campaigns, key=lambda row: (-row.value, -row.won, -row.leads, *name_of(row))))


def sales_by_campaign(sales: Iterable[Sale]) -> tuple[CampaignSales, ...]:
    """Return the sales of each campaign, the most valuable first."""
    found = defaultdict[CampaignName, list[Sale]](list)
    for sale in sales:
        found[sale.campaign].append(sale)
    rows = (
        CampaignSales(
            *name,
            len(its),
            sum((sale.amount for sale in its if sale.amount is not None), Decimal()),
            sum(sale.amount is None for sale in its),
        )
        for name, its in found.items()
    )
    return sort_campaign_sales(rows)


def sort_campaign_sales(sales: Iterable[CampaignSales]) -> tuple[CampaignSales, ...]:
    """Return the sales of campaigns, the most valuable first."""
    return tuple(sorted(sales, key=lambda row: (-row.value, -row.count, *name_of(row))))


# ── rows of one name ─────────────────────────────────────────────────────────────────────────────


def sum_campaigns_by_name(
    rows: Iterable[CampaignRow], named: Callable[[CampaignRow], CampaignName]
) -> tuple[CampaignRow, ...]:
    """Return the rows with those of one name together."""
    found: dict[CampaignName, CampaignRow] = {}
    for row in rows:
        name = named(row)
        other = found.get(name) or CampaignRow(*name, 0, (0,) * len(row.reached), 0, row.value * 0)
        found[name] = CampaignRow(
            *name,
            other.leads + row.leads,
            tuple(map(sum, zip(other.reached, row.reached, strict=True))),
            other.won + row.won,
            other.value + row.value,
        )
    return sort_campaigns(found.values())


def sum_sales_by_name(
    rows: Iterable[CampaignSales], named: Callable[[CampaignSales], CampaignName]
) -> tuple[CampaignSales, ...]:
    """Return the rows with those of one name together."""
    found: dict[CampaignName, CampaignSales] = {}
    for row in rows:
        name = named(row)
        other = found.get(name) or CampaignSales(*name, 0, row.value * 0, 0)
        found[name] = CampaignSales(
            *name, other.count + row.count, other.value + row.value, other.unpriced + row.unpriced
        )
    return sort_campaign_sales(found.values())


def campaign_name_without_source(row: CampaignRow | CampaignSales) -> CampaignName:
    """Return the name of a campaign, wherever its leads came from."""
    return "", "", row.campaign
