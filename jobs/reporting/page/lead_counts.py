"""Count leads for the page in one pass: signed sales, campaigns, times to a stage, agencies."""

import operator
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from sqlalchemy import Row

from jobs.ledger.report_leads import ReportedLead, amounts_and_agency
from jobs.reporting.page.attribution import (
    SENT_TO,
    AdClick,
    ad_clicks,
    bidding_fitness,
    last_ad_click,
    per_30_days,
    quantile,
    time_within_window,
    window_of_stage,
)
from jobs.reporting.page.counting_rules import CountingRules, Seconds, in_seconds
from jobs.reporting.page.facts import (
    FEWEST_AT_AN_AGENCY,
    FEWEST_TIMED,
    MATURES_AFTER,
    AdPlatform,
    AgencyRow,
    CampaignRow,
    ClickIdWeek,
    Funnel,
    Sales,
    StageTiming,
)
from jobs.rules.model import StatusTimeOrigin
from jobs.settings.lint import CREATED

_DAY = 86_400
_QUARTER = 900
_DATED_WITHIN = 2 * _DAY
"""A status that a lead had at first sight, without a date, is dated well enough by a reading this soon after."""
_HALF, _NINE_IN_TEN = Fraction(1, 2), Fraction(9, 10)


@dataclass(frozen=True, slots=True)
class Sale:
    """A signed sale."""

    lead: str
    at: int
    platform: AdPlatform
    amount: Decimal | None


@dataclass(slots=True)
class _Timing:
    seconds: list[int] = field(default_factory=list)
    within: int = 0


@dataclass(slots=True)
class _Agency:
    leads: int = 0
    untouched: int = 0
    days: list[float] = field(default_factory=list)
    missing_amounts: int = 0
    lost: Decimal = Decimal()

    def add(self, other: "_Agency") -> None:
        self.leads += other.leads
        self.untouched += other.untouched
        self.days += other.days
        self.missing_amounts += other.missing_amounts
        self.lost += other.lost


@dataclass(slots=True)
class _Campaign:
    leads: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    won: int = 0
    value: Decimal = Decimal()


@dataclass
class LeadCounts:
    """What the leads taken so far come to."""

    rules: CountingRules
    sales: list[Sale] = field(default_factory=list)
    sales_before: list[Sale] = field(default_factory=list)
    _campaigns: defaultdict[tuple[str, str, str], _Campaign] = field(default_factory=lambda: defaultdict(_Campaign))
    _weeks: defaultdict[tuple[str, date], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    _mondays: dict[int, date] = field(default_factory=dict)
    _timings: defaultdict[tuple[str, AdPlatform], _Timing] = field(default_factory=lambda: defaultdict(_Timing))
    _agencies: defaultdict[str, _Agency] = field(default_factory=lambda: defaultdict(_Agency))

    def take(self, lead: ReportedLead) -> None:
        """Count a lead."""
        clicks = ad_clicks(lead.clicks)
        firsts = self._first_entries(lead.changes)
        self._sell(lead, firsts, clicks)
        since, until = self._timed
        for stage, entry in firsts.items():
            if since <= entry.at < until and _is_dated(entry, lead.row.created_at):
                self._time(stage, entry, last_ad_click(clicks, _latest(entry)))
        if self._created[0] <= lead.row.created_at < self._created[1]:
            self._count_created(lead, clicks)

    @cached_property
    def _timed(self) -> Seconds:
        return in_seconds(self.rules.timed_span)

    @cached_property
    def _created(self) -> Seconds:
        return in_seconds(self.rules.span)

    @cached_property
    def _before(self) -> Seconds:
        return in_seconds(self.rules.span_before)

    @cached_property
    def _first_run(self) -> int:
        """What happened before it was told as soon as it could be."""
        return int((self.rules.first_run or self.rules.now).timestamp())

    @cached_property
    def _stage_of(self) -> Mapping[str, str]:
        return self.rules.stage_of

    def _first_entries(self, changes: Sequence[Row[Any]]) -> dict[str, Row[Any]]:
        """Return the first entry into each stage; an entry shown under a status's new name is not one."""
        found: dict[str, Row[Any]] = {}
        for change in changes:
            stage = self._stage_of.get(change.label)
            if stage is None or change.origin == StatusTimeOrigin.RELABEL:
                continue
            if stage not in found or change.at < found[stage].at:
                found[stage] = change
        return found

    def _sell(self, lead: ReportedLead, firsts: Mapping[str, Row[Any]], clicks: Sequence[AdClick]) -> None:
        rules, row = self.rules, lead.row
        if rules.sale.stage == CREATED:
            at = end = row.created_at
        else:
            entries = [entry for stage, entry in firsts.items() if stage in rules.sale_stages]
            entry = min(entries, key=lambda each: each.at, default=None)
            if entry is None or not _is_dated(entry, row.created_at):
                return
            at, end = entry.at, _latest(entry)
        if self._before[0] <= at < self._created[1] and not self._is_undone(lead):
            sales = self.sales_before if at < self._before[1] else self.sales
            sales.append(Sale(row.id, at, last_ad_click(clicks, end)[0], rules.amount(row.facts)))

    def _is_undone(self, lead: ReportedLead) -> bool:
        """Whether the sale was taken back and not restored since; a stage that does neither changes nothing."""
        sold, undoing = self.rules.sale_stages, self.rules.sale.undo_when
        now = self._stage_of.get(lead.row.label)
        if not undoing or now in sold or now in undoing:
            return now in undoing
        moves = [
            (change.at, stage)
            for change in lead.changes
            if (stage := self._stage_of.get(change.label)) in sold or stage in undoing
            if change.origin != StatusTimeOrigin.RELABEL
        ]
        return bool(moves) and max(moves, key=lambda move: move[0])[1] in undoing

    def _time(self, stage: str, entry: Row[Any], click: AdClick) -> None:
        platform, clicked_at = click
        if platform not in SENT_TO:
            return
        # A date without a time is its noon, more or less.
        at = entry.at + _DAY // 2 if entry.date_only else entry.at
        since_click = max(0, at - clicked_at)
        timing = self._timings[stage, platform]
        timing.seconds.append(since_click)
        until_told = entry.seen_at - max(at, self._first_run)
        counts = time_within_window(platform, since_click=since_click, until_told=until_told)
        timing.within += counts <= self._windows[stage, platform].total_seconds()

    @cached_property
    def _windows(self) -> dict[tuple[str, AdPlatform], timedelta]:
        return {
            (stage, platform): window_of_stage(self.rules.settings, platform, stage)
            for stage in self.rules.settings.stages
            for platform in SENT_TO
        }

    def _count_created(self, lead: ReportedLead, clicks: Sequence[AdClick]) -> None:
        rules, row = self.rules, lead.row
        reached = {stage for change in lead.changes if (stage := self._stage_of.get(change.label))}
        is_sold = rules.sale.stage == CREATED or not reached.isdisjoint(rules.sale_stages)
        is_won = is_sold and not self._is_undone(lead)
        amount = rules.amount(row.facts) if is_won else None
        name = lead.campaign
        campaign = self._campaigns[name]
        campaign.leads += 1
        campaign.reached.update(reached)
        campaign.won += is_won
        campaign.value += amount or 0
        week = self._weeks[name[0], self._monday_of(row.created_at // _QUARTER)]
        week[0] += 1
        week[1] += bool(clicks)
        if rules.settings.report.by is not None:
            self._count_at_agency(lead, is_unpriced=is_won and amount is None)

    def _monday_of(self, quarter: int) -> date:
        """Return the Monday of the week of a quarter of an hour since 1970; no zone's day begins within one."""
        if (known := self._mondays.get(quarter)) is not None:
            return known
        day = datetime.fromtimestamp(quarter * _QUARTER, self.rules.book.zone).date()
        monday = self._mondays[quarter] = day - timedelta(days=day.weekday())
        return monday

    def _count_at_agency(self, lead: ReportedLead, *, is_unpriced: bool) -> None:
        agency = self._agencies[amounts_and_agency(lead.row.facts)[1] or ""]
        agency.leads += 1
        # An entry shown under a status's new name is no change of the lead.
        had = {change.label for change in lead.changes if change.origin != StatusTimeOrigin.RELABEL}
        agency.untouched += len(had) <= 1
        agency.missing_amounts += is_unpriced
        for change in lead.changes:
            if change.origin == StatusTimeOrigin.REPORTED and change.at >= self._first_run:
                agency.days.append(max(0.0, (change.seen_at - _latest(change)) / _DAY))

    def lose(self, agency: str | None, value: Decimal) -> None:
        """Count the value of a conversion that someone at an agency could have saved."""
        self._agencies[agency or ""].lost += value

    # ── what it comes to ─────────────────────────────────────────────────────────────────────────

    def sales_by_platform(self, sales: Sequence[Sale]) -> tuple[Sales, ...]:
        """Return the sales of each platform; those without any are there, too."""
        ripe = (self.rules.now - MATURES_AFTER).timestamp()
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

    def funnel(self) -> Funnel:
        """Return the campaigns, the most valuable first, and the weeks."""
        stages = tuple(self.rules.settings.stages)
        campaigns = [
            CampaignRow(*name, it.leads, tuple(it.reached[stage] for stage in stages), it.won, it.value)
            for name, it in self._campaigns.items()
        ]
        weeks = (ClickIdWeek(*place, *counts) for place, counts in sorted(self._weeks.items()))
        return Funnel(stages, sort_campaigns(campaigns), tuple(weeks))

    def timing(self, platforms: Sequence[AdPlatform]) -> tuple[StageTiming, ...]:
        """Return how long each stage takes on each of these platforms."""
        return tuple(self._timing(stage, each) for stage in self.rules.timed_stages for each in platforms)

    def _timing(self, stage: str, platform: AdPlatform) -> StageTiming:
        found = self._timings[stage, platform]
        count = len(found.seconds)
        median, most = (
            timedelta(seconds=round(quantile(found.seconds, share))) if count >= FEWEST_TIMED else None
            for share in (_HALF, _NINE_IN_TEN)
        )
        return StageTiming(
            stage=stage,
            platform=platform,
            count=count,
            per_30_days=per_30_days(count),
            median=median,
            nine_in_ten=most,
            window=self._windows[stage, platform],
            within_window=found.within,
            fitness=bidding_fitness(platform, count, found.within),
        )

    def agencies(self) -> tuple[AgencyRow, ...] | None:
        """Return the agencies, the largest first; the small ones and leads without one come last, as one."""
        if self.rules.settings.report.by is None:
            return None
        return tuple(self._agency_rows())

    def _agency_rows(self) -> Iterator[AgencyRow]:
        others, named = _Agency(), []
        for name, agency in self._agencies.items():
            if name and agency.leads >= FEWEST_AT_AN_AGENCY:
                named.append((name, agency))
            else:
                others.add(agency)
        for name, agency in sorted(named, key=lambda pair: (-pair[1].leads, pair[0])):
            yield _agency_row(name, agency)
        if others.leads:
            yield _agency_row("", others)


def sort_campaigns(campaigns: Iterable[CampaignRow]) -> tuple[CampaignRow, ...]:
    """Return campaigns, the most valuable first."""
    place = operator.attrgetter("source", "medium", "campaign")
    return tuple(sorted(campaigns, key=lambda row: (-row.value, -row.won, -row.leads, *place(row))))


def _agency_row(name: str, agency: _Agency) -> AgencyRow:
    days = None
    if agency.leads >= FEWEST_AT_AN_AGENCY and agency.days:
        days = Decimal(quantile(agency.days, _HALF)).quantize(Decimal("0.1"))
    return AgencyRow(name, agency.leads, agency.untouched, days, agency.missing_amounts, agency.lost)


def _is_dated(entry: Row[Any], created_at: int) -> bool:
    """Whether it is known well enough when it happened."""
    is_baseline = entry.origin == StatusTimeOrigin.BASELINE
    return not is_baseline or entry.at - max(created_at, entry.after or created_at) <= _DATED_WITHIN


def _latest(entry: Row[Any]) -> int:
    """Return the last second at which it may have happened."""
    at: int = entry.at
    return at + _DAY if entry.date_only else at


def _total(sales: Sequence[Sale]) -> Decimal:
    return sum((sale.amount for sale in sales if sale.amount is not None), Decimal())
