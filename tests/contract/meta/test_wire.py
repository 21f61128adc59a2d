"""The requests that reach Meta on the wire, and the traps of the library that sends them.

https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/events
"""

import hashlib
import hmac
import json
import logging
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from connectors.errors import Misconfigured
from connectors.meta.preflight import MetaInspector
from connectors.meta.sink import MetaOptions, MetaSink
from connectors.meta.statements import MetaStatementReader
from connectors.records import AnswerLost, RequestNotSent, RowOutcomes, SentRequest

TOKEN = "EAAGinventedTOKEN0123456789"
SECRET = "0123456789abcdef-invented"


def test_events_are_posted_as_the_documented_form(meta):
    """The form field `data` is a list of JSON texts, each byte for byte as frozen."""
    meta.submit(rows=2)
    (call,) = meta.calls

    assert ("POST", "/v26.0/1234567890/events") == (call.method, call.address)
    assert "application/x-www-form-urlencoded" == call.headers["Content-Type"]
    assert {"data", "access_token"} == call.form.keys()
    assert [event.body.decode() for event in meta.batch(2)] == call.texts


def test_accents_arrive_as_frozen(meta):
    """The library encodes the list but leaves each event's text alone."""
    event = json.loads(meta.batch(1)[0].body) | {"event_name": "Vente signée"}
    meta.submit_fields(event)

    assert [event] == [json.loads(text) for text in meta.calls[0].texts]


def test_submit_sends_the_token_only_in_the_body(meta):
    """The library would write it into the address."""
    meta.submit()
    (call,) = meta.calls

    assert [TOKEN] == call.form["access_token"]
    assert TOKEN not in call.address
    assert TOKEN not in json.dumps(call.headers)


def test_app_secret_is_proven_but_never_sent(meta):
    """The proof is the HMAC-SHA256 of the token, keyed with the app secret."""
    meta.use(app_secret=SECRET)
    meta.submit()
    (call,) = meta.calls
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()

    assert [proof] == call.form["appsecret_proof"]
    assert "?" not in call.address
    assert SECRET.encode() not in call.body


def test_reads_send_the_token_only_in_a_header(meta):
    """The token stays out of the address, and each read carries the proof."""
    meta.use(app_secret=SECRET)
    meta.inspector.check_recent_uploads()

    assert {f"Bearer {TOKEN}"} == {call.headers["Authorization"] for call in meta.calls}
    assert not [call for call in meta.calls if TOKEN in call.address]
    assert all(call.query["appsecret_proof"] for call in meta.calls)


def test_configured_api_version_is_used(meta):
    """The version is a setting, for uploads, for `check --live` and for statements."""
    meta.use(version="v27.0")
    meta.submit()
    list(meta.inspector.preflight([]))
    list(meta.inspector.check_recent_uploads())
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    MetaStatementReader(meta.options).read_statements(since, until, [SentRequest(meta.target, since, 3, None)])

    assert "/v27.0/1234567890/events" == meta.calls[0].path
    assert {"v27.0"} == {call.path.split("/")[1] for call in meta.calls}
    assert len(meta.calls) >= 6


def test_concurrent_accounts_never_share_tokens(meta, second_meta):
    """Each dataset receives only its own token, because no library state is shared."""

    def send(number: int) -> None:
        played = (meta, second_meta)[number % 2]
        options = replace(played.options, access_token=f"TOKEN-{number % 2}")
        MetaSink(options).submit(played.target, played.batch(1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(40)))

    assert ["TOKEN-0"] * 20 == [call.form["access_token"][0] for call in meta.calls]
    assert ["TOKEN-1"] * 20 == [call.form["access_token"][0] for call in second_meta.calls]


def test_process_wide_default_account_is_ignored(meta):
    """In the library, a default account would win over the token passed to a call."""
    FacebookAdsApi.set_default_api(FacebookAdsApi(FacebookSession(access_token="GLOBAL")))
    try:
        meta.submit()
    finally:
        FacebookAdsApi.set_default_api(None)

    assert [TOKEN] == meta.calls[0].form["access_token"]


def test_sink_and_inspector_change_no_global_state(meta):
    """They set no default account, no crash reporter and no global address."""
    before = sys.excepthook
    meta.submit()
    meta.inspector.preflight([])

    assert before is sys.excepthook
    assert FacebookAdsApi.get_default_api() is None
    assert "https://graph.facebook.com" == FacebookSession.GRAPH


def test_each_call_opens_its_own_connection(meta):
    """A kept connection may be dead and would make a request look sent."""
    sink = MetaSink(meta.options)
    sink.submit(meta.target, meta.batch(1))
    sink.submit(meta.target, meta.batch(1))

    assert 2 == len({call.client for call in meta.calls})


def test_silent_server_times_out(meta):
    """On its own the library waits forever."""
    meta.use(timeout=(0.2, 0.2))
    meta.stay_silent()
    began = time.monotonic()

    assert AnswerLost("ReadTimeout") == meta.submit()
    assert 3 > time.monotonic() - began


def test_dripping_answer_times_out(meta):
    """The library's timeout bounds only the wait for each byte."""
    meta.use(timeout=(0.2, 0.2))
    meta.drip()

    assert AnswerLost("ReadTimeout") == meta.submit()


def test_connect_timeout_is_separate_from_read_timeout(meta):
    """Connecting deserves a shorter wait than an answer does."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # they fill the backlog, so no later connection is accepted
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        meta.use(graph_url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout=(0.2, 30.0))
        began = time.monotonic()

        assert RequestNotSent("no connection: ConnectTimeout") == meta.submit()
        assert 10 > time.monotonic() - began


def test_refused_connection_is_not_sent(meta):
    """Without a connection nothing can have arrived."""
    meta.use(graph_url="http://127.0.0.1:9")

    assert RequestNotSent("no connection: ConnectionError", "meta.graph_url") == meta.submit()


def test_redirect_is_not_followed(meta):
    """It would carry events and token elsewhere."""
    meta.say_bytes(b"", 307, {"Location": f"{meta.url}/elsewhere"})

    assert AnswerLost("HTTP 307 with an answer that cannot be read") == meta.submit()
    assert 1 == len(meta.calls)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_connector_never_retries(meta, status):
    """Retries belong to the sender, which records every attempt."""
    meta.say_bytes(b"", status, {"Retry-After": "0"})
    meta.submit()

    assert 1 == len(meta.calls)


def test_loopback_ignores_environment_proxies(meta, monkeypatch):
    """An internet proxy cannot reach a server on this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert isinstance(meta.submit(), RowOutcomes)


def test_logs_contain_no_token_event_or_address(meta, caplog, capfd):
    """The libraries log at DEBUG while calls succeed, are refused, are lost or cannot connect."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")
    meta.use(app_secret=SECRET)
    meta.submit()
    meta.inspector.preflight([])
    meta.refuse(190, 463, http=400)
    meta.submit()
    meta.shut_down_socket()
    meta.submit()
    meta.inspector.preflight([])
    meta.say_bytes(b"{}", 200, {"bad header line \x00": ""})
    meta.inspector.preflight([])
    meta.use(graph_url="http://127.0.0.1:9")
    meta.submit()
    meta.inspector.preflight([])
    out, err = capfd.readouterr()
    said = caplog.text + out + err

    assert not [secret for secret in (TOKEN, SECRET, "IwAR", "events", "debug_token") if secret in said]


def test_repr_contains_no_secret(meta):
    """Options, receipts and findings contain neither secrets nor personal data."""
    meta.use(app_secret=SECRET)
    meta.refuse(100, 2804019, message=f"{TOKEN} jean@example.fr")
    shown = repr((meta.options, meta.submit(), meta.inspector.preflight([]), meta.inspector.check_recent_uploads()))

    assert not [secret for secret in (TOKEN, SECRET, "jean") if secret in shown]


@pytest.mark.parametrize(
    "wrong",
    [
        {"graph_url": "http://graph.example"},
        {"graph_url": "ftp://127.0.0.1"},
        {"access_token": ""},
        {"access_token": f"{TOKEN}\n"},
        {"app_secret": f"{SECRET} "},
    ],
)
@pytest.mark.parametrize("kind", [MetaSink, MetaInspector])
def test_unusable_options_are_refused_before_any_call(kind, wrong):
    """The error does not repeat a secret."""
    with pytest.raises(Misconfigured) as caught:
        kind(replace(MetaOptions("1", TOKEN), **wrong))

    assert TOKEN not in str(caught.value)
    assert SECRET not in str(caught.value)
