"""What the receiver takes and refuses, over real connections."""

import hashlib
import hmac
import logging
import shutil
import socket
import sqlite3
import threading
import time
from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.receiver import AddressSecret, HashedSecret, IncomingRateLimit, Receiver, SignatureScheme
from tests.contract.webhooks.conftest import PATIENCE, SECRET, request, status

WON = {"event": "status_change", "eventId": "e-1", "lead": {"id": "L-1", "status": "Gagné"}}
HOOK = f"/hooks/{SECRET}"
EVENT = b'{"a":1}'


def test_an_event_is_stored_once_however_often_it_is_delivered(running):
    """A redelivery is acknowledged too, or the sender would go on."""
    with running() as receiver:
        answers = [receiver.post(WON), receiver.post(WON), receiver.post([WON, {"id": "L-2", "status": "Perdu"}])]

        assert [204, 204, 204] == answers
        assert [("L-1", "Gagné"), ("L-2", "Perdu")] == receiver.stored()


def test_nothing_is_acknowledged_before_it_is_durable(running):
    """While the inbox cannot be written, the sender waits, and is told to try again if that lasts."""
    with running() as receiver, closing(sqlite3.connect(receiver.path, isolation_level=None)) as other:
        receiver.inbox._connection.execute("PRAGMA busy_timeout = 300")
        other.execute("BEGIN IMMEDIATE")
        refused = receiver.post(WON)
        with receiver.connect() as line:
            line.sendall(request(HOOK, length=len(EVENT)) + EVENT)
            line.settimeout(0.1)
            with pytest.raises(TimeoutError):
                line.recv(1)
        other.execute("COMMIT")

        assert (503, 204) == (refused, receiver.post(WON))
        assert [("L-1", "Gagné")] == receiver.stored()


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_acknowledged_that_no_reader_would_find(running, replaced):
    """The receiver still has its file open, but under its name there is none or another one."""
    with capture_logs() as logs, running() as receiver:
        taken = receiver.post(WON)
        receiver.path.rename(receiver.path.with_suffix(".old"))
        if replaced:
            shutil.copy(receiver.path.with_suffix(".old"), receiver.path)

        assert (204, 503) == (taken, receiver.post({**WON, "eventId": "e-2"}))
    assert "inbox.db" in next(one["why"] for one in logs if one["log_level"] == "error")


def test_a_commit_that_fails_leaves_the_inbox_usable(tmp_path, received):
    """Nothing of it is stored, and the next events are."""
    inbox = WebhookInboxFile(tmp_path / "inbox.db").open_inbox_for_writing()
    real = inbox._connection
    inbox._connection = _FailingCommit(real)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O"):
        inbox.append_events([received])
    inbox._connection = real

    assert 1 == inbox.append_events([received])
    inbox.close()


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_the_error_of_a_commit_is_the_one_that_is_raised(tmp_path, received, is_rolled_back):
    """SQLite rolls back by itself after some, and a second time would fail and hide it."""
    inbox = WebhookInboxFile(tmp_path / "inbox.db").open_inbox_for_writing()
    inbox._connection = _FailingCommit(inbox._connection, is_rolled_back=is_rolled_back)

    with pytest.raises(sqlite3.OperationalError, match="disk I/O"):
        inbox.append_events([received])
    inbox.close()


def test_an_inbox_that_others_could_read_is_closed_to_them(tmp_path):
    """One that was copied back may have lost its mode."""
    path = tmp_path / "inbox.db"
    path.touch()
    path.chmod(0o644)
    WebhookInboxFile(path).open_inbox_for_writing().close()

    assert 0o600 == path.stat().st_mode & 0o777


def test_a_fault_of_ours_loses_no_event_and_shows_no_value(running, caplog):
    """The sender is told to try again; the log has the type of the error only."""

    def append(events):
        raise RuntimeError(f"jeanne@example.fr in {events}")

    with capture_logs() as logs, running() as receiver:
        receiver.receiver._hooks[0].inbox._append = append

        assert 503 == receiver.post(WON)
    assert ["RuntimeError"] == [one["why"] for one in logs if one["log_level"] == "error"]
    assert "jeanne" not in repr(logs) + caplog.text


def test_a_large_body_keeps_no_other_request_waiting(running):
    """It is parsed beside the others."""
    held, began = threading.Event(), threading.Event()

    def parse(body):
        if len(body) > len(EVENT):
            began.set()
            held.wait(PATIENCE)
        return []

    with running(parse=parse) as receiver, receiver.connect() as large:
        large.sendall(request(HOOK, length=20_000) + b" " * 20_000)
        assert began.wait(PATIENCE)
        with receiver.connect() as small:
            small.sendall(request(HOOK, length=len(EVENT)) + EVENT)
            small.settimeout(2)

            assert 204 == status(small)
        held.set()
        assert 204 == status(large)


class _FailingCommit:
    """A connection whose disk fails when it commits."""

    def __init__(self, real, *, is_rolled_back=False):
        self._real = real
        self._is_rolled_back = is_rolled_back

    def __getattr__(self, name):
        return getattr(self._real, name)

    def execute(self, statement, *more):
        """Fail on COMMIT only."""
        if statement != "COMMIT":
            return self._real.execute(statement, *more)
        if self._is_rolled_back:
            self._real.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def received():
    """An event as parsed."""
    won = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "Gagné")
    return ReceivedEvent(won, datetime(2026, 7, 20, tzinfo=UTC), "0" * 64, is_unique=True)


def test_what_arrives_meanwhile_is_committed_together(running):
    """Fifty events that wait for the disk share one transaction, and one that fails fails them all."""
    held, groups = threading.Event(), []

    def append(events):
        groups.append(len(events))
        assert held.wait(PATIENCE)
        if len(groups) == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return len(events)

    with running() as receiver:
        receiver.receiver._hooks[0].inbox._append = append
        lines = [receiver.connect() for _ in range(51)]
        lines[0].sendall(request(HOOK, length=len(EVENT)) + EVENT)
        _until(lambda: groups)
        for line in lines[1:]:
            line.sendall(request(HOOK, length=len(EVENT)) + EVENT)
        _until(lambda: receiver.receiver._hooks[0].inbox._events_waiting == 50)
        held.set()
        answers = [status(line) for line in lines]
        for line in lines:
            line.close()

        assert [1, 50] == groups
        assert [204] + [503] * 50 == answers


def test_too_many_events_that_wait_are_refused(running, monkeypatch):
    """A disk that has fallen behind is not buried."""
    monkeypatch.setattr("jobs.webhooks.group_commit._MOST_WAITING", 2)
    with running() as receiver:
        answers = receiver.post([{"id": 1}, {"id": 2}]), receiver.post([{"id": 1}, {"id": 2}, {"id": 3}])

        assert (204, 503) == answers


# ── who may send ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/hooks", "/hooks/wrong", f"/hooks/{SECRET}x", f"/hooks/{SECRET[:-1]}", "/hooks/%20"])
def test_a_wrong_secret_is_refused(running, path):
    """Whatever is not the whole secret is none, and the body is not even read."""
    with running() as receiver:
        assert 401 == receiver.post(b"{", path)
        assert [] == receiver.stored()


def test_a_secret_may_stand_in_a_header(running):
    """Then a path that holds it opens nothing."""
    with running(header="X-Hook") as receiver:
        answers = [
            receiver.post(WON, "/hooks", X_Hook=SECRET),
            receiver.post(WON, "/hooks", X_Hook="wrong"),
            receiver.post(WON, "/hooks"),
            receiver.post(WON),
        ]

        assert [204, 401, 401, 401] == answers


def test_an_address_may_end_in_the_provider_s_secret_and_in_a_former_one_until_its_day(running):
    """Whatever carries the subscriptions' own; a former secret is taken on its last day, and not on the next."""
    today = datetime.now(UTC).date()
    others = (
        AddressSecret(HashedSecret("of-the-provider")),
        AddressSecret(HashedSecret("former"), today + timedelta(days=1)),
        AddressSecret(HashedSecret("over"), today - timedelta(days=1)),
    )
    for header in (None, "X-Hook"):
        with running(header=header, others=others) as receiver:
            paths = ("of-the-provider", "former", "over", "wrong")
            assert [204, 204, 401, 401] == [receiver.post(WON, f"/hooks/{path}") for path in paths]
            own = receiver.post(WON) if header is None else receiver.post(WON, "/hooks", X_Hook=SECRET)
            assert 204 == own


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_signature_must_be_that_of_the_body(running, algorithm, encoding):
    """It is an HMAC over the bytes as they came."""
    body = b'{ "id": "L-1",\n"status": "Gagn\xc3\xa9" }'
    made = hmac.new(b"key", body, getattr(hashlib, algorithm)).digest()
    text = made.hex() if encoding == "hex" else b64encode(made).decode()
    with running(signature=SignatureScheme("X-Signature", b"key", algorithm, encoding, "v1=")) as receiver:
        answers = [
            receiver.post(body, X_Signature=f"v1={text}"),
            receiver.post(body + b" ", X_Signature=f"v1={text}"),
            receiver.post(body, X_Signature=text),
            receiver.post(body),
        ]

        assert [204, 401, 401, 401] == answers
        assert [("L-1", "Gagné")] == receiver.stored()


def test_secrets_are_compared_in_constant_time(monkeypatch):
    """By their hashes, so that not even a secret's length shows, and with every account's, whichever it is."""
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: bool(compared.append(other)) or one == other)

    assert [True, False] == [
        HashedSecret("a").is_same_secret("a"),
        HashedSecret("a").is_same_secret("much longer than that"),
    ]
    assert {32} == {len(digest) for digest in compared}
    compared.clear()
    hooks = [
        SimpleNamespace(has_matching_secret=partial(lambda secret, _: secret.is_same_secret("a"), HashedSecret(text)))
        for text in "abc"
    ]

    assert hooks[0] is Receiver(hooks)._hook_for(None)
    assert 3 == len(compared)


# ── how much ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        (413, [request(HOOK, length=1025), b" " * 1025]),
        (413, [request(HOOK, Transfer_Encoding="chunked"), b"800\r\n" + b" " * 2048 + b"\r\n0\r\n\r\n"]),
        (413, [request(HOOK, length=10**12)]),
        (400, [request(HOOK, length=-1)]),
        (415, [request(HOOK, length=2, Content_Encoding="gzip"), b"{}"]),
        (400, [request(HOOK, length=4), b"nope"]),
        (400, [request(HOOK, length=0)]),
        (400, [request(HOOK, length=2), b"{}"]),
        (400, [request(HOOK, length=1000), b"[" * 1000]),
        (400, [b"nonsense\r\n\r\n"]),
        (400, [b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000]),
        (405, [request(HOOK, method="GET")]),
        (405, [request(HOOK, method="PUT", length=0)]),
        (405, [request("/health", length=0)]),
        (404, [request("/", method="GET")]),
        (404, [request("/hooks/", length=0)]),
        (200, [request("/health", method="GET")]),
    ],
)
def test_each_refusal_has_its_status(running, wanted, parts):
    """Too large is told by the length or while it comes in, and nothing is stored."""
    with running(largest=1024) as receiver:
        assert wanted == receiver.send(*parts)
        assert [] == receiver.stored()


def test_a_large_body_is_refused_unread_and_the_answer_is_seen(running):
    """The sender may be writing still; the connection is closed soon after."""
    with running(largest=1024, seconds=30) as receiver, receiver.connect() as line:
        line.sendall(request(HOOK, length=10**9) + b" " * 100_000)

        assert 413 == status(line)
        assert b"" == line.recv(1)


def test_a_body_of_two_lengths_is_refused(running):
    """A proxy may take another end of it than we do, and the rest for a request of its own."""
    head = request(HOOK, length=len(EVENT)).replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
    with running() as receiver, receiver.connect() as line:
        line.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT))

        assert 400 == status(line)


def test_an_account_takes_so_many_a_minute(running):
    """The next minute starts anew."""
    now = [0.0]
    with running(rate=IncomingRateLimit(2, lambda: now[0])) as receiver:
        answers = [receiver.post(WON) for _ in range(3)]
        now[0] = 60.0

        assert [204, 204, 429, 204] == [*answers, receiver.post(WON)]


def test_events_are_counted_and_not_requests(running):
    """A request may hold a hundred; the one that passes the limit is taken, and no other."""
    now = [0.0]
    with running(rate=IncomingRateLimit(150, lambda: now[0])) as receiver:
        many = b"[" + b",".join([EVENT] * 100) + b"]"
        answers = [receiver.post(many) for _ in range(3)]

        assert [204, 204, 429] == answers


def test_bodies_share_a_bounded_memory(running, monkeypatch):
    """What would not fit is told to come again; what has been read leaves its place."""
    monkeypatch.setattr("jobs.webhooks.receiver._MEMORY", 5_000)
    with running() as receiver, receiver.connect() as slow:
        slow.sendall(request(HOOK, length=4_000) + b" " * 3_900)
        _until(lambda: receiver.receiver._bytes_held >= 3_900)
        refused = receiver.post(b"[1" + b" " * 2_000)
        slow.sendall(b" " * (100 - len(EVENT)) + EVENT)

        assert (503, 204, 204) == (refused, status(slow), receiver.post(EVENT + b" " * 2_000))
        assert 0 == receiver.receiver._bytes_held


# ── how long ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST",
        request(HOOK, length=100)[:-4],
        request(HOOK, length=100),
        request(HOOK, length=100) + b"{",
        request(HOOK, Transfer_Encoding="chunked") + b"1\r\n{\r\n",
    ],
    ids=["nothing", "a word", "a head", "no body", "a body", "chunks"],
)
def test_a_slow_request_ends_in_time(running, start):
    """Whether head or body, whether it stands still or drips: the time is that of the whole request."""
    with running(seconds=0.4) as receiver, receiver.connect() as line:
        began = time.monotonic()
        line.sendall(start)
        answer = status(line)

        assert 408 == answer
        assert b"" == line.recv(1)
        assert 0.3 < time.monotonic() - began < 5


def test_a_dripping_request_ends_in_time(running):
    """A byte now and then buys no time."""
    with running(seconds=0.5) as receiver, receiver.connect() as line:
        line.settimeout(0.1)
        line.sendall(request(HOOK, length=1_000))
        answer, until = None, time.monotonic() + PATIENCE
        while answer is None and time.monotonic() < until:
            line.sendall(b" ")
            try:
                answer = status(line)
            except TimeoutError:
                continue

        assert 408 == answer


def test_each_request_of_a_kept_connection_has_its_own_time(running):
    """A connection may live longer than a request may take, and each request is timed from its first byte."""
    with running(seconds=0.6) as receiver, receiver.connect() as line:
        answers = []
        for _ in range(4):
            line.sendall(request(HOOK, length=len(EVENT)) + EVENT)
            answers.append(status(line))
            time.sleep(0.3)
        line.sendall(request(HOOK, length=2))

        assert [204, 204, 204, 204, 408] == [*answers, status(line)]


def test_an_answer_that_takes_longer_is_waited_for(running):
    """Only what has not arrived is late: a slow disk is no slow sender."""
    held = threading.Event()
    with running(seconds=0.3) as receiver:
        append = receiver.receiver._hooks[0].inbox._append
        receiver.receiver._hooks[0].inbox._append = lambda events: held.wait(PATIENCE) and append(events)
        with receiver.connect() as line:
            line.sendall(request(HOOK, length=len(EVENT)) + EVENT)
            threading.Timer(0.8, held.set).start()

            assert 204 == status(line)


def test_an_answer_that_is_never_read_ends_the_connection(running):
    """Its sender goes on asking and reads nothing; its place is free again within the time of a request."""
    with running(connections=1, seconds=0.4) as receiver:
        receiver.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(PATIENCE)
            line.connect(("127.0.0.1", receiver.port))
            with pytest.raises(ConnectionError):
                _ask_and_never_read(line)

            _until(lambda: receiver.post(WON) == 204)


# ── how many ─────────────────────────────────────────────────────────────────────────────────────


def test_connections_beyond_the_limit_are_told_to_come_again(running):
    """Those within it go on, and a place that is left can be taken."""
    with running(connections=2) as receiver:
        first, second = receiver.connect(), receiver.connect()
        _until(lambda: receiver.post(WON) == 503)
        for line in (first, second):
            line.sendall(request(HOOK, length=len(EVENT)) + EVENT)
        answers = [status(first), status(second)]
        first.close()
        second.close()

        assert [204, 204] == answers
        _until(lambda: receiver.post(WON) == 204)


def test_a_stop_finishes_what_is_under_way(running):
    """No new connection is taken, and what was acknowledged is stored."""
    held = threading.Event()
    with running() as receiver:
        append = receiver.receiver._hooks[0].inbox._append
        receiver.receiver._hooks[0].inbox._append = lambda events: held.wait(PATIENCE) and append(events)
        with receiver.connect() as line, receiver.connect() as idle:
            line.sendall(request(HOOK, length=len(b'{"id":"L-1","status":"Perdu"}')) + b'{"id":"L-1","status":"Perdu"}')
            _until(lambda: receiver.receiver._hooks[0].inbox._writer)
            stopping = threading.Thread(target=receiver.stop)
            stopping.start()

            assert b"" == idle.recv(1)
            held.set()
            assert 204 == status(line)
        stopping.join(PATIENCE)

        assert [("L-1", "Perdu")] == receiver.stored()
        with pytest.raises(OSError, match=r"."):
            receiver.connect()


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_structure_is_logged_once_without_values(running, caplog):
    """Neither the secret, nor a header, nor anything of a body."""
    caplog.set_level(logging.DEBUG)
    told = {"event": "lead.merged", "lead": {"id": "L-1", "email": "jeanne@example.fr"}}
    with capture_logs() as logs, running() as receiver:
        answers = [
            receiver.post(told, X_Note="hoho"),
            receiver.post({**told, "lead": {"id": "L-2", "email": "b@c.fr"}}),
        ]
        receiver.post(b"jeanne")
        receiver.send(b"jeanne\r\n\r\n")

    ((holds, settings),) = [(entry["holds"], entry["settings"]) for entry in logs]

    assert [204, 204] == answers
    assert ("event, lead.id, lead.email", "fields: { lead_id: lead.id, status: NAME }") == (
        holds,
        settings,
    )
    for value in ("jeanne", "example.fr", SECRET, "L-1", "hoho"):
        assert value not in f"{caplog.text}{logs}"


def test_a_full_disk_is_logged_once_a_minute(running):
    """Each request would repeat it."""

    def append(_events):
        raise sqlite3.OperationalError("database or disk is full")

    with capture_logs() as logs, running() as receiver:
        receiver.receiver._hooks[0].inbox._append = append
        answers = [receiver.post(WON) for _ in range(3)]

    assert [503, 503, 503] == answers
    assert ["database or disk is full"] == [entry["why"] for entry in logs]


def _ask_and_never_read(line):
    """Send one request after another, until nothing more is taken."""
    for _ in range(100_000):
        line.sendall(request("/health", method="GET"))


def _until(is_so):
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
