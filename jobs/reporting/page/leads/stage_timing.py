"""How long after the click each stage is reached, against the platforms' windows."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction

from sqlmodel import Session

from jobs.ledger.report.leads import EntryWithClicks, entries_after_clicks
from jobs.reporting.page.attribution import (
    SENT_TO,
    ad_clicks,
    bidding_fitness,
    last_ad_click,
    per_30_days,
    quantile,
    time_limited_by_window,
    window_of_stage,
)
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import FEWEST_TIMED, AdPlatform, StageTiming

_HALF, _NINE_IN_TEN = Fraction(1, 2), Fraction(9, 10)


@dataclass(slots=True)
class _Times:
    since_click: list[int] = field(default_factory=list)
    """In seconds, of each lead."""
    within: list[int] = field(default_factory=list)
    """What must lie within the platform's window."""


def stage_durations(
    session: Session, rules: ReportCountingRules, platforms: Sequence[AdPlatform]
) -> tuple[StageTiming, ...]:
    """Return how long each stage takes on each of these platforms."""
    found: defaultdict[tuple[str, AdPlatform], _Times] = defaultdict(_Times)
    stages = {label: stage for label, stage in rules.stage_of.items() if stage in rules.biddable_stages}
    for entry in entries_after_clicks(session, rules.settings.account, rules.stage_timing_span, stages):
        _time(rules, entry, found)
    return tuple(
        _timing(rules, stage, each, found[stage, each]) for stage in rules.biddable_stages for each in platforms
    )


def _time(
    rules: ReportCountingRules, entry: EntryWithClicks, found: defaultdict[tuple[str, AdPlatform], _Times]
) -> None:
    platform, clicked_at = last_ad_click(ad_clicks(entry.clicks), entry.latest)
    if platform not in SENT_TO:
        return
    # A date without a time is its noon, more or less.
    at = (entry.at + entry.latest) // 2
    times, since_click = found[entry.stage, platform], max(0, at - clicked_at)
    times.since_click.append(since_click)
    until_known = entry.seen_at - max(at, rules.first_run_at)
    times.within.append(time_limited_by_window(platform, since_click=since_click, until_known=until_known))


def _timing(rules: ReportCountingRules, stage: str, platform: AdPlatform, times: _Times) -> StageTiming:
    count, window = len(times.since_click), window_of_stage(rules.settings, platform, stage)
    longest = window.total_seconds()
    within = sum(seconds <= longest for seconds in times.within)
    times.since_click.sort()  # once, for both quantiles
    median, most = (
        timedelta(seconds=quantile(times.since_click, share)) if count >= FEWEST_TIMED else None
        for share in (_HALF, _NINE_IN_TEN)
    )
    return StageTiming(
        stage=stage,
        platform=platform,
        count=count,
        per_30_days=per_30_days(count),
        median=median,
        nine_in_ten=most,
        window=window,
        within_window=within,
        fitness=bidding_fitness(platform, count, within),
    )
