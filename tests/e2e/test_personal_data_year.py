"""A person planted in every field, and a compressed year of nights that fail: nothing of them in any file or message.

Their lead ids, status labels, amounts and UTM fields may be kept, click ids within their windows, and hashes in the
state while something unsent may use them, as SECURITY.md says.
"""

import pytest

from tests import suite
from tests.e2e.support.planted import PlantedYear
from tests.e2e.support.webhook_receiver import ReceiverProcess

WEEKS = suite.examples(6, 52)


@pytest.fixture(scope="module")
def year(companies):
    """A company's year; webhooks arrive all along."""
    company = companies()
    folder = company.directory / "run"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, ReceiverProcess(folder) as receiver:
        year = PlantedYear(company, receiver, patch)
        for number in range(WEEKS):
            year.week(number)
            if number % 17 == 3:
                year.commands(f"week {number}")
        receiver.stop()
        year._search("all along", "the receiver's log", receiver.log.encode())
        year.search_files("at the end")
    return year


@pytest.mark.xdist_group("a year")
def test_nothing_of_the_person_is_found(year):
    """In no file, message, log or report, at any time, in any encoding."""
    assert [] == sorted(year.leaks)


@pytest.mark.xdist_group("a year")
def test_the_person_went_through_everything(year):
    """Otherwise finding nothing would prove nothing."""
    states = {row.state for row in year.company.rows_where("sale")}

    assert {"accepted", "cancelled", "withheld"} <= states
    assert year.company.rows_of("unreadable_lead")
    assert year.receiver.inbox.exists()
    assert year.scanned > 10 * WEEKS
    assert {"em", "ph", "fn", "ln", "ct", "zp"} <= {
        name for post in year.company.posts for event in post.events for name in event["user_data"]
    }
    assert {"pages/maison-test-report.html", "oplead.prom", "state.db"} <= year.files().keys()


@pytest.mark.xdist_group("a year")
def test_click_ids_stand_in_the_state_only(year):
    """Reports, logs and the inbox have none, and the state none of those whose windows have closed."""
    assert {name.partition("-")[0] for name in year.clicks_in()} <= {"state.db"}
