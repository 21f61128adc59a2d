"""One call to Meta on the wire, and the traps of the library that carries it.

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

import pytest
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from connectors.errors import Misconfigured
from connectors.meta.preflight import MetaInspector
from connectors.meta.sink import MetaOptions, MetaSink
from connectors.records import Answered, Lost, NotSent

TOKEN = "EAAGinventedTOKEN0123456789"
SECRET = "0123456789abcdef-invented"


def test_events_go_out_as_the_documented_form(meta):
    """A form whose `data` is a list of JSON texts, byte for byte the frozen ones."""
    meta.submit(rows=2)
    (call,) = meta.calls

    assert ("POST", "/v26.0/1234567890/events") == (call.method, call.address)
    assert "application/x-www-form-urlencoded" == call.headers["Content-Type"]
    assert {"data", "access_token"} == call.form.keys()
    assert [event.body.decode() for event in meta.batch(2)] == call.texts


def test_accents_arrive_as_they_were_frozen(meta):
    """The library's own encoding of the list leaves each event's text alone."""
    event = json.loads(meta.batch(1)[0].body) | {"event_name": "Vente signée"}
    meta.submit_fields(event)

    assert [event] == [json.loads(text) for text in meta.calls[0].texts]


def test_the_token_travels_in_the_body_alone(meta):
    """The library would write it into the address."""
    meta.submit()
    (call,) = meta.calls

    assert [TOKEN] == call.form["access_token"]
    assert TOKEN not in call.address
    assert TOKEN not in json.dumps(call.headers)


def test_the_secret_is_proven_and_not_sent(meta):
    """HMAC-SHA256 of the token under the app's secret."""
    meta.use(app_secret=SECRET)
    meta.submit()
    (call,) = meta.calls
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()

    assert [proof] == call.form["appsecret_proof"]
    assert "?" not in call.address
    assert SECRET.encode() not in call.body


def test_reading_shows_the_token_in_a_header(meta):
    """Nor does it stand in the address of a look at the dataset."""
    meta.use(app_secret=SECRET)
    meta.inspector.diagnose()

    assert {f"Bearer {TOKEN}"} == {call.headers["Authorization"] for call in meta.calls}
    assert not [call for call in meta.calls if TOKEN in call.address]
    assert all(call.query["appsecret_proof"] for call in meta.calls)


def test_another_version_is_asked_as_told(meta):
    """The version is a setting."""
    meta.use(version="v27.0")
    meta.submit()

    assert "/v27.0/1234567890/events" == meta.calls[0].path


def test_two_accounts_in_threads_never_mix(meta, second_meta):
    """Each dataset sees its own token only: nothing of the library's is shared."""

    def send(number: int) -> None:
        played = (meta, second_meta)[number % 2]
        options = replace(played.options, access_token=f"TOKEN-{number % 2}")
        MetaSink(options).submit(played.target, played.batch(1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(40)))

    assert ["TOKEN-0"] * 20 == [call.form["access_token"][0] for call in meta.calls]
    assert ["TOKEN-1"] * 20 == [call.form["access_token"][0] for call in second_meta.calls]


def test_an_account_set_for_the_whole_process_is_not_used(meta):
    """The library's default account, were one set, would win over a token given to it."""
    FacebookAdsApi.set_default_api(FacebookAdsApi(FacebookSession(access_token="GLOBAL")))
    try:
        meta.submit()
    finally:
        FacebookAdsApi.set_default_api(None)

    assert [TOKEN] == meta.calls[0].form["access_token"]


def test_nothing_of_the_process_changes(meta):
    """No default account, no crash reporter, no other address for everyone."""
    before = sys.excepthook
    meta.submit()
    meta.inspector.preflight([])

    assert before is sys.excepthook
    assert FacebookAdsApi.get_default_api() is None
    assert "https://graph.facebook.com" == FacebookSession.GRAPH


def test_each_call_has_its_own_connection(meta):
    """A kept one may be dead, and would make a request look sent."""
    sink = MetaSink(meta.options)
    sink.submit(meta.target, meta.batch(1))
    sink.submit(meta.target, meta.batch(1))

    assert 2 == len({call.client for call in meta.calls})


def test_a_silent_server_is_not_waited_for(meta):
    """By itself the library waits for ever."""
    meta.use(timeout=(0.2, 0.2))
    meta.stay_silent()
    began = time.monotonic()

    assert Lost("ReadTimeout") == meta.submit()
    assert 3 > time.monotonic() - began


def test_a_dripping_answer_is_not_waited_for(meta):
    """The timeout alone bounds only the wait for each byte."""
    meta.use(timeout=(0.2, 0.2))
    meta.drip()

    assert Lost("ReadTimeout") == meta.submit()


def test_the_wait_for_a_connection_is_its_own(meta):
    """Shorter than that for an answer: no connection is worth a minute."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # whoever comes after them is not let in
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        meta.use(graph_url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout=(0.2, 30.0))
        began = time.monotonic()

        assert NotSent("no connection: ConnectTimeout") == meta.submit()
        assert 10 > time.monotonic() - began


def test_nobody_listening_is_not_sent(meta):
    """Nothing can have arrived."""
    meta.use(graph_url="http://127.0.0.1:9")

    assert NotSent("no connection: ConnectionError", "meta.graph_url") == meta.submit()


def test_a_redirect_is_not_followed(meta):
    """It would carry events and token elsewhere."""
    meta.say_bytes(b"", 307, {"Location": f"{meta.url}/elsewhere"})

    assert Lost("HTTP 307 with an answer that cannot be read") == meta.submit()
    assert 1 == len(meta.calls)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_nothing_is_tried_twice(meta, status):
    """Trying again belongs to whoever keeps the books."""
    meta.say_bytes(b"", status, {"Retry-After": "0"})
    meta.submit()

    assert 1 == len(meta.calls)


def test_no_proxy_of_the_environment_stands_before_this_machine(meta, monkeypatch):
    """A proxy for the internet knows nothing of a server here."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert isinstance(meta.submit(), Answered)


def test_nothing_is_logged_of_token_events_or_addresses(meta, caplog, capfd):
    """Whatever the libraries say at their loudest, when all goes well, is refused, is lost or cannot be sent."""
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


def test_what_is_shown_of_options_has_no_secret(meta):
    """Nor does a receipt or a finding."""
    meta.use(app_secret=SECRET)
    meta.refuse(100, 2804019, message=f"{TOKEN} jean@example.fr")
    shown = repr((meta.options, meta.submit(), meta.inspector.preflight([]), meta.inspector.diagnose()))

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
def test_what_cannot_work_is_refused_at_once(kind, wrong):
    """Before any call, and without repeating a secret."""
    with pytest.raises(Misconfigured) as caught:
        kind(replace(MetaOptions("1", TOKEN), **wrong))

    assert TOKEN not in str(caught.value)
    assert SECRET not in str(caught.value)
