"""What the picture of the report shows: an invented account, the same at every call."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from jobs.reporting.page.facts import (
    TREND_NIGHTS,
    ActionItem,
    AdPlatform,
    AgencyLeads,
    BiddingFitness,
    CampaignRow,
    CampaignSales,
    ClickIdWeek,
    ConversionOutcome,
    CoverageGap,
    Funnel,
    Headline,
    LastNight,
    Level,
    NightCount,
    OutcomeCount,
    Period,
    PlatformFigure,
    RecoverableConversions,
    ReportFacts,
    ResponsibleParty,
    Sales,
    SalesKnownToPlatform,
    SendingObstacle,
    StageTiming,
)
from jobs.rules.reasons import PlatformCode, Reason

NOW = datetime(2026, 11, 28, 5, 0, tzinfo=UTC)
NONE = PlatformCode("")
NO_VALUE = Decimal()
STAGES = ("appointment", "quote_sent", "won")
NAMES = {"appointment": "Rendez-vous pris", "quote": "Devis remis", "sale": "Vente signée"}
VALUES = {"appointment": 60, "quote": 250, "sale": 11_900}


def demo_facts() -> ReportFacts:
    """Return an account with something to say in every section."""
    return ReportFacts(
        account="maison-durand",
        now=NOW,
        zone=ZoneInfo("Europe/Paris"),
        currency="EUR",
        period=Period(date(2026, 10, 29), date(2026, 11, 27)),
        conversion_names=NAMES,
        sale="sale",
        consent_assumed_because=None,
        tasks=_tasks(),
        headline=_headline(),
        last_night=_last_night(),
        trend=tuple(_trend()),
        funnel=_funnel(),
        timing=tuple(_timing()),
        agencies=_agencies(),
        agency_field="leadData.agency",
        coverage=_coverage(),
        platforms=_platforms(),
    )


def _ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def _tasks() -> tuple[ActionItem, ...]:
    return (
        ActionItem(
            Level.RED,
            ResponsibleParty.OPLEAD_USERS,
            "Conversions expire soon",
            "7 conversions expire within seven days: 6 wait for an amount, 1 has an implausible date.\n"
            "Enter them in Oplead, and they go out by themselves.",
            _ago(days=3, hours=2),
        ),
        ActionItem(
            Level.AMBER,
            ResponsibleParty.MARKETING,
            "A status that the settings do not know",
            "“Devis accepté” is on 12 leads. Add it to a stage, or to `ignored_statuses`.",
            _ago(days=1),
        ),
        ActionItem(
            Level.AMBER,
            ResponsibleParty.WEBSITE,
            "Conversions may be missing",
            "Of the leads from google in the last 7 days, 58 % have a click id; of those in the 28 days before, "
            "89 % had: ask whoever makes its form or landing page whether it still stores the id.",
            _ago(hours=1),
        ),
    )


def _headline() -> Headline:
    def sales(platform: AdPlatform, count: int, value: int, matured: int) -> Sales:
        return Sales(platform, count, Decimal(value), matured, Decimal(value) * matured / max(count, 1))

    return Headline(
        sales=(
            sales(AdPlatform.GOOGLE, 41, 492_300, 19),
            sales(AdPlatform.META, 17, 187_450, 8),
            sales(AdPlatform.OTHER, 2, 21_900, 1),
            sales(AdPlatform.NONE, 23, 268_000, 11),
        ),
        sales_before=(
            sales(AdPlatform.GOOGLE, 35, 414_100, 35),
            sales(AdPlatform.META, 14, 161_000, 14),
            sales(AdPlatform.OTHER, 3, 30_200, 3),
            sales(AdPlatform.NONE, 25, 281_000, 25),
        ),
        counted=(
            SalesKnownToPlatform(AdPlatform.GOOGLE, 41, 38, 38, 36, 0),
            SalesKnownToPlatform(AdPlatform.META, 17, 14, 14, 13, 2),
        ),
        recoverable=(
            RecoverableConversions(
                Reason.VALUE_MISSING,
                ResponsibleParty.OPLEAD_USERS,
                6,
                Decimal(71_400),
                NOW + timedelta(days=2, hours=4),
            ),
            RecoverableConversions(
                Reason.TIME, ResponsibleParty.OPLEAD_USERS, 1, Decimal(9_800), NOW + timedelta(days=5)
            ),
            RecoverableConversions(
                Reason.CONSENT_UNKNOWN, ResponsibleParty.MARKETING, 4, Decimal(720), NOW + timedelta(days=1)
            ),
        ),
    )


def _last_night() -> LastNight:
    moved = (
        OutcomeCount("appointment", "google_ads", ConversionOutcome.RECEIVED, Reason.RECEIVED, 19, Decimal(1140)),
        OutcomeCount("quote", "google_ads", ConversionOutcome.RECEIVED, Reason.RECEIVED, 9, Decimal(2250)),
        OutcomeCount("sale", "google_ads", ConversionOutcome.ACCEPTED, NONE, 2, Decimal(25_700)),
        OutcomeCount("appointment", "meta", ConversionOutcome.ACCEPTED, NONE, 11, Decimal(660), 9),
        OutcomeCount("quote", "meta", ConversionOutcome.ACCEPTED, NONE, 4, Decimal(1000), 4),
        OutcomeCount("sale", "meta", ConversionOutcome.ACCEPTED, NONE, 1, Decimal(12_400), 1),
        OutcomeCount("sale", "meta", ConversionOutcome.HELD, Reason.VALUE_MISSING, 1, NO_VALUE),
        OutcomeCount(
            "appointment", "google_ads", ConversionOutcome.REJECTED, PlatformCode("INVALID_GCLID"), 1, Decimal(60)
        ),
        OutcomeCount("appointment", "google_ads", ConversionOutcome.WAITING, Reason.CLICK_TOO_RECENT, 3, Decimal(180)),
    )
    standing = (
        OutcomeCount("appointment", "google_ads", ConversionOutcome.ACCEPTED, NONE, 1243, Decimal(74_580)),
        OutcomeCount("appointment", "google_ads", ConversionOutcome.RECEIVED, Reason.RECEIVED, 19, Decimal(1140)),
        OutcomeCount(
            "appointment",
            "google_ads",
            ConversionOutcome.HELD,
            Reason.NO_CLICK_ID,
            412,
            NO_VALUE,
            worth=Decimal(24_720),
        ),
        OutcomeCount(
            "appointment",
            "google_ads",
            ConversionOutcome.HELD,
            Reason.CONSENT_MISSING,
            38,
            NO_VALUE,
            worth=Decimal(2280),
        ),
        OutcomeCount(
            "appointment", "google_ads", ConversionOutcome.REJECTED, PlatformCode("INVALID_GCLID"), 9, Decimal(540)
        ),
        OutcomeCount("appointment", "google_ads", ConversionOutcome.WAITING, Reason.CLICK_TOO_RECENT, 3, Decimal(180)),
        OutcomeCount("quote", "google_ads", ConversionOutcome.ACCEPTED, NONE, 522, Decimal(130_500)),
        OutcomeCount("quote", "google_ads", ConversionOutcome.RECEIVED, Reason.RECEIVED, 9, Decimal(2250)),
        OutcomeCount(
            "quote", "google_ads", ConversionOutcome.EXPIRED, Reason.WINDOW_CLOSED, 14, NO_VALUE, worth=Decimal(3500)
        ),
        OutcomeCount("sale", "google_ads", ConversionOutcome.ACCEPTED, NONE, 118, Decimal(1_404_200)),
        OutcomeCount(
            "sale", "google_ads", ConversionOutcome.HELD, Reason.VALUE_MISSING, 4, NO_VALUE, worth=Decimal(47_600)
        ),
        OutcomeCount(
            "sale", "google_ads", ConversionOutcome.EXPIRED, Reason.WINDOW_CLOSED, 6, NO_VALUE, worth=Decimal(71_400)
        ),
        OutcomeCount("appointment", "meta", ConversionOutcome.ACCEPTED, NONE, 604, Decimal(36_240), 511),
        OutcomeCount(
            "appointment", "meta", ConversionOutcome.HELD, Reason.CONSENT_REFUSED, 21, NO_VALUE, worth=Decimal(1260)
        ),
        OutcomeCount("quote", "meta", ConversionOutcome.ACCEPTED, NONE, 203, Decimal(50_750), 180),
        OutcomeCount("sale", "meta", ConversionOutcome.ACCEPTED, NONE, 47, Decimal(559_300), 44),
        OutcomeCount("sale", "meta", ConversionOutcome.HELD, Reason.VALUE_MISSING, 2, NO_VALUE, worth=Decimal(23_800)),
        OutcomeCount("sale", "meta", ConversionOutcome.IN_DOUBT, Reason.NO_OUTCOME, 1, Decimal(11_900)),
    )
    return LastNight(214, _ago(minutes=30), _ago(minutes=26, seconds=12), 1, moved, standing, sent=47)


def _trend() -> Iterator[NightCount]:
    drawn = random.Random(28)  # noqa: S311 - figures of an example
    often = {("appointment", "google_ads"): 17, ("quote", "google_ads"): 8, ("sale", "google_ads"): 2}
    often |= {("appointment", "meta"): 9, ("quote", "meta"): 3, ("sale", "meta"): 1}
    for n in reversed(range(TREND_NIGHTS)):
        night = (NOW - timedelta(days=n)).date()
        busy = (0.25 if night.weekday() in (6, 0) else 1) * (1.35 - n / 180)
        for (conversion, destination), usual in often.items():
            found = round(drawn.gauss(usual, usual / 4) * busy)
            lost = sum(not drawn.randrange(25) for _each in range(max(found, 0)))
            first = ConversionOutcome.RECEIVED if n == 0 and destination == "google_ads" else ConversionOutcome.ACCEPTED
            if found > 0:
                yield NightCount(night, conversion, destination, first, found, Decimal(found * VALUES[conversion]))
            if lost:
                how = ConversionOutcome.REJECTED if n % 2 else ConversionOutcome.EXPIRED
                yield NightCount(night, conversion, destination, how, lost, Decimal(lost * VALUES[conversion]))


def _funnel() -> Funnel:
    campaigns = (
        CampaignRow("google", "cpc", "Pompe à chaleur – Search", 402, (231, 118, 25), 25, Decimal(311_400)),
        CampaignRow("google", "cpc", "Isolation combles – Search", 287, (140, 61, 12), 12, Decimal(128_750)),
        CampaignRow("facebook", "paid_social", "PAC – témoignages vidéo", 318, (122, 44, 11), 11, Decimal(121_300)),
        CampaignRow("instagram", "paid_social", "Fenêtres – avant/après", 96, (34, 13, 3), 3, Decimal(36_900)),
        CampaignRow("facebook", "paid_social", "Fenêtres – avant/après", 45, (15, 6, 2), 2, Decimal(21_300)),
        CampaignRow("google", "cpc", "Marque", 88, (61, 33, 4), 4, Decimal(52_150)),
        CampaignRow("", "", "", 176, (64, 22, 3), 3, Decimal(29_900)),
        CampaignRow("newsletter", "email", "Aides d’automne", 52, (20, 6, 1), 1, Decimal(8_050)),
    )
    shares = {"google": (96, 95, 97, 94, 96, 95, 71, 58), "facebook": (88, 90, 89, 91, 90, 92, 91, 93)}
    weeks = tuple(
        ClickIdWeek(source, date(2026, 10, 5) + timedelta(weeks=n), leads, leads * share // 100)
        for source, leads in (("google", 182), ("facebook", 79))
        for n, share in enumerate(shares[source])
    )
    sales = (
        CampaignSales("google", "cpc", "Pompe à chaleur – Search", 28, Decimal(341_700), 1),
        CampaignSales("", "", "", 23, Decimal(268_000), 0),
        CampaignSales("facebook", "paid_social", "PAC – témoignages vidéo", 12, Decimal(131_250), 2),
        CampaignSales("google", "cpc", "Isolation combles – Search", 10, Decimal(108_450), 0),
        CampaignSales("instagram", "paid_social", "Fenêtres – avant/après", 3, Decimal(34_900), 0),
        CampaignSales("facebook", "paid_social", "Fenêtres – avant/après", 2, Decimal(21_300), 0),
        CampaignSales("google", "cpc", "Marque", 3, Decimal(42_150), 0),
        CampaignSales("bing", "cpc", "Pompe à chaleur", 2, Decimal(21_900), 0),
    )
    return Funnel(STAGES, campaigns, weeks, sales)


def _timing() -> Iterator[StageTiming]:
    google, meta = timedelta(days=90), timedelta(days=7)
    fit, late, rare = BiddingFitness.FIT, BiddingFitness.TOO_LATE, BiddingFitness.TOO_LATE_AND_TOO_RARE
    for stage, platform, count, median, most, window, within, verdict in (
        ("appointment", AdPlatform.GOOGLE, 1301, 2.4, 9, google, 1299, fit),
        ("quote_sent", AdPlatform.GOOGLE, 560, 13, 31, google, 551, fit),
        ("won", AdPlatform.GOOGLE, 131, 38, 84, google, 122, BiddingFitness.TOO_RARE),
        ("appointment", AdPlatform.META, 640, 1.8, 6.5, meta, 588, fit),
        ("quote_sent", AdPlatform.META, 210, 11, 27, meta, 61, late),
        ("won", AdPlatform.META, 52, 33, 71, meta, 3, rare),
    ):
        half, nine = timedelta(days=median), timedelta(days=most)
        yield StageTiming(stage, platform, count, Decimal(count) / 6, half, nine, window, within, verdict)


def _agencies() -> tuple[AgencyLeads, ...]:
    return (
        AgencyLeads("Nantes", 512, 21, Decimal("0.6"), 1, Decimal(0)),
        AgencyLeads("Rennes", 388, 64, Decimal("2.1"), 3, Decimal(23_800)),
        AgencyLeads("Angers", 301, 18, Decimal("0.9"), 0, Decimal(250)),
        AgencyLeads("Le Mans", 254, 97, Decimal("4.5"), 5, Decimal(60_050)),
        AgencyLeads("", 9, 2, None, 0, Decimal(0)),
    )


def _coverage() -> tuple[CoverageGap, ...]:
    def ids(first: int, count: int) -> tuple[str, ...]:
        return tuple(str(first - 7 * n) for n in range(count))

    return (
        CoverageGap(SendingObstacle.UNKNOWN_STATUS, "Devis accepté", 12, 12, Decimal(142_800), ids(48_213, 12)),
        CoverageGap(SendingObstacle.MISSING_AMOUNT, "", 6, 6, Decimal(71_400), ids(47_950, 6)),
        CoverageGap(SendingObstacle.CONSENT_MISSING, "", 59, 74, Decimal(9_120), ids(48_330, 50)),
        CoverageGap(SendingObstacle.AMBIGUOUS_CLICK_ID, "", 3, 3, Decimal(180), ids(46_002, 3)),
    )


def _platforms() -> tuple[PlatformFigure, ...]:
    read = _ago(minutes=27)
    return (
        PlatformFigure("google_ads", "Vente signée, 30 days: conversions", "33", "36", True, read),
        PlatformFigure("google_ads", "Rendez-vous pris, 30 days: conversions", "431", "431", False, read),
        PlatformFigure("meta", "Schedule, events received", "208", "208", False, read),
        PlatformFigure("meta", "Schedule, event match quality", "6.8", None, False, read),
    )
