"""Notices and the dead man's switch, against a local server."""

import json
import logging
import socket
import socketserver
from contextlib import closing
from email import message_from_bytes, policy
from threading import Thread

import pytest
from werkzeug import Response

from connectors.http import run_with_timeout
from connectors.records import NoticeOutcome, NoticeResult
from connectors.signals import notifiers
from connectors.signals.notifiers import (
    AppriseNotifier,
    HttpDeadMansSwitch,
    is_mailbox,
    is_notification_address,
    service_name,
)

HUNG = 0.3  # seconds


@pytest.fixture
def silent():
    """An address that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """An address where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def test_delivers_a_message_with_title_and_text(httpserver):
    """`send` returns true."""
    httpserver.expect_oneshot_request("/hook", method="POST").respond_with_data("ok")

    assert AppriseNotifier(f"json://127.0.0.1:{httpserver.port}/hook").send_message(
        "google_ads stopped", "line 1\nline é <2>"
    )
    request, _ = httpserver.log[0]
    said = json.loads(request.data)
    assert ("google_ads stopped", "line 1\nline é <2>", "warning") == (said["title"], said["message"], said["type"])
    httpserver.check_assertions()


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_send_returns_false_when_the_receiver_rejects_the_message(httpserver, status):
    """Nothing is raised."""
    httpserver.expect_request("/hook").respond_with_data("no", status=status)

    assert not AppriseNotifier(f"json://127.0.0.1:{httpserver.port}/hook").send_message("t", "x")


def test_send_returns_false_when_nothing_listens(closed):
    """The receiver may be down."""
    assert not AppriseNotifier(f"json://{closed}/hook").send_message("t", "x")


@pytest.mark.parametrize("more", ["", "?retry=9&wait=60", "?rto=600"])
def test_bounds_the_wait_for_a_hanging_server(silent, monkeypatch, more):
    """Retries and timeouts in the address cannot extend it."""
    monkeypatch.setattr(notifiers, "LONGEST", HUNG)

    assert not AppriseNotifier(f"json://{silent}/hook{more}").send_message("t", "x")


def test_wait_is_bounded_to_ten_seconds(monkeypatch):
    """The nightly run relies on this bound, for messages and for pings."""
    limits = []
    monkeypatch.setattr(notifiers, "run_with_timeout", lambda _, seconds: limits.append(seconds))
    AppriseNotifier("json://127.0.0.1/hook").send_message("t", "x")
    HttpDeadMansSwitch("http://127.0.0.1/id").ping(failed=False)

    assert [10, 10] == limits


def test_never_logs_the_address(closed, caplog):
    """It is a secret, and apprise quotes parts of it."""
    caplog.set_level(logging.DEBUG, logger="root")
    AppriseNotifier(f"json://user:s3cret@{closed}/t0ken").send_message("t", "x")
    is_notification_address("slack://t0ken")

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
def test_is_address_accepts_what_apprise_can_send_to(url, is_one):
    """The check sends nothing."""
    assert is_one == is_notification_address(url)


def test_send_returns_false_for_an_invalid_address():
    """Checked settings rule this case out."""
    assert not AppriseNotifier("nonsense").send_message("t", "x")


# ── what happened ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, NoticeResult(NoticeOutcome.ACCEPTED)), (401, NoticeResult(NoticeOutcome.REFUSED, 401))],
)
def test_a_trial_tells_an_http_status(httpserver, status, result):
    """The message is no warning."""
    httpserver.expect_request("/hook").respond_with_data("no", status=status)

    assert result == AppriseNotifier(f"json://127.0.0.1:{httpserver.port}/hook").try_to_send("t", "x")
    assert "info" == json.loads(httpserver.log[0][0].data)["type"]


@pytest.mark.parametrize("service", ["json", "mailto"])
def test_a_trial_tells_that_nothing_listens(closed, service, caplog):
    """The reason comes from what apprise logs, which is shown nowhere: it may hold the address."""
    caplog.set_level(logging.DEBUG)
    result = AppriseNotifier(f"{service}://user:s3cret@{closed}/?from=a@example.com&to=b@example.com").try_to_send(
        "t", "x"
    )

    assert NoticeResult(NoticeOutcome.UNREACHABLE) == result
    assert not [record for record in caplog.records if record.name == "apprise"]


def test_a_trial_tells_that_no_answer_came(silent, monkeypatch):
    """It waits as long as a night does."""
    monkeypatch.setattr(notifiers, "LONGEST", HUNG)

    assert NoticeResult(NoticeOutcome.NO_ANSWER) == AppriseNotifier(f"json://{silent}/hook").try_to_send("t", "x")


def test_the_name_of_a_service_reveals_nothing_of_the_address():
    """Most addresses hold a password or a token."""
    assert "E-Mail" == service_name("mailtos://user:s3cret@example.com?to=ops@example.com")


@pytest.mark.parametrize(
    ("url", "holds_files"), [("mailto://u:p@x.example", True), ("MAILTOS://u:p@x.example", True), ("json://x", False)]
)
def test_a_mailbox_is_told_by_its_address(url, holds_files):
    """A channel would show a page as text, or refuse it."""
    assert holds_files == is_mailbox(url)


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server that accepts everything."""

    def handle(self):
        """Speak as much SMTP as one mail takes."""
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


def test_a_mailbox_gets_the_page_as_a_file(tmp_path):
    """It opens as it was written, in any browser."""
    page = tmp_path / "maison-durand-report.html"
    page.write_text("<!DOCTYPE html>\n<p>12 500 € é</p>\n", encoding="utf-8")
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.mails = []
        Thread(target=server.handle_request, daemon=True).start()
        address = f"mailto://127.0.0.1:{server.server_address[1]}?from=a@example.com&to=b@example.com"
        assert AppriseNotifier(address).send_message("the week", "line 1\nline é", urgent=False, page=page)
    (mail,) = server.mails
    (file,) = mail.iter_attachments()

    assert "the week" == mail["Subject"]
    assert ("maison-durand-report.html", "text/html") == (file.get_filename(), file.get_content_type())
    assert page.read_bytes() == file.get_payload(decode=True)


# ── the dead man's switch ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("failed", "asked", "path"),
    [(False, "/ping/id", "/ping/id"), (True, "/ping/id", "/ping/id/fail"), (True, "/ping/id/", "/ping/id/fail")],
)
def test_pings_the_address_or_its_fail_path(httpserver, failed, asked, path):
    """The path follows healthchecks.io; a query is preserved."""
    httpserver.expect_oneshot_request(path, method="GET", query_string="create=1").respond_with_data("OK")

    assert HttpDeadMansSwitch(httpserver.url_for(asked) + "?create=1").ping(failed=failed)
    httpserver.check_assertions()


@pytest.mark.parametrize("status", [301, 404, 500])
def test_ping_returns_false_on_an_error_or_a_redirect(httpserver, status):
    """A page elsewhere is not the monitor's answer."""
    httpserver.expect_request("/id").respond_with_response(Response(status=status, headers={"Location": "/id2"}))

    assert not HttpDeadMansSwitch(httpserver.url_for("/id")).ping(failed=False)


def test_ping_returns_false_when_the_monitor_is_down_or_hangs(closed, silent, monkeypatch):
    """Nothing is raised, and the wait is bounded."""
    monkeypatch.setattr(notifiers, "LONGEST", HUNG)

    assert [False, False] == [
        HttpDeadMansSwitch(f"http://{address}/id").ping(failed=False) for address in (closed, silent)
    ]


# ── the time limit ───────────────────────────────────────────────────────────────────────────────


def test_bounded_call_returns_or_raises_like_a_direct_call():
    """A result of `None` comes back too."""
    assert 1 == run_with_timeout(lambda: 1, 5)
    assert run_with_timeout(lambda: None, 5) is None
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(lambda: 1 / 0, 5)
