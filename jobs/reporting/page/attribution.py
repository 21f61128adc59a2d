"""Whose ad a lead came from, and what each platform needs to bid on a stage."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from connectors.records import ClickIdKind
from jobs.ledger.report.leads import RecordedClick
from jobs.reporting.page.facts import FEWEST_TIMED, TIMING_DAYS, AdPlatform, BiddingFitness
from jobs.settings import Settings

_PLATFORMS: Mapping[str, AdPlatform] = {
    ClickIdKind.GCLID: AdPlatform.GOOGLE,
    ClickIdKind.GBRAID: AdPlatform.GOOGLE,
    ClickIdKind.WBRAID: AdPlatform.GOOGLE,
    ClickIdKind.FBC: AdPlatform.META,
    ClickIdKind.FBCLID: AdPlatform.META,
    ClickIdKind.LEAD_ID: AdPlatform.META,
    ClickIdKind.MSCLKID: AdPlatform.OTHER,
    ClickIdKind.TTCLID: AdPlatform.OTHER,
    ClickIdKind.LI_FAT_ID: AdPlatform.OTHER,
}
"""By kind of click id. A browser's own id, `fbp`, is there whatever brought it to the site."""
SENT_TO = (AdPlatform.GOOGLE, AdPlatform.META)
"""The platforms that conversions are sent to."""
NOT_FROM_ADS = frozenset(ClickIdKind) - _PLATFORMS.keys()
"""The kinds of click id that no ad brings."""


AdClick = tuple[AdPlatform, int]
"""Whose ad was clicked, and when, in seconds since 1970; without a click on an ad, at no time."""
_NO_CLICK: AdClick = (AdPlatform.NONE, 0)


def ad_clicks(clicks: Iterable[RecordedClick]) -> list[AdClick]:
    """Return the clicks on ads among a lead's click ids."""
    return [(_PLATFORMS[kind], at) for kind, at in clicks if kind is not None and at is not None and kind in _PLATFORMS]


def last_ad_click(clicks: Sequence[AdClick], before: int) -> AdClick:
    """Return the last click before a time, preferably on an ad of a platform that conversions are sent to.

    Where all clicks are later, their times are wrong, and the last one counts.
    """
    if len(clicks) <= 1:
        return clicks[0] if clicks else _NO_CLICK
    ours = [click for click in clicks if click[0] in SENT_TO]
    return max(ours or clicks, key=lambda click: (click[1] <= before, click[1], click[0]))


def platforms_of_destinations(settings: Settings) -> dict[str, AdPlatform]:
    """Return the platform of each destination."""
    google = {one.id: AdPlatform.GOOGLE for one in settings.google_ads}
    return google | {one.id: AdPlatform.META for one in settings.meta}


# ── bidding ──────────────────────────────────────────────────────────────────────────────────────

CLICK_WINDOW = timedelta(days=90)
"""Google takes conversions up to 90 days after the click, unless the action's own window is shorter."""
EVENT_WINDOW = timedelta(days=7)
"""Meta takes events up to 7 days old."""
FEWEST_ADVISED = {"google": 50, "meta": 50}
"""For Google in 30 days, as it recommends for bidding on values; of Search campaigns it requires 15:
https://support.google.com/google-ads/answer/6268637. For Meta a week for each ad set, or it stays in its learning
phase: https://www.facebook.com/business/help/112167992830700.
"""
_FEWEST_IN_30_DAYS: Mapping[AdPlatform, Decimal] = {
    AdPlatform.GOOGLE: Decimal(FEWEST_ADVISED["google"]),
    AdPlatform.META: Decimal(FEWEST_ADVISED["meta"] * 30) / 7,
}
_IN_TIME = Fraction(9, 10)
"""A stage comes early enough if at least this share of it comes within the window."""


def names_of_actions(settings: Settings) -> dict[str, str]:
    """Return the names of the conversions that go to each Google action or Meta event."""
    names = defaultdict[str, list[str]](list)
    for one in settings.conversions:
        if one.google_ads is not None:
            names[str(one.google_ads.conversion_action.id)].append(one.name or one.id)
        if one.meta is not None:
            names[one.meta.event].append(one.name or one.id)
    return {action: ", ".join(its) for action, its in names.items()}


def window_of_stage(settings: Settings, platform: AdPlatform, stage: str) -> timedelta:
    """Return within what time a platform takes a stage: after the click for Google, after the event for Meta."""
    if platform is AdPlatform.META:
        return EVENT_WINDOW
    days = [
        conversion.google_ads.conversion_action.click_window_days
        for conversion in settings.conversions
        if conversion.google_ads and stage in (conversion.stage, *conversion.implied_by)
    ]
    return min((timedelta(days=each) for each in days if each is not None), default=CLICK_WINDOW)


def window_runs_from_click(platform: AdPlatform) -> bool:
    """Return whether a platform's window begins with the click, rather than when a stage is reached."""
    return platform is AdPlatform.GOOGLE


def time_limited_by_window(platform: AdPlatform, *, since_click: int, until_known: int) -> int:
    """Return which of two times must lie within the platform's window; both are in seconds."""
    match platform:
        case AdPlatform.GOOGLE:
            return since_click
        case AdPlatform.META:
            return until_known
        case AdPlatform.OTHER | AdPlatform.NONE:
            raise ValueError("nothing is sent there")
    assert_never(platform)


def per_30_days(count: int) -> Decimal:
    """Return how many there are in 30 days, of those of `TIMING_DAYS` days."""
    return (Decimal(count) * 30 / TIMING_DAYS).quantize(Decimal("0.1"))


def bidding_fitness(platform: AdPlatform, count: int, within_window: int) -> BiddingFitness:
    """Return whether a stage comes early and often enough to bid on."""
    if count < FEWEST_TIMED:
        return BiddingFitness.TOO_FEW_TO_TELL
    is_rare = Decimal(count) * 30 / TIMING_DAYS < _FEWEST_IN_30_DAYS[platform]
    is_late = Fraction(within_window, count) < _IN_TIME
    if is_rare and is_late:
        return BiddingFitness.TOO_LATE_AND_TOO_RARE
    if is_late:
        return BiddingFitness.TOO_LATE
    return BiddingFitness.TOO_RARE if is_rare else BiddingFitness.FIT


def quantile(values: Collection[float], share: Fraction) -> float:
    """Return the smallest value that at least this share of the values do not exceed."""
    in_order = sorted(values)
    return in_order[-(-len(in_order) * share.numerator // share.denominator) - 1]
