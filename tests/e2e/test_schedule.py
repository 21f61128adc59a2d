"""`schedule` as a service runs it: on the sandbox's time, stopped, killed, delayed, late, beside a broken account."""

import json
import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from connectors.sandbox_clock import SandboxClock
from jobs.ledger.schema import Run
from jobs.ledger.storage.lock import hold_lock
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests import quick
from tests.e2e.support.receiver import receiving

PATIENCE = 60
BOTH = {"appointment", "sale"}


def at(day, hour, minute=0):
    """A moment of September 2026, UTC; 05:30 in Paris is 03:30."""
    return datetime(2026, 9, day, hour, minute, tzinfo=UTC)


def wait_until(true):
    """Poll a condition for a bounded time."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Hours:
    """The sandbox's time under the test's control: it advances only as far as the test sleeps."""

    def __init__(self, company):
        self.company = company
        self._clock = SandboxClock(company.sandbox.sandbox_server_urls["clock"])
        self._clock.now()

    def start(self, config=None):
        """Start `schedule`, counted by the clock."""
        process = self.company.start_command("schedule", config=config)
        wait_until(lambda: len(self.company.clock._callers) > 1 or process.poll() is not None)
        return process

    def go_to(self, moment):
        """Advance time to this moment and stop there."""
        self._clock.sleep_until(moment)

    def let_go(self, moment):
        """Advance time on a separate thread, for a run that will not get that far."""
        threading.Thread(target=self._quietly, args=(moment,), daemon=True).start()

    def _quietly(self, moment):
        self._clock.sleep_until(moment)

    def close(self):
        """Stop being counted by the clock."""
        self._clock.close()


@pytest.fixture
def company(company):
    """A company whose runs are due at 05:30."""
    company.settings["schedule"] = {"daily": "05:30"}
    return company


@pytest.fixture
def hours(company):
    """Control of the company's time."""
    made = Hours(company)
    yield made
    made.close()


class Gate:
    """Blocks uploads while it is shut."""

    def __init__(self, company):
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.opened.set()
        company.before("data_manager", "/v1/events:ingest", self._pass)

    def shut(self):
        """Make the next upload wait."""
        self.reached.clear()
        self.opened.clear()

    def _pass(self, _):
        self.reached.set()
        self.opened.wait(PATIENCE)


def sold(company, number, when):
    """A sold lead: an appointment and a sale to send."""
    return company.lead(number, ("Gagné", when))


def ended(process):
    """The process's exit code, and its log as one dictionary per line."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, [json.loads(line) for line in err.splitlines() if line.startswith("{")]


def stopped(process):
    """Stop the process as systemd does."""
    process.send_signal(signal.SIGTERM)
    return ended(process)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_a_night_ends_by_itself_ends_the_service(company, hours, stop):
    """The night is past its last look for a stop, and would ask for outcomes an hour later: nothing is added then."""
    with receiving() as receiver:
        told, opened = threading.Event(), threading.Event()
        receiver.handle = lambda *_: (told.set(), opened.wait(PATIENCE)) and 200
        company.environ["PING_URL"] = f"http://{receiver.address}/ping"
        company.settings["ping"] = "${PING_URL}"
        company.serve(sold(company, 1, at(9, 8)))
        process = hours.start()
        hours.let_go(at(11, 4))
        assert told.wait(PATIENCE)
        process.send_signal(stop)
        time.sleep(0.5)  # the loop sees it, and waits for the work
        opened.set()
        code, said = ended(process)

    assert 0 == code
    assert "stopped, as asked; what was sent is on record" == said[-1]["event"]
    assert [("run", date(2026, 9, 11), 0)] == runs(company)
    assert not [line for line in said if line["event"] == "nothing was done, and it is tried again"]


def runs(company):
    """The recorded runs: command, the date they were for, exit code."""
    return [(row.command, row.night, row.exit_code) for row in company.rows(Run)]


def test_service_survives_stops_kills_and_missed_nights(company, hours):
    """One night is stopped, one killed, and three missed: each date runs at most once, and nothing is sent twice."""
    gate = Gate(company)
    company.serve(sold(company, 1, at(9, 8)))

    # The first night, and its outcomes an hour and six hours later.
    process = hours.start()
    hours.go_to(at(11, 12))

    assert [
        ("run", date(2026, 9, 11), 0),
        ("resolve", None, 0),
        ("resolve", None, 0),
    ] == runs(company)
    assert [at(11, 3, 30), at(11, 4, 30), at(11, 9, 30)] == [row.started_at for row in company.rows(Run)]
    assert {"accepted"} == set(company.states().values())

    # The second night is stopped while the first of its two uploads is in flight.
    company.serve(sold(company, 2, at(11, 10)))
    gate.shut()
    hours.let_go(at(12, 4))
    assert gate.reached.wait(PATIENCE)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    gate.opened.set()
    code, said = ended(process)

    assert 0 == code
    assert "stopped, as asked; what was sent is on record" == said[-1]["event"]
    assert ("run", None, 143) == runs(company)[-1]
    assert {"appointment": "submitted", "sale": "pending"} == {
        conversion: state for (lead, conversion), state in company.states().items() if lead == "L-2"
    }
    wait_until(lambda: company.clock.now() == at(12, 4))

    # Started again, the service catches up on that night.
    process = hours.start()
    hours.go_to(at(12, 12))

    assert [date(2026, 9, 11), date(2026, 9, 12)] == [night for _, night, _ in runs(company) if night]
    assert {"accepted"} == set(company.states().values())

    # The third night is told to stop twice: it exits at once, with an upload in flight.
    company.serve(sold(company, 3, at(12, 14)))
    gate.shut()
    hours.let_go(at(13, 4))
    assert gate.reached.wait(PATIENCE)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    code, _ = ended(process)

    assert 128 + signal.SIGTERM == code
    assert ("run", None, None) == runs(company)[-1]
    assert "in_flight" in company.states().values()

    gate.opened.set()
    wait_until(lambda: company.clock.now() == at(13, 4))

    # Nothing runs for three days. Only the latest missed night is caught up on, and only once.
    hours.go_to(at(16, 9))
    process = hours.start()
    hours.go_to(at(16, 23))
    code, _ = stopped(process)

    assert 0 == code
    assert [date(2026, 9, day) for day in (11, 12, 16)] == [night for _, night, _ in runs(company) if night]
    assert {"accepted"} == set(company.states().values())
    assert BOTH == {conversion for _, conversion in company.states()}
    assert [] == company.disagreements()


def test_manual_run_counts_as_that_nights_run(company, hours):
    """Only its outcomes are requested afterwards."""
    hours.go_to(at(11, 1))
    company.night()
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 9))
        _, said = stopped(process)

    assert [("run", date(2026, 9, 11), 0), ("resolve", None, 0), ("resolve", None, 0)] == runs(company)
    assert ["2026-09-11"] == [line["night"] for line in said if line["event"] == "this night is done already"]
    assert {"maison-test"} == {line["account"] for line in said if "night" in line}


def test_account_held_by_another_run_is_retried(company, hours):
    """Retries come after five minutes, then ten, until the account is free."""
    company.night()
    process = hours.start()
    with company.ended(process):
        hours.go_to(at(11, 3, 29))
        with hold_lock(company.state, now=company.clock.now()):
            hours.go_to(at(11, 3, 41))
        hours.go_to(at(11, 4, 0))
        _, said = stopped(process)

    assert 2 == sum("another run holds this account" in line["event"] for line in said)
    assert ("run", date(2026, 9, 11), 0) == runs(company)[-1]
    assert at(11, 3, 45) == company.rows(Run)[-1].started_at


def test_night_failing_before_it_is_recorded_is_retried(company, hours):
    """It runs once the cause is fixed, and the log says when it is retried."""
    company.night()
    kept = company.state.with_suffix(".kept")
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 3, 29))
        company.state.rename(kept)
        company.state.write_bytes(b"this is no state" * 100)
        hours.go_to(at(11, 3, 41))
        kept.rename(company.state)
        hours.go_to(at(11, 4, 0))
        _, said = stopped(process)

    assert [at(11, 3, 35).isoformat(), at(11, 3, 45).isoformat()] == [
        line["at"] for line in said if line["event"] == "nothing was done, and it is tried again"
    ]
    assert ("run", date(2026, 9, 11), 0) == runs(company)[-1]
    assert at(11, 3, 45) == company.rows(Run)[-1].started_at


def test_failed_outcome_pass_is_retried(company, hours):
    """Both passes happen: one a little late, and one six hours after the night."""
    company.serve(sold(company, 1, at(9, 8)))
    kept = company.state.with_suffix(".kept")
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 4))
        company.state.rename(kept)
        company.state.write_bytes(b"this is no state" * 100)
        hours.go_to(at(11, 4, 41))
        kept.rename(company.state)
        hours.go_to(at(11, 12))
        stopped(process)

    assert [("run", date(2026, 9, 11), 0), ("resolve", None, 0), ("resolve", None, 0)] == runs(company)
    assert [at(11, 4, 45), at(11, 9, 30)] == [row.started_at for row in company.rows(Run)][1:]
    assert {"accepted"} == set(company.states().values())


def test_first_start_waits_for_the_scheduled_time(company, hours):
    """An account that has never run has missed nothing."""
    hours.go_to(at(10, 5))
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 3))

        assert [] == runs(company)

        code, _ = stopped(process)

    assert 0 == code


def test_broken_account_does_not_stop_the_others(company, hours):
    """One of a folder's two files is broken: the log reports it, and the other account runs."""
    folder = company.config.parent / "accounts"
    folder.mkdir()
    shutil.copy(company.config, folder / "good.yaml")
    (folder / "broken.yml").write_text("account: maison-cassee\nconversions: [\n")
    process = hours.start(config=folder)
    with company.ended(process):
        hours.go_to(at(11, 4))
        code, said = stopped(process)

    assert 0 == code
    assert ("run", date(2026, 9, 11), 0) == runs(company)[0]
    assert any("broken.yml" in line["event"] for line in said if line["level"] == "error")


def test_night_with_unusable_state_runs_once_it_is_fixed(company, hours):
    """Each retry logs what to do; fixed at noon, the night runs that day."""
    process = hours.start()
    with company.ended(process):
        hours.go_to(at(11, 12))
        company.serve(sold(company, 1, at(11, 14)))
        whole = company.state.read_bytes()
        company.state.write_bytes(b"a letter to grandmother " * 1_000)
        hours.go_to(at(12, 12))
        company.state.write_bytes(whole)
        hours.go_to(at(13, 12))
        code, said = stopped(process)

    assert 0 == code
    errors = [line for line in said if line["level"] == "error"]
    assert {(2, "maison-test")} == {(error["exit_code"], error["account"]) for error in errors}
    assert all(f"{company.state}: the state cannot be used" in error["event"] for error in errors)
    assert all("check `state:` in the settings" in error["event"] for error in errors)
    assert [date(2026, 9, day) for day in (11, 12, 13)] == [night for _, night, _ in runs(company) if night]
    assert {"accepted"} == set(company.states().values())
    assert [] == company.disagreements()


def test_schedule_without_a_time_is_refused(company):
    """Without `schedule` in the settings there is nothing to wait for."""
    del company.settings["schedule"]
    code, _, said = company.command("schedule")

    assert 2 == code
    assert "schedule: write when the night is due" in said


def test_run_of_several_accounts_prints_one_table(company):
    """Each account has a line, the worst exit code wins, and a broken file stops no other account."""
    company.serve(sold(company, 1, at(9, 8)))
    folder = company.config.parent / "accounts"
    folder.mkdir()
    shutil.copy(company.config, folder / "first.yaml")
    second = json.loads(company.config.read_text())
    second |= {"account": "maison-deux", "state": f"sqlite:///{folder}/second.db"}
    quick.with_state(folder / "second.db")
    (folder / "second.yaml").write_text(json.dumps(second))
    (folder / "broken.yml").write_text("account: maison-cassee\nconversions: [\n")
    code, out, err = ended_of(company.start_command("run", config=folder))
    lines = [line.split() for line in out[out.index("All accounts") :].splitlines()]

    assert 2 == code
    assert [["maison-deux", "0"], ["maison-test", "0"]] == [
        line[:2] for line in lines if line and line[0].startswith("maison-")
    ]
    assert ["broken.yml", "2"] in [line[:2] for line in lines]
    assert {"maison-test", "maison-deux"} == {
        line["account"] for line in map(json.loads, err.splitlines()) if line["event"] == "night ended"
    }
    assert {"submitted"} == set(company.states().values())


def ended_of(process):
    """The process's exit code and output."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_service_sends_between_nights_what_webhooks_report(company, hours, tmp_path):
    """`also_every` takes them up hours before the next night; a run that would find nothing is left out."""
    company.settings["schedule"] = {"daily": "05:30", "also_every": "3 h"}
    company.settings["webhooks"] = {"secret": "${HOOK}", "inbox": str(tmp_path / "inbox.db")}
    company.environ["HOOK"] = "0123456789abcdef0123456789abcdef"
    company.serve(company.lead(1))
    process = hours.start()
    hours.go_to(at(11, 8))
    company.serve(sold(company, 1, at(11, 7)))
    event = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "Gagné", Moment(at(11, 7)))
    with closing(WebhookInboxFile(tmp_path / "inbox.db").open_inbox_for_writing()) as inbox:
        inbox.append_events([ReceivedEvent(event, at(11, 7), "d", is_unique=True)])
    hours.go_to(at(12, 3))
    code, said = stopped(process)

    assert 0 == code, said
    # One takes up the sale, and the next one asks what became of it.
    assert [("inbox", None, 0)] * 2 == [run for run in runs(company) if run[0] == "inbox"]
    assert Counter({("L-1", "appointment"): 1, ("L-1", "sale"): 1}) == Counter(company.taken())
    assert [date(2026, 9, 11)] == [night for _, night, _ in runs(company) if night]
