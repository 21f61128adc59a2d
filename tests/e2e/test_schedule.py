"""`schedule`, as a service runs it: on a sandbox's time, stopped, killed, held up, late, beside a broken one."""

import json
import shutil
import signal
import threading
import time
from datetime import UTC, date, datetime

import pytest

from connectors.clock import SandboxClock
from jobs.ledger.runs import exclusive
from jobs.ledger.schema import Run
from tests import quick

PATIENCE = 60
BOTH = {"appointment", "sale"}


def at(day, hour, minute=0):
    """A moment of September 2026, UTC; 05:30 in Paris is 03:30."""
    return datetime(2026, 9, day, hour, minute, tzinfo=UTC)


def wait_until(true):
    """Look again and again, for a bounded time."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Hours:
    """The sandbox's time in the test's hands: it goes no further than the test sleeps."""

    def __init__(self, company):
        self.company = company
        self._clock = SandboxClock(company.sandbox.addresses["clock"])
        self._clock.now()

    def start(self, config=None):
        """The command `schedule`, counted by the clock."""
        process = self.company.start_command("schedule", config=config)
        wait_until(lambda: len(self.company.clock._callers) > 1 or process.poll() is not None)
        return process

    def go_to(self, moment):
        """Let time go on until then, and stand still."""
        self._clock.sleep_until(moment)

    def let_go(self, moment):
        """The same on a thread of its own, for a night that will not get there."""
        threading.Thread(target=self._quietly, args=(moment,), daemon=True).start()

    def _quietly(self, moment):
        self._clock.sleep_until(moment)

    def close(self):
        """Count no longer."""
        self._clock.close()


@pytest.fixture
def company(company):
    """A company whose nights are due at 05:30."""
    company.settings["schedule"] = {"daily": "05:30"}
    return company


@pytest.fixture
def hours(company):
    """Its time."""
    made = Hours(company)
    yield made
    made.close()


class Gate:
    """Holds up uploads while it is shut."""

    def __init__(self, company):
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.opened.set()
        company.before("data_manager", "/v1/events:ingest", self._pass)

    def shut(self):
        """From now on the next upload waits."""
        self.reached.clear()
        self.opened.clear()

    def _pass(self, _):
        self.reached.set()
        self.opened.wait(PATIENCE)


def sold(company, number, when):
    """A lead that was sold: an appointment and a sale to be told."""
    return company.lead(number, ("Gagné", when))


def ended(process):
    """Its exit code and what it logged, a dictionary a line."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, [json.loads(line) for line in err.splitlines() if line.startswith("{")]


def stopped(process):
    """Stop it as systemd does."""
    process.send_signal(signal.SIGTERM)
    return ended(process)


def runs(company):
    """What ran: command, the date whose night it was, exit code."""
    return [(row.command, row.night, row.exit_code) for row in company.rows(Run)]


def test_four_nights_as_a_service(company, hours):
    """Stopped in the middle of one, killed in another, three slept through: each date at most once, nothing twice."""
    gate = Gate(company)
    company.serve(sold(company, 1, at(9, 8)))

    # The first night and its outcomes, an hour and six hours later.
    process = hours.start()
    hours.go_to(at(11, 12))

    assert [
        ("run", date(2026, 9, 11), 0),
        ("resolve", None, 0),
        ("resolve", None, 0),
    ] == runs(company)
    assert [at(11, 3, 30), at(11, 4, 30), at(11, 9, 30)] == [row.started_at for row in company.rows(Run)]
    assert {"accepted"} == set(company.states().values())

    # The second is stopped while the first of its two uploads is on its way.
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

    # Started again it makes up for that night.
    process = hours.start()
    hours.go_to(at(12, 12))

    assert [date(2026, 9, 11), date(2026, 9, 12)] == [night for _, night, _ in runs(company) if night]
    assert {"accepted"} == set(company.states().values())

    # The third is asked to stop twice: it leaves at once, with an upload on its way.
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

    # Nobody runs for three days. Of the nights that were missed the latest is made up for, and that once.
    hours.go_to(at(16, 9))
    process = hours.start()
    hours.go_to(at(16, 23))
    code, _ = stopped(process)

    assert 0 == code
    assert [date(2026, 9, day) for day in (11, 12, 16)] == [night for _, night, _ in runs(company) if night]
    assert {"accepted"} == set(company.states().values())
    assert BOTH == {conversion for _, conversion in company.states()}
    assert [] == company.disagreements()


def test_a_night_that_was_done_by_hand_is_not_done_again(company, hours):
    """A run of the same date that came to its end was that date's night; outcomes are asked for after it."""
    hours.go_to(at(11, 1))
    company.night()
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 9))
        _, said = stopped(process)

    assert [("run", date(2026, 9, 11), 0), ("resolve", None, 0), ("resolve", None, 0)] == runs(company)
    assert ["2026-09-11"] == [line["night"] for line in said if line["event"] == "this night is done already"]
    assert {"maison-test"} == {line["account"] for line in said if "night" in line}


def test_an_account_that_another_run_holds_is_tried_again(company, hours):
    """After five minutes, then ten, until it is free."""
    company.night()
    process = hours.start()
    with company.ended(process):
        hours.go_to(at(11, 3, 29))
        with exclusive(company.state, now=company.clock.now()):
            hours.go_to(at(11, 3, 41))
        hours.go_to(at(11, 4, 0))
        _, said = stopped(process)

    assert 2 == sum("another run holds this account" in line["event"] for line in said)
    assert ("run", date(2026, 9, 11), 0) == runs(company)[-1]
    assert at(11, 3, 45) == company.rows(Run)[-1].started_at


def test_a_night_that_fails_before_it_is_on_record_is_tried_again(company, hours):
    """Whatever kept it from beginning: it is done once that is mended, and the log says when it is tried."""
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


def test_outcomes_that_could_not_be_asked_for_are_asked_for_again(company, hours):
    """Whatever kept it from asking: both are had, a little late and six hours after the night."""
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


def test_the_first_start_waits_for_its_time(company, hours):
    """Before an account's first run nothing was missed."""
    hours.go_to(at(10, 5))
    with company.ended(hours.start()) as process:
        hours.go_to(at(11, 3))

        assert [] == runs(company)

        code, _ = stopped(process)

    assert 0 == code


def test_a_broken_account_keeps_no_other_from_its_night(company, hours):
    """Of a folder with two files one is broken: it is told, and the other's night is done."""
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


def test_a_state_that_cannot_be_used_costs_no_night_once_it_is_mended(company, hours):
    """It is told with what to do, each time the night is tried again; mended at noon, it is done that day."""
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


def test_what_can_never_run_is_refused_at_once(company):
    """Without a schedule there is nothing to wait for."""
    del company.settings["schedule"]
    code, _, said = company.command("schedule")

    assert 2 == code
    assert "schedule: write when the night is due" in said


def test_several_accounts_in_one_run(company):
    """One line each in one table, the gravest exit code; a broken file keeps no other from its night."""
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
    """Its exit code and what it printed."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err
