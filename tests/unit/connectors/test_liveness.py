"""Signs of life, as systemd and a container's health check read them."""

import logging
import os
import socket
import stat
from datetime import timedelta

import pytest

from connectors.notifiers import Liveness


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request, tmp_path):
    """What systemd is to a service: a socket, and the service's environment."""
    name = str(tmp_path / "notify") if request.param == "a path" else f"@oplead-sync-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if name.startswith("@") else name)
        ear.setblocking(False)
        yield ear, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}


def heard(ear):
    """Every datagram that came."""
    found = []
    while True:
        try:
            found.append(ear.recv(100).decode())
        except BlockingIOError:
            return found


def lead_a_life(signs):
    """From the beginning to the end."""
    signs.ready()
    signs.beat()
    signs.stopping()


def test_systemd_hears_of_each_step(listener):
    """One datagram each; half the time it waits is how often it wants one."""
    ear, environ = listener
    signs = Liveness(environ=environ)
    lead_a_life(signs)

    assert ["READY=1", "WATCHDOG=1", "STOPPING=1"] == heard(ear)
    assert timedelta(seconds=15) == signs.every


@pytest.mark.parametrize("change", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_that_does_not_wait_for_us_is_told_nothing(listener, change):
    """It is another process's, or none."""
    ear, environ = listener
    signs = Liveness(environ=environ | change)
    lead_a_life(signs)

    assert (["READY=1", "STOPPING=1"], None) == (heard(ear), signs.every)


def test_nobody_asks_and_nothing_is_told():
    """At a terminal."""
    signs = Liveness(environ={"WATCHDOG_USEC": "30000000"})
    lead_a_life(signs)

    assert signs.every is None


def test_a_health_file_is_as_old_as_the_last_beat(tmp_path):
    """It is made by the first, and each one after that touches it."""
    path = tmp_path / "health"
    signs = Liveness(path, {})
    signs.ready()
    before = path.exists()
    signs.beat()
    os.utime(path, (0, 0))
    signs.beat()

    assert (False, True) == (before, path.stat().st_mtime > 0)
    assert (timedelta(minutes=1), 0o600) == (signs.every, stat.S_IMODE(path.stat().st_mode))


def test_a_health_file_that_holds_something_keeps_it(tmp_path):
    """Somebody named the wrong one."""
    path = tmp_path / "notes"
    path.write_text("mine")
    Liveness(path, {}).beat()

    assert "mine" == path.read_text()


def test_what_cannot_be_told_is_logged_once(tmp_path, caplog):
    """And nothing else happens."""
    signs = Liveness(tmp_path / "no folder" / "health", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with caplog.at_level(logging.WARNING):
        lead_a_life(signs)
        lead_a_life(signs)

    assert ["no sign of life can be given there"] == [
        record.getMessage().partition(": ")[2].partition(" (")[0] for record in caplog.records
    ]
