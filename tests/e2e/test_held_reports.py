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
COUNTED = "1 status that only a webhook reported, 23 hours ago, waits for a reading of Oplead to show it"
HELD = "Gagné: reported by a webhook 23 hours ago; waits for a reading of Oplead to show it; lapses on"
REFUTED = "reported by a webhook 20 hours ago; refuted by the reading of"
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


def said(company, *command):
    """What a command says to a program."""
    return json.loads(company.command(*command, "--json")[1])


def standings(company):
    """What `explain` says became of each report."""
    return [(each["label"], each["standing"]) for each in said(company, "explain", "L-1")["reports"]]


@pytest.mark.parametrize("state_in", ["file", pytest.param("database", marks=pytest.mark.exhaustive)])
def test_a_held_status_is_shown_with_its_age_until_it_lapses(company, tmp_path):
    """By `explain`, by `status` and on the page; a lead that nobody has read is not on record, and not held."""
    company.settings["report"] = {"folder": str(tmp_path / "pages")}
    report(company, "Gagné")
    report(company, "Gagné", "L-99")
    assert {"count": 1, "oldest": "2026-09-10T09:00:00+00:00"} == said(company, "status")["held"]
    company.serve(company.lead(1, ("En cours", NINE + HOUR)))
    company.clock.advance(company.START + DAY)
    company.command("run")
    page = next((tmp_path / "pages").glob("*.html")).read_text()
    company.clock.advance(NINE + 23 * HOUR)

    assert "Reported only" in page
    assert "18 hours ago" in page
    assert HELD in company.command("explain", "L-1")[1]
    assert COUNTED in company.command("status")[1]
    [row] = said(company, "report")["held_reports"]
    assert ("L-1", "Gagné") == (row["lead"], row["label"])

    company.clock.advance(NINE + 40.8 * DAY)
    assert LAPSED in company.command("explain", "L-1")[1]
    assert said(company, "status")["held"] is None
    assert [] == said(company, "report")["held_reports"]


@pytest.mark.parametrize("label", ["Gagné", None])
def test_a_refuted_report_is_no_longer_held_and_explained(company, label):
    """Oplead still shows the lead where it was, without an appointment."""
    report(company, label)
    before = said(company, "status")["held"]
    company.night(company.START + DAY)
    company.clock.advance(company.START + DAY + HOUR)

    assert 1 == before["count"]
    assert REFUTED in company.command("explain", "L-1")[1]
    assert [(label or "appointment_set", "refuted")] == standings(company)
    assert said(company, "status")["held"] is None


def test_a_confirmed_report_is_a_change_like_any_other(company):
    """A reading shows it, or a later stage."""
    report(company, "RDV pris")
    report(company, "Gagné")
    company.serve(company.lead(1, ("Gagné", NINE)))
    company.night(company.START + DAY)

    assert [] == standings(company)
    assert said(company, "status")["held"] is None


def test_a_forgotten_lead_is_not_held(company):
    """Its events go with it."""
    report(company, "Gagné")
    company.serve(company.lead(1, ("En cours", NINE + HOUR)))
    company.night(company.START + DAY)
    before = said(company, "status")["held"]
    code, out, err = company.command("forget", "--lead", "L-1")

    assert 1 == before["count"]
    assert 0 == code, out + err
    assert said(company, "status")["held"] is None


def test_a_label_of_no_stage_is_not_held(company):
    """It could prove nothing, and most leads pass such statuses between two readings."""
    report(company, "En cours")
    report(company, "Nonsense")

    assert said(company, "status")["held"] is None
    assert [] == standings(company)
