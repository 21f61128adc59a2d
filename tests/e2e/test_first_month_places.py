"""The first month's incidents with visibility and routing: leads that vanish, a narrower API key, several agencies."""

from datetime import UTC, datetime

import pytest

from connectors.sandbox.google.platform import DEFAULT_ACCOUNTS, GoogleAccount, GoogleConversionAction
from connectors.sandbox.meta.wire import TOKENS
from tests.e2e.support.company import CUSTOMER, DATASET
from tests.e2e.support.month import DAY, PRICE, QUIET, Month, expected, fbclid, gclid

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
OTHER_CUSTOMER = "2345678901"
OTHER_DATASET = "2345678901"
PATIENT = "20 d"
"""How long a sale waits for its amount where a test needs it to stay open."""


@pytest.fixture
def month(company):
    """A company after its first night, whose sales wait long for their amount."""
    month = Month(company)
    month.conversion("sale")["value"]["wait_for_value"] = PATIENT
    month.history(40)
    assert QUIET == month.night().said
    return month


def waiting(month, first, count, **more):
    """Create leads whose sale waits for its amount; return when each was sold."""
    numbers = range(first, first + count)
    month.create(*numbers, **more)
    return month.enter("Gagné", *numbers, amount=None)


# ── vanishing leads ────────────────────────────────────────────────────────────────────────────────


def test_deleted_leads_have_open_conversions_cancelled(month):
    """A lead missing on two nights, within the week that a full read takes, counts as deleted; no notice is raised.

    What was sent for it stays, and other leads continue.
    """
    sold = waiting(month, 1, 4)
    booked = month.enter("Rendez-vous", 1)
    month.create(11)
    booked |= month.enter("Rendez-vous", 11)
    month.night()
    month.delete(1, 2, 11)

    nights = month.nights(9)
    states = month.company.states()

    assert {QUIET} == {night.said for night in nights}
    assert "cancelled" == states["L-1", "sale"] == states["L-2", "sale"]
    assert "pending" == states["L-3", "sale"]
    assert "accepted" == states["L-11", "appointment"]

    month.edit(3, 4, amount=PRICE)
    month.nights(2)

    sent = {number: sold[number] for number in (3, 4)}
    assert sorted(expected("appointment", booked) + expected("sale", sent)) == month.arrivals()
    month.true_books()


def test_lead_missing_for_one_night_keeps_its_sale(month):
    """Once it is back and its amount comes, its sale goes out once."""
    sold = waiting(month, 1, 2)
    month.night()
    month.hide(1)
    month.night()
    month.hide()
    month.edit(1, 2, amount=PRICE)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_api_key_that_sees_fewer_leads_is_reported(month):
    """The first night reports it; nothing is cancelled meanwhile, and with the old key everything is sent once."""
    sold = waiting(month, 1, 20)
    month.night()
    month.hide(*(number for number in month.leads if number % 4))
    first = month.night()

    first.told("fewer|sees|seen|missing|gone|key|token")

    month.nights(8)

    assert {"pending"} == {month.company.states()[f"L-{number}", "sale"] for number in range(1, 21)}

    month.hide()
    month.edit(*range(1, 21), amount=PRICE)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


# ── several agencies ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def agencies(company):
    """A company of two agencies, each with its own Google customer and Meta dataset, after its first night."""
    company.platform.google.accounts = DEFAULT_ACCOUNTS | {
        OTHER_CUSTOMER: GoogleAccount(
            managers=frozenset({"1112223333"}),
            actions={
                "987654321": GoogleConversionAction(name="Rendez-vous pris"),
                "987654322": GoogleConversionAction(name="Vente signée"),
            },
        )
    }
    company.use_meta(funnel={}, contact_data="none")
    company.environ["OTHER_META_TOKEN"] = TOKENS[OTHER_DATASET]
    google, meta = company.settings["google_ads"], company.settings["meta"]
    google["contact_data"] = "none"
    company.settings["google_ads"] = [
        google | {"id": "google_lyon", "where": {"agency": ["Lyon"]}},
        google | {"id": "google_nantes", "where": {"agency": ["Nantes"]}, "customer_id": OTHER_CUSTOMER},
    ]
    company.settings["meta"] = [
        meta | {"id": "meta_lyon", "where": {"agency": ["Lyon"]}},
        meta
        | {
            "id": "meta_nantes",
            "where": {"agency": ["Nantes"]},
            "dataset_id": OTHER_DATASET,
            "access_token": "${OTHER_META_TOKEN}",
        },
    ]
    month = Month(company)
    for number in range(101, 121):
        month.create(number, created=START - 10 * DAY, agency=("Lyon", "Nantes", "Brest")[number % 3])
    assert QUIET == month.night().said
    return month


def of_both(number):
    """The click ids of a lead that clicked on a Google ad and on a Meta ad."""
    return f"gclid={gclid(number)}&fbclid={fbclid(number)}"


def test_each_agency_gets_only_its_own_leads(agencies):
    """A third agency's lead, or one without an agency, goes nowhere, and no notice is raised."""
    agencies.create(1, 2, 3, clicks=of_both, agency="Lyon")
    agencies.create(4, 5, clicks=of_both, agency="nantes ", customer=OTHER_CUSTOMER)
    agencies.create(6, clicks=of_both, agency="Brest")
    agencies.create(7, clicks=of_both)
    times = agencies.enter("Rendez-vous", *range(1, 8))
    lyon = {number: times[number] for number in (1, 2, 3)}
    nantes = {number: times[number] for number in (4, 5)}

    assert QUIET == agencies.night().said
    assert QUIET == agencies.night().said

    assert (
        sorted(
            expected("appointment", lyon, owner=CUSTOMER) + expected("appointment", nantes, owner=OTHER_CUSTOMER),
        )
        == agencies.arrivals()
    )
    assert (
        sorted(expected("appointment", lyon, owner=DATASET) + expected("appointment", nantes, owner=OTHER_DATASET))
        == agencies.meta_arrivals()
    )
    agencies.true_books()


def test_lead_moving_to_another_agency_is_not_sent_twice(agencies):
    """What was sent is not sent again to the new agency's destinations, and what was open goes to one of them, once."""
    agencies.create(1, 2, clicks=of_both, agency="Lyon")
    booked = agencies.enter("Rendez-vous", 1, 2)
    agencies.night()
    agencies.enter("Gagné", 2, amount=None)
    agencies.night()
    agencies.edit(1, 2, agency="Nantes")
    agencies.night()
    agencies.edit(2, amount=PRICE)
    agencies.nights(2)

    appointments = [one for one in agencies.arrivals() if one.conversion == "appointment"]
    assert sorted(expected("appointment", booked, owner=CUSTOMER)) == appointments
    assert {1} == {times for (_, conversion), times in agencies.uploaded().items() if conversion == "appointment"}
    assert 1 == agencies.uploaded()["L-2", "sale"]
    meta = agencies.meta_arrivals()
    assert sorted(expected("appointment", booked, owner=DATASET)) == [one for one in meta if one.value == 60.0]
    assert [("L-2", "sale")] == [one.name for one in meta if one.value != 60.0]


def test_refused_token_stops_one_agency_only(agencies):
    """Meta refuses the second dataset's token: the first agency's leads are sent, the others once it is fixed."""
    token = agencies.company.environ["OTHER_META_TOKEN"]
    agencies.company.environ["OTHER_META_TOKEN"] = "EAArevoked"
    agencies.create(1, 2, clicks=of_both, agency="Lyon")
    agencies.create(3, 4, clicks=of_both, agency="Nantes", customer=OTHER_CUSTOMER)
    times = agencies.enter("Rendez-vous", *range(1, 5))
    night = agencies.night()

    assert 3 == night.code
    assert {("L-1", "appointment"), ("L-2", "appointment")} == {one.name for one in agencies.meta_arrivals()}
    assert 4 == len(agencies.arrivals())

    agencies.company.environ["OTHER_META_TOKEN"] = token
    agencies.night()

    assert sorted(times.values()) == sorted(one.at for one in agencies.meta_arrivals())
    agencies.true_books()
