"""A human is told by the installed command: once of each cause, again when it comes back, never of a person."""

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.support.receiver import receiving

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
STOPPED = "google_ads stopped"


@pytest.fixture
def receiver():
    """Where this company's humans are told."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def told(company, receiver):
    """A company whose nights are told there."""
    company.environ |= {
        "NOTIFY_URL": f"json://{receiver.address}/hook-t0ken",
        "PING_URL": f"http://{receiver.address}/ping-t0ken",
    }
    company.settings |= {"notify": ["${NOTIFY_URL}"], "ping": "${PING_URL}", "metrics": "oplead.prom"}
    company.settings["conversions"] = [company.conversion("appointment")]
    return company


def night(company, number, *arguments):
    """The command's exit code on that night, and what it printed and logged."""
    company.clock.advance(company.START + number * DAY)
    return company.command("run", *arguments)


def appointment(company, number, *, day):
    """A lead whose appointment was made some hours before a night."""
    lead = company.lead(number, ("Rendez-vous", company.START + day * DAY - 5 * HOUR))
    lead["contact"] = {"email": f"witness.{number}@example.com", "phone": "06 12 34 56 78", "lastName": "Zyxwvut"}
    return lead


def samples(company):
    """What stands in the metrics' file, by name and labels."""
    text = (company.directory / "run" / "oplead.prom").read_text(encoding="utf-8")
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_an_address_can_be_tried_as_the_docs_say(receiver):
    """By the command that is installed beside ours, before any night has something to tell."""
    page = Path(__file__).parents[2] / "docs" / "operations.md"
    (typed,) = re.findall(r"^\.venv/bin/(apprise .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    name, *arguments = shlex.split(typed.replace("$NOTIFY_URL", f"json://{receiver.address}/hook-t0ken"))
    subprocess.run([Path(sys.executable).with_name(name), *arguments], check=True, timeout=60, capture_output=True)

    assert [("oplead-sync", "It arrives.")] == receiver.taken


def test_a_destination_that_stays_stopped_is_told_once_and_again_when_it_comes_back(told, receiver):
    """Five nights, one message; it works, it stops again, a second one; and the switch hears of each night."""
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
    assert "Notices" not in out
    assert "new google_ads stopped" in " ".join(shown.split())
    assert ["/ping-t0ken/fail"] * 5 + ["/ping-t0ken", "/ping-t0ken/fail"] == receiver.pings


def stop(company):
    """Have Google refuse what is sent, for good until it is healed."""
    company.heal()
    company.fail("data_manager", "status", path="/v1/events:ingest", status=401, count=99)


def test_what_did_not_arrive_is_told_the_next_night_and_logged_without_the_address(told, receiver):
    """The night itself ends as it would have."""
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


def test_nothing_of_a_person_and_no_secret_leaves_by_a_notice(told, receiver):
    """Whatever goes wrong with their leads."""
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
def test_a_rehearsal_tells_nobody(told, receiver, mode):
    """Neither a human nor the switch nor the file."""
    told.serve(appointment(told, 1, day=0))
    told.environ["OPLEAD_TOKEN"] = "wr0ng-token"
    code, _, _ = night(told, 0, mode)

    assert (3, [], []) == (code, receiver.bodies, receiver.pings)
    assert not (told.directory / "run" / "oplead.prom").exists()


def test_receivers_that_are_gone_leave_the_night_as_it_is(told):
    """Neither its exit code nor what it sent; the same of a file that cannot be written."""
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


def test_the_numbers_of_a_night_are_in_the_file(told):
    """As Prometheus' node exporter reads it."""
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


def test_what_will_expire_is_told_three_days_before_it_does(told, receiver):
    """Not on the first night of a stop, when months are left; and with the day."""
    told.serve(appointment(told, 1, day=0))
    stop(told)
    night(told, 0)
    (row,) = told.deliveries().values()
    early = list(receiver.titles)
    number = (row.expires_at - told.START) // DAY - 6
    while len(receiver.titles) == 1:
        number += 1
        night(told, number)
    (text,) = [text for title, text in receiver.taken if title.endswith("1 conversion will expire")]

    assert [STOPPED] == early
    assert 3 * DAY <= row.expires_at - (told.START + number * DAY) < 5 * DAY
    assert f"1 conversion at google_ads expires by {row.expires_at:%Y-%m-%d} unless this is fixed" in text


def test_check_refuses_an_address_that_no_service_has(told, receiver):
    """With its place in the file, and what to write."""
    told.environ["NOTIFY_URL"] = f"http://{receiver.address}/hook-t0ken"
    code, out, err = told.command("check")

    assert 2 == code
    assert "pipeline.yaml:1:" in out
    assert "notify.0: the address found here cannot take messages" in out
    assert "t0ken" not in out + err
