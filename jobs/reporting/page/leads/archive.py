"""Leads that leave the ledger, counted month by month as the page counts them; and a period's months, added to it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlmodel import Session

from connectors.records import LeadId
from jobs.ledger.leads import status_labels
from jobs.ledger.report import leads as report_leads
from jobs.ledger.retention import monthly, retention
from jobs.ledger.retention.monthly import ArchivedMonths, CountByMonth, counts_by_name, counts_to_json, month_of
from jobs.ledger.schema import MonthlyArchiveRow, MonthlyCampaign, MonthlyClickIds, MonthlySales
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import (
    MATURES_AFTER,
    AdPlatform,
    CampaignRow,
    ClickIdWeek,
    Funnel,
    Period,
    Sales,
    SalesKnownToPlatform,
)
from jobs.reporting.page.leads.campaigns import count_leads_in_period, sort_campaigns
from jobs.reporting.page.leads.counted_sales import count_sales_sent
from jobs.reporting.page.leads.sales import Sale, signed_sales
from jobs.reporting.page.period import EARLIEST
from jobs.settings import Settings
from jobs.settings.compile import Rulebook

# ── leads that leave ─────────────────────────────────────────────────────────────────────────────


def monthly_lead_counter(settings: Settings, book: Rulebook, now: datetime) -> CountByMonth:
    """Return what counts leads that are about to be erased."""
    return lambda session, leads: _count_by_month(session, settings, book, leads, now=now)


def _count_by_month(
    session: Session, settings: Settings, book: Rulebook, leads: Collection[LeadId], *, now: datetime
) -> Iterator[MonthlyArchiveRow]:
    """Yield what these leads come to, by the month of their creation, and of their sales."""
    account, zone = settings.account, book.zone
    rules = _rules_of_all_time(session, settings, book, leads, now)
    by_month = defaultdict[date, list[LeadId]](list)
    for row in report_leads.lead_creation_times(session, account, leads):
        by_month[month_of(row.created_at, zone)].append(LeadId(row.id))
    for month, its in by_month.items():
        days = Period(month, _next_month(month) - timedelta(days=1))
        yield from _funnel_rows(
            account, month, count_leads_in_period(session, replace(rules, period=days, leads=its)).funnel
        )
    sales = defaultdict[date, list[Sale]](list)
    for some in signed_sales(session, rules):
        for sale in some:
            sales[month_of(datetime.fromtimestamp(sale.at, UTC), zone)].append(sale)
    for month, sold in sales.items():
        yield from _sales_rows(session, rules, month, sold)


def _rules_of_all_time(
    session: Session, settings: Settings, book: Rulebook, leads: Collection[LeadId], now: datetime
) -> ReportCountingRules:
    """Return what counts of these leads in a period in which all they did lies."""
    ever = Period(EARLIEST, now.astimezone(book.zone).date() + timedelta(days=1))
    renamed = {row.before: row.after for row in status_labels.renames_found(session, settings.account)}
    first_run = report_leads.first_run_started(session, settings.account)
    return ReportCountingRules(settings, book, renamed, ever, now, first_run, leads)


def _funnel_rows(account: str, month: date, funnel: Funnel) -> Iterator[MonthlyArchiveRow]:
    for row in funnel.campaigns:
        reached = {stage: count for stage, count in zip(funnel.stages, row.reached, strict=True) if count}
        yield MonthlyCampaign(
            account=account,
            month=month,
            source=row.source,
            medium=row.medium,
            campaign=row.campaign,
            leads=row.leads,
            won=row.won,
            value=str(row.value),
            reached=counts_to_json(reached),
        )
    for week in funnel.weeks:
        yield MonthlyClickIds(
            account=account,
            month=month,
            source=week.source,
            week=week.week,
            leads=week.leads,
            with_click_id=week.with_click_id,
        )


def _sales_rows(
    session: Session, rules: ReportCountingRules, month: date, sold: Sequence[Sale]
) -> Iterator[MonthlyArchiveRow]:
    known = {one.platform: one for one in count_sales_sent(session, rules, sold)}
    for platform in AdPlatform:
        its = [sale for sale in sold if sale.platform is platform]
        if not its:
            continue
        value = sum((sale.amount for sale in its if sale.amount is not None), Decimal())
        row = MonthlySales(
            account=rules.settings.account, month=month, platform=platform, count=len(its), value=str(value)
        )
        if (counted := known.get(platform)) is not None:
            row.sent, row.received, row.accepted = counted.sent, counted.received, counted.accepted
        yield row


# ── periods that reach back to them ──────────────────────────────────────────────────────────────


def whole_months(period: Period) -> list[date]:
    """Return the first day of each month that lies wholly inside a period."""
    month = period.first if period.first.day == 1 else _next_month(period.first)
    found = []
    while (after := _next_month(month)) - timedelta(days=1) <= period.last:
        found.append(month)
        month = after
    return found


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


@dataclass(frozen=True, slots=True)
class ArchivedPeriod:
    """What is archived of a period's whole months, and of those of the period before."""

    now: ArchivedMonths
    before: ArchivedMonths
    left_before: datetime | None
    """Leads created before then may have left; None if none has."""
    ripe: date
    """Months that ended by then have matured; forgotten leads may be of a later one."""

    def sales_with_archive(self, counted: Sequence[Sales], archive: ArchivedMonths) -> tuple[Sales, ...]:
        """Return the sales with those archived."""
        return tuple(_add_sales(one, archive, self.ripe) for one in counted)

    def sales_known_to_platforms(self, counted: Sequence[SalesKnownToPlatform]) -> tuple[SalesKnownToPlatform, ...]:
        """Return how many sales each platform knows of, with those archived."""
        return tuple(_add_known(one, self.now) for one in counted)

    def funnel(self, counted: Funnel) -> Funnel:
        """Return the campaigns and weeks with those archived."""
        campaigns = {(row.source, row.medium, row.campaign): row for row in counted.campaigns}
        nothing = (0,) * len(counted.stages)
        for each in self.now.campaigns:
            name = (each.source, each.medium, each.campaign)
            row = campaigns.get(name) or CampaignRow(*name, 0, nothing, 0, Decimal())
            reached = counts_by_name(each.reached)
            campaigns[name] = CampaignRow(
                *name,
                row.leads + each.leads,
                tuple(count + reached[stage] for stage, count in zip(counted.stages, row.reached, strict=True)),
                row.won + each.won,
                row.value + Decimal(each.value),
            )
        weeks = {(row.source, row.week): row for row in counted.weeks}
        for one in self.now.click_ids:
            place = (one.source, one.week)
            week = weeks.get(place) or ClickIdWeek(*place, 0, 0)
            weeks[place] = ClickIdWeek(*place, week.leads + one.leads, week.with_click_id + one.with_click_id)
        return Funnel(
            counted.stages,
            sort_campaigns(campaigns.values()),
            tuple(week for _, week in sorted(weeks.items())),
            counted.sales,
        )

    def only_whole_months_before(self, period: Period, zone: ZoneInfo) -> date | None:
        """Return the day before which only whole months of the period are counted; None if it begins later."""
        if self.left_before is None:
            return None
        day = self.left_before.astimezone(zone).date()
        return day if period.first < day else None


def _add_sales(one: Sales, archive: ArchivedMonths, ripe: date) -> Sales:
    its = [row for row in archive.sales if row.platform == one.platform]
    matured = [row for row in its if _next_month(row.month) <= ripe]
    return Sales(
        one.platform,
        one.count + sum(row.count for row in its),
        one.value + _total(its),
        one.matured + sum(row.count for row in matured),
        one.matured_value + _total(matured),
    )


def _total(sales: Sequence[MonthlySales]) -> Decimal:
    return sum((Decimal(row.value) for row in sales), Decimal())


def _add_known(one: SalesKnownToPlatform, archive: ArchivedMonths) -> SalesKnownToPlatform:
    its = [row for row in archive.sales if row.platform == one.platform]
    return SalesKnownToPlatform(
        one.platform,
        one.sales + sum(row.count for row in its),
        one.sent + sum(row.sent for row in its),
        one.received + sum(row.received for row in its),
        one.accepted + sum(row.accepted for row in its),
        one.not_to_be_sent,
    )


def load_archived_period(session: Session, rules: ReportCountingRules) -> ArchivedPeriod:
    """Return what is archived of a period and of the one before it."""
    account, period = rules.settings.account, rules.period
    now, before = (
        monthly.archive_of_months(session, account, whole_months(each)) for each in (period, period.preceding_period)
    )
    ripe = (rules.now - MATURES_AFTER).astimezone(rules.book.zone).date()
    return ArchivedPeriod(now, before, retention.retention_cutoff(session, account), ripe)
