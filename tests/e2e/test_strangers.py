"""From a key and an address to a right first night, at six Opleads that only their guide's readers have seen.

Each is written from Oplead's guide alone, with what a right night makes of its leads written beside it; a careful
French marketer answers `init` at a pseudo-terminal from what is on the screen.
"""

import pytest

from tests.e2e.strangers.alpha import Alpha
from tests.e2e.strangers.bravo import Bravo
from tests.e2e.strangers.charlie import Charlie
from tests.e2e.strangers.delta import Delta
from tests.e2e.strangers.echo import Echo
from tests.e2e.strangers.foxtrot import Foxtrot
from tests.e2e.strangers.marketer import Marketer, NoWayOn
from tests.e2e.strangers.people import population
from tests.e2e.strangers.score import Sheet
from tests.e2e.support.typed import type_in

ACTIONS = {"appointment": "987654321", "won": "987654322", "quote_sent": "987654323"}
SERVERS = {"clock": "clock", "endpoint": "data_manager", "ads-api-endpoint": "google_ads", "graph-url": "meta"}
NIGHT_IS_DONE = (0, 1)

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]


@pytest.fixture
def new_company(companies):
    """A company with a sandbox of its own, for Google, Meta and the clock."""
    return companies()


def first_night(company, dialect):
    """Play a dialect from `init` to the first night, and return its score."""
    name = dialect.__name__
    oplead = dialect(population(name, both=dialect is not Bravo), company.clock.now)
    sheet = Sheet(name)
    clicks = {life.gclid: {"clicked_at": life.clicked.isoformat(), "customer": company.CUSTOMER} for life in oplead.lives}
    company.platform.register_clicks({gclid: click for gclid, click in clicks.items() if gclid})
    company.environ["OPLEAD_TOKEN"] = oplead.KEY
    with oplead.serving():
        marketer = Marketer(oplead, google="123-456-7890", meta="1234567890", actions=ACTIONS)
        urls = company.sandbox.sandbox_server_urls
        options = [part for option, server in SERVERS.items() for part in (f"--{option}", urls[server])]
        folder = company.directory / "mine"
        try:
            code = marketer.sit_down(
                "init", "--dir", str(folder), "--base-url", oplead.url, *options, environ=company.environ
            )
            sheet.stuck = "" if code == 0 else f"init ended with {code}"
        except NoWayOn as error:
            sheet.stuck = str(error)
        sheet.typed = marketer.typed
        (company.directory / "screen.txt").write_text(marketer.screen, encoding="utf-8")
        if not sheet.stuck:
            settings = folder / "pipeline.yaml"
            night = type_in(company, "run", "--first-run", file=settings)
            if night.code in NIGHT_IS_DONE:
                explained = (type_in(company, "explain", str(key), "--json", file=settings) for key in oplead.by_id)
                sheet.compare(oplead, {one["lead"]: one for each in explained if each.code == 0 for one in each.objects})
            else:
                sheet.stuck = f"the night ended with {night.code}: {night.lines[:300]}"
    print(sheet, *marketer.remarks, sep="\n         ")  # noqa: T201 - the score is what this is for
    return sheet


@pytest.mark.parametrize("dialect", [Alpha, Bravo, Charlie, Delta])
def test_the_first_night_is_right_without_a_path_written_by_hand_where_the_api_is_in_the_likely_style(
    new_company, dialect
):
    """English names, identifiers, French labels: whatever the envelope, the paging, the key and the status."""
    sheet = first_night(new_company, dialect)

    assert sheet.is_right, sheet
    assert not sheet.typed, sheet.typed


@pytest.mark.parametrize("dialect", [Echo, Foxtrot])
def test_the_first_night_is_right_with_two_paths_written_by_hand_where_the_api_is_french(new_company, dialect):
    """French names, and pairs of nom and valeur."""
    sheet = first_night(new_company, dialect)

    assert sheet.is_right, sheet
    assert len(sheet.typed) <= 2, sheet.typed
