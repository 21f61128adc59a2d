"""Messages and the dead man's switch, against a server on this machine."""

import json
import logging
import socket
from contextlib import closing

import pytest
from werkzeug import Response

from connectors import notifiers
from connectors.http import bounded
from connectors.notifiers import AppriseNotifier, DeadMansSwitch, is_address

HUNG = 0.3  # seconds


@pytest.fixture
def silent():
    """An address that takes a connection and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def test_a_message_arrives_with_its_title_and_text(httpserver):
    """And that it did is told."""
    httpserver.expect_oneshot_request("/hook", method="POST").respond_with_data("ok")

    assert AppriseNotifier(f"json://127.0.0.1:{httpserver.port}/hook").send("google_ads stopped", "line 1\nline é <2>")
    request, _ = httpserver.log[0]
    said = json.loads(request.data)
    assert ("google_ads stopped", "line 1\nline é <2>", "warning") == (said["title"], said["message"], said["type"])
    httpserver.check_assertions()


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_message_that_is_not_taken_is_told_as_such(httpserver, status):
    """Nothing is raised."""
    httpserver.expect_request("/hook").respond_with_data("no", status=status)

    assert not AppriseNotifier(f"json://127.0.0.1:{httpserver.port}/hook").send("t", "x")


def test_an_address_where_nobody_listens_takes_nothing(closed):
    """As a receiver that is down."""
    assert not AppriseNotifier(f"json://{closed}/hook").send("t", "x")


@pytest.mark.parametrize("more", ["", "?retry=9&wait=60", "?rto=600"])
def test_a_server_that_hangs_is_waited_for_no_longer_than_is_allowed(silent, monkeypatch, more):
    """Whatever the address asks for."""
    monkeypatch.setattr(notifiers, "LONGEST", HUNG)

    assert not AppriseNotifier(f"json://{silent}/hook{more}").send("t", "x")


def test_a_message_longer_than_ten_seconds_is_not_waited_for():
    """The bound that nights rely on."""
    assert (10, 10) == (notifiers.LONGEST, notifiers.LONGEST)


def test_an_address_is_no_part_of_what_is_logged(closed, caplog):
    """It is a secret, and apprise quotes parts of it."""
    caplog.set_level(logging.DEBUG, logger="root")
    AppriseNotifier(f"json://user:s3cret@{closed}/t0ken").send("t", "x")
    is_address("slack://t0ken")

    assert "t0ken" not in caplog.text
    assert "s3cret" not in caplog.text
    assert not [record for record in caplog.records if record.name == "apprise"]


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("json://127.0.0.1:8000/x", True),
        ("jsons://hooks.example.com/x", True),
        ("mailtos://user:pass@example.com?to=ops@example.com", True),
        ("https://hooks.example.com/x", False),
        ("ops@example.com", False),
        ("slack://short", False),
        ("json://", False),
    ],
)
def test_an_address_is_one_that_apprise_can_send_to(url, is_one):
    """Found out without sending."""
    assert is_one == is_address(url)


def test_an_address_that_is_none_takes_nothing():
    """It cannot come to this where the settings were checked."""
    assert not AppriseNotifier("nonsense").send("t", "x")


# ── the switch ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("failed", "asked", "path"),
    [(False, "/ping/id", "/ping/id"), (True, "/ping/id", "/ping/id/fail"), (True, "/ping/id/", "/ping/id/fail")],
)
def test_the_switch_is_asked_for_at_its_address_or_at_its_fail(httpserver, failed, asked, path):
    """As healthchecks.io has it; a query stays."""
    httpserver.expect_oneshot_request(path, method="GET", query_string="create=1").respond_with_data("OK")

    assert DeadMansSwitch(httpserver.url_for(asked) + "?create=1").ping(failed=failed)
    httpserver.check_assertions()


@pytest.mark.parametrize("status", [301, 404, 500])
def test_a_switch_that_does_not_take_it_is_told_as_such(httpserver, status):
    """A page elsewhere is no answer of the monitor's."""
    httpserver.expect_request("/id").respond_with_response(Response(status=status, headers={"Location": "/id2"}))

    assert not DeadMansSwitch(httpserver.url_for("/id")).ping(failed=False)


def test_a_switch_that_is_down_or_hangs_is_not_waited_for(closed, silent, monkeypatch):
    """And nothing is raised."""
    monkeypatch.setattr(notifiers, "LONGEST", HUNG)

    assert [False, False] == [DeadMansSwitch(f"http://{address}/id").ping(failed=False) for address in (closed, silent)]


# ── the bound ────────────────────────────────────────────────────────────────────────────────────


def test_what_a_bounded_call_returns_or_raises_comes_back():
    """As if it had been called here."""
    assert 1 == bounded(lambda: 1, 5)
    assert bounded(lambda: None, 5) is None
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, 5)
