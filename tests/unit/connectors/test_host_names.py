"""An unknown host name is distinguished from a name server that does not answer, through every library."""

import json
import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
import requests
from pydantic import SecretStr

from connectors.errors import Transient, UnknownHost
from connectors.google_ads.auth import ServiceAccount
from connectors.google_ads.data_manager.sink import DataManagerSink
from connectors.google_ads.options import GoogleOptions
from connectors.http import is_loopback, is_unknown_host
from connectors.meta.sink import MetaOptions, MetaSink
from connectors.one_call import never_connected
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions
from connectors.rate_limit import Pacer
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    RequestNotSent,
    Target,
)
from tests import quick
from tests.unit.connectors.test_retrying import StillClock

UNKNOWN = [socket.EAI_NONAME, socket.EAI_NODATA]
OTHERS = [socket.EAI_AGAIN, socket.EAI_FAIL]
HOST = "https://nowhere.example"
NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The libraries look names up themselves."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def names(monkeypatch):
    """Make every name look-up fail with an error; return the hosts looked up."""
    asked = []

    def answer(errno):
        def lookup(host, *_args, **_more):
            asked.append(host)
            raise socket.gaierror(errno, "as the system words it")

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        return asked

    return answer


@pytest.mark.parametrize(
    ("errno", "is_unknown"), [*((one, True) for one in UNKNOWN), *((one, False) for one in OTHERS)]
)
@pytest.mark.parametrize("get", [httpx.get, requests.get])
def test_recognises_an_unknown_host_wrapped_by_each_http_library(names, get, errno, is_unknown):
    """A look-up that fails for another reason is not an unknown host."""
    names(errno)

    with pytest.raises((httpx.ConnectError, requests.ConnectionError)) as caught:
        get(HOST, timeout=5)

    assert is_unknown == is_unknown_host(caught.value)


def test_another_failure_is_no_unknown_host():
    """The chain of causes may contain the error itself."""
    error = OSError("refused")
    error.__cause__ = ValueError("x")
    error.__cause__.__cause__ = error

    assert not is_unknown_host(error)


def test_an_unknown_host_in_the_context_is_no_cause():
    """A call made because another host is unknown fails for reasons of its own: it may have sent something."""
    error = requests.ReadTimeout()
    error.__context__ = socket.gaierror(socket.EAI_NONAME, "of the call before")

    assert not is_unknown_host(error)
    assert not never_connected(error)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "[::1]"])
def test_recognises_a_host_on_this_machine(host):
    """These are 127.0.0.0/8, ::1 and localhost."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "128.0.0.1", "::2", "localhost.example", "127.0.0.1.example", "1"])
def test_recognises_a_host_elsewhere(host):
    """The beginning of a name alone decides nothing."""
    assert not is_loopback(host)


@pytest.fixture
def client():
    """A client of the host above, on its own clock."""
    clock = StillClock()
    options = OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris"), base_url=HOST)
    with closing(OpleadClient(options, clock=clock, pacer=Pacer(clock, 90))) as made:
        yield made, clock


def test_an_unknown_oplead_host_is_not_retried(client, names):
    """The message names the address and its setting."""
    made, clock = client
    asked = names(socket.EAI_NONAME)

    with pytest.raises(UnknownHost, match=f"the host name in {HOST} does not exist: see oplead.base_url"):
        made.get("/v1/leads")

    assert ["nowhere.example"] == asked
    assert [] == clock.slept


def test_a_failed_name_look_up_is_retried(client, names):
    """At boot the network may be a few seconds late."""
    made, clock = client
    asked = names(socket.EAI_AGAIN)

    with pytest.raises(Transient) as caught:
        made.get("/v1/leads")

    assert not isinstance(caught.value, UnknownHost)
    assert 5 == len(asked)
    assert 4 == len(clock.slept)


def test_an_unknown_token_server_is_reported(tmp_path, names):
    """Google's library wraps the error once more."""
    names(socket.EAI_NONAME)
    key = tmp_path / "key.json"
    key.write_text(json.dumps(json.loads(quick.key_file()) | {"token_uri": f"{HOST}/token"}))
    account = ServiceAccount(GoogleOptions("1234567890", None, key, timeout=5), "scope")

    with pytest.raises(UnknownHost, match="its host name does not exist"):
        account.token()


def test_an_unknown_google_or_meta_host_means_nothing_sent(tmp_path, names, monkeypatch):
    """Each receipt names the unknown host and says that a retry is pointless."""
    names(socket.EAI_NONAME)
    monkeypatch.setattr(ServiceAccount, "token", lambda _: SecretStr("t"))
    (tmp_path / "key.json").write_text(quick.key_file())
    google = DataManagerSink(
        GoogleOptions("1234567890", None, tmp_path / "key.json", data_manager_endpoint=HOST, timeout=5.0)
    )
    meta = MetaSink(MetaOptions(dataset_id="42", access_token="EAAinvented", graph_url=HOST))
    event = ConversionEvent(
        DeliveryKey("k"),
        Target("data_manager", "1234567890", "987654321", "WEB"),
        NOW,
        ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented"),
        (),
        None,
        Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED),
    )
    lead = replace(
        event,
        target=Target("conversions_api", "42", "Schedule", "system_generated"),
        click_id=ClickId(ClickIdKind.FBCLID, "IwAR-invented", NOW),
    )

    for sink, one, where in ((google, event, HOST), (meta, lead, "meta.graph_url")):
        receipt = sink.submit(one.target, [EncodedEvent(one.key, sink.encode(one))])

        assert isinstance(receipt, RequestNotSent), receipt
        assert receipt.is_unknown_host
        assert f"the host name in {where} does not exist" == receipt.reason
