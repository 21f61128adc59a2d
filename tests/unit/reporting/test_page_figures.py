"""The page's numbers, counted by hand over a small ledger with every outcome."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from jobs.ledger.report import queries
from jobs.ledger.schema import IncidentRow, StatusLabel, UnreadableLeadRow
from jobs.ledger.stored_values import values_to_json
from jobs.reporting.page.facts import (
    OUTCOMES,
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
    RecoverableConversions,
    ResponsibleParty,
    Sales,
    SalesKnownToPlatform,
    SendingObstacle,
    StageTiming,
)
from jobs.reporting.page.gather import gather, gather_brief
from jobs.rules.reasons import PlatformCode, Reason, StopCause, StopKind
from tests.reported import ACCEPTED, ACCOUNT, SENT, WrittenLedger, on, settings_from

NOW = on("11-28T08:00")
PERIOD = Period(date(2026, 10, 29), date(2026, 11, 27))
HEAT = ("google", "cpc", "Pompes à chaleur")
WALLS = ("facebook", "paid", "Isolation")
DAY = timedelta(days=1)
GOOGLE, META = AdPlatform.GOOGLE, AdPlatform.META
NOTHING = PlatformCode("")
STOPPED = '{"kind":"stopped","about":{"destination":"meta","corrections":false,"former":[],"action":""}}'
REJECTED = '{"kind":"rejected","about":{"destination":"meta","corrections":false,"former":[],"action":""}}'
HELD = '{"kind":"held","about":{"destination":"google_ads","corrections":false,"former":[],"action":""}}'


@pytest.fixture
def account(tmp_path):
    """The settings and rules."""
    return settings_from(tmp_path)


@pytest.fixture
def ledger(tmp_path):
    """The ledger of fifteen leads from three campaigns, of which one is a test lead."""
    made = WrittenLedger(tmp_path / "maison-durand.db")
    made.run(1, on("10-11T03:30"))
    made.run(2, on("11-27T04:30"))
    made.run(3, on("11-27T05:30"), command="resolve")
    made.run(4, on("11-28T04:30"), exit_code=1)
    _write_leads(made)
    _write_conversions(made)
    label = {"account": ACCOUNT, "settled": True}
    made.rows += [
        StatusLabel(**label, label="mystere", written="Mystère", seen_at=on("11-14")),
        UnreadableLeadRow(
            account=ACCOUNT, id="X-9", reason="no creation date", seen_at=on("11-28T05:00"), reported_in=2
        ),
        _incident(STOPPED, {"why": StopCause(StopKind.REFUSED, ("token revoked",))}, "11-26"),
        _incident(REJECTED, {"rejected": 3, "settled": 4, "share": Fraction(3, 4)}, "11-27"),
        _incident(HELD, {}, "11-20", cleared_at=on("11-21")),
    ]
    return made


def _incident(cause, values, day, **more):
    details = values_to_json(values)
    return IncidentRow(account=ACCOUNT, cause=cause, details=details, first_seen_at=on(day), **more)


def _write_leads(made):
    lyon, nantes = {"by": "Lyon"}, {"by": "Nantes"}
    won, met = "gagne", "rendez vous"
    made.lead("L01", "11-02", (met, "11-04"), (won, "11-10"), utm=HEAT, clicks=["gclid"], amount="10000", **lyon)
    made.lead("L02", "11-03", (met, "11-05"), (won, "11-20"), utm=HEAT, clicks=["gclid"], amount="5000", **lyon)
    made.lead("L03", "11-05", (won, "11-12"), ("perdu", "11-20"), utm=HEAT, clicks=["gbraid"], amount="7000", **lyon)
    made.lead("L04", "11-04", (met, "11-06"), (won, "11-15"), utm=WALLS, clicks=["fbclid"], amount="8000", **lyon)
    made.lead("L05", "11-08", (won, "11-22"), utm=WALLS, clicks=[("gclid", "11-06"), "lead_id"], **lyon)
    # Oplead knows only the day of this sale: its click, of ten o'clock, was before it all the same.
    day_only = {"date_only": True}
    made.lead("L06", "11-25", (won, "11-24T23:00", day_only), utm=HEAT, clicks=["gclid"], amount="3000", **nantes)
    made.lead("L07", "11-10", (won, "11-18"), amount="2000")
    made.lead("L08", "11-11", (won, "11-19"), clicks=["msclkid"], amount="1000")
    made.lead("L09", "10-01", (won, "10-10"), utm=HEAT, clicks=["gclid"], amount="4000", **lyon)
    made.lead("L10", "11-12", (met, "11-13"), click_id_problem="text, 10 characters", **nantes)
    made.lead("L11", "11-13", (won, "11-15"), utm=HEAT, clicks=["gclid"], amount="99", excluded=True, **lyon)
    mystery = {"label": "mystere", "clicks": ["gclid"]}
    made.lead("L12", "11-14", utm=HEAT, **mystery, **lyon)
    made.rows[-2].label = "mystere"
    made.lead("L13", "11-20", utm=WALLS, clicks=["fbc"], **lyon)
    made.lead("L14", "08-20", (won, "11-16", {"seen_at": on("11-25")}), clicks=["gclid"], amount="6000", **nantes)
    made.lead(
        "L15", "11-01", (won, "11-03", {"seen_at": on("11-14")}), utm=WALLS, clicks=["fbclid"], amount="9000", **lyon
    )


def _write_conversions(made):
    google, meta = "google_ads", "meta"
    made.conversion("L09", "sale", google, [(1, *ACCEPTED)], value="4000.00")
    made.conversion("L01", "rdv", google, [(2, *ACCEPTED)], value="60.00")
    made.conversion("L01", "sale", google, [(2, *SENT, "submitted"), (3, "accepted")], value="10000.00")
    made.conversion("L02", "rdv", google, [(2, *ACCEPTED)], value="60.00")
    made.conversion("L03", "sale", google, [(2, *ACCEPTED)], value="7000.00")
    made.conversion("L04", "rdv", meta, [(2, *SENT, "accepted")], value="60.00")
    none = {"reason": Reason.NO_CLICK_ID, "expires_at": on("11-30")}
    made.conversion("L07", "sale", google, [(2, "withheld")], **none)
    unclear = {"reason": Reason.NO_CLICK_ID, "detail": "text, 10 characters", "expires_at": on("12-31")}
    made.conversion("L10", "rdv", google, [(2, "withheld")], **unclear)
    late = {"reason": Reason.WINDOW_CLOSED, "at": on("11-03"), "expires_at": on("11-10")}
    made.conversion("L15", "sale", meta, [(2, "expired")], **late)
    made.conversion("L02", "sale", google, [(4, *SENT, "submitted")], value="5000.00")
    made.conversion("L04", "sale", meta, [(4, *SENT, "rejected")], code="BAD", value="8000.00")
    missing = {"reason": Reason.VALUE_MISSING, "expires_at": on("11-29")}
    made.conversion("L05", "sale", meta, [(4, "withheld")], **missing)
    unasked = {"reason": Reason.CONSENT_MISSING, "expires_at": on("12-02")}
    made.conversion("L06", "sale", google, [(4, "withheld")], **unasked)
    late = {"reason": Reason.WINDOW_CLOSED, "at": on("11-16"), "expires_at": on("11-18")}
    made.conversion("L14", "sale", google, [(4, "expired")], **late)


@pytest.fixture
def facts(ledger, account):
    """What the page says."""
    return ledger.gather(*account, PERIOD, NOW)


def sales(platform, count=0, value=0, matured=0, matured_value=0):
    """Sales of a platform."""
    return Sales(platform, count, Decimal(value), matured, Decimal(matured_value))


def test_the_headline(facts):
    """Sales by the ad that came last, what the platforms know of them, and what can still be saved."""
    expected = Headline(
        sales=(
            sales(GOOGLE, 4, 24000, 1, 10000),
            sales(META, 3, 17000, 1, 9000),
            sales(AdPlatform.OTHER, 1, 1000),
            sales(AdPlatform.NONE, 1, 2000),
        ),
        sales_before=(sales(GOOGLE, 1, 4000, 1, 4000), sales(META), sales(AdPlatform.OTHER), sales(AdPlatform.NONE)),
        counted=(SalesKnownToPlatform(GOOGLE, 4, 2, 2, 1, 0), SalesKnownToPlatform(META, 3, 1, 0, 0, 0)),
        recoverable=(
            # Nobody asked L06 for consent: no form asks it any more.
            RecoverableConversions(Reason.VALUE_MISSING, ResponsibleParty.OPLEAD_USERS, 1, Decimal(0), on("11-29")),
        ),
    )

    assert expected == facts.headline


def standing(*place, value, worth=None):
    """Conversions that stand alike."""
    return OutcomeCount(*place, Decimal(value), worth=worth)


def test_the_last_night(facts):
    """What run 4 moved, and what stands now, whenever it was moved."""
    tonight = (
        standing("sale", "google_ads", ConversionOutcome.HELD, Reason.CONSENT_MISSING, 1, value=0, worth=Decimal(3000)),
        standing("sale", "google_ads", ConversionOutcome.RECEIVED, NOTHING, 1, value=5000),
        standing(
            "sale", "google_ads", ConversionOutcome.EXPIRED, Reason.WINDOW_CLOSED, 1, value=0, worth=Decimal(6000)
        ),
        standing("sale", "meta", ConversionOutcome.HELD, Reason.VALUE_MISSING, 1, value=0, worth=Decimal(0)),
        standing("sale", "meta", ConversionOutcome.REJECTED, PlatformCode("BAD"), 1, value=8000),
    )
    now = (
        standing("rdv", "google_ads", ConversionOutcome.HELD, Reason.NO_CLICK_ID, 1, value=0, worth=Decimal(60)),
        standing("rdv", "google_ads", ConversionOutcome.ACCEPTED, NOTHING, 2, value=120),
        standing("rdv", "meta", ConversionOutcome.ACCEPTED, NOTHING, 1, value=60),
        standing("sale", "google_ads", ConversionOutcome.HELD, Reason.CONSENT_MISSING, 1, value=0, worth=Decimal(3000)),
        standing("sale", "google_ads", ConversionOutcome.HELD, Reason.NO_CLICK_ID, 1, value=0),
        standing("sale", "google_ads", ConversionOutcome.RECEIVED, NOTHING, 1, value=5000),
        standing("sale", "google_ads", ConversionOutcome.ACCEPTED, NOTHING, 3, value=21000),
        standing(
            "sale", "google_ads", ConversionOutcome.EXPIRED, Reason.WINDOW_CLOSED, 1, value=0, worth=Decimal(6000)
        ),
        standing("sale", "meta", ConversionOutcome.HELD, Reason.VALUE_MISSING, 1, value=0, worth=Decimal(0)),
        standing("sale", "meta", ConversionOutcome.REJECTED, PlatformCode("BAD"), 1, value=8000),
        standing("sale", "meta", ConversionOutcome.EXPIRED, Reason.WINDOW_CLOSED, 1, value=0, worth=Decimal(9000)),
    )

    of_sent = ((ConversionOutcome.RECEIVED, 1), (ConversionOutcome.REJECTED, 1))
    expected = LastNight(4, on("11-28T04:30"), on("11-28T05:00"), 1, tonight, now, sent=2, of_sent=of_sent)
    assert expected == facts.last_night


def night(*place, value):
    """Conversions that stood alike after the nights of a day."""
    return NightCount(*place, Decimal(value))


def test_the_trend(facts):
    """What was sent in a night and answered by the next pass for outcomes counts once, as accepted."""
    october, friday, tonight = date(2026, 10, 11), date(2026, 11, 27), date(2026, 11, 28)

    assert (
        night(october, "sale", "google_ads", ConversionOutcome.ACCEPTED, 1, value=4000),
        night(friday, "rdv", "google_ads", ConversionOutcome.HELD, 1, value=0),
        night(friday, "rdv", "google_ads", ConversionOutcome.ACCEPTED, 2, value=120),
        night(friday, "rdv", "meta", ConversionOutcome.ACCEPTED, 1, value=60),
        night(friday, "sale", "google_ads", ConversionOutcome.HELD, 1, value=0),
        night(friday, "sale", "google_ads", ConversionOutcome.ACCEPTED, 2, value=17000),
        night(friday, "sale", "meta", ConversionOutcome.EXPIRED, 1, value=0),
        night(tonight, "sale", "google_ads", ConversionOutcome.HELD, 1, value=0),
        night(tonight, "sale", "google_ads", ConversionOutcome.RECEIVED, 1, value=5000),
        night(tonight, "sale", "google_ads", ConversionOutcome.EXPIRED, 1, value=0),
        night(tonight, "sale", "meta", ConversionOutcome.HELD, 1, value=0),
        night(tonight, "sale", "meta", ConversionOutcome.REJECTED, 1, value=8000),
    ) == facts.trend


def test_the_funnel(facts):
    """Twelve leads of the period by campaign: a sale undone since was reached, and is not won."""
    expected = Funnel(
        ("appointment", "won", "lost"),
        (
            CampaignRow(*HEAT, 5, (2, 4, 1), 3, Decimal(18000)),
            CampaignRow(*WALLS, 4, (1, 3, 0), 3, Decimal(17000)),
            CampaignRow("", "", "", 3, (1, 2, 0), 2, Decimal(3000)),
        ),
        (
            ClickIdWeek("", date(2026, 11, 9), 3, 1),
            ClickIdWeek("facebook", date(2026, 10, 26), 1, 1),
            ClickIdWeek("facebook", date(2026, 11, 2), 2, 2),
            ClickIdWeek("facebook", date(2026, 11, 16), 1, 1),
            ClickIdWeek("google", date(2026, 11, 2), 3, 3),
            ClickIdWeek("google", date(2026, 11, 9), 1, 1),
            ClickIdWeek("google", date(2026, 11, 23), 1, 1),
        ),
        (
            CampaignSales(*HEAT, 3, Decimal(18000), 0),
            CampaignSales(*WALLS, 3, Decimal(17000), 1),
            CampaignSales("", "", "", 3, Decimal(9000), 0),
        ),
    )

    assert expected == facts.funnel


def test_the_timing(facts):
    """Google's window is of the click, and the appointment's action has its own; Meta's is of what we are told."""
    few, rare = BiddingFitness.TOO_FEW_TO_TELL, BiddingFitness.TOO_RARE
    assert (
        StageTiming("appointment", GOOGLE, 2, Decimal("0.3"), None, None, 30 * DAY, 2, few),
        StageTiming("appointment", META, 1, Decimal("0.2"), None, None, 7 * DAY, 1, few),
        StageTiming("won", GOOGLE, 6, Decimal("1.0"), 8 * DAY, 88 * DAY, 90 * DAY, 6, rare),
        StageTiming("won", META, 3, Decimal("0.5"), None, None, 7 * DAY, 2, few),
    ) == facts.timing


def test_the_agencies(facts):
    """Small agencies and leads without one come together; a sale told eleven days late cost Lyon 9,000."""
    assert "agency" == facts.agency_field
    assert (
        AgencyLeads("Lyon", 8, 2, Decimal("0.5"), 1, Decimal(9000)),
        AgencyLeads("", 4, 0, None, 0, Decimal(0)),
    ) == facts.agencies


def test_the_coverage(facts):
    """A lead without any click id is no gap; one whose id cannot be used is."""
    assert (
        CoverageGap(SendingObstacle.CONSENT_MISSING, "", 1, 1, Decimal(3000), ("L06",)),
        CoverageGap(SendingObstacle.UNUSABLE_CLICK_ID, "", 1, 1, Decimal(60), ("L10",)),
        CoverageGap(SendingObstacle.MISSING_AMOUNT, "", 1, 1, Decimal(0), ("L05",)),
        CoverageGap(SendingObstacle.UNKNOWN_STATUS, "Mystère", 1, 0, Decimal(0), ("L12",)),
        CoverageGap(SendingObstacle.UNREADABLE_LEAD, "no creation date", 1, 0, Decimal(0), ("X-9",)),
    ) == facts.coverage


def test_the_tasks(facts):
    """Open incidents and what `status` shows, the worst first, then what is about to be lost, then the oldest."""
    found = [(task.level, task.who, task.title, task.since) for task in facts.tasks]

    assert [
        (Level.RED, ResponsibleParty.MARKETING, "meta stopped", on("11-26")),
        (Level.AMBER, ResponsibleParty.OPLEAD_USERS, "About to be lost: no amount", on("11-22")),
        (Level.AMBER, ResponsibleParty.MARKETING, "Statuses that the settings do not name", on("11-14")),
        (Level.AMBER, ResponsibleParty.OPLEAD_USERS, "Leads that cannot be read", on("11-27T04:30")),
        (Level.AMBER, ResponsibleParty.MARKETING, "meta rejects 75 % of what it settles", on("11-27")),
    ] == found
    assert Level.RED is facts.level
    assert isinstance(facts.tasks[0], ActionItem)


def test_the_page_names_its_account_period_and_sale(facts):
    """The sale is the only conversion whose value is read from a field."""
    assert ACCOUNT == facts.account
    assert (PERIOD, NOW, "EUR", "sale") == (facts.period, facts.now, facts.currency, facts.sale)
    assert {"rdv": "Rendez-vous pris", "sale": "sale"} == facts.conversion_names
    assert () == facts.platforms


def test_counts_agree_with_each_other_and_with_status(facts, ledger):
    """The same conversions, leads and sales are never counted in two ways."""
    with ledger.read() as session:
        tallies = queries.count_by_state_and_reason(session, ACCOUNT, now=NOW)
    night, head = facts.last_night, facts.headline

    assert sum(tally.count for tally in tallies) == sum(one.count for one in night.standing)
    assert sum(tally.value for tally in tallies) == sum(one.value for one in night.standing)
    tonight = [one for one in facts.trend if one.night == date(2026, 11, 28)]
    assert sum(one.count for one in night.moved) == sum(one.count for one in tonight)
    leads = sum(campaign.leads for campaign in facts.funnel.campaigns)
    assert leads == sum(week.leads for week in facts.funnel.weeks) == sum(row.leads for row in facts.agencies)
    assert sum(one.count for one in facts.funnel.sales) == sum(one.count for one in head.sales)
    assert sum(one.value for one in facts.funnel.sales) == sum(one.value for one in head.sales)
    by_platform = {one.platform: one.count for one in head.sales}
    assert all(one.sales == by_platform[one.platform] for one in head.counted)


def test_each_place_has_as_many_conversions_here_as_in_status(facts, ledger):
    """Every state of a conversion is in one outcome, none in two."""
    shown, told = Counter(), Counter()
    for one in facts.last_night.standing:
        shown[one.conversion, one.destination, one.outcome] += one.count
    with ledger.read() as session:
        for tally in queries.count_by_state_and_reason(session, ACCOUNT, now=NOW):
            told[tally.conversion, tally.destination, OUTCOMES[tally.state]] += tally.count

    assert told == shown


def test_what_was_sent_is_what_became_of_it(facts):
    """Of the conversions that a night sent, each is received, accepted, rejected, in doubt, or unanswered."""
    answered = {
        ConversionOutcome.SENT,
        ConversionOutcome.RECEIVED,
        ConversionOutcome.ACCEPTED,
        ConversionOutcome.REJECTED,
        ConversionOutcome.IN_DOUBT,
    }
    night = facts.last_night

    assert night.sent == sum(one.count for one in night.moved if one.outcome in answered)


def test_what_did_not_reach_a_platform_was_not_sent(ledger, account):
    """It waits for another night; one without an answer was sent all the same."""
    ledger.conversion("L13", "rdv", "google_ads", [(4, *SENT, "pending")], value="60.00")
    ledger.conversion("L13", "sale", "google_ads", [(4, *SENT)], value="60.00")
    ledger.conversion("L12", "rdv", "google_ads", [(2, *SENT), (4, "accepted")], value="60.00")

    assert 2 + 2 == ledger.gather(*account, PERIOD, NOW).last_night.sent


def test_sales_from_before_the_start_are_told_apart(ledger, account):
    """They explain a low share; neither one sent after all nor one of another platform's ad is among them."""
    for lead, click in (("L21", "gclid"), ("L22", "gclid"), ("L23", "fbclid")):
        ledger.lead(lead, "11-03", ("gagne", "11-05"), clicks=[click])
        ledger.conversion(lead, "sale", "google_ads", [(2, "skipped")], reason=Reason.BEFORE_SINCE)
    ledger.conversion("L22", "sale", "google_ads", [(2, *ACCEPTED)], occurrence=2, key="again")

    assert [SalesKnownToPlatform(GOOGLE, 6, 3, 3, 2, 1), SalesKnownToPlatform(META, 4, 1, 0, 0, 0)] == list(
        ledger.gather(*account, PERIOD, NOW).headline.counted
    )


def test_capitals_make_no_second_campaign(ledger, account):
    """The spelling of most leads is shown; leads, stages, sales, euros and weeks are added up."""
    loud = ("Google", "CPC", "pompes à chaleur")
    ledger.lead("L20", "11-03", ("gagne", "11-05"), utm=loud, clicks=["gclid"], amount="500")
    funnel = ledger.gather(*account, PERIOD, NOW).funnel

    assert CampaignRow(*HEAT, 6, (2, 5, 1), 4, Decimal(18500)) == funnel.campaigns[0]
    assert CampaignSales(*HEAT, 4, Decimal(18500), 0) == funnel.sales[0]
    assert ClickIdWeek("google", date(2026, 11, 2), 4, 4) in funnel.weeks
    assert [HEAT, WALLS, ("", "", "")] == [(row.source, row.medium, row.campaign) for row in funnel.campaigns]


def test_an_empty_ledger_has_an_empty_page(tmp_path, account):
    """Before the first night there is nothing to tell, and nothing fails."""
    facts = WrittenLedger(tmp_path / "maison-durand.db").gather(*account, PERIOD, NOW)

    assert (None, (), ()) == (facts.last_night, facts.trend, facts.coverage)
    assert ["No night has run yet"] == [task.title for task in facts.tasks]
    assert Level.AMBER is facts.level


def test_without_report_by_there_are_no_agencies(tmp_path, ledger):
    """Nothing else changes."""
    told, plain = settings_from(tmp_path), settings_from(tmp_path, report="{}")
    first = ledger.gather(*told, PERIOD, NOW)
    with ledger.read() as session:
        second = gather(session, *plain, PERIOD, NOW)

    assert replace(first, agencies=None, agency_field=None) == second


def test_what_is_said_in_brief_is_what_the_page_says(account, ledger):
    """It is found without counting sales, and what expires later is not even read."""
    settings, book = account
    ledger.write()
    with ledger.read() as session:
        page = gather(session, settings, book, PERIOD, NOW)
        brief = gather_brief(session, book, currency="EUR", now=NOW)

    assert brief.recoverable
    assert (page.tasks, page.headline.recoverable, None) == (brief.tasks, brief.recoverable, brief.sold)
