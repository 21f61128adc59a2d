"""What only webhooks reported is shown to whoever asks, with its age, until a reading decides or it lapses."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from tests.e2e.support.webhook_receiver import SECRET

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NINE = datetime(2026, 9, 10, 9, tzinfo=UTC)
"""When the webhooks come, between the first two nights."""
COUNTED = "1 status that only a webhook reported, {age} ago, waits for a reading of Oplead to show it"
HELD = "Gagné: reported by a webhook 23 hours ago; waits for a reading of Oplead to show it; lapses on"
REFUTED = "reported by a webhook 18 hours ago; refuted by the reading of"
LAPSED = "Gagné: reported by a webhook 40.8 days ago; lapsed on"


@pytest.fixture
def company(company, tmp_path, state_in):
    """A company with webhooks, after its first night; Oplead dates no status of its new lead."""
    company.settings["webhooks"] = {"secret": "${HOOK}"}
    if state_in == "file":
        company.settings["webhooks"]["inbox"] = str(tmp_path / "maison-test.inbox.db")
    company.settings["oplead"] = {"fields": {"appointment_at": "appointment.date"}}
    company.settings["stages"]["appointment"] = ["RDV pris", "appointment_set"]
    company.environ["HOOK"] = SECRET
    company.sandbox.oplead.set_switch("status_dates", "none")
    company.serve(company.lead(1))
    company.night(company.START)
    company.clock.advance(NINE)
    return company


def report(company, label=None, lead="L-1"):
    """Have a webhook report a status, or else an appointment."""
    kind = CrmEventKind.STATUS_CHANGE if label else CrmEventKind.APPOINTMENT
    told = WebhookEvent(kind, LeadId(lead), label, Moment(NINE), None if label else Moment(NINE + 5 * DAY))
    with company.inbox() as inbox:
        inbox.append_events([ReceivedEvent(told, NINE, sha256(repr(told).encode()).hexdigest(), is_unique=True)])


def explained(company):
    """What `explain` says of the reports, to people and to machines."""
    found = json.loads(company.command("explain", "L-1", "--json")[1])["reports"]
    return company.command("explain", "L-1")[1], [(each["label"], each["standing"]) for each in found]


def held(company):
    """What `status` says of what is held, to people and to machines."""
    return company.command("status")[1], json.loads(company.command("status", "--json")[1])["held"]


def on_page(company, folder):
    """What the page shows and has as data."""
    data = json.loads(company.command("report", "--json")[1])["held_reports"]
    code, _, err = company.command("report", "--out", str(folder))
    assert 0 == code, err
    [page] = folder.glob("*.html")
    return page.read_text(), [(each["lead"], each["label"]) for each in data]


@pytest.mark.parametrize("state_in", ["file", "database"])
def test_a_held_status_is_shown_with_its_age_until_it_lapses(company, tmp_path):
    """By `explain`, by `status` and on the page; a lead that nobody has read is not on record, and not held."""
    report(company, "Gagné")
    report(company, "Gagné", "L-99")
    waiting, counted = held(company)
    assert COUNTED.format(age="0 minutes") in waiting
    assert {"count": 1, "oldest": "2026-09-10T09:00:00+00:00"} == counted
    company.serve(company.lead(1, ("En cours", NINE + HOUR)))
    company.night(company.START + DAY)
    company.clock.advance(NINE + 23 * HOUR)

    told, standing = explained(company)
    page, data = on_page(company, tmp_path / "pages")
    assert HELD in told
    assert [("Gagné", "held")] == standing
    assert COUNTED.format(age="23 hours") in held(company)[0]
    assert "Reported only" in page
    assert "23 hours ago" in page
    assert [("L-1", "Gagné")] == data

    company.clock.advance(NINE + 40.8 * DAY)
    told, standing = explained(company)
    page, data = on_page(company, tmp_path / "pages")
    assert LAPSED in told
    assert [("Gagné", "lapsed")] == standing
    assert held(company)[1] is None
    assert "Reported only" not in page
    assert [] == data


@pytest.mark.parametrize("label", ["Gagné", None])
def test_a_refuted_report_is_no_longer_held_and_explained(company, label):
    """Oplead still shows the lead where it was, without an appointment."""
    report(company, label)
    before = held(company)[1]
    company.night(company.START + DAY)
    company.clock.advance(NINE + 18.4 * HOUR + HOUR / 10)
    told, standing = explained(company)

    assert 1 == before["count"]
    assert REFUTED in told
    assert [(label or "appointment_set", "refuted")] == standing
    assert held(company)[1] is None


def test_a_confirmed_report_is_a_change_like_any_other(company):
    """A reading shows it, or a later stage."""
    report(company, "RDV pris")
    report(company, "Gagné")
    company.serve(company.lead(1, ("Gagné", NINE)))
    company.night(company.START + DAY)

    assert [] == explained(company)[1]
    assert held(company)[1] is None


def test_a_forgotten_lead_is_not_held(company):
    """Its events go with it."""
    report(company, "Gagné")
    company.serve(company.lead(1, ("En cours", NINE + HOUR)))
    company.night(company.START + DAY)
    before = held(company)[1]
    code, out, err = company.command("forget", "--lead", "L-1")

    assert 1 == before["count"]
    assert 0 == code, out + err
    assert held(company)[1] is None


def test_a_label_of_no_stage_is_not_held(company):
    """It could prove nothing, and most leads pass such statuses between two readings."""
    report(company, "En cours")
    report(company, "Nonsense")

    assert held(company)[1] is None
    assert [] == explained(company)[1]
