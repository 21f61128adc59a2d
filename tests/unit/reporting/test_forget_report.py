"""What is said of erasing what platforms were sent."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from connectors.google_ads.platform import DATA_MANAGER
from jobs.privacy.forget import DeliveryOnRecord
from jobs.reporting.forget_report import ForgetReport, platform_erasure_offers, print_forget_report
from jobs.reporting.presentation import AccountPresentation
from jobs.rules.delivery_state import DeliveryState
from tests.builders import PARIS, route
from tests.fakes import NIGHT

SENT = DeliveryOnRecord("sale", "google_ads", "conversion", "k1", "data_manager", DeliveryState.ACCEPTED, NIGHT)
ROUTES = [route(limits=DATA_MANAGER)]
RETRACTION = "a retraction takes a conversion out of the counts"
VALUE = "a value can be set to 0"


@pytest.mark.parametrize("order", [1, -1])
def test_each_way_a_destination_was_sent_by_has_its_own_offer(order):
    """What the Google Ads API took can be retracted, what Data Manager took cannot, whichever came last."""
    ways = [SENT, replace(SENT, transport="google_ads_api"), replace(SENT, key="k2")]
    offers = list(platform_erasure_offers(ways[::order], ROUTES))

    assert [("google_ads", "data_manager"), ("google_ads", "google_ads_api")] == [
        (each.destination, each.transport) for each in offers
    ]
    assert [True, True] == [each.offer.startswith(said) for each, said in zip(offers, [VALUE, RETRACTION], strict=True)]


def test_nothing_is_claimed_of_a_destination_that_the_settings_lost():
    """What its platform takes back is not known any more."""
    (offer,) = platform_erasure_offers([replace(SENT, destination="old")], ROUTES)

    assert offer.offer.startswith("the settings no longer name it")


def test_transport_is_named_where_a_destination_had_several():
    """Elsewhere its name is enough."""
    text = io.StringIO()
    ways = [SENT, replace(SENT, transport="google_ads_api"), replace(SENT, destination="old")]
    report = ForgetReport("a", True, (), 0, 0, tuple(platform_erasure_offers(ways, ROUTES)), None)
    account = AccountPresentation("a", PARIS, "EUR", {}, Path("pipeline.yaml"))
    print_forget_report(Console(width=200, file=text), account, report)
    said = text.getvalue()

    assert ["google_ads (data_manager)", "google_ads (google_ads_api)"] == [
        line.strip().partition("  ")[0] for line in said.splitlines() if "google_ads (" in line
    ]
    assert "old (" not in said
