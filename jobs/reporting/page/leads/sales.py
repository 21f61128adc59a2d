"""Signed sales, and whose ad brought them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from jobs.ledger.report.leads import LeadWithClicks, leads_created_in_span, leads_entering_statuses
from jobs.reporting.page.attribution import ad_clicks, last_ad_click
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import MATURES_AFTER, AdPlatform, Sales
from jobs.settings.lint import CREATED

CampaignName = tuple[str, str, str]
"""UTM source, medium and campaign, each empty where there is none."""


def campaign_of(row: Row[Any] | LeadWithClicks) -> CampaignName:
    """Return which campaign a lead came from."""
    return row.utm_source or "", row.utm_medium or "", row.utm_campaign or ""


@dataclass(frozen=True, slots=True)
class Sale:
    """A signed sale."""

    lead: str
    at: int
    """In seconds since 1970."""
    platform: AdPlatform
    amount: Decimal | None
    campaign: CampaignName


def signed_sales(session: Session, rules: ReportCountingRules) -> tuple[list[Sale], list[Sale]]:
    """Return the sales of the period, and those of the one before."""
    sales, before = list[Sale](), list[Sale]()
    begins = int(rules.span[0].timestamp())
    for sale in _sales(session, rules):
        (before if sale.at < begins else sales).append(sale)
    return sales, before


def _sales(session: Session, rules: ReportCountingRules) -> Iterator[Sale]:
    account, both = rules.settings.account, (rules.span_before[0], rules.span[1])
    leads = (
        leads_created_in_span(session, account, both, rules.sale_deciding_labels, among=rules.leads)
        if rules.sale_conversion.stage == CREATED
        else leads_entering_statuses(
            session, account, both, rules.sale_labels, rules.sale_deciding_labels, among=rules.leads
        )
    )
    for lead in leads:
        if not rules.is_undone(lead.decided_by):
            platform, _ = last_ad_click(ad_clicks(lead.clicks), lead.latest)
            yield Sale(lead.lead, lead.at, platform, rules.amount(lead.facts), campaign_of(lead))


def sales_by_platform(rules: ReportCountingRules, sales: Sequence[Sale]) -> tuple[Sales, ...]:
    """Return the sales of each platform; those without any are there, too."""
    ripe = (rules.now - MATURES_AFTER).timestamp()
    return tuple(
        Sales(
            platform,
            len(its),
            _total(its),
            len(matured := [sale for sale in its if sale.at <= ripe]),
            _total(matured),
        )
        for platform in AdPlatform
        for its in ([sale for sale in sales if sale.platform is platform],)
    )


def _total(sales: Sequence[Sale]) -> Decimal:
    return sum((sale.amount for sale in sales if sale.amount is not None), Decimal())
