"""Signs of life, as systemd and a container's health check read them."""

import logging
import os
import socket
import stat
from datetime import timedelta

import pytest

from connectors.signals.liveness import LivenessReporter


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request, tmp_path):
    """A socket like systemd's, and the environment it gives to a service."""
    name = str(tmp_path / "notify") if request.param == "a path" else f"@oplead-sync-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if name.startswith("@") else name)
        ear.setblocking(False)
        yield ear, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}


def heard(ear):
    """Every datagram received."""
    found = []
    while True:
        try:
            found.append(ear.recv(100).decode())
        except BlockingIOError:
            return found


def lead_a_life(signs):
    """Give every sign, from start to stop."""
    signs.report_ready()
    signs.beat()
    signs.report_stopping()


def test_sends_systemd_one_datagram_per_step(listener):
    """A beat is due at half the interval of the watchdog."""
    ear, environ = listener
    signs = LivenessReporter(environ=environ)
    lead_a_life(signs)

    assert ["READY=1", "WATCHDOG=1", "STOPPING=1"] == heard(ear)
    assert timedelta(seconds=15) == signs.heartbeat_interval


@pytest.mark.parametrize("change", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_an_inapplicable_watchdog_gets_no_beat(listener, change):
    """It belongs to another process, or its interval is invalid."""
    ear, environ = listener
    signs = LivenessReporter(environ=environ | change)
    lead_a_life(signs)

    assert (["READY=1", "STOPPING=1"], None) == (heard(ear), signs.heartbeat_interval)


def test_no_beat_is_due_without_a_notify_socket():
    """A terminal has none."""
    signs = LivenessReporter(environ={"WATCHDOG_USEC": "30000000"})
    lead_a_life(signs)

    assert signs.heartbeat_interval is None


def test_each_beat_touches_the_health_file(tmp_path):
    """The first one creates it."""
    path = tmp_path / "health"
    signs = LivenessReporter(path, {})
    signs.report_ready()
    before = path.exists()
    signs.beat()
    os.utime(path, (0, 0))
    signs.beat()

    assert (False, True) == (before, path.stat().st_mtime > 0)
    assert (timedelta(minutes=1), 0o600) == (signs.heartbeat_interval, stat.S_IMODE(path.stat().st_mode))


def test_a_beat_keeps_the_content_of_the_health_file(tmp_path):
    """The setting may name the wrong file."""
    path = tmp_path / "notes"
    path.write_text("mine")
    LivenessReporter(path, {}).beat()

    assert "mine" == path.read_text()


def test_a_failing_sign_of_life_is_logged_once(tmp_path, caplog):
    """It has no other effect."""
    signs = LivenessReporter(tmp_path / "no folder" / "health", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with caplog.at_level(logging.WARNING):
        lead_a_life(signs)
        lead_a_life(signs)

    assert ["no sign of life can be given there"] == [
        record.getMessage().partition(": ")[2].partition(" (")[0] for record in caplog.records
    ]
