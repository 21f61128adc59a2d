"""What the platforms say of a clean night agrees with the ledger; what they lost afterwards shows as a difference."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session

from jobs.ledger.storage.database import open_engine
from jobs.reporting.page.platform_figures import platform_figures

A_DAY = timedelta(days=1)


def sold(company, *numbers):
    """Serve leads won the day before, each with two conversions to send."""
    yesterday = company.clock.now() - A_DAY
    for number in numbers:
        clicks = f"gclid={company.gclid(number)}"
        created = yesterday - timedelta(days=2)
        company.serve(company.lead(number, ("Gagné", yesterday), created=created, clicks=clicks))


def figures(company):
    """What the page would show, without the platform's other statements."""
    engine = open_engine(company.state, for_writing=False)
    account = company.settings["account"]
    with Session(engine) as session:
        found = platform_figures(session, account, company.clock.now(), ZoneInfo("Europe/Paris"), {})
    engine.dispose()
    return [each for each in found if each.ours is not None]


def by_data_manager(_company):
    """Google by the Data Manager API, as by default."""


def by_ads_api(company):
    """Google by the Google Ads API."""
    company.use_ads_api()


def by_meta(company):
    """Meta alone."""
    company.use_meta_alone(contact_data="attach", audience="all")


def lose_one(company):
    """Each platform loses a conversion after answering that it took it."""
    company.sandbox.google_ads.set_switch("ads_api_lost", 1)
    company.sandbox.meta.set_switch("meta_lost", 1)


WAYS = pytest.mark.parametrize("way", [by_data_manager, by_ads_api, by_meta])


@WAYS
def test_figures_of_clean_nights_agree(company, way):
    """Theirs and ours are the same number, for each action or event."""
    way(company)
    sold(company, 1, 2, 3)
    company.night()
    company.later()
    company.night(company.clock.now() + 2 * A_DAY)
    found = figures(company)

    assert ["3", "3"] == [each.theirs for each in found]
    assert [("3", False)] * 2 == [(each.ours, each.differs) for each in found]


@WAYS
def test_figures_differ_where_a_platform_lost_some(company, way):
    """It had answered that it took them all, so nothing else tells."""
    way(company)
    sold(company, 1, 2, 3)
    lose_one(company)
    company.night()
    company.later()
    company.sandbox.data_manager.set_switch("records_counted", "one less")
    summary = company.night(company.clock.now() + 2 * A_DAY)
    found = figures(company)

    assert 0 == summary.exit_code
    assert {("2", True)} <= {(each.theirs, each.differs) for each in found} <= {("2", True), ("3", False)}
    assert {"3"} == {each.ours for each in found}


def test_token_that_may_not_read_costs_the_night_nothing(company):
    """The night sends and ends as ever; what the token needs is on record."""
    company.use_meta_alone(contact_data="attach", audience="all")
    company.sandbox.meta.set_switch("meta_readable", value=False)
    sold(company, 1)
    company.night()
    summary = company.night(company.clock.now() + 2 * A_DAY)

    assert 0 == summary.exit_code
    assert [] == figures(company)
