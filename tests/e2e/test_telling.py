"""Notices from the installed command: once per cause, again when it returns, and never with personal data."""

import html
import json
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.language import format_day, format_time
from tests.e2e.support.company import CUSTOMER, gclid
from tests.e2e.support.receiver import receiving

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
STOPPED = "google_ads stopped"
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def receiver():
    """The address that gets this company's notices."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def told(company, receiver):
    """A company whose notices go to the receiver."""
    company.environ |= {
        "NOTIFY_URL": f"json://{receiver.address}/hook-t0ken",
        "PING_URL": f"http://{receiver.address}/ping-t0ken",
    }
    company.settings |= {"notify": ["${NOTIFY_URL}"], "ping": "${PING_URL}", "metrics": "oplead.prom"}
    company.settings["conversions"] = [company.conversion("appointment")]
    return company


def night(company, number, *arguments):
    """The command's exit code and output on that night."""
    company.clock.advance(company.START + number * DAY)
    return company.command("run", *arguments)


def appointment(company, number, *, day):
    """A lead whose appointment was made some hours before a night."""
    lead = company.lead(number, ("Rendez-vous", company.START + day * DAY - 5 * HOUR))
    lead["contact"] = {"email": f"witness.{number}@example.com", "phone": "06 12 34 56 78", "lastName": "Zyxwvut"}
    return lead


def samples(company):
    """The samples in the metrics file, by name and labels."""
    text = (company.directory / "run" / "oplead.prom").read_text(encoding="utf-8")
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_each_address_can_be_tried_before_any_night(told, receiver):
    """The output names no address; what is refused is told, and so is the exit code."""
    code, output, log = told.command("notify", "--test")
    receiver.is_up = False
    refused, other, other_log = told.command("notify", "--test")

    assert (0, 1) == (code, refused)
    assert "notify.0 (JSON): taken" in output
    assert "notify.0 (JSON): refused (HTTP 503)" in other
    assert "t0ken" not in output + log + other + other_log
    assert 1 == len(receiver.titles)


def test_the_first_night_of_the_day_sends_the_summary_of_the_week(told, receiver):
    """A second night does not, and one that was not taken goes out with the next night."""
    told.settings |= {"language": "en", "notify_weekly": told.START.astimezone(PARIS).strftime("%A").lower()}
    told.serve()
    receiver.is_up = False
    night(told, 0)
    receiver.is_up = True
    night(told, 1)
    night(told, 2)
    night(told, 7)
    last = [told.START.astimezone(PARIS).date() + number * DAY - DAY for number in (0, 7)]

    assert [f"the week to {format_day(day)}" for day in last] == [
        title for title in receiver.titles if title.startswith("the week")
    ]


def test_stopped_destination_is_notified_once_per_incident(told, receiver):
    """Five stopped nights give one message, and a stop after recovery a second; the monitor is pinged each night."""
    told.serve(appointment(told, 1, day=0))
    codes = []
    for number in range(5):
        stop(told)
        codes.append(night(told, number)[0])
        if number == 0:
            assert 1 == receiver.titles.count(STOPPED)
    assert ([3] * 5, 1) == (codes, receiver.titles.count(STOPPED))
    told.heal()
    healed, out, _ = night(told, 5)
    told.serve(appointment(told, 2, day=6))
    stop(told)
    again, shown, _ = night(told, 6)

    assert (0, 3) == (healed, again)
    assert 2 == receiver.titles.count(STOPPED)
    assert STOPPED not in out
    assert re.search(rf"new\s+\S.* · {STOPPED}\s*\n", shown)
    assert ["/ping-t0ken/fail"] * 5 + ["/ping-t0ken", "/ping-t0ken/fail"] == receiver.pings


def stop(company):
    """Have Google refuse uploads until it is healed."""
    company.heal()
    company.fail("data_manager", "status", path="/v1/events:ingest", status=401, count=99)


def test_failed_notice_is_resent_the_next_night(told, receiver):
    """The log does not show the address, and the run ends as it would have."""
    told.serve(appointment(told, 1, day=0))
    receiver.is_up = False
    stop(told)
    first, out, err = night(told, 0)
    receiver.is_up = True
    night(told, 1)
    night(told, 2)

    logged = [json.loads(line) for line in err.splitlines()]
    assert 3 == first
    assert ["notify.0"] == [line["address"] for line in logged if line["event"].startswith("a notice was not taken")]
    assert "t0ken" not in out + err
    assert 1 == receiver.titles.count(STOPPED)


def test_notices_contain_no_personal_data_or_secret(told, receiver):
    """The leads' conversions fail, and then reading does."""
    told.serve(*[appointment(told, number, day=0) for number in range(1, 9)])
    stop(told)
    night(told, 0)
    told.environ["OPLEAD_TOKEN"] = "wr0ng-token"
    night(told, 1)

    said = b" ".join(receiver.bodies).decode()
    assert {STOPPED, "Oplead cannot be read"} <= set(receiver.titles)
    for witness in ("example.com", "witness", "612345678", "12 34", "Zyxwvut", "Cj0KCQ", "t0ken", "wr0ng", "Rendez"):
        assert witness not in said


@pytest.mark.parametrize("mode", ["--dry-run", "--validate-only"])
def test_dry_run_and_validation_send_no_notice(told, receiver, mode):
    """No ping is sent and no metrics file is written either."""
    told.serve(appointment(told, 1, day=0))
    told.environ["OPLEAD_TOKEN"] = "wr0ng-token"
    code, _, _ = night(told, 0, mode)

    assert (3, [], []) == (code, receiver.bodies, receiver.pings)
    assert not (told.directory / "run" / "oplead.prom").exists()


def test_unreachable_receivers_do_not_change_the_run(told):
    """Neither its exit code nor what it sent; the same holds for a metrics file that cannot be written."""
    told.environ |= {"NOTIFY_URL": "json://127.0.0.1:9/hook-t0ken", "PING_URL": "http://127.0.0.1:9/ping-t0ken"}
    told.settings["metrics"] = "no/such/folder/oplead.prom"
    told.serve(appointment(told, 1, day=0))
    code, _, err = night(told, 0)

    events = {json.loads(line)["event"] for line in err.splitlines()}
    assert (0, {"submitted"}) == (code, set(told.states().values()))
    assert {
        "the metrics could not be written",
        "the address under `ping` did not answer, so its monitor may raise the alarm",
    } <= events
    assert "t0ken" not in err


def test_metrics_file_has_the_numbers_of_a_run(told):
    """The format is that of Prometheus' node exporter."""
    told.serve(appointment(told, 1, day=0))
    night(told, 0)
    first = samples(told)
    told.serve(appointment(told, 2, day=1))
    stop(told)
    night(told, 1)
    second = samples(told)

    account = 'account="maison-test"'
    moved = f'oplead_sync_night_deliveries{{{account},conversion="appointment",destination="google_ads",state='
    assert 1 == first[f'{moved}"submitted"}}']
    assert 1 == second[f'{moved}"pending"}}']
    for name in ("open_deliveries", "exit_code"):
        assert {"open_deliveries": (1, 1), "exit_code": (0, 3)}[name] == (
            first[f"oplead_sync_{name}{{{account}}}"],
            second[f"oplead_sync_{name}{{{account}}}"],
        )
    success = f"oplead_sync_last_success_timestamp_seconds{{{account}}}"
    assert told.START.timestamp() <= first[success] == second[success]
    assert second[f"oplead_sync_oldest_due_age_seconds{{{account}}}"] > 4 * 3600


def test_expiry_is_notified_with_its_date_three_days_ahead(told, receiver):
    """The first night of a stop, with months left, does not mention it."""
    told.serve(appointment(told, 1, day=0))
    stop(told)
    night(told, 0)
    (row,) = told.deliveries().values()
    early = list(receiver.titles)
    number = (row.expires_at - told.START) // DAY - 6
    # A gap of more than a month would be notified as well.
    for between in range(30, number, 30):
        night(told, between)
    while len(receiver.titles) == 1:
        number += 1
        night(told, number)
    (text,) = [text for title, text in receiver.taken if title.endswith("1 conversion will expire")]

    assert [STOPPED] == early
    assert 3 * DAY <= row.expires_at - (told.START + number * DAY) < 5 * DAY
    assert f"1 conversion at google_ads expires at {format_time(row.expires_at.astimezone(PARIS))} unless" in text


def test_check_refuses_an_unsupported_notice_address(told, receiver):
    """The message gives its place in the file, and does not show the address."""
    told.environ["NOTIFY_URL"] = f"http://{receiver.address}/hook-t0ken"
    code, out, err = told.command("check")

    assert 2 == code
    assert "pipeline.yaml:1:" in out
    assert "notify.0: the address found here cannot take messages" in out
    assert "t0ken" not in out + err


# ── one list on every screen ─────────────────────────────────────────────────────────────────────


def later_click(company, number):
    """Have Google know a lead's click at a time after its appointment, which it then refuses."""
    clicked_at = {"clicked_at": (company.START + 20 * DAY).isoformat(), "customer": CUSTOMER}
    company.platform.register_clicks({gclid(number): clicked_at})


@pytest.fixture
def reported(told):
    """The same company, whose nights write the report's page."""
    told.settings |= {"language": "en", "report": {"folder": "reports"}}
    return told


def page(company):
    """The text of the report's page."""
    (file,) = (company.directory / "run" / "reports").glob("*.html")
    return html.unescape(file.read_text(encoding="utf-8"))


def test_a_night_with_refused_rows_names_the_same_things_everywhere(reported, receiver):
    """Its output, JSON, page, `status` and notices: what somebody must act on is the same list."""
    reported.serve(*(appointment(reported, number, day=0) for number in (1, 2)))
    later_click(reported, 1)
    later_click(reported, 2)
    night(reported, 0)
    reported.sandbox.oplead.put("L-9", reported.lead(9) | {"createdAt": "somewhen"})
    code, out, _ = night(reported, 1, "--json")
    told_by_json = {each["title"] for each in json.loads(out)["notices"]}
    shown_page, (_, status, _) = page(reported), reported.command("status")
    _, standing, _ = reported.command("status", "--json")

    assert 1 == code
    assert {"google_ads rejects 100 % of what it settles", "Leads that cannot be read"} == told_by_json
    assert told_by_json == set(receiver.titles) == {each["title"] for each in json.loads(standing)["notices"]}
    for title in told_by_json:
        assert title in shown_page
        assert title in status

    code, out, _ = night(reported, 2)

    assert 0 == code
    assert "A human is needed" not in out
    assert {1} == {out.count(title) for title in told_by_json}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_run_names_each_thing_to_do_once_as_status_does(reported, language):
    """The worst first, with what to do; new or since when."""
    reported.settings["language"] = language
    reported.serve(appointment(reported, 1, day=0))
    stop(reported)
    night(reported, 0)
    reported.sandbox.oplead.put("L-9", reported.lead(9) | {"createdAt": "somewhen", "status": "Inconnu"})
    reported.sandbox.oplead.put("L-8", reported.lead(8, ("Inconnu", reported.START)))
    code, out, _ = night(reported, 1)
    _, status, _ = reported.command("status")
    tasks = re.findall(r"^  •  (\S.* · .* · .*?) *$", status, re.MULTILINE)
    listed = re.findall(r"^  (?:new|since|nouveau|depuis)\b.*?  (\S.* · .* · .*?) *$", out, re.MULTILINE)

    assert 3 == code
    assert 3 == len(tasks)
    assert tasks == listed


def test_dead_clicks_call_nobody(reported, receiver):
    """One each night is how ads are; a human can change nothing about it."""
    codes = []
    for number in range(3):
        reported.sandbox.oplead.put(f"L-{number}", appointment(reported, number, day=number))
        codes.append(night(reported, number)[0])
    codes.append(night(reported, 3)[0])

    assert [0] * 4 == codes
    assert [] == receiver.titles


def create_unanswered_lead(company):
    """Have a lead created whose request is cut off before it reaches Oplead."""
    company.fail("oplead", "cut_before", path="/v1/leads")
    code, *_ = company.command("oplead", "leads", "create", "--email", "jeanne@example.com", "--yes")
    assert 1 == code


def test_a_lead_whose_creation_was_never_answered_is_told_everywhere_by_the_next_night(reported, receiver):
    """Its output, JSON, page, `status` and notices name it, with what to type; it ends with 1 on that night alone."""
    title = "Leads that may or may not be in Oplead"
    reported.serve(reported.lead(1))
    assert 0 == night(reported, 0)[0]
    create_unanswered_lead(reported)
    rehearsed, told_by_rehearsal, _ = night(reported, 1, "--dry-run")
    code, out, _ = night(reported, 1, "--json")
    summary, shown_page, (_, status, _) = json.loads(out), page(reported), reported.command("status")
    again, shown, _ = night(reported, 2)
    decided, *_ = reported.command("oplead", "leads", "create", "--email", "jeanne@example.com", "--yes", "--created")
    last, after, _ = night(reported, 3)

    assert (0, 1, 0, 0, 0) == (rehearsed, code, again, decided, last)
    assert 1 == summary["undecided_leads"]
    assert [title] == [each["title"] for each in summary["notices"]] == receiver.titles
    for verdict in ("--created", "--create-again", "--not-created"):
        assert verdict in summary["notices"][0]["text"]
    for told in (shown_page, status, shown):
        assert title in told
    assert title not in told_by_rehearsal + after
