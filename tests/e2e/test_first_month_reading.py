"""The first month's incidents with reading leads: a request budget, test leads, pages that show another lead."""

import re

import pytest

from tests.e2e.support.month import PRICE, QUIET, Month, expected
from tests.e2e.support.typed import type_in


@pytest.fixture
def month(company):
    """A company with nothing but its settings."""
    return Month(company)


def requests_of(month, *arguments):
    """How many requests to Oplead the next run makes."""
    before = len(month.company.times("oplead"))
    month.night(*arguments)
    return len(month.company.times("oplead")) - before


# ── request budget ───────────────────────────────────────────────────────────────────────────────


def test_new_status_under_a_filter_stays_within_max_requests(month):
    """The full list is read over as many nights as needed to learn the status, and then everything is sent."""
    month.company.sandbox.oplead.set_switch("filters", True)
    month.company.sandbox.oplead.set_switch("page_size", 20)
    filtered = {"pull": "since", "since_filter": {"param": "updated_since", "format": "iso"}}
    month.settings["oplead"] = filtered
    month.settings["stages"]["won"].append("Vente signée")
    month.history(90)
    month.night()
    month.settings["oplead"] = filtered | {"max_requests": 3}
    month.create(1, 2)
    sold = month.enter("Vente signée", 1, 2, amount=PRICE)
    made = [requests_of(month) for _ in range(5)]

    assert max(made) <= 3
    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_rename_during_detail_fetch_reads_each_lead_once(month):
    """The next night reports the rename."""
    month.company.sandbox.oplead.set_switch("list_has_details", False)
    month.settings["oplead"] = {"pull": "details"}
    month.settings["stages"]["won"].append("Vente signée")
    month.history(70)
    month.night()
    asked = []

    def rename(request):
        asked.append(request.path)
        if len(asked) == 60:
            month.rename_label("Gagné", "Vente signée")

    month.company.before("oplead", "/v1/leads/", rename)
    month.night()

    assert (70, 70) == (len(asked), len(set(asked)))
    month.night().told("Gagn", "Vente sign")
    month.night()
    assert [] == month.arrivals()
    month.true_books()


# ── test leads ───────────────────────────────────────────────────────────────────────────────────


def test_excluded_leads_are_fetched_weekly_or_when_changed(month):
    """With `pull: details`, a lead that turns out to be a customer is still sent."""
    month.company.sandbox.oplead.set_switch("list_has_details", False)
    month.settings["oplead"] = {"pull": "details"}
    month.settings["exclude"] = {"email_domains": ["maison-durand.test"]}
    month.history(10)
    month.create(2, 3, 4, contact={"email": "claire@maison-durand.test"})
    month.nights(8)
    asked = [len(month.company.asked("oplead", f"/v1/leads/L-{number}")) for number in (2, 3, 4)]

    assert [2, 2, 2] == asked

    sold = month.enter("Gagné", 3, contact={"email": "lead.3@example.com"})
    month.nights(2)

    assert {"L-3"} == {lead for lead, _ in month.company.states() if lead in ("L-2", "L-3", "L-4")}
    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


# ── returning leads ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pull", ["list", "details"])
def test_lead_back_after_days_keeps_its_sale(month, pull):
    """`explain` shows the sale as cancelled meanwhile; once lead and amount are there, it goes out once."""
    month.settings["oplead"] = {"pull": pull}
    month.conversion("sale")["value"]["wait_for_value"] = "20 d"
    month.history(20)
    month.night()
    month.create(1, 2)
    sold = month.enter("Gagné", 1, 2, amount=None)
    month.night()
    month.hide(1)
    month.nights(4)
    away = month.company.states()["L-1", "sale"]
    told = type_in(month.company, "explain", "L-1").out
    month.hide()
    back = month.night()

    assert ("cancelled", "pending") == (away, month.company.states()["L-1", "sale"])
    assert re.search(r"deleted\s+no longer in Oplead since ", told)
    assert '"back":1' in back.printed.replace(" ", "")

    month.edit(1, 2, amount=PRICE)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize("pull", ["list", "details"])
def test_merged_lead_is_cancelled_in_favour_of_the_other(month, pull):
    """`explain` names the other lead, which continues by itself, and no notice is raised."""
    month.settings["oplead"] = {"pull": pull}
    month.conversion("sale")["value"]["wait_for_value"] = "20 d"
    month.history(20)
    month.night()
    month.create(1, 2)
    sold = month.enter("Gagné", 1, 2, amount=None)
    month.night()
    month.merge(1, into=2)
    said = [night.said for night in month.nights(4)]
    month.edit(2, amount=PRICE)
    month.nights(2)

    assert [QUIET] * 4 == said
    assert "cancelled" == month.company.states()["L-1", "sale"]
    assert "Oplead shows lead L-2 instead" in " ".join(type_in(month.company, "explain", "L-1").out.split())
    assert expected("sale", {2: sold[2]}) == month.arrivals()
    month.true_books()
