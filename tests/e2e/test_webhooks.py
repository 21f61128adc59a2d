"""The receiver of webhooks as people run it: killed, flooded, and stopped."""

import json
import random
import select
import signal
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.e2e.support.forked import Forked
from tests.e2e.support.webhook_receiver import COMMAND, PATIENCE, SECRET, ReceiverProcess
from tests.e2e.support.webhook_sender import Sender

HOOK = f"/hooks/{SECRET}"
WORDS = ("Gagné", "Perdu", "RDV pris", "Devis à relancer")
PERSON = {"lastname": "Zimmermann", "email": "jeanne.zimmermann@example.fr", "phone": "0612345678"}


def body(number):
    """One event about a lead of its own, in one of three shapes: with an id, with a time, or a bare lead."""
    lead = {"id": f"L-{number}", "status": WORDS[number % len(WORDS)], **PERSON}
    second = f"2026-07-20T10:{number // 60 % 60:02}:{number % 60:02}Z"
    shapes = (
        {"event": "lead.status_changed", "eventId": f"e-{number}", "lead": lead},
        {"event": "lead.status_changed", "occurredAt": second, "lead": lead},
        lead,
    )
    return json.dumps(shapes[number % len(shapes)]).encode()


@pytest.mark.parametrize("deliveries", [600, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_every_acknowledged_event_is_stored_once(tmp_path, deliveries):
    """A fifth is delivered twice, and the receiver is killed three times; the sender goes on until it is heard."""
    events = [body(number) for number in range(deliveries * 4 // 5)]
    ids = [f"L-{number}" for number in range(len(events))]
    dice = random.Random(7)
    bodies = [*events, *dice.sample(events, deliveries - len(events))]
    dice.shuffle(bodies)
    receiver = ReceiverProcess(tmp_path)
    sender = Sender(receiver.port, HOOK, patience=100)
    sending = threading.Thread(target=sender.deliver, args=[bodies])
    with receiver:
        sending.start()
        for part in (1, 2, 3):
            _until(lambda wanted=part: len(sender.acknowledged) >= wanted * deliveries // 4)
            acknowledged = set(sender.acknowledged)
            receiver.kill()
            stored = set(receiver.stored())

            assert {json.loads(one).get("lead", json.loads(one))["id"] for one in acknowledged} <= stored
            receiver.start()
        sending.join(100)
        code, said = receiver.stop()

    assert 0 == code
    assert deliveries == len(sender.acknowledged)
    assert 0 < sender.failed
    assert dict.fromkeys(ids, 1) == Counter(receiver.stored())
    for file in tmp_path.iterdir():
        for value in (*PERSON.values(), SECRET):
            assert value.encode() not in file.read_bytes(), file
    assert said[-1]["new_events"] < len(events)


def test_hostile_input_is_refused_and_leaves_nothing(tmp_path):
    """Each gets its status; memory stays bounded, nothing is stored but what was meant, and nothing is logged of it."""
    deep, large = b"[" * 100_000, b'{"id": "' + b"x" * 10_000_000 + b'"}'
    receiver = ReceiverProcess(tmp_path, seconds=5, connections=200)
    with receiver.start(command=[COMMAND]):
        assert 204 == _post(receiver, body(0))
        before = receiver.peak_memory
        slow_head = _line(receiver, b"POST /hooks/zimmermann HTTP/1.1\r\nHost: x\r\n")
        slow_body = _line(receiver, _head(HOOK, 100) + b'{"lastname": "Zimmermann')
        chunked = b"".join(b"10000\r\n" + large[at : at + 65_536] + b"\r\n" for at in range(0, 1_310_720, 65_536))
        answers = {
            "replay": _post(receiver, body(0)),
            "10 MB": _post(receiver, large),
            "10 MB in chunks": _answer(receiver, _head(HOOK, chunked=True) + chunked),
            "wrong secret": _post(receiver, body(1), "/hooks/zimmermann-zimmermann-zimmermann"),
            "invalid JSON": _post(receiver, b"{zimmermann"),
            "too deep": _post(receiver, deep),
            "wrong method": _answer(receiver, f"DELETE {HOOK} HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
            "slow head": _status(slow_head),
            "slow body": _status(slow_body),
        }
        many = [_line(receiver, b"") for _ in range(500)]
        _until(lambda: len(_answered(many)) >= 300)
        answered = Counter(map(_status, _answered(many)))
        grown = receiver.peak_memory - before
        for line in (slow_head, slow_body, *many):
            line.close()
        code, _ = receiver.stop()

    assert {
        "replay": 204,
        "10 MB": 413,
        "10 MB in chunks": 413,
        "wrong secret": 401,
        "invalid JSON": 400,
        "too deep": 400,
        "wrong method": 405,
        "slow head": 408,
        "slow body": 408,
    } == answers
    assert {503: 300} == answered
    assert grown < 40_000_000
    assert 0 == code
    assert ["L-0"] == receiver.stored()
    for value in (SECRET, "immermann", "DELETE", "Traceback"):
        assert value not in receiver.log


def test_the_receiver_stops_when_asked(tmp_path):
    """It tells systemd when it is ready and when it stops, says what it has done, and loads no platform's library."""
    told, loaded = tmp_path / "notify", tmp_path / "loaded"
    names = f"atexit.register(lambda: open({str(loaded)!r}, 'w').write(' '.join(sys.modules)))"
    command = (sys.executable, "-c", f"import atexit, sys\n{names}\nfrom jobs.cli import main\nmain()")
    receiver = ReceiverProcess(tmp_path)
    receiver.environ |= {"NOTIFY_SOCKET": str(told), "WATCHDOG_USEC": "2000000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(told))
        ear.settimeout(PATIENCE)
        with receiver.start(command=command):
            answers = [_post(receiver, body(0)), _post(receiver, body(0)), _post(receiver, b"nope")]
            ready, alive = ear.recv(100), ear.recv(100)
            code, said = receiver.stop(signal.SIGINT)
        stopping = ear.recv(100)

    assert [204, 204, 400] == answers
    assert [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"] == [ready, alive, stopping]
    assert 0 == code
    assert [
        {"listening": f"127.0.0.1:{receiver.port}", "accounts": ["maison-test"]},
        {"taken": 2, "refused": {"400": 1}, "new_events": 1},
    ] == said
    assert set() == {"grpc", "google.auth", "facebook_business", "connectors.sandbox"} & set(loaded.read_text().split())


def test_the_receiver_needs_no_key_of_oplead(tmp_path):
    """It faces the internet, and holds no more than the secret that senders know."""
    receiver = ReceiverProcess(tmp_path)
    del receiver.environ["OPLEAD_TOKEN"]
    with receiver:
        assert 204 == _post(receiver, body(1))
        assert 0 == receiver.stop()[0]

    assert ["L-1"] == receiver.stored()


def test_one_receiver_serves_several_accounts(tmp_path):
    """Each secret opens its own account's inbox."""
    first, second = ReceiverProcess(tmp_path, account="one"), ReceiverProcess(tmp_path, account="two")
    text = second.settings.read_text().replace("${HOOK}", "${OTHER}").replace(str(second.port), str(first.port))
    second.settings.write_text(text)
    first.environ["OTHER"] = "another-secret-of-the-second-account"
    with first.start("--config", second.settings):
        answers = _post(first, body(0)), _post(first, body(1), f"/hooks/{first.environ['OTHER']}")
        first.stop()

    assert (204, 204) == answers
    assert (["L-0"], ["L-1"]) == (first.stored(), second.stored())


def test_the_provider_s_address_has_a_secret_of_its_own_and_former_ones_end(tmp_path):
    """Each opens the receiver in an address, though a header carries the subscriptions' own; none is logged."""
    more = {"PROVIDER": "p" * 32, "FORMER": "f" * 32, "OVER": "o" * 32}
    former = '[{ secret: "${FORMER}", until: 2999-01-01 }, { secret: "${OVER}", until: 2020-01-01 }]'
    receiver = ReceiverProcess(tmp_path, secret_header="X-Hook", provider_secret='"${PROVIDER}"', accept_former=former)
    receiver.environ |= more
    with receiver.start():
        answers = [_post(receiver, body(0), f"/hooks/{secret}") for secret in (*more.values(), SECRET)]
        receiver.stop()

    assert [204, 204, 401, 401] == answers
    assert not any(secret in receiver.log for secret in more.values())


def test_a_former_secret_leads_to_its_account_among_several(tmp_path):
    """Until its day, no other account may have it."""
    former = '[{ secret: "${FORMER}", until: 2999-01-01 }]'
    first, second = (
        ReceiverProcess(tmp_path, account="one", accept_former=former),
        ReceiverProcess(tmp_path, account="two"),
    )
    text = second.settings.read_text().replace(str(second.port), str(first.port))
    second.settings.write_text(text.replace("${HOOK}", "${OTHER}"))
    first.environ |= {"OTHER": "another-secret-of-the-second-account", "FORMER": "f" * 32}
    with first.start("--config", second.settings):
        answer = _post(first, body(0), f"/hooks/{first.environ['FORMER']}")
        first.stop()
    arguments = ["oplead", "webhooks", "serve", "--config", first.settings, "--config", second.settings]
    shared = Forked(arguments, environ=first.environ | {"OTHER": first.environ["FORMER"]}, cwd=tmp_path)
    _, told = shared.communicate(timeout=PATIENCE)

    assert 204 == answer
    assert ["L-0"] == first.stored()
    assert 2 == shared.returncode
    assert "webhooks.secret: one and two have the same; each account needs its own" in told


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"HOOK": "too-short"}, "webhooks.secret: this secret has fewer than 20 characters"),
        ({"HOOK": "not/fit/for/an/address/at/all"}, "webhooks: the secret is part of an address"),
        ({"twice": True}, "account: maison-test and maison-test have the same"),
        ({"without": True}, "webhooks is missing"),
        ({"state": "${NO_DATABASE}"}, "state: the environment variable NO_DATABASE is not set"),
        ({"taken": True}, "is in use already: is another receiver running?"),
        ({"inbox": True}, "cannot be written"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(tmp_path, change, wanted):
    """Settings that are unsafe or do not fit together exit with 2 before anything is received."""
    receiver = ReceiverProcess(tmp_path, **({"inbox": "/dev/null/x.db"} if "inbox" in change else {}))
    if "without" in change:
        receiver.settings.write_text(receiver.settings.read_text().split("webhooks:")[0])
    if "state" in change:
        receiver.settings.write_text(f"state: {change['state']}\n{receiver.settings.read_text()}")
    environ = {**receiver.environ, **{name: value for name, value in change.items() if name == "HOOK"}}
    twice = ["--config", receiver.settings] if "twice" in change else []
    with socket.create_server(("127.0.0.1", receiver.port if "taken" in change else 0)):
        arguments = ["oplead", "webhooks", "serve", "--config", receiver.settings, *twice]
        ended = Forked(arguments, environ=environ, cwd=tmp_path)
        _, told = ended.communicate(timeout=PATIENCE)

    assert 2 == ended.returncode
    assert wanted in told
    assert environ["HOOK"] not in told


def _head(path, length=0, *, chunked=False):
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{size}\r\n\r\n".encode()


def _line(receiver, sent):
    """A connection on which this was sent, as far as the receiver takes it."""
    line = socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE)
    with suppress(OSError):  # it may be refused before all of it is sent; the answer says why
        line.sendall(sent)
    return line


def _status(line):
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = line.recv(4096)
        if not part:
            return None
        answer += part
    return int(answer.split(b" ", 2)[1])


def _answered(lines):
    """Those connections on which something has come."""
    waiting = select.poll()
    for line in lines:
        waiting.register(line, select.POLLIN)
    come = {number for number, _ in waiting.poll(100)}
    return [line for line in lines if line.fileno() in come]


def _post(receiver, content, path=HOOK):
    return _answer(receiver, _head(path, len(content)) + content)


def _answer(receiver, sent):
    with _line(receiver, sent) as line:
        return _status(line)


def _until(is_so):
    end = time.monotonic() + 100
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
