"""Steps after a night cannot fail it, and the dead man's switch is pinged with its result."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from connectors.errors import Misconfigured
from jobs.account import after_a_night
from jobs.ledger.runs import NightDoneError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.reporting.run_report import Night
from jobs.rules.reasons import Message, MessageKind
from jobs.settings.schema import NotificationThresholds, Weekday
from tests.fakes import NIGHT, FakeClock


class Switch:
    """A dead man's switch that takes pings, or does not answer."""

    def __init__(self, *, is_up=True):
        self.is_up = is_up
        self.pings = []

    def ping(self, *, failed):
        """Record a ping."""
        self.pings.append("fail" if failed else "well")
        return self.is_up


@pytest.fixture
def switch(monkeypatch):
    """The switch that the settings configure."""
    switch = Switch()
    monkeypatch.setattr(after_a_night, "configured_dead_mans_switch", lambda _: switch)
    return switch


@pytest.mark.parametrize(
    ("code", "pings"), [(0, ["well"]), (1, ["well"]), (3, ["fail"]), (2, ["fail"]), (70, ["fail"]), (75, [])]
)
def test_the_exit_code_decides_how_the_switch_is_pinged(switch, code, pings):
    """It is pinged once; a run that found the account locked leaves it to the run that holds the lease."""
    with after_a_night.ping_with_outcome(None) as ping:
        ping(code)

    assert pings == switch.pings


@pytest.mark.parametrize(
    ("error", "pings"),
    [(Misconfigured("no key"), ["fail"]), (ZeroDivisionError(), ["fail"]), (LeaseHeldError("held"), [])],
)
def test_the_switch_is_pinged_as_failed_when_a_night_raises(switch, error, pings):
    """The error still propagates."""
    with pytest.raises(type(error)), after_a_night.ping_with_outcome(None):
        raise error

    assert pings == switch.pings


def test_what_fails_after_the_ping_does_not_ping_again(switch):
    """A night that is done stays done, whatever becomes of its page."""

    def night():
        with after_a_night.ping_with_outcome(None) as ping:
            ping(0)
            assert ["well"] == switch.pings
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        night()

    assert ["well"] == switch.pings


def test_a_night_that_was_already_done_does_not_ping(switch):
    """The run that did that night has pinged already."""
    with pytest.raises(NightDoneError), after_a_night.ping_with_outcome(None):
        raise NightDoneError(1, None)

    assert [] == switch.pings


def test_an_unanswered_ping_is_logged(switch):
    """The switch's monitor may raise an alarm, and the log then explains it."""
    switch.is_up = False
    with capture_logs() as logs, after_a_night.ping_with_outcome(None) as ping:
        ping(0)

    assert ["warning"] == [line["log_level"] for line in logs]


def test_without_a_switch_nothing_is_pinged_or_logged(monkeypatch):
    """The switch is optional."""
    monkeypatch.setattr(after_a_night, "configured_dead_mans_switch", lambda _: None)
    with capture_logs() as logs, after_a_night.ping_with_outcome(None) as ping:
        ping(3)

    assert [] == logs


def test_a_failing_summary_of_the_week_does_not_change_the_night(monkeypatch):
    """It is logged and noted, and without the setting nothing is tried."""
    monkeypatch.setattr(after_a_night, "notice_recipients", lambda _: 1 / 0)
    settings, faults = SimpleNamespace(notify_weekly=None), []
    with capture_logs() as logs:
        after_a_night.send_weekly_summary(None, None, settings, night=date(2026, 11, 23), now=NIGHT, faults=faults)
        assert [] == logs
        settings.notify_weekly = Weekday.MONDAY
        after_a_night.send_weekly_summary(None, None, settings, night=date(2026, 11, 23), now=NIGHT, faults=faults)

    assert ["error"] == [line["log_level"] for line in logs]
    assert ["ZeroDivisionError"] == faults


def test_failing_notices_and_metrics_do_not_change_the_night(monkeypatch, tmp_path):
    """Each failure is logged and noted; a night that could not look for incidents does not say that none is open."""

    def fail(*_, **__):
        raise ZeroDivisionError

    for name in ("update_incidents", "notice_recipients", "run_metrics"):
        monkeypatch.setattr(after_a_night, name, fail)
    night = Night(SimpleNamespace(exit_code=0, other_faults=[]), NIGHT, ())
    settings = SimpleNamespace(metrics=tmp_path / "x.prom", notify=(), notify_when=NotificationThresholds())
    deps = SimpleNamespace(clock=FakeClock(), sinks={})
    with capture_logs() as logs:
        found = after_a_night.find_incidents(None, None, deps, settings, night.summary)
        told = after_a_night.notify(None, SimpleNamespace(zone=None), deps, settings, replace(night, notices=found))

    assert told.notices is None
    assert ["error"] * 3 == [line["log_level"] for line in logs]
    assert ["ZeroDivisionError"] * 3 == night.summary.other_faults


@pytest.mark.parametrize("about", [MessageKind.REJECTED, MessageKind.WOULD_BE_REJECTED, MessageKind.PUT_OFF])
def test_why_a_human_is_needed_names_no_lead(about):
    """A fleet keeps it for months, and the lead may be forgotten meanwhile."""
    said = Message(about, {"count": 2, "leads": ("L-1", "L-2")})
    summary = SimpleNamespace(source_stopped=None, stopped_scopes={}, attention=[said], opened=())
    why = after_a_night.why_human_is_needed(summary)

    assert (True, False) == (why.startswith("2 "), "L-1" in why)
