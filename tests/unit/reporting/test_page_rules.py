"""What the page counts and what it does not, rule by rule, and that sections agree on any ledger."""

import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.language import Language, using_language
from connectors.records import ClickIdKind
from jobs.ledger.report import queries
from jobs.ledger.runs import open_snapshot
from jobs.ledger.schema import ClickIdRow, Delivery, ExpectedValue, LeadRow, StatusChange, StatusRename
from jobs.ledger.storage.database import open_engine
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.reporting.page.attribution import ad_clicks, bidding_fitness, last_ad_click, window_of_stage
from jobs.reporting.page.counting_rules import span_of_period
from jobs.reporting.page.facts import (
    OUTCOMES,
    AdPlatform,
    BiddingFitness,
    Level,
    Period,
    ResponsibleParty,
    SalesKnownToPlatform,
    SendingObstacle,
)
from jobs.reporting.page.gather import gather
from jobs.reporting.page.responsible import RESPONSIBLE, level_of_incident, who_mends_anomaly, who_mends_incident
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, Reason
from jobs.settings.compile import find_sale_conversion
from tests import builders, quick
from tests.fakes import NIGHT
from tests.large_ledger import Past, Some
from tests.reported import ACCEPTED, ACCOUNT, SENT, SETTINGS, WrittenLedger, on, settings_from
from tests.steps import counted_steps

NOW = on("11-28T08:00")
PERIOD = Period(date(2026, 10, 29), date(2026, 11, 27))
DAY = timedelta(days=1)
GOOGLE, META, OTHER, NONE = AdPlatform
WON = "gagne"


@pytest.fixture
def account(tmp_path):
    """The settings and rules."""
    return settings_from(tmp_path)


@pytest.fixture
def ledger(tmp_path):
    """A ledger to fill."""
    made = WrittenLedger(tmp_path / "maison-durand.db")
    made.run(1, on("10-01"))
    return made


@pytest.fixture
def sold(ledger, account):
    """How many sales of the period each platform has, with one lead won as told."""

    def sell(*statuses, created="11-02", **more):
        ledger.lead("L-1", created, *statuses, **more)
        sales = ledger.gather(*account, PERIOD, NOW).headline.sales
        return {one.platform: one.count for one in sales if one.count}

    return sell


# ── signed sales ─────────────────────────────────────────────────────────────────────────────────


def test_deleted_and_test_leads_are_no_sales(sold):
    """They count nowhere on the page."""
    assert {} == sold((WON, "11-10"), clicks=["gclid"], deleted_at=on("11-20"))


def test_deleted_and_test_leads_have_no_unknown_status(ledger, account):
    """As everywhere else; nor is one that only they have told of."""
    ledger.lead("L-1", "11-02", ("mystere", "11-05"), clicks=["gclid"])
    ledger.lead("L-2", "11-02", ("mystere", "11-05"), clicks=["gclid"], excluded=True)
    ledger.lead("L-3", "11-02", ("mystere", "11-05"), clicks=["gclid"], deleted_at=on("11-20"))
    ledger.lead("L-4", "11-02", ("essai", "11-05"), clicks=["gclid"], excluded=True)
    facts = ledger.gather(*account, PERIOD, NOW)

    assert [("mystere", 1, ("L-1",))] == [(row.detail, row.leads, row.lead_ids) for row in facts.coverage]
    assert "1 lead has such a status: mystere." in facts.tasks[0].text


def test_of_statuses_of_one_second_the_one_told_last_decides(sold, ledger, account):
    """As the rules have it by which a sale is taken back: a day without a time is the same second for all of it."""
    assert {} == sold((WON, "11-05"), ("perdu", "11-05"), ("nouveau", "11-09"), clicks=["gclid"])
    ledger.lead("L-2", "11-02", ("perdu", "11-06"), (WON, "11-06"), ("nouveau", "11-09"), clicks=["gclid"])

    assert [1] == [one.count for one in ledger.gather(*account, PERIOD, NOW).headline.sales if one.count]


@pytest.mark.parametrize(
    ("day", "counts"),
    [("10-28T22:59", False), ("10-28T23:00", True), ("11-27T22:59:59", True), ("11-27T23:00", False)],
)
def test_a_period_has_whole_days_in_the_account_zone(sold, day, counts):
    """It begins and ends at midnight in Paris."""
    assert ({GOOGLE: 1} if counts else {}) == sold((WON, day), created="10-28", clicks=["gclid"])


def test_the_days_of_a_clock_change_are_whole():
    """The Sunday of 2026 with 25 hours in Paris belongs to its period."""
    first, end = span_of_period(Period(date(2026, 10, 25), date(2026, 10, 25)), builders.PARIS)

    assert timedelta(hours=25) == end - first


def test_only_the_first_entry_counts(sold):
    """A lead won in October, lost and won again in November is no sale of November."""
    assert {} == sold((WON, "10-10"), ("perdu", "11-01"), (WON, "11-05"), created="10-01", clicks=["gclid"])


def test_a_sale_undone_now_does_not_count_and_one_that_stands_again_does(sold):
    """Won, lost and won again, it stands."""
    assert {GOOGLE: 1} == sold((WON, "11-05"), ("perdu", "11-08"), (WON, "11-09"), clicks=["gclid"])


def test_a_lost_sale_that_is_worked_on_again_is_none(sold):
    """Only winning it again makes it one."""
    assert {} == sold((WON, "11-05"), ("perdu", "11-08"), ("nouveau", "11-09"), clicks=["gclid"])


def test_a_sale_stands_in_a_status_of_no_stage(sold):
    """Work on the roof begins after it is sold."""
    assert {GOOGLE: 1} == sold(("perdu", "11-03"), (WON, "11-05"), ("nouveau", "11-09"), clicks=["gclid"])


@pytest.mark.parametrize(("created", "counts"), [("11-09", True), ("09-01", False)])
def test_a_status_had_at_first_sight_counts_only_where_its_day_is_known(sold, created, counts):
    """The first reading of an old account must not look like a month of sales."""
    first_sight = {"origin": "baseline", "after": on(created)}
    found = sold((WON, "11-10", first_sight), created=created, clicks=["gclid"])

    assert ({GOOGLE: 1} if counts else {}) == found


def test_a_renamed_status_keeps_its_stage_and_its_date(ledger, account):
    """The entry shown under the new name is not another sale, nor a later one."""
    ledger.lead("L-1", "10-01", ("vendu", "10-10"), (WON, "11-20", {"origin": "relabel"}), clicks=["gclid"])
    ledger.rows.append(StatusRename(account=ACCOUNT, before="vendu", after=WON, leads=1, run=1))
    head = ledger.gather(*account, PERIOD, NOW).headline

    assert (0, 1) == (sum(one.count for one in head.sales), sum(one.count for one in head.sales_before))


def test_a_renamed_status_enters_no_lead_into_a_stage(ledger, account):
    """It was in that status all along, since nobody knows when: the stage counts as reached, and no sale is dated."""
    ledger.lead("L-1", "11-02", ("autre", "11-05"), (WON, "11-20", {"origin": "relabel"}), clicks=["gclid"])
    facts = ledger.gather(*account, PERIOD, NOW)

    assert 0 == sum(one.count for one in facts.headline.sales)
    assert [(0, 1, 0)] == [row.reached for row in facts.funnel.campaigns]
    assert all(row.count == 0 for row in facts.timing)


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([("gclid", "11-02"), ("fbclid", "11-03")], META),
        ([("gclid", "11-03"), ("fbc", "11-02")], GOOGLE),
        ([("wbraid", "11-02"), ("lead_id", "11-25")], GOOGLE),
        ([("gclid", "11-24"), ("fbclid", "11-25")], META),
        ([("gclid", "11-02"), ("msclkid", "11-03")], GOOGLE),
        ([("ttclid", "11-02")], OTHER),
        ([("fbp", "11-02")], NONE),
        ([], NONE),
    ],
)
def test_a_sale_came_from_the_ad_clicked_last_before_it(sold, clicks, expected):
    """A later click cannot have brought it, unless all are later; a browser's own id is no ad's."""
    assert {expected: 1} == sold((WON, "11-10"), clicks=clicks)


def test_a_sale_known_by_its_day_may_follow_a_click_of_that_day(sold):
    """Its time stands for the whole day."""
    clicks = [("gclid", "11-02"), ("fbclid", "11-10T15:00")]

    assert {META: 1} == sold((WON, "11-09T23:00", {"date_only": True}), clicks=clicks)


def test_every_kind_of_click_id_belongs_to_a_platform_or_to_none():
    """A kind that is read later must be placed, too."""
    clicks = {kind: ad_clicks([(kind, 1)]) for kind in ClickIdKind}

    assert [ClickIdKind.FBP] == [kind for kind, found in clicks.items() if last_ad_click(found, 2)[0] is NONE]


VALUED = "value: { field: amount, tax: included }, undo_when: [lost],"


@pytest.mark.parametrize(
    ("text", "report", "sale"),
    [
        (SETTINGS, "{}", "sale"),
        (SETTINGS, "{ sale: rdv }", "rdv"),
        (SETTINGS.replace(VALUED, ""), "{}", "sale"),
        (SETTINGS.replace("value: 60", "value: { field: amount, tax: included }"), "{}", "sale"),
        (SETTINGS.replace("value: 60", VALUED.rstrip(",")).replace(VALUED + "\n", ""), "{}", "rdv"),
    ],
    ids=["the one with a field", "named", "the last of none", "the last of two", "the first"],
)
def test_which_conversion_is_a_signed_sale(tmp_path, text, report, sale):
    """The one named; else the only one whose value is read from a field; else the last."""
    # Purchase takes a value; another event need not have one.
    settings, _ = settings_from(tmp_path, text.replace("Purchase", "Contact"), report)

    assert sale == find_sale_conversion(settings).id


def test_a_sale_may_be_the_creation_of_a_lead(tmp_path, ledger):
    """The stage `created` has no status."""
    told = settings_from(tmp_path, SETTINGS.replace("stage: won", "stage: created"))
    ledger.lead("L-1", "11-02", clicks=["gclid"], amount="5")
    ledger.lead("L-2", "10-02", clicks=["gclid"], amount="7")
    facts = ledger.gather(*told, PERIOD, NOW)

    assert (1, Decimal(5), 1, Decimal(7)) == (
        facts.headline.sales[0].count,
        facts.headline.sales[0].value,
        facts.headline.sales_before[0].count,
        facts.headline.sales_before[0].value,
    )
    assert [(1, 1)] == [(row.leads, row.won) for row in facts.funnel.campaigns]


# ── agencies ─────────────────────────────────────────────────────────────────────────────────────


def test_a_lead_whose_status_was_renamed_is_still_untouched(ledger, account):
    """Nobody at the agency has worked on it."""
    for number in range(4):
        ledger.lead(f"L-{number}", "11-02", ("neuf", "11-20", {"origin": "relabel"}), by="Lyon")
    ledger.lead("L-4", "11-02", ("rendez vous", "11-20"), ("nouveau", "11-21"), by="Lyon")
    (lyon,) = ledger.gather(*account, PERIOD, NOW).agencies

    assert (5, 4) == (lyon.leads, lyon.untouched)


@pytest.mark.parametrize(
    ("columns", "lost"),
    [
        ({"held_for": Reason.VALUE_UNREADABLE, "expires_at": on("11-20")}, 700),
        ({"held_for": Reason.CONSENT_MISSING, "expires_at": on("11-20")}, 0),
        ({"expires_at": on("11-20")}, 700),
        ({"expires_at": on("11-09")}, 0),
        ({}, 0),
    ],
    ids=["amount unreadable", "consent missing", "told late", "happened too late", "no window"],
)
def test_what_an_agency_lost(ledger, account, columns, lost):
    """Only what someone there could have mended: an amount, or a change entered in time."""
    for number in range(5):
        ledger.lead(f"L-{number}", "11-02", (WON, "11-10"), clicks=["gclid"], by="Lyon", amount="140")
        why = {"reason": Reason.WINDOW_CLOSED, "at": on("11-10")}
        ledger.conversion(f"L-{number}", "sale", "google_ads", [(1, "expired")], **why, **columns)
    (lyon,) = ledger.gather(*account, PERIOD, NOW).agencies

    assert lost == lyon.lost


def test_what_expired_while_it_waited_to_be_sent_is_not_the_agencys_loss(ledger, account):
    """It was told in time, and held up elsewhere."""
    for number in range(5):
        ledger.lead(f"L-{number}", "11-02", (WON, "11-10"), clicks=["gclid"], by="Lyon", amount="140")
        why = {"reason": Reason.WINDOW_CLOSED, "at": on("11-10"), "expires_at": on("11-20")}
        ledger.conversion(f"L-{number}", "sale", "google_ads", [(1, "pending", "expired")], **why)
    (lyon,) = ledger.gather(*account, PERIOD, NOW).agencies

    assert 0 == lyon.lost


# ── what the platforms know ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        (("withheld",), (0, 0, 0)),
        (SENT, (1, 0, 0)),
        ((*SENT, "pending"), (0, 0, 0)),
        ((*SENT, "in_doubt"), (1, 0, 0)),
        ((*SENT, "submitted", "pending"), (1, 1, 0)),
        ((*SENT, "submitted", "rejected"), (1, 1, 0)),
        ((*SENT, "rejected"), (1, 0, 0)),
        (ACCEPTED, (1, 1, 1)),
    ],
)
def test_how_far_a_sale_got(ledger, account, moves, expected):
    """A request that never left was not sent; one whose answer was lost may have been."""
    ledger.lead("L-1", "11-02", (WON, "11-10"), clicks=["gclid"])
    ledger.conversion("L-1", "sale", "google_ads", [(1, *moves)])
    ledger.conversion("L-1", "sale", "meta", [(1, *ACCEPTED)])
    counted = ledger.gather(*account, PERIOD, NOW).headline.counted

    assert (SalesKnownToPlatform(GOOGLE, 1, *expected, 0), SalesKnownToPlatform(META, 0, 0, 0, 0, 0)) == counted


def test_a_sale_sent_as_a_stage_of_metas_funnel_is_known_to_meta(tmp_path, ledger):
    """Leads from Meta's own forms take the funnel's way, under the funnel's name."""
    funnel = SETTINGS.replace('dataset_id: "77",', 'dataset_id: "77", funnel: { appointment: met, won: signed },')
    ledger.lead("L-1", "11-02", (WON, "11-10"), clicks=["lead_id"])
    ledger.conversion("L-1", "funnel:met", "meta", [(1, *SENT)])
    ledger.conversion("L-1", "funnel:signed", "meta", [(1, *SENT, "accepted")])
    facts = ledger.gather(*settings_from(tmp_path, funnel), PERIOD, NOW)

    assert SalesKnownToPlatform(META, 1, 1, 1, 1, 0) == facts.headline.counted[1]
    assert ("appointment", "won") == tuple(map(facts.conversion_names.get, ("funnel:met", "funnel:signed")))


# ── who can do what ──────────────────────────────────────────────────────────────────────────────


def test_every_reason_has_someone_or_nobody_responsible():
    """A reason that is added must be placed."""
    assert set(Reason) == set(RESPONSIBLE)
    assert set(DeliveryState) == set(OUTCOMES)


@pytest.mark.parametrize("kind", IncidentKind)
def test_every_incident_has_a_level_and_someone_responsible(kind):
    """An open incident is never green."""
    assert level_of_incident(kind) in (Level.AMBER, Level.RED)
    about = "unread" if kind is IncidentKind.FINDING else None
    assert isinstance(who_mends_incident(IncidentId(kind, about)), ResponsibleParty)


def test_who_mends_an_anomaly():
    """A reason that stops conversions is mended by those who mend the reason."""
    consent = AnomalyIdentity(AnomalyKind.STOPPED, (Reason.CONSENT_MISSING,))
    refused = AnomalyIdentity(AnomalyKind.STOPPED, (Reason.CONSENT_REFUSED,))

    assert (ResponsibleParty.WEBSITE, ResponsibleParty.MARKETING) == (
        who_mends_anomaly(consent),
        who_mends_anomaly(refused),
    )
    assert all(isinstance(who_mends_anomaly(AnomalyIdentity(kind)), ResponsibleParty) for kind in AnomalyKind)
    assert ResponsibleParty.WEBSITE is who_mends_incident(IncidentId(IncidentKind.ANOMALY, consent))


@pytest.mark.parametrize(
    ("reason", "detail", "who"),
    [
        (Reason.NO_CLICK_ID, None, None),
        (Reason.NO_CLICK_ID, "an internal code (UUID)", None),
        (Reason.BARE_CLICK_ID, None, ResponsibleParty.MARKETING),
        (Reason.CONSENT_MISSING, None, None),
        (Reason.CONSENT_UNKNOWN, None, ResponsibleParty.MARKETING),
        (Reason.VALUE_MISSING, None, ResponsibleParty.OPLEAD_USERS),
        (Reason.CONSENT_REFUSED, None, None),
    ],
)
def test_what_expires_soon_is_a_task_where_mending_still_saves_it(ledger, account, reason, detail, who):
    """A form that is mended brings back no click id and asks nobody again; what can be saved names who saves it."""
    ledger.lead("L-1", "11-02", ("rendez vous", "11-05"), clicks=["gclid"])
    held = {"reason": reason, "detail": detail, "expires_at": on("12-02")}
    ledger.conversion("L-1", "rdv", "google_ads", [(1, "withheld")], **held)
    with using_language(Language.ENGLISH):
        facts = ledger.gather(*account, PERIOD, NOW)

    assert [who] * (who is not None) == [each.who for each in facts.headline.recoverable]
    assert [who] * (who is not None) == [task.who for task in facts.tasks]
    assert all("on Wed 2 Dec 2026" in task.text for task in facts.tasks)


@pytest.mark.parametrize(("code", "tasks"), [(0, 0), (1, 0), (3, 0), (None, 1), (2, 1), (70, 1), (143, 1)])
def test_a_night_that_broke_off_is_a_task(ledger, account, code, tasks):
    """It leaves no incident behind: it ended before it could."""
    ledger.run(2, on("11-28T04:30"), exit_code=code)
    facts = ledger.gather(*account, PERIOD, NOW)

    assert tasks == len(facts.tasks)
    assert (Level.RED if tasks else Level.GREEN) is facts.level


# ── bidding ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("platform", "count", "within", "expected"),
    [
        (GOOGLE, 4, 4, BiddingFitness.TOO_FEW_TO_TELL),
        (GOOGLE, 299, 299, BiddingFitness.TOO_RARE),
        (GOOGLE, 300, 270, BiddingFitness.FIT),
        (GOOGLE, 300, 269, BiddingFitness.TOO_LATE),
        (META, 1285, 1285, BiddingFitness.TOO_RARE),
        (META, 1286, 1286, BiddingFitness.FIT),
        (META, 1285, 0, BiddingFitness.TOO_LATE_AND_TOO_RARE),
    ],
)
def test_whether_a_stage_is_fit_to_bid_on(platform, count, within, expected):
    """Google wants 30 in 30 days, Meta 50 a week; nine in ten must come in time."""
    assert expected is bidding_fitness(platform, count, within)


def test_a_stage_has_the_window_of_its_own_action(account):
    """Only where the settings say so; Meta's is the same for all."""
    settings, _ = account
    met, won = ([window_of_stage(settings, each, stage) for each in (GOOGLE, META)] for stage in ("appointment", "won"))

    assert ([30 * DAY, 7 * DAY], [90 * DAY, 7 * DAY]) == (met, won)


def test_what_happened_before_the_first_run_was_told_in_time(ledger, account):
    """The first reading of an old account must not make Meta's stages look late."""
    seen = {"seen_at": on("10-01")}
    for number in range(5):
        ledger.lead(f"L-{number}", "08-01", (WON, "08-20", seen), clicks=["fbclid"])
    (won,) = (row for row in ledger.gather(*account, PERIOD, NOW).timing if (row.stage, row.platform) == ("won", META))

    assert (5, 5) == (won.count, won.within_window)


@pytest.mark.parametrize(("estimated", "worth"), [(True, "312.50"), (False, "90")])
def test_an_expected_value_that_cannot_be_sent_costs_its_estimate(tmp_path, ledger, estimated, worth):
    """Without one, what stands in for it."""
    expected = SETTINGS.replace("value: 60", "value: { expected: true, otherwise: 90 }")
    settings, book = settings_from(tmp_path, expected)
    rule = book.find_conversion_route("rdv", "google_ads").expected_value
    if estimated:
        plain = {"low": "1", "high": "9", "rate": 0.5, "mean": "9", "leads": 9, "won": 5, "horizon_days": 9}
        times = dict.fromkeys(("first", "until", "computed_at"), on("11-01"))
        mine = {"account": ACCOUNT, "conversion": "rdv", "basis": rule.basis_digest, "value": worth}
        ledger.rows.append(ExpectedValue(**mine, **plain, **times))
    ledger.lead("L-1", "11-02", ("rendez vous", "11-05"), clicks=["gclid"])
    unclear = {"reason": Reason.CONSENT_UNKNOWN, "expires_at": on("12-02")}
    ledger.conversion("L-1", "rdv", "google_ads", [(1, "withheld")], **unclear)
    facts = ledger.gather(settings, book, PERIOD, NOW)

    assert [Decimal(worth)] * 2 == [facts.headline.recoverable[0].value, facts.coverage[0].value]


def test_a_click_id_that_may_be_either_platforms_is_told_from_one_that_is_of_no_use(ledger, account):
    """A line in the settings brings the first back; the second is for the website to mend."""
    told = {"expires_at": on("12-31")}
    for lead, why in (
        ("L-1", {"reason": Reason.BARE_CLICK_ID}),
        ("L-2", {"reason": Reason.NO_CLICK_ID, "detail": "labelled gclid, but not in its form (text, 9 characters)"}),
        ("L-3", {"reason": Reason.NO_CLICK_ID}),
    ):
        ledger.lead(lead, "11-02", ("rendez vous", "11-05"))
        ledger.conversion(lead, "rdv", "google_ads", [(1, "withheld")], **why, **told)
    coverage = ledger.gather(*account, PERIOD, NOW).coverage

    assert {
        (SendingObstacle.AMBIGUOUS_CLICK_ID, "", ("L-1",)),
        (SendingObstacle.UNUSABLE_CLICK_ID, "labelled gclid, but not in its form", ("L-2",)),
    } == {(row.gap, row.detail, row.lead_ids) for row in coverage}


def test_accounts_in_one_ledger_count_apart(tmp_path, ledger, account):
    """Even where they have leads with the same id."""
    other = WrittenLedger(tmp_path / "maison-durand.db", _ids=ledger._ids)
    other.run(2, on("10-02"))
    for made in (ledger, other):
        made.lead("L-1", "11-02", (WON, "11-05"), clicks=["gclid"], amount="100", by="Lyon")
    other.lead("L-2", "11-02", (WON, "11-05"), clicks=["gclid"], amount="100", by="Lyon")
    unasked = {"reason": Reason.CONSENT_MISSING, "expires_at": on("12-01")}
    other.conversion("L-1", "sale", "google_ads", [(2, *SENT)], value="999.00")
    other.conversion("L-2", "sale", "google_ads", [(2, "withheld")], **unasked)
    for row in other.rows:
        row.account = "volets-martin"
    ledger.conversion("L-1", "sale", "google_ads", [(1, *ACCEPTED)], value="100.00")
    for row in other.rows:
        if isinstance(row, Delivery):
            row.key = f"other {row.key}"
    ledger.rows += other.rows
    facts = ledger.gather(*account, PERIOD, NOW)

    assert SalesKnownToPlatform(GOOGLE, 1, 1, 1, 1, 0) == facts.headline.counted[0]
    assert ((), ()) == (facts.headline.recoverable, facts.coverage)
    assert 1 == sum(row.leads for row in facts.funnel.campaigns) == sum(row.leads for row in facts.agencies)
    assert 1 == facts.last_night.run
    for each in (facts.last_night.standing, facts.last_night.moved, facts.trend):
        assert 100 == sum(one.value for one in each)


# ── any ledger ───────────────────────────────────────────────────────────────────────────────────


def invented(path, seed):
    """A ledger of random leads, and what a slow count says of their signed sales by platform."""
    pick, made, sales = random.Random(seed), WrittenLedger(path), Counter()
    for number in range(1, 6):
        made.run(number, on("11-01") + number * 5 * DAY)
    for number in range(80):
        created = on("10-01") + timedelta(hours=pick.randrange(24 * 57))
        statuses = [
            (pick.choice(("rendez vous", WON, "perdu", "mystere")), f"{day:%m-%dT%H:%M}")
            for day in sorted(created + timedelta(hours=pick.randrange(1, 400)) for _ in range(pick.randrange(4)))
        ]
        kind = pick.choice(("gclid", "fbclid", "msclkid", None))
        amount = pick.choice((None, "120.5", "7000", "<text, 4 characters>"))
        utm = (pick.choice(("google", None)), None, pick.choice(("a", "b", None)))
        name = f"L-{number:02}"
        made.lead(
            name, f"{created:%m-%dT%H:%M}", *statuses, clicks=[kind] if kind else [], amount=amount, utm=utm,
            by=pick.choice(("Lyon", "Nantes", None)),
        )  # fmt: skip
        won = [datetime.fromisoformat(f"2026-{day}").replace(tzinfo=UTC) for label, day in statuses if label == WON]
        is_lost = [label for label, _ in statuses if label in (WON, "perdu")][-1:] == ["perdu"]
        if won and not is_lost and PERIOD.first <= min(won).astimezone(builders.PARIS).date() <= PERIOD.last:
            sales[{"gclid": GOOGLE, "fbclid": META, "msclkid": OTHER, None: NONE}[kind]] += 1
        if won:
            moves = pick.choice((("withheld",), SENT, (*SENT, "pending"), ACCEPTED, (*SENT, "rejected"), ("expired",)))
            where = pick.choice(("google_ads", "meta"))
            why = {"reason": Reason.CONSENT_UNKNOWN if moves == ("withheld",) else None, "expires_at": on("12-01")}
            made.conversion(name, "sale", where, [(pick.randrange(1, 6), *moves)], value="10.10", **why)
    return made, sales


@pytest.mark.parametrize("seed", range(8))
def test_sections_agree_with_each_other_with_status_and_with_a_slow_count(tmp_path, account, seed):
    """On any ledger, the same leads, sales and conversions are counted the same way."""
    made, sales = invented(tmp_path / "maison-durand.db", seed)
    facts = made.gather(*account, PERIOD, NOW)
    with made.read() as session:
        tallies = queries.count_by_state_and_reason(session, ACCOUNT, now=NOW)
    head, night = facts.headline, facts.last_night

    assert sales == Counter({one.platform: one.count for one in head.sales if one.count})
    by_outcome = Counter()
    for tally in tallies:
        by_outcome[OUTCOMES[tally.state]] += tally.count
    assert by_outcome == counted(night.standing)
    assert sum(tally.value for tally in tallies) == sum(one.value for one in night.standing)
    assert night.sent == sum(count for _, count in night.of_sent)
    assert counted(night.moved) == counted(each for each in facts.trend if each.night == date(2026, 11, 26))
    leads = sum(row.leads for row in facts.funnel.campaigns)
    assert leads == sum(week.leads for week in facts.funnel.weeks) == sum(row.leads for row in facts.agencies)
    for each in head.counted:
        assert each.accepted <= each.received <= each.sent <= each.sales == sales[each.platform]
    held = sum(tally.count for tally in tallies if tally.state is DeliveryState.WITHHELD)
    assert held == sum(one.count for one in head.recoverable)
    for row in facts.funnel.campaigns:
        assert row.won <= row.reached[facts.funnel.stages.index("won")] <= row.leads


def counted(rows):
    """How many conversions have each outcome."""
    found = Counter()
    for row in rows:
        found[row.outcome] += row.count
    return found


def slow_count(made):
    """What leads created in the period come to, looked at one by one: by campaign, by source and week, by agency."""
    campaigns, weeks, agencies = Counter(), Counter(), Counter()
    stages = {"rendez vous": "appointment", WON: "won", "perdu": "lost"}
    labels, clicked = {}, set()
    for row in made.rows:
        if isinstance(row, StatusChange):
            labels.setdefault(row.lead, []).append(row.label)
        elif isinstance(row, ClickIdRow):
            clicked.add(row.lead)
    for row in made.rows:
        if isinstance(row, LeadRow) and PERIOD.first <= (day := row.created_at.astimezone(builders.PARIS).date()):
            source, campaign = row.utm_source or "", row.utm_campaign or ""
            campaigns[source, campaign, "leads"] += 1
            for stage in {stages[label] for label in labels[row.id] if label in stages}:
                campaigns[source, campaign, stage] += 1
            weeks[source, day - day.weekday() * DAY, "leads"] += 1
            weeks[source, day - day.weekday() * DAY, "clicked"] += row.id in clicked
            agency = json.loads(row.facts).get("by", "")
            agencies[agency, "leads"] += 1
            agencies[agency, "untouched"] += len(set(labels[row.id])) == 1
    return campaigns, weeks, agencies


@pytest.mark.parametrize("seed", range(4))
def test_campaigns_weeks_and_agencies_are_those_of_a_slow_count(tmp_path, account, seed):
    """The database counts them without a look at each lead."""
    made, _ = invented(tmp_path / "maison-durand.db", seed)
    expected = slow_count(made)
    facts = made.gather(*account, PERIOD, NOW)
    campaigns, weeks, agencies = Counter(), Counter(), Counter()
    for row in facts.funnel.campaigns:
        campaigns[row.source, row.campaign, "leads"] += row.leads
        for stage, leads in zip(facts.funnel.stages, row.reached, strict=True):
            campaigns[row.source, row.campaign, stage] += leads
    for row in facts.funnel.weeks:
        weeks[row.source, row.week, "leads"] += row.leads
        weeks[row.source, row.week, "clicked"] += row.with_click_id
    for row in facts.agencies:
        agencies[row.name, "leads"] += row.leads
        agencies[row.name, "untouched"] += row.untouched

    assert expected == (campaigns, weeks, agencies)


def test_a_page_takes_twice_the_steps_for_twice_the_leads(tmp_path):
    """Nothing is looked up over and over."""
    few, many = (_steps(tmp_path / str(leads), leads) for leads in (400, 800))

    assert many <= 2.2 * few


def _steps(folder, leads):
    folder.mkdir()
    told = settings_from(folder, SETTINGS.replace(ACCOUNT, builders.ACCOUNT))
    path = quick.with_state(folder / "state.db")
    engine = open_engine(path, for_writing=True)
    past = Past(engine, nights=100)
    past.add(Some(leads, ago=range(1, 100)))
    past.add(Some(leads // 4, DeliveryState.WITHHELD, named="held", ago=range(1, 100), reason="consent_missing"))
    engine.dispose()
    with counted_steps() as made:
        engine = open_engine(path, for_writing=False)
        last = NIGHT.date() - DAY
        with open_snapshot(engine, SqliteState(path)) as session:
            facts = gather(session, *told, Period(last - 29 * DAY, last), NIGHT)
        engine.dispose()
    assert facts.headline.sales[0].count > leads / 10
    return made.count
