"""Records for the report's page: of no lead, of one, of a hundred thousand, and hostile ones."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from docs.demo_report import NOW, demo_facts
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
    PlatformFigure,
    ResponsibleParty,
    Sales,
    SendingObstacle,
    StageTiming,
)
from jobs.rules.reasons import PlatformCode, Reason

TODAY = NOW.date()
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
FORMULA = "=cmd()|x"


def empty_facts():
    """An account before its first night."""
    return replace(
        demo_facts(),
        tasks=(),
        headline=Headline((), (), (), ()),
        last_night=None,
        trend=(),
        funnel=Funnel(("Rendez-vous",), (), (), ()),
        timing=(),
        agencies=None,
        agency_field=None,
        coverage=(),
        platforms=(),
    )


def one_lead():
    """An account whose only lead has become a sale."""
    return replace(
        empty_facts(),
        headline=Headline((Sales(AdPlatform.GOOGLE, 1, Decimal(9000), 0, Decimal(0)),), (), (), ()),
        last_night=LastNight(
            1,
            NOW,
            None,
            None,
            (OutcomeCount("sale", "google_ads", ConversionOutcome.WAITING, Reason.DUE, 1, Decimal(9000)),),
            (),
            0,
        ),
        trend=(NightCount(TODAY, "sale", "google_ads", ConversionOutcome.ACCEPTED, 1, Decimal(9000)),),
        funnel=Funnel(
            ("Rendez-vous",),
            (CampaignRow("google", "cpc", "Marque", 1, (1,), 1, Decimal(9000)),),
            (ClickIdWeek("google", date(2026, 11, 23), 1, 1),),
            (CampaignSales("google", "cpc", "Marque", 1, Decimal(9000), 0),),
        ),
        timing=(
            StageTiming(
                "Gagné", AdPlatform.GOOGLE, 1, Decimal("0.17"), None, None, timedelta(days=90), 1,
                BiddingFitness.TOO_FEW_TO_TELL,
            ),
        ),
        agencies=(),
        agency_field="agency",
    )  # fmt: skip


def many_leads():
    """An account with 100,000 leads, and as many different values as it may well have."""
    conversions = [f"conversion{n}" for n in range(10)]
    destinations = ["google_ads", "google_ads_2", "meta"]
    causes = [*Reason, *(PlatformCode(f"CODE_{n}") for n in range(40))]
    standing = tuple(
        OutcomeCount(conversion, destination, ConversionOutcome.HELD, cause, 1000 + n, Decimal(1_234_567))
        for conversion in conversions
        for destination in destinations
        for n, cause in enumerate(causes)
    )
    trend = tuple(
        NightCount(TODAY - timedelta(days=n), conversion, destination, outcome, 100 + n, Decimal(60_000))
        for n in range(TREND_NIGHTS)
        for conversion in conversions
        for destination in destinations
        for outcome in (ConversionOutcome.ACCEPTED, ConversionOutcome.REJECTED)
    )
    leads = tuple(map(str, range(10**9, 10**9 + 50)))
    stages = tuple(f"Étape numéro {n}" for n in range(8))
    campaigns = tuple(
        CampaignRow(f"source{n % 50}", "cpc", f"campagne_{'x' * (n % 90)}_{n}", 20, (9,) * 8, 2, Decimal(25_000 - n))
        for n in range(5000)
    )
    sales = tuple(CampaignSales(row.source, row.medium, row.campaign, 2, row.value, 0) for row in campaigns)
    weeks = tuple(
        ClickIdWeek(f"source{n}", date(2026, 11, 23) - timedelta(weeks=week), 100, 90 - week)
        for n in range(50)
        for week in range(26)
    )
    return replace(
        demo_facts(),
        conversion_names={},
        tasks=tuple(ActionItem(Level.AMBER, ResponsibleParty.WEBSITE, f"Task {n}", "Do it.", NOW) for n in range(30)),
        last_night=LastNight(300, NOW, NOW + timedelta(hours=2), 0, standing, standing, 0),
        trend=trend,
        funnel=Funnel(stages, campaigns, weeks, sales),
        timing=tuple(
            replace(timing, stage=stage)
            for stage in stages
            for timing in demo_facts().timing
            if timing.stage == "Devis"
        ),
        agencies=tuple(AgencyLeads(f"Agence {n}", 300, 9, Decimal("1.5"), 2, Decimal(900)) for n in range(300)),
        coverage=tuple(
            CoverageGap(SendingObstacle.UNKNOWN_STATUS, f"Statut {n}", 99, 9, Decimal(n), leads)
            for n in range(200)
        ),
        platforms=tuple(PlatformFigure("meta", f"Figure {n}", "1", "2", True, NOW) for n in range(60)),
    )  # fmt: skip


def hostile_facts(text):
    """An account in which everything that others write is this text."""
    facts = demo_facts()
    return replace(
        facts,
        account=text,
        conversion_names=dict.fromkeys(facts.conversion_names, text),
        consent_assumed_because=text,
        tasks=tuple(replace(task, title=text, text=text) for task in facts.tasks),
        funnel=Funnel(
            (text, "Devis", "Gagné"),
            tuple(replace(row, source=text, medium=text, campaign=text) for row in facts.funnel.campaigns),
            tuple(replace(week, source=text) for week in facts.funnel.weeks),
            tuple(replace(row, source=text, medium=text, campaign=text) for row in facts.funnel.sales),
        ),
        timing=tuple(replace(timing, stage=text) for timing in facts.timing[:1]),
        agencies=tuple(replace(row, name=text) for row in facts.agencies),
        agency_field=text,
        coverage=tuple(replace(row, detail=text, lead_ids=(text,)) for row in facts.coverage),
        platforms=tuple(replace(row, name=text, theirs=text, ours=text) for row in facts.platforms),
    )


ALL = {
    "no lead": empty_facts,
    "one lead": one_lead,
    "100,000 leads": many_leads,
    "demo": demo_facts,
    "hostile": lambda: hostile_facts(HOSTILE),
}
