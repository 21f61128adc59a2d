"""From a change in Oplead to a conversion, by webhook: the sandbox's Oplead, the receiver, its inbox, the runs."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from connectors.sandbox.oplead.server import ADMIN_KEY
from jobs.ledger.schema import InboxPlace, StatusChange
from tests.e2e.support.webhook_receiver import SECRET, ReceiverProcess

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVENTS = ("lead.created", "lead.status_changed", "lead.appointment_updated")
KILLED = -9


def at(hour):
    """An hour of the day after the first night, UTC."""
    return datetime(2026, 9, 10, hour, tzinfo=UTC)


STEPS = (("RDV pris", at(7)), ("Devis à relancer", at(9)), ("Gagné", at(13)))
ENTERED = [("rdv pris", at(7)), ("devis a relancer", at(9)), ("gagne", at(13))]
TIMES = {"appointment": at(7), "sale": at(13)}


@pytest.fixture
def company(company, tmp_path, state_in):
    """A company with webhooks and a new lead, after its first night; Oplead dates no status."""
    company.settings["webhooks"] = {"secret": "${HOOK}"}
    if state_in == "file":
        company.settings["webhooks"]["inbox"] = str(tmp_path / "maison-test.inbox.db")
    company.environ["HOOK"] = SECRET
    company.sandbox.oplead.set_switch("status_dates", "none")
    company.serve(company.lead(1))
    company.night(company.START)
    return company


@pytest.fixture
def receiver(company, tmp_path):
    """The receiver, subscribed to everything."""
    with ReceiverProcess(tmp_path) as receiver:
        for event in EVENTS:
            body = {"event": event, "url": f"http://127.0.0.1:{receiver.port}/hooks/{SECRET}"}
            address = f"{company.sandbox.sandbox_server_urls['oplead']}/v1/subscriptions"
            headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
            assert 201 == httpx.post(address, json=body, headers=headers, timeout=10).status_code
        yield receiver


def happen(company, *steps):
    """Have these changes happen to the lead, one after the other, and their webhooks go out."""
    for count, (_, when) in enumerate(steps, start=1):
        company.clock.advance(when)
        company.serve(company.lead(1, *steps[:count]))
        company.sandbox.oplead.deliver_webhooks()


def told(company):
    """The lead's changes since it was new, in order: label, time, how it is known."""
    rows = sorted(company.rows(StatusChange), key=lambda row: row.at)
    return [(row.label, row.at, row.origin) for row in rows if row.label != "nouveau"]


def happened(company):
    """When each conversion happened, as sent."""
    return {conversion: row.at for (_, conversion), row in company.deliveries().items()}


@pytest.mark.usefixtures("receiver")
@pytest.mark.parametrize(
    ("between_nights", "dates"),
    [
        pytest.param(True, "none", id="taken up between nights"),
        pytest.param(False, "history", id="taken up by the night, which reads a history", marks=pytest.mark.exhaustive),
        pytest.param(False, "none", id="taken up by the night", marks=pytest.mark.exhaustive),
        pytest.param(True, "history", id="between nights, with a history", marks=pytest.mark.exhaustive),
    ],
)
def test_three_changes_in_a_day_have_three_times(company, dates, between_nights):
    """By webhook and by nightly readings, whatever Oplead shows: as by webhook, and nothing is sent twice."""
    company.sandbox.oplead.set_switch("status_dates", dates)
    happen(company, *STEPS)
    _, status, _ = company.command("status")
    assert "3 wait for the next run" in status
    if between_nights:
        code, out, err = company.command("run", "--inbox")
        assert 0 == code, out + err
        assert "1 lead with news" in out
        assert TIMES == happened(company)
    company.night(company.START + DAY)
    company.night(company.START + 2 * DAY)

    assert ENTERED == [(label, when) for label, when, _ in told(company)]
    assert dates == "history" or {"webhook"} == {origin for *_, origin in told(company)}
    assert TIMES == happened(company)
    assert Counter({("L-1", "appointment"): 1, ("L-1", "sale"): 1}) == Counter(company.taken())
    assert [] == company.disagreements()


def test_with_the_receiver_down_a_night_finds_what_can_be_known(company, receiver):
    """The sale lies between two readings; what arrives later fills in the rest, and sends nothing again."""
    receiver.kill()
    happen(company, *STEPS)
    company.night(company.START + DAY)
    sent = happened(company)
    [found] = [row for row in company.rows(StatusChange) if row.label != "nouveau"]
    assert ("gagne", "bounded") == (found.label, found.origin)
    assert found.after < at(13) <= found.at <= found.seen_at
    receiver.start()
    company.clock.advance(company.clock.now() + HOUR)
    company.sandbox.oplead.deliver_webhooks()
    company.night(company.START + 2 * DAY)

    assert [(label, when, "webhook") for label, when in ENTERED[:2]] + [("gagne", found.at, "bounded")] == told(company)
    assert sent == happened(company)
    assert Counter({("L-1", "appointment"): 1, ("L-1", "sale"): 1}) == Counter(company.taken())


def test_ten_thousand_forged_ids_cost_the_night_minutes_and_not_hours(company, receiver):
    """They arrive in 100 requests beside a real change, which is read; the sandbox's clock tells how long."""
    with httpx.Client(base_url=f"http://127.0.0.1:{receiver.port}", timeout=30) as sender:
        for part in range(100):
            body = [
                {"event": "lead.status_changed", "eventId": f"{part}-{number}", "leadId": f"9{part:03}{number:03}"}
                | {"status": "Gagné"}
                for number in range(100)
            ]
            assert 204 == sender.post(f"/hooks/{SECRET}", json=body).status_code
    happen(company, *STEPS)
    company.night(company.START + DAY)
    asked, took = company.times("oplead", "/v1/leads/9"), company.clock.now() - (company.START + DAY)
    codes = [company.command("run")[0] for _ in range(2)]

    assert 200 == len(asked)
    assert took < timedelta(minutes=10)
    assert TIMES == happened(company)
    assert 10_003 == len(receiver.stored())
    assert [1, 0] == codes  # told once, by the first that records incidents


def test_a_reported_lead_that_does_not_exist_is_told_until_it_is_forgotten(company, receiver):
    """The first night calls for a human; the others, which end with 0, and `status` between them do not fall silent."""
    event = {"event": "lead.status_changed", "eventId": "1", "leadId": "L-99", "status": "Gagné"}
    told = httpx.post(f"http://127.0.0.1:{receiver.port}/hooks/{SECRET}", json=event, timeout=10)
    assert 204 == told.status_code
    ended = []
    for days in (1, 2, 3, 9, 10):
        company.clock.advance(company.START + days * DAY)
        code, out, _ = company.command("run")
        _, status, _ = company.command("status")
        ended.append((code, "1 lead that webhooks reported" in out, "1 lead that webhooks reported" in status))

    assert [(1, True, True), (0, True, True), (0, True, True)] == ended[:3]
    assert (0, False, False) == ended[-1]


FORGED = {
    "a sale": ("Gagné", "2026-09-10T07:00:00Z"),
    "another label": ("Nonsense", "2026-09-10T07:00:00Z"),
    "an old date": ("Gagné", "2026-09-08T07:00:00Z"),
}


@pytest.mark.parametrize("dates", ["none", "history"])
@pytest.mark.parametrize(("label", "happened_at"), FORGED.values(), ids=FORGED)
def test_whoever_knows_the_secret_makes_no_conversion(company, receiver, label, happened_at, dates):
    """The night asks Oplead, which still shows the lead as new: nothing is sent, then or later."""
    company.sandbox.oplead.set_switch("status_dates", dates)
    forge(receiver, label, happened_at)
    company.night(company.START + DAY)
    company.night(company.START + 2 * DAY)

    assert ([], {}) == (told(company), company.deliveries())
    assert [] == list(company.taken())


@pytest.mark.parametrize("dates", ["none", "history"])
def test_a_forged_sale_of_a_lead_that_is_then_lost_makes_no_conversion(company, receiver, dates):
    """Whether or not the settings say that a loss undoes the sale: a lost lead was not won for that."""
    company.sandbox.oplead.set_switch("status_dates", dates)
    company.serve(company.lead(1, ("Perdu", company.START + 20 * HOUR)))
    forge(receiver, "Gagné", "2026-09-10T07:00:00Z")
    company.night(company.START + DAY)
    company.night(company.START + 2 * DAY)

    assert (["perdu"], {}) == ([label for label, *_ in told(company)], company.deliveries())
    assert [] == list(company.taken())


def test_a_forged_event_moves_no_sale_that_oplead_shows_later(company, receiver):
    """A reading since has refuted it: the sale has the time that the nights know."""
    forge(receiver, "Gagné", "2026-09-10T07:00:00Z")
    company.night(company.START + DAY)
    company.serve(company.lead(1, ("Gagné", company.START + DAY + HOUR)))
    company.night(company.START + 2 * DAY)

    [sale] = [row for row in company.rows(StatusChange) if row.label == "gagne"]
    assert ("bounded", True) == (sale.origin, sale.after >= company.START + DAY)
    assert happened(company)["sale"] == sale.at


def forge(receiver, label, happened_at):
    """Post a status change that never happened."""
    body = {"event": "lead.status_changed", "occurredAt": happened_at, "lead": {"id": "L-1", "status": label}}
    address = f"http://127.0.0.1:{receiver.port}/hooks/{SECRET}"
    assert 204 == httpx.post(address, json=body, timeout=10).status_code


def test_a_forged_appointment_makes_no_conversion(company, receiver):
    """Unless a human has written why it may."""
    company.settings["oplead"] = {"fields": {"appointment_at": "appointment.date"}}
    company.settings["stages"]["appointment"] = ["RDV pris", "appointment_set"]
    body = {
        "event": "lead.appointment_updated",
        "occurredAt": "2026-09-10T07:00:00Z",
        "lead": {"id": "L-1", "status": "Nouveau", "appointment": {"date": "2026-09-15 10:00:00"}},
    }
    address = f"http://127.0.0.1:{receiver.port}/hooks/{SECRET}"
    assert 204 == httpx.post(address, json=body, timeout=10).status_code
    company.night(company.START + DAY)

    assert ([], []) == (told(company), list(company.taken()))


@pytest.mark.usefixtures("receiver")
def test_an_appointment_is_a_conversion_beside_the_status(company):
    """Marketing lists the built-in label under a stage; the lead keeps its status."""
    company.settings["stages"]["appointment"] = ["RDV pris", "appointment_set"]
    company.settings["webhooks"] |= {"trust": ["appointment"], "because": "Oplead shows no appointments here"}
    company.sandbox.oplead.set_switch("appointments", value=True)
    company.clock.advance(at(7))
    company.serve(company.lead(1, appointment={"date": "2026-09-15 10:00:00", "updatedAt": "2026-09-10 09:00:00"}))
    company.sandbox.oplead.deliver_webhooks()
    company.night(company.START + DAY)

    assert [("appointment_set", at(7), "webhook")] == told(company)
    assert {"appointment": at(7)} == happened(company)


@pytest.mark.parametrize("state_in", ["file", "database"])
@pytest.mark.parametrize(
    "point",
    [
        "intent committed",
        pytest.param("leads planned", marks=pytest.mark.exhaustive),
        pytest.param("in a page's commit", marks=pytest.mark.exhaustive),
        pytest.param("page committed", marks=pytest.mark.exhaustive),
        pytest.param("answer read", marks=pytest.mark.exhaustive),
        pytest.param("in the receipt's commit", marks=pytest.mark.exhaustive),
    ],
)
def test_a_run_killed_while_it_takes_up_the_inbox_loses_nothing(company, point):
    """Every event is on record once, and every sale counts once, however often it is begun anew."""
    names = [f"L-{number}" for number in range(2, 17)]
    company.serve(*(company.lead(number, ("Gagné", at(9))) for number in range(2, 17)))
    events = [WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(name), "Gagné", Moment(at(9))) for name in names]
    company.clock.advance(at(10))
    with company.inbox() as inbox:
        inbox.append_events(
            [ReceivedEvent(one, at(9), sha256(one.lead.encode()).hexdigest(), is_unique=True) for one in events]
        )
    code = company.killed(point)
    before = company.rows(InboxPlace)
    summary = company.night(company.START + DAY)

    assert (KILLED, []) == (code, before)
    assert 15 == summary.pulled.webhooks.leads
    assert dict.fromkeys(names, 1) == Counter(row.lead for row in company.rows(StatusChange) if row.label == "gagne")
    assert {at(9)} == {when for label, when, _ in told(company)}
    company.later()
    assert Counter({(name, kind): 1 for name in names for kind in TIMES}) == Counter(company.taken())
    assert [] == company.disagreements()
