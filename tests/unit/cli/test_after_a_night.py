"""What follows a night cannot fail it, and the dead man's switch hears how it ended."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from connectors.errors import Misconfigured
from jobs.cli import session
from jobs.ledger.runs import LeaseHeldError, NightDoneError
from jobs.reporting.run_report import Night
from jobs.settings.schema import NotifyWhen
from tests.fakes import NIGHT, FakeClock


class Switch:
    """Takes pings, or does not."""

    def __init__(self, *, is_up=True):
        self.is_up = is_up
        self.pings = []

    def ping(self, *, failed):
        """Take one."""
        self.pings.append("fail" if failed else "well")
        return self.is_up


@pytest.fixture
def switch(monkeypatch):
    """The switch of the settings."""
    switch = Switch()
    monkeypatch.setattr(session, "ping_of", lambda _: switch)
    return switch


@pytest.mark.parametrize(
    ("code", "pings"), [(0, ["well"]), (1, ["well"]), (3, ["fail"]), (2, ["fail"]), (70, ["fail"]), (75, [])]
)
def test_the_switch_hears_how_the_night_ended(switch, code, pings):
    """Once; a run that was not let in leaves it to the one that holds the account."""
    with session.pinging(None) as codes:
        codes.append(code)

    assert pings == switch.pings


@pytest.mark.parametrize(
    ("error", "pings"),
    [(Misconfigured("no key"), ["fail"]), (ZeroDivisionError(), ["fail"]), (LeaseHeldError("held"), [])],
)
def test_the_switch_hears_of_a_night_that_broke(switch, error, pings):
    """And the error goes on."""
    with pytest.raises(type(error)), session.pinging(None):
        raise error

    assert pings == switch.pings


def test_the_switch_hears_nothing_of_a_night_that_was_done_already(switch):
    """Nothing was done, so nothing is well: whoever did that night has told."""
    with pytest.raises(NightDoneError), session.pinging(None):
        raise NightDoneError(1, None)

    assert [] == switch.pings


def test_a_switch_that_does_not_answer_is_logged(switch):
    """Its monitor may raise the alarm, and somebody will wonder."""
    switch.is_up = False
    with capture_logs() as logs, session.pinging(None) as codes:
        codes.append(0)

    assert ["warning"] == [line["log_level"] for line in logs]


def test_without_a_switch_nothing_is_asked_for(monkeypatch):
    """It is not needed."""
    monkeypatch.setattr(session, "ping_of", lambda _: None)
    with capture_logs() as logs, session.pinging(None) as codes:
        codes.append(3)

    assert [] == logs


def test_whatever_breaks_while_telling_is_logged_and_the_night_is_as_it_was(monkeypatch, tmp_path):
    """Neither the notices nor the numbers are worth a night."""

    def fail(*_, **__):
        raise ZeroDivisionError

    for name in ("update_incidents", "measure"):
        monkeypatch.setattr(session, name, fail)
    night = Night(SimpleNamespace(exit_code=0), NIGHT, ())
    settings = SimpleNamespace(metrics=tmp_path / "x.prom", notify=(), notify_when=NotifyWhen())
    deps = SimpleNamespace(clock=FakeClock(), sinks={})
    with capture_logs() as logs:
        told = session.notify(None, None, deps, settings, night)

    assert night is told
    assert ["warning", "warning"] == [line["log_level"] for line in logs]
