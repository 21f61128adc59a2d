"""A person planted in every field, and a compressed year of nights that fail: nothing of them in any file or message.

Their lead ids, status labels, amounts and UTM fields may be kept, click ids within their windows, and hashes in the
state while something unsent may use them, as SECURITY.md says.
"""

import pytest

from tests.e2e.support.planted import PEOPLE, PlantedYear
from tests.e2e.support.webhook_receiver import ReceiverProcess

ROUNDS = 20
"""How many nights to play, with one after each: a year together, and every failure at least once."""
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def year(companies):
    """A company's year; webhooks arrive all along."""
    company = companies()
    folder = company.directory / "run"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, ReceiverProcess(folder) as receiver:
        year = PlantedYear(company, receiver, patch)
        for number in range(ROUNDS):
            year.round(number)
            if number in (3, 13):
                year.commands(f"round {number}")
        year.clicks_before = year.clicks_in()
        year.quiet()
        receiver.stop()
        year.search("all along", "the receiver's log", receiver.log.encode())
        year.search_files("at the end")
    return year


@pytest.mark.xdist_group("a year")
def test_nothing_of_the_person_is_found(year):
    """In no file, message, log or report, at any time, in any encoding."""
    assert [] == sorted(year.leaks)


@pytest.mark.xdist_group("a year")
def test_the_person_went_through_everything(year):
    """Otherwise finding nothing would prove nothing."""
    assert {"accepted", "cancelled", "expired", "in_doubt", "pending", "rejected", "withheld"} <= year.states
    assert year.company.rows_of("unreadable_lead")
    assert year.receiver.inbox.exists()
    assert year.scanned > 10 * ROUNDS
    assert year.logged > 100_000
    assert {"em", "ph", "fn", "ln", "ct", "zp"} <= {
        name for post in year.company.posts for event in post.events for name in event["user_data"]
    }
    assert {"pages/maison-test-report.html", "oplead.prom", "state.db"} <= year.files().keys()


@pytest.mark.xdist_group("a year")
def test_hashes_and_click_ids_end_with_their_windows(year):
    """Click ids stood in the state only, and neither they nor any hash of the person stand anywhere in the end."""
    assert {"state.db"} == {name.removesuffix("-wal") for name in year.clicks_before}
    assert not year.is_anything_unsent()
    assert {} == year.clicks_in()
    assert {} == {name: found for name, data in year.files().items() if (found := PEOPLE.found_in(data))}
